// SPDX-License-Identifier: Apache-2.0
// The declared chain on random auctions: every link keeps the promises, and its bound is proven.

#include "policies/clearing/fallback.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "policies/clearing/greedy.h"
#include "policies/clearing/mpsp.h"
#include "policies/clearing/rules.h"
#include "policies/clearing/work.h"
#include "tests/referee/random_auction.h"

namespace nom::policies {
namespace {

constexpr uint64_t kAuctions = 10'000;

Award AwardOf(const Clearing& clearing, GuestId guest_id) {
  for (const Award& award : clearing.awards) {
    if (award.guest_id == guest_id) return award;
  }
  return {guest_id, 0, 0};
}

void CheckPromises(const Auction& auction, const Clearing& clearing, Microcredits best_welfare) {
  int64_t sold_units = 0;
  std::vector<int64_t> units;
  for (const Bid& bid : auction.bids) {
    const Award award = AwardOf(clearing, bid.guest_id);
    units.push_back(award.units);
    sold_units += award.units;
    ASSERT_TRUE(Allowed(bid, award.units));
    ASSERT_LE(award.charge_microcredits, ValueOf(bid, award.units));
    ASSERT_GE(award.charge_microcredits, auction.reserve_unit_price_microcredits * award.units);
  }
  ASSERT_LE(sold_units, auction.capacity_units);
  ASSERT_EQ(*Welfare(auction, units), clearing.welfare_microcredits);
  ASSERT_LE(clearing.welfare_microcredits, best_welfare);
  ASSERT_GE(clearing.welfare_bound_microcredits, best_welfare);
  ASSERT_GE(clearing.clearing_unit_price_microcredits, auction.reserve_unit_price_microcredits);
}

// The mean share of what the exact rule adds to W over selling nothing.
class Quality {
 public:
  void Add(const Auction& auction, const Clearing& clearing, const Clearing& exact) {
    const Microcredits nothing = *Welfare(auction, std::vector<int64_t>(auction.bids.size(), 0));
    if (exact.welfare_microcredits == nothing) return;
    sum_ += static_cast<double>(clearing.welfare_microcredits - nothing) /
            static_cast<double>(exact.welfare_microcredits - nothing);
    ++count_;
  }
  double Mean() const { return sum_ / count_; }

 private:
  double sum_ = 0;
  int count_ = 0;
};

// All at one price a unit and of even sizes, and an odd capacity: one unit is always left over, and
// no bound says so. The exact rule has to make tables, which its budget can forbid.
Auction HardAuction(uint64_t seed, int64_t bids) {
  TestRandom random(seed);
  Auction auction;
  auction.seed = seed;
  auction.capacity_units = (int64_t{1} << 17) + 1;
  for (int64_t i = 0; i < bids; ++i) {
    const int64_t units = 2 * random.Between(1'000, 8'000);
    const int64_t more = units + 2 * random.Between(1, 1'000);
    auction.bids.push_back({static_cast<GuestId>(i + 1),
                            {{units, units, units * 50, 0}, {more, more, more * 50, 0}},
                            random.Between(0, 2) * 1'000});
  }
  return auction;
}

TEST(Fallback, EveryLinkKeepsThePromisesAndProvesItsBound) {
  std::array<int, 4> used = {};
  Quality greedy;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions); seed < end; ++seed) {
    const Auction auction = RandomAuction(Shape::kGeneral, seed, 12, 120);
    SCOPED_TRACE(Describe(seed, auction));
    const auto exact = ClearMpsp(auction);
    ASSERT_TRUE(exact.ok());
    for (int64_t budget : {kWorkMaxDefault, int64_t{3'000}, int64_t{0}}) {
      int64_t steps = -1;
      const auto clearing = ClearWithin("mpsp/1", auction, budget, &steps);
      ASSERT_TRUE(clearing.ok()) << clearing.status();
      CheckPromises(auction, *clearing, exact->welfare_microcredits);
      if (::testing::Test::HasFatalFailure()) return;
      ASSERT_LE(steps, budget + budget / 2);
      ASSERT_GE(steps, 0);
      if (budget == kWorkMaxDefault) {
        ASSERT_EQ(*clearing, *exact);
        // Just what was taken is enough, as long as the links behind are left theirs.
        ASSERT_EQ(*ClearWithin("mpsp/1", auction, 2 * steps + 1'000'000), *exact);
      }
      ++used[static_cast<size_t>(clearing->method)];
    }
    const auto by_greedy = ClearGreedy(auction);
    ASSERT_TRUE(by_greedy.ok()) << by_greedy.status();
    CheckPromises(auction, *by_greedy, exact->welfare_microcredits);
    if (::testing::Test::HasFatalFailure()) return;
    greedy.Add(auction, *by_greedy, *exact);
  }
  Quality coarser;
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    const Auction auction = HardAuction(seed, 60);
    const auto exact = ClearMpsp(auction);
    ASSERT_TRUE(exact.ok());
    for (int64_t budget : {int64_t{10'000'000}, int64_t{1'000'000}, int64_t{100'000}}) {
      int64_t steps = -1;
      const auto clearing = ClearWithin("mpsp/1", auction, budget, &steps);
      ASSERT_TRUE(clearing.ok()) << clearing.status();
      CheckPromises(auction, *clearing, exact->welfare_microcredits);
      ASSERT_LE(steps, budget + budget / 2);
      ++used[static_cast<size_t>(clearing->method)];
      if (clearing->method == Method::kCoarser) coarser.Add(auction, *clearing, *exact);
    }
    EXPECT_EQ(ClearWithin("mpsp/1", auction, 10'000'000)->method, Method::kCoarser);
  }
  for (int count : used) EXPECT_GT(count, 0);  // Each link was reached.
  // Not a promise of the rules: a guard against a link that has quietly become useless.
  EXPECT_GT(coarser.Mean(), 0.9);
  EXPECT_GT(greedy.Mean(), 0.9);
}

TEST(Fallback, TheBoundOfConcaveBidsIsExact) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions); seed < end; ++seed) {
    const Auction auction = RandomAuction(Shape::kConcave, seed, 12, 60);
    const auto exact = ClearMpsp(auction);
    ASSERT_TRUE(exact.ok());
    ASSERT_EQ(*WelfareBound(auction), exact->welfare_microcredits) << Describe(seed, auction);
    ASSERT_EQ(ClearGreedy(auction)->welfare_microcredits, exact->welfare_microcredits)
        << Describe(seed, auction);
  }
}

TEST(Fallback, TheOrderOfBidsIsIrrelevant) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions / 4); seed < end; ++seed) {
    const Auction auction = RandomAuction(Shape::kGeneral, seed, 12, 120);
    Auction reversed = auction;
    std::reverse(reversed.bids.begin(), reversed.bids.end());
    for (int64_t budget : {kWorkMaxDefault, int64_t{20'000}, int64_t{3'000}, int64_t{0}}) {
      ASSERT_EQ(*ClearWithin("mpsp/1", auction, budget), *ClearWithin("mpsp/1", reversed, budget))
          << Describe(seed, auction);
    }
  }
}

// Capacity 32 in lots of 2: guest 1 wants 1 or 2 units, the second of which makes both worth 1.
// Sold as a lot, the best of the two counts: the truth wins 1 unit worth 10, as the lie "1 unit"
// does.
TEST(Coarser, ALotIsWorthTheBestQuantityInIt) {
  Auction auction;
  auction.capacity_units = 32;
  auction.bids = {{1, {{1, 2, 10, -9}}, 0}, {2, {{1, 32, 1, 1}}, 0}};
  Work work = Work::Unlimited();
  const auto clearing = ClearMpspInLots(auction, 2, work);
  ASSERT_TRUE(clearing.ok() && clearing->has_value()) << clearing.status();
  // Guest 2 would have paid 2 for the lot.
  EXPECT_EQ((*clearing)->awards, (std::vector<Award>{{1, 1, 2}, {2, 30, 0}}));
  EXPECT_EQ((*clearing)->welfare_microcredits, 40);
}

TEST(Coarser, TheLotDependsOnNothingThatABidSays) {
  Auction auction = HardAuction(1, 60);
  const int64_t lot = LotUnits(auction.capacity_units, auction.bids.size(), 10'000'000);
  EXPECT_GT(lot, 2);
  EXPECT_EQ(LotUnits(auction.capacity_units, 33, 10'000'000), lot);  // As 64.
  EXPECT_EQ(LotUnits(31, 1, kWorkMaxDefault), 0);
  EXPECT_EQ(LotUnits(32, 1, kWorkMaxDefault), 2);
  EXPECT_EQ(LotUnits(kUnitsMax, 65'536, 1'000), 0);
}

// Any lie, quantities left out and others' bids among them.
TEST(Coarser, NoMisreportPays) {
  int changed = 0;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions / 4); seed < end; ++seed) {
    Auction auction = RandomAuction(Shape::kGeneral, seed, 8, 60);
    auction.reclaim_penalty_microcredits = 0;
    if (auction.bids.empty()) continue;
    const int64_t lot = 2 + static_cast<int64_t>(seed % 5);
    Bid& bid = auction.bids[0];
    const Bid truth = bid;
    TestRandom random(seed);
    int64_t units = 0;
    const auto surplus = [&] {
      Work work = Work::Unlimited();
      const auto clearing = ClearMpspInLots(auction, lot, work);
      EXPECT_TRUE(clearing.ok() && clearing->has_value()) << clearing.status();
      const Award award = AwardOf(**clearing, truth.guest_id);
      units = award.units;
      // What it cannot use it leaves: the best of what it accepts and has.
      Microcredits value = 0;
      for (int64_t q = 0; q <= units; ++q) {
        if (Allowed(truth, q)) value = std::max(value, ValueOf(truth, q));
      }
      return value - award.charge_microcredits;
    };
    const Microcredits honest = surplus();
    const int64_t honest_units = units;
    for (int lie = 0; lie < 12; ++lie) {
      bid = truth;
      if (lie < 8) {
        for (Range& range : bid.ranges) {
          range.value_at_min_microcredits = range.value_at_min_microcredits * lie / 4;
          range.unit_price_microcredits = range.unit_price_microcredits * lie / 4;
        }
      } else if (lie < 10) {
        if (bid.ranges.empty()) continue;
        bid.ranges.erase(bid.ranges.begin() +
                         random.Between(0, static_cast<int64_t>(bid.ranges.size()) - 1));
      } else {
        const Auction other = RandomAuction(Shape::kGeneral, random.Next(), 8, 60);
        if (other.bids.empty()) continue;
        bid.ranges = other.bids[0].ranges;
      }
      if (!ValidateBid(bid).ok()) continue;
      ASSERT_LE(surplus(), honest) << "lie " << lie << " in lots of " << lot << "\n"
                                   << Describe(seed, auction);
      changed += units != honest_units;
    }
  }
  EXPECT_GT(changed, static_cast<int>(CountOr(kAuctions / 4) * 2 / 5));
}

// A bid that cannot win costs what reading it costs: nobody is moved to another link by it.
TEST(Fallback, AWorthlessBidMovesNobody) {
  Auction auction;
  auction.capacity_units = 65'536;
  auction.reserve_unit_price_microcredits = 10;
  for (GuestId id = 1; id <= 27; ++id) {
    const auto begin = static_cast<int64_t>(500 + id * 10);
    auction.bids.push_back(
        {id, {{begin, begin + 4'000, begin * 50, 50 + static_cast<int64_t>(id)}}, 0});
  }
  int64_t before = 0;
  int64_t after = 0;
  EXPECT_EQ(ClearWithin("mpsp/1", auction, kWorkMaxDefault, &before)->method, Method::kExact);
  Bid steps{100, {}, 0};
  for (int64_t i = 1; i <= kRangesMax; ++i) steps.ranges.push_back({i * 4'000, i * 4'000, 1, 0});
  auction.bids.push_back(steps);
  EXPECT_EQ(ClearWithin("mpsp/1", auction, kWorkMaxDefault, &after)->method, Method::kExact);
  EXPECT_LT(after - before, 200 * (kRangesMax + 1));
}

// Sixty-five thousand concave bids are an exact matter of milliseconds, whatever tables would take.
TEST(Fallback, ManyConcaveBidsAreExactInAShortRound) {
  Auction auction;
  auction.capacity_units = 65'536;
  for (GuestId id = 1; id <= 65'536; ++id) {
    const auto price = static_cast<Microcredits>(1'000 + id * 37 % 1'000);
    auction.bids.push_back({id, {{1, 3, price, price}, {3, 9, 3 * price, price / 2}}, 0});
  }
  // A round of a second gives each of six resources a tenth of it.
  EXPECT_EQ(ClearWithin("mpsp/1", auction, kWorkASecond / 60 * 4)->method, Method::kExact);
}

TEST(Fallback, UniformPriceFallsBackToRepeatingOnly) {
  Auction auction;
  auction.capacity_units = 10;
  auction.reserve_unit_price_microcredits = 2;
  auction.bids = {{1, {{1, 8, 5, 5}}, 4}, {2, {{1, 8, 9, 9}}, 0}, {3, {{1, 4, 1, 1}}, 3}};
  EXPECT_EQ(ClearWithin("uniform_price/1", auction)->method, Method::kExact);
  const auto repeated = ClearWithin("uniform_price/1", auction, 10);
  ASSERT_TRUE(repeated.ok());
  EXPECT_EQ(repeated->method, Method::kRepeatLast);
  // Guest 3 is below the reserve.
  EXPECT_EQ(repeated->awards, (std::vector<Award>{{1, 4, 8}}));
  EXPECT_EQ(repeated->bound_by, BoundBy::kReserve);
}

TEST(Fallback, RepeatingScalesDownToASmallerCapacity) {
  Auction auction;
  auction.capacity_units = 6;
  auction.bids = {{1, {{1, 8, 5, 5}}, 8}, {2, {{2, 2, 9, 0}, {5, 5, 11, 0}}, 4}};
  const auto repeated = RepeatLast(auction);
  ASSERT_TRUE(repeated.ok());
  EXPECT_EQ(repeated->awards, (std::vector<Award>{{1, 4, 0}, {2, 2, 0}}));
}

TEST(Fallback, UnknownRulesAndBadAuctionsAreErrors) {
  EXPECT_EQ(ClearWithin("best/9", Auction{}).status().code(), absl::StatusCode::kInvalidArgument);
  Auction bad;
  bad.capacity_units = -1;
  EXPECT_EQ(ClearWithin("mpsp/1", bad, 0).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ClearGreedy(bad).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(RepeatLast(bad).status().code(), absl::StatusCode::kInvalidArgument);
  // A rule that refuses a bid refuses it whatever the budget.
  Auction gap;
  gap.capacity_units = 9;
  gap.bids = {{1, {{3, 4, 9, 1}}, 0}};
  EXPECT_FALSE(ClearWithin("uniform_price/1", gap).ok());
}

}  // namespace
}  // namespace nom::policies
