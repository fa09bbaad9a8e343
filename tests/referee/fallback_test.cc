// The declared chain on random auctions: every link keeps the promises, and its bound is proven.

#include "policies/clearing/fallback.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "policies/clearing/greedy.h"
#include "policies/clearing/mpsp.h"
#include "policies/clearing/rules.h"
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

TEST(Fallback, EveryLinkKeepsThePromisesAndProvesItsBound) {
  std::array<int, 4> used = {};
  Quality greedy;
  Quality coarser;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions); seed < end; ++seed) {
    const Auction auction = RandomAuction(Shape::kGeneral, seed, 12, 120);
    SCOPED_TRACE(Describe(seed, auction));
    const auto exact = ClearMpsp(auction);
    ASSERT_TRUE(exact.ok());
    const int64_t work = WorkOf("mpsp/1", auction);
    for (int64_t budget : {work, work / 2, work / 4, int64_t{3'000}, int64_t{0}}) {
      const auto clearing = ClearWithin("mpsp/1", auction, budget);
      ASSERT_TRUE(clearing.ok()) << clearing.status();
      CheckPromises(auction, *clearing, exact->welfare_microcredits);
      if (::testing::Test::HasFatalFailure()) return;
      ASSERT_EQ(clearing->method == Method::kExact, budget >= work);
      if (budget >= work) {
        ASSERT_EQ(*clearing, *exact);
      }
      ++used[static_cast<size_t>(clearing->method)];
      if (clearing->method == Method::kCoarser && budget == work / 2) {
        coarser.Add(auction, *clearing, *exact);
      }
    }
    const auto by_greedy = ClearGreedy(auction);
    ASSERT_TRUE(by_greedy.ok()) << by_greedy.status();
    CheckPromises(auction, *by_greedy, exact->welfare_microcredits);
    if (::testing::Test::HasFatalFailure()) return;
    greedy.Add(auction, *by_greedy, *exact);
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
    const int64_t work = WorkOf("mpsp/1", auction);
    ASSERT_EQ(WorkOf("mpsp/1", reversed), work);
    for (int64_t budget : {work, work / 2, int64_t{3'000}, int64_t{0}}) {
      ASSERT_EQ(*ClearWithin("mpsp/1", auction, budget), *ClearWithin("mpsp/1", reversed, budget))
          << Describe(seed, auction);
    }
  }
}

// Coarser units fix a range of allocations beforehand and are exact within it.
TEST(Fallback, NoMisreportOfValuesPaysInCoarserUnits) {
  int checked = 0;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions / 4); seed < end; ++seed) {
    Auction auction = RandomAuction(Shape::kGeneral, seed, 8, 120);
    auction.reclaim_penalty_microcredits = 0;
    if (auction.bids.empty()) continue;
    Bid& bid = auction.bids[0];
    const Bid truth = bid;
    const int64_t budget = WorkOf("mpsp/1", auction) / 2;
    auto surplus = [&] {
      const auto clearing = ClearWithin("mpsp/1", auction, budget);
      EXPECT_TRUE(clearing.ok()) << clearing.status();
      if (clearing->method == Method::kCoarser) ++checked;
      const Award award = AwardOf(*clearing, truth.guest_id);
      return ValueOf(truth, award.units) - award.charge_microcredits;
    };
    if (ClearWithin("mpsp/1", auction, budget)->method != Method::kCoarser) continue;
    const Microcredits honest = surplus();
    for (int lie = 0; lie < 10; ++lie) {
      bid = truth;
      for (Range& range : bid.ranges) {
        range.value_at_min_microcredits = range.value_at_min_microcredits * lie / 4;
        range.unit_price_microcredits = range.unit_price_microcredits * lie / 4;
      }
      if (!ValidateBid(bid).ok()) continue;
      ASSERT_LE(surplus(), honest) << "lie " << lie << "\n" << Describe(seed, auction);
    }
  }
  EXPECT_GT(checked, 100);
}

TEST(Fallback, ALargeAuctionIsClearedWithinAnEighthOfASecond) {
  Auction auction;
  auction.capacity_units = kUnitsMax;
  for (GuestId id = 1; id <= 300; ++id) {
    const auto begin = static_cast<int64_t>(id * 1'000);
    auction.bids.push_back(
        {id, {{begin, begin + 400'000, begin * 50, 50 + static_cast<int64_t>(id)}}, 0});
  }
  const auto clearing = ClearWithin("mpsp/1", auction, kWorkASecond / 8);
  ASSERT_TRUE(clearing.ok()) << clearing.status();
  EXPECT_EQ(clearing->method, Method::kCoarser);
  // Lots are small next to what one winner can use, so little is lost.
  EXPECT_GT(clearing->welfare_microcredits, clearing->welfare_bound_microcredits / 100 * 90);
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
  EXPECT_EQ(WorkOf("best/9", Auction{}), -1);
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
