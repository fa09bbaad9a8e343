// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "policies/cases/case_file.h"
#include "policies/clearing/fallback.h"
#include "policies/clearing/rules.h"
#include "tests/referee/random_auction.h"

namespace nom::policies {
namespace {

using ::testing::HasSubstr;
using Wide = __int128;

constexpr int64_t kMillion = 1'000'000;
// What rounding may cost in an auction of the sizes below: a micro-credit a unit and a range.
constexpr int64_t kRounding = 200;

// A bid for up to `units`, each worth `price`.
Bid Flat(GuestId guest_id, int64_t units, Microcredits price, int64_t weight_ppm) {
  return {.guest_id = guest_id,
          .ranges = {{.min_units = 1,
                      .max_units = units,
                      .value_at_min_microcredits = price,
                      .unit_price_microcredits = price}},
          .weight_ppm = weight_ppm};
}

Microcredits LargestNumber(const Auction& auction) {
  Microcredits most =
      std::max(auction.reserve_unit_price_microcredits, auction.reclaim_penalty_microcredits);
  for (const Bid& bid : auction.bids) {
    for (const Range& range : bid.ranges) {
      most = std::max({most, range.value_at_min_microcredits,
                       std::abs(range.unit_price_microcredits) * (range.max_units + 1)});
    }
  }
  return most;
}

// Money in whole credits, so that what is lost by rounding is nothing beside it; no penalty if
// asked; weights drawn, one for each owner.
Auction Draw(Shape shape, uint64_t seed, bool with_penalty) {
  Auction auction = SmallRandomAuction(shape, seed);
  if (LargestNumber(auction) < 1'000'000) {
    auction.reserve_unit_price_microcredits *= kMillion;
    auction.reclaim_penalty_microcredits *= kMillion;
    for (Bid& bid : auction.bids) {
      for (Range& range : bid.ranges) {
        range.value_at_min_microcredits *= kMillion;
        range.unit_price_microcredits *= kMillion;
      }
    }
  }
  if (!with_penalty) auction.reclaim_penalty_microcredits = 0;
  TestRandom random(seed ^ 0x77);
  for (Bid& bid : auction.bids) {
    bid.owner_id = 0;
    bid.weight_ppm = random.OneIn(3) ? kWholeWeightPpm : random.Between(1'000, kWholeWeightPpm);
  }
  return auction;
}

// What is maximised, in millionths of a micro-credit: by the definition, in exact numbers.
Wide Maximised(const Auction& auction, const std::vector<int64_t>& units) {
  const Wide reserve = auction.reserve_unit_price_microcredits;
  Wide sum = Wide{auction.capacity_units} * reserve * kMillion;
  for (size_t i = 0; i < units.size(); ++i) {
    const Bid& bid = auction.bids[i];
    sum += (Wide{ValueOf(bid, units[i])} - reserve * units[i]) * bid.weight_ppm;
    sum -= Wide{auction.reclaim_penalty_microcredits} *
           std::max<int64_t>(0, bid.held_units - units[i]) * kMillion;
  }
  return sum;
}

// The most over all allocations.
Wide Largest(const Auction& auction) {
  std::vector<int64_t> units(auction.bids.size(), 0);
  bool any = false;
  Wide best = 0;
  const std::function<void(size_t, int64_t)> next = [&](size_t i, int64_t left) {
    if (i == units.size()) {
      const Wide sum = Maximised(auction, units);
      if (!any || sum > best) best = sum;
      any = true;
      return;
    }
    for (int64_t q = 0; q <= left; ++q) {
      if (!Sellable(auction.bids[i], q, auction.reserve_unit_price_microcredits)) continue;
      units[i] = q;
      next(i + 1, left - q);
    }
    units[i] = 0;
  };
  next(0, auction.capacity_units);
  return best;
}

std::vector<int64_t> UnitsOf(const Auction& auction, const Clearing& clearing) {
  std::vector<int64_t> units(auction.bids.size(), 0);
  for (const Award& award : clearing.awards) {
    for (size_t i = 0; i < units.size(); ++i) {
      if (auction.bids[i].guest_id == award.guest_id) units[i] = award.units;
    }
  }
  return units;
}

// Of the first bid: what its award is worth by `truth`, less its charge.
Wide Gain(const Bid& truth, const Clearing& clearing) {
  for (const Award& award : clearing.awards) {
    if (award.guest_id != truth.guest_id) continue;
    return Wide{ValueOf(truth, award.units)} - award.charge_microcredits;
  }
  return 0;
}

TEST(Weights, HalfTheWeightCountsHalfAndPaysTwice) {
  // One unit at a reserve of 2. The first is worth 12, or 5 above the reserve by its weight; the
  // second is worth 8, or 6 above.
  Auction auction{.capacity_units = 1, .reserve_unit_price_microcredits = 2, .seed = 1};
  auction.bids = {Flat(1, 1, 12, 500'000), Flat(2, 1, 8, kWholeWeightPpm)};
  auto clearing = Clear("mpsp/1", auction);
  ASSERT_TRUE(clearing.ok()) << clearing.status();
  EXPECT_EQ(clearing->awards, (std::vector<Award>{{2, 1, 7}}))
      << "the reserve and what it displaces";
  EXPECT_EQ(clearing->welfare_microcredits, 8) << "2 and 6";
  auction.bids[0] = Flat(1, 1, 18, 500'000);
  clearing = Clear("mpsp/1", auction);
  ASSERT_TRUE(clearing.ok()) << clearing.status();
  EXPECT_EQ(clearing->awards, (std::vector<Award>{{1, 1, 14}})) << "2, and twice 6";
  EXPECT_EQ(clearing->welfare_microcredits, 10) << "2 and 8";
}

TEST(Weights, WithoutAWeightThereIsNothingToRest) {
  // What the first does not take goes to who bids most of the others, though these weigh little.
  Auction auction{.capacity_units = 2, .reserve_unit_price_microcredits = 0, .seed = 1};
  auction.bids = {Flat(1, 1, 1'000, kWholeWeightPpm), Flat(2, 1, 400'000, 1'000),
                  Flat(3, 1, 500'000, 1'000)};
  const auto clearing = Clear("mpsp/1", auction);
  ASSERT_TRUE(clearing.ok()) << clearing.status();
  EXPECT_EQ(clearing->awards, (std::vector<Award>{{1, 1, 400}, {3, 1, 400'000}}));
}

TEST(Weights, WholeOnesChangeNothing) {
  for (uint64_t seed = FirstSeed(); seed < FirstSeed() + CountOr(500); ++seed) {
    const Auction auction = SmallRandomAuction(Shape::kGeneral, seed);
    EXPECT_FALSE(HasWeights(auction));
    const auto weighted = Weighted(auction);
    ASSERT_TRUE(weighted.ok()) << weighted.status();
    EXPECT_EQ(*weighted, auction);
    EXPECT_EQ(ToText(auction).find("weight"), std::string::npos) << "and records are as they were";
  }
}

TEST(Weights, AwardsMaximiseWhatIsSaidAndChargesStayWithinBids) {
  for (const auto& [rule, shape] :
       {std::pair{"mpsp/1", Shape::kGeneral}, std::pair{"uniform_price/1", Shape::kConcave},
        std::pair{"mpsp/1", Shape::kConcave}}) {
    for (uint64_t seed = FirstSeed(); seed < FirstSeed() + CountOr(3'000); ++seed) {
      const Auction auction = Draw(shape, seed, /*with_penalty=*/true);
      const auto clearing = ClearWithin(rule, auction);
      if (absl::IsOutOfRange(clearing.status())) continue;  // Does not fit in 64 bits.
      ASSERT_TRUE(clearing.ok()) << clearing.status() << Describe(seed, auction);
      const std::vector<int64_t> units = UnitsOf(auction, *clearing);
      const Wide largest = Largest(auction);
      EXPECT_GE(Maximised(auction, units) + Wide{kRounding} * kMillion, largest)
          << rule << Describe(seed, auction) << ToText(auction);
      EXPECT_GE((Wide{clearing->welfare_bound_microcredits} + kRounding) * kMillion, largest)
          << "the bound is one" << Describe(seed, auction);
      const auto welfare = WeightedWelfare(auction, units);
      ASSERT_TRUE(welfare.ok()) << welfare.status();
      EXPECT_EQ(*welfare, clearing->welfare_microcredits);
      int64_t sold = 0;
      for (const Award& award : clearing->awards) {
        const auto bid = std::find_if(auction.bids.begin(), auction.bids.end(),
                                      [&](const Bid& b) { return b.guest_id == award.guest_id; });
        sold += award.units;
        EXPECT_LE(award.charge_microcredits, ValueOf(*bid, award.units))
            << rule << Describe(seed, auction) << ToText(auction);
        EXPECT_GE(award.charge_microcredits, award.units * auction.reserve_unit_price_microcredits);
      }
      EXPECT_LE(sold, auction.capacity_units);
    }
  }
}

// In single micro-credits, where everything is rounded.
TEST(Weights, RoundingNeverChargesMoreThanWasBid) {
  for (const auto& [rule, shape] :
       {std::pair{"mpsp/1", Shape::kGeneral}, std::pair{"uniform_price/1", Shape::kConcave}}) {
    for (uint64_t seed = FirstSeed(); seed < FirstSeed() + CountOr(20'000); ++seed) {
      Auction auction = SmallRandomAuction(shape, seed);
      TestRandom random(seed ^ 0x99);
      for (Bid& bid : auction.bids) {
        bid.owner_id = 0;
        bid.weight_ppm = random.OneIn(2) ? random.Between(1, 1'000'000) : random.Between(1, 50'000);
      }
      const auto clearing = ClearWithin(rule, auction);
      if (absl::IsOutOfRange(clearing.status())) continue;
      ASSERT_TRUE(clearing.ok()) << clearing.status() << Describe(seed, auction) << ToText(auction);
      for (const Award& award : clearing->awards) {
        const auto bid = std::find_if(auction.bids.begin(), auction.bids.end(),
                                      [&](const Bid& b) { return b.guest_id == award.guest_id; });
        EXPECT_LE(award.charge_microcredits, ValueOf(*bid, award.units))
            << rule << Describe(seed, auction) << ToText(auction);
        EXPECT_GE(award.charge_microcredits, award.units * auction.reserve_unit_price_microcredits);
      }
    }
  }
}

TEST(Weights, TheTruthIsTheBestBidWhateverTheWeights) {
  for (uint64_t seed = FirstSeed(); seed < FirstSeed() + CountOr(3'000); ++seed) {
    const Auction truth = Draw(Shape::kGeneral, seed, /*with_penalty=*/false);
    if (truth.bids.empty() || LargestNumber(truth) > kMillion * kMillion) continue;
    const auto honest = Clear("mpsp/1", truth);
    ASSERT_TRUE(honest.ok()) << honest.status();
    // A misreport is another auction's bid, or its own at another price.
    Auction lie = truth;
    const Auction other = Draw(Shape::kGeneral, seed + 1'000'000, /*with_penalty=*/false);
    if (seed % 2 == 0 && !other.bids.empty() && LargestNumber(other) <= kMillion * kMillion) {
      lie.bids[0].ranges = other.bids[0].ranges;
    } else {
      for (Range& range : lie.bids[0].ranges) {
        range.value_at_min_microcredits = range.value_at_min_microcredits * 4 / 3;
        range.unit_price_microcredits = range.unit_price_microcredits * 4 / 3;
      }
    }
    if (!ValidateBid(WithoutWeights(lie).bids[0]).ok()) continue;
    const auto lied = Clear("mpsp/1", lie);
    ASSERT_TRUE(lied.ok()) << lied.status();
    bool allows = true;
    for (const Award& award : lied->awards) {
      if (award.guest_id != truth.bids[0].guest_id) continue;
      allows = Allowed(truth.bids[0], award.units);
    }
    if (!allows) continue;  // Worth nothing to it.
    const Wide slack = Wide{kRounding} * kMillion / truth.bids[0].weight_ppm;
    EXPECT_GE(Gain(truth.bids[0], *honest) + slack, Gain(truth.bids[0], *lied))
        << Describe(seed, truth) << ToText(truth) << ToText(lie);
  }
}

TEST(Weights, AreOneForAnOwnerAndWithinTheirRange) {
  Auction auction{.capacity_units = 3, .seed = 1};
  auction.bids = {Flat(1, 1, 5, 500'000), Flat(2, 1, 5, 400'000)};
  auction.bids[0].owner_id = 7;
  auction.bids[1].owner_id = 7;
  EXPECT_THAT(std::string(Clear("mpsp/1", auction).status().message()),
              HasSubstr("bids[1].weight_ppm: 400000 differs from another of owner 7, 500000"));
  for (const int64_t bad : {int64_t{-1}, kWholeWeightPpm + 1}) {
    auction.bids = {Flat(1, 1, 5, bad)};
    for (const absl::Status& status :
         {Clear("mpsp/1", auction).status(), ClearWithin("mpsp/1", auction).status(),
          RepeatLast(auction).status()}) {
      EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
      EXPECT_THAT(std::string(status.message()), HasSubstr("bids[0].weight_ppm"));
    }
  }
  auction.bids = {Flat(1, 1, 5, 500'000)};
  EXPECT_TRUE(absl::IsInvalidArgument(ValidateAuction(auction)))
      << "what does not know weights must not clear as if there were none";
}

TEST(Weights, AreInTheTextOfAnAuction) {
  for (uint64_t seed = FirstSeed(); seed < FirstSeed() + CountOr(500); ++seed) {
    const Auction auction = Draw(Shape::kGeneral, seed, /*with_penalty=*/true);
    const auto again = ParseAuction(ToText(auction));
    ASSERT_TRUE(again.ok()) << again.status() << ToText(auction);
    EXPECT_EQ(*again, auction);
  }
}

TEST(Weights, TheRepeatedAwardsAreThoseOfTheBids) {
  Auction auction{.capacity_units = 4, .reserve_unit_price_microcredits = 3, .seed = 1};
  auction.bids = {Flat(1, 4, 9, 1'000), Flat(2, 4, 2, 1'000)};
  auction.bids[0].held_units = 3;
  auction.bids[1].held_units = 1;
  const auto repeated = RepeatLast(auction);
  ASSERT_TRUE(repeated.ok()) << repeated.status();
  EXPECT_EQ(repeated->awards, (std::vector<Award>{{1, 3, 9}})) << "at the reserve; 2 is below it";
}

}  // namespace
}  // namespace nom::policies
