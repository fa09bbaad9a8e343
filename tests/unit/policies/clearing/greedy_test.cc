// SPDX-License-Identifier: Apache-2.0
// The concave relaxation against one made from every single quantity.

#include "policies/clearing/greedy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "policies/clearing/concave/selection.h"
#include "policies/clearing/int128.h"
#include "policies/clearing/mpsp.h"
#include "tests/referee/random_auction.h"

namespace nom::policies {
namespace {

// A straight part of a curve: `gain` in all for `units`.
struct Part {
  Int128 gain;
  int64_t units;
};

// The upper hull of all quantities, by looking from each corner for the steepest way on.
void AppendParts(const Auction& auction, const Bid& bid, std::vector<Part>& parts) {
  const auto gain_at = [&](int64_t units) {
    return Int128{ValueOf(bid, units)} - Int128{units} * auction.reserve_unit_price_microcredits +
           Int128{auction.reclaim_penalty_microcredits} * std::min(units, bid.held_units);
  };
  const int64_t most = bid.ranges.empty() ? 0 : bid.ranges.back().max_units;
  for (int64_t from = 0;;) {
    Part best{-1, 1};
    for (int64_t to = from + 1; to <= std::min(most, auction.capacity_units); ++to) {
      if (!Sellable(bid, to, auction.reserve_unit_price_microcredits)) continue;
      const Part part{gain_at(to) - gain_at(from), to - from};
      if (part.gain * best.units >= best.gain * part.units) best = part;
    }
    if (best.gain < 0) return;
    parts.push_back(best);
    from += best.units;
  }
}

Int128 BoundBySorting(const Auction& auction) {
  std::vector<Part> parts;
  Int128 bound = Int128{auction.capacity_units} * auction.reserve_unit_price_microcredits;
  for (const Bid& bid : auction.bids) {
    bound -= Int128{bid.held_units} * auction.reclaim_penalty_microcredits;
    AppendParts(auction, bid, parts);
  }
  std::sort(parts.begin(), parts.end(),
            [](const Part& a, const Part& b) { return a.gain * b.units > b.gain * a.units; });
  int64_t left_units = auction.capacity_units;
  for (const Part& part : parts) {
    const int64_t units = std::min(left_units, part.units);
    bound += (part.gain * units + part.units - 1) / part.units;
    left_units -= units;
  }
  return bound;
}

// Money near the limits, so that gains of holders need more than 64 bits.
Auction WithLargePenalty(Auction auction) {
  auction.reclaim_penalty_microcredits = kValueMaxMicrocredits - 7;
  for (Bid& bid : auction.bids) bid.held_units *= 1'000;
  // Few enough, so that W itself fits.
  auction.bids.resize(std::min<size_t>(auction.bids.size(), 2));
  for (Bid& bid : auction.bids) bid.held_units = std::min<int64_t>(bid.held_units, 4'000);
  return auction;
}

TEST(WelfareBound, EqualsTheRelaxationOfEveryQuantity) {
  int compared = 0;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(4'000); seed < end; ++seed) {
    const Shape shape = seed % 4 == 0 ? Shape::kConcave : Shape::kGeneral;
    Auction auction = RandomAuction(shape, seed, seed % 3 == 0 ? 4 : 40, 60);
    if (seed % 5 == 0) auction = WithLargePenalty(std::move(auction));
    const auto bound = WelfareBound(auction);
    const auto expected = ToMicrocredits(BoundBySorting(auction), "bound");
    ASSERT_EQ(bound.ok(), expected.ok()) << Describe(seed, auction);
    if (!bound.ok()) continue;
    ASSERT_EQ(*bound, *expected) << Describe(seed, auction);
    ++compared;
  }
  EXPECT_GT(compared, static_cast<int>(CountOr(4'000) / 2));
}

TEST(WelfareBound, EqualsTheRelaxationOfEveryQuantityForManyBids) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(10); seed < end; ++seed) {
    Auction auction = RandomAuction(Shape::kGeneral, seed, 3'000, 20);
    auction.capacity_units = static_cast<int64_t>(auction.bids.size()) * 3;
    ASSERT_EQ(Int128{*WelfareBound(auction)}, BoundBySorting(auction)) << "seed " << seed;
  }
}

// Parts that round to the same slope differ in what is left over: 10 / 3 is steeper than 13 / 4.
TEST(WelfareBound, SlopesThatRoundToTheSameAreToldApart) {
  Auction auction;
  auction.capacity_units = 5;
  auction.bids = {{1, {{4, 4, 13, 0}}, 0}, {2, {{3, 3, 10, 0}}, 0}};
  // 10, and 2 of 4 units at 13: 6.5, rounded up.
  EXPECT_EQ(*WelfareBound(auction), 17);
}

// The penalty for all that is held is above 2^73, yet the bound is small.
TEST(WelfareBound, GainsOfLargeHoldersNeedMoreThan64Bits) {
  Auction auction;
  auction.capacity_units = kUnitsMax;
  auction.reclaim_penalty_microcredits = kValueMaxMicrocredits - 7;
  auction.bids = {{1, {{1, kUnitsMax, 5, 0}}, kUnitsMax},
                  {2, {{1, 1, kValueMaxMicrocredits, 0}}, 0}};
  // The first guest gives up a unit that is worth 0 to it: 5 + 10^15 - (10^15 - 7).
  EXPECT_EQ(*WelfareBound(auction), 12);
  const auto clearing = ClearMpsp(auction);
  ASSERT_TRUE(clearing.ok()) << clearing.status();
  EXPECT_EQ(clearing->welfare_microcredits, 12);
  EXPECT_EQ(clearing->awards,
            (std::vector<Award>{{1, kUnitsMax - 1, 0}, {2, 1, kValueMaxMicrocredits - 7}}));
  EXPECT_EQ(ClearGreedy(auction)->welfare_microcredits, 12);
}

TEST(Greedy, WorkIsCountedAndEndsIt) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(200); seed < end; ++seed) {
    const Auction auction = RandomAuction(Shape::kGeneral, seed, 200, 60);
    constexpr int64_t kSteps = int64_t{1} << 40;
    Work counted(kSteps);
    const auto all = ClearGreedy(auction, counted);
    ASSERT_TRUE(all.ok()) << all.status();
    const int64_t steps = kSteps - counted.left_steps();
    EXPECT_GE(steps, static_cast<int64_t>(auction.bids.size()));
    Work enough(steps);
    EXPECT_EQ(*ClearGreedy(auction, enough), *all);
    for (int64_t less : {steps - 1, steps / 2, int64_t{0}}) {
      if (less >= steps) continue;
      Work too_little(less);
      EXPECT_EQ(ClearGreedy(auction, too_little).status().code(),
                absl::StatusCode::kResourceExhausted);
      EXPECT_TRUE(too_little.is_used_up());
    }
  }
}

TEST(Selection, ItemsAreParted) {
  TestRandom random(FirstSeed());
  for (int i = 0; i < 2'000; ++i) {
    std::vector<int64_t> items(static_cast<size_t>(random.Between(0, 40)));
    for (int64_t& item : items) item = random.Between(0, 9);
    std::vector<int64_t> sorted = items;
    std::sort(sorted.begin(), sorted.end());
    int64_t units = random.Between(0, 150);
    size_t expected = 0;
    int64_t left_units = units;
    while (expected < sorted.size() && sorted[expected] <= left_units) {
      left_units -= sorted[expected++];
    }
    const size_t wholly = PartitionAtUnits(
        std::span(items), units, [](int64_t a, int64_t b) { return a < b; },
        [](int64_t item) { return item; });
    ASSERT_EQ(wholly, expected);
    ASSERT_EQ(units, left_units);
    if (wholly < items.size()) {
      ASSERT_EQ(items[wholly], sorted[wholly]);
    }
    std::sort(items.begin(), items.begin() + static_cast<ptrdiff_t>(wholly));
    ASSERT_TRUE(
        std::equal(items.begin(), items.begin() + static_cast<ptrdiff_t>(wholly), sorted.begin()));
  }
}

}  // namespace
}  // namespace nom::policies
