// SPDX-License-Identifier: Apache-2.0
// The joint rule at its edges: budgets of work, large money, very small and very many.

#include "policies/clearing/joint/joint_vcg.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/referee/joint_exhaustive.h"
#include "tests/referee/joint_promises.h"
#include "tests/referee/random_joint_auction.h"

namespace nom::policies {
namespace {

// Whatever the budget: a clearing that keeps its promises, the exact W below the bound, and VCG's
// charges between the charge and its bound where the awards are the best ones.
TEST(JointVcg, AnyBudgetOfWorkGivesAClearingThatKeepsItsPromises) {
  int64_t inexact = 0;
  int64_t below_best = 0;
  int64_t ranges = 0;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(250); seed < end; ++seed) {
    JointShape shape;
    shape.bids_max = 10;
    shape.grid_max = 60;
    const JointAuction auction = RandomJointAuction(shape, seed);
    const JointClearing exact = ClearJointVcg(auction).value();
    ASSERT_TRUE(exact.charges_are_exact);
    for (int64_t work_max = 0; work_max < exact.work * 2; work_max += 1 + work_max / 3) {
      JointVcgOptions options;
      options.work_max = work_max;
      if (seed % 2 == 1) options.shortlist_cells = 4;
      const auto clearing = ClearJointVcg(auction, options);
      ASSERT_TRUE(clearing.ok()) << clearing.status() << Replay(seed, auction);
      ASSERT_EQ(BrokenPromise(auction, *clearing), "") << work_max << Replay(seed, auction);
      ASSERT_LE(clearing->welfare_microcredits, exact.welfare_microcredits);
      ASSERT_GE(clearing->welfare_bound_microcredits, exact.welfare_microcredits)
          << work_max << Replay(seed, auction);
      ASSERT_EQ(*ClearJointVcg(auction, options), *clearing) << work_max << Replay(seed, auction);
      inexact += !clearing->charges_are_exact;
      if (clearing->welfare_microcredits != exact.welfare_microcredits) {
        ++below_best;
        continue;
      }
      for (const JointAward& award : clearing->awards) {
        const JointAward vcg = AwardOf(exact, award.guest_id);
        if (vcg.units != award.units) continue;
        ASSERT_LE(award.charge_least_microcredits, vcg.charge_microcredits)
            << work_max << Replay(seed, auction);
        ASSERT_GE(award.charge_bound_microcredits, vcg.charge_microcredits)
            << work_max << Replay(seed, auction);
        ranges += award.charge_least_microcredits < award.charge_bound_microcredits;
      }
    }
  }
  if (CountOr(250) < 250) return;
  EXPECT_GT(inexact, 500);
  EXPECT_GT(below_best, 20);
  EXPECT_GT(ranges, 100);
}

// Values near 10^15 that differ by little, of so many bids that their sum is beyond 2^53: no
// double holds it, and prices can't be as fine as elsewhere.
TEST(JointVcg, LargeMoneyIsExactToo) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(600); seed < end; ++seed) {
    TestRandom random(seed);
    JointAuction auction;
    auction.resource_count = static_cast<int>(random.Between(1, 3));
    auction.seed = seed;
    const int64_t spread = random.OneIn(2) ? 5 : kValueMaxMicrocredits / 2;
    for (size_t r = 0; r < static_cast<size_t>(auction.resource_count); ++r) {
      auction.capacity_units[r] = random.Between(2, 9);
      if (random.OneIn(2)) {
        auction.reserve_unit_prices_microcredits[r] = random.Between(0, 10'000'000'000'000);
      }
      if (random.OneIn(2)) {
        auction.reclaim_penalties_microcredits[r] = random.Between(0, 10'000'000'000'000);
      }
    }
    for (GuestId guest = 1; guest <= 11; ++guest) {
      JointBid bid{guest, {}, {}, {}};
      for (int64_t i = random.OneIn(4) ? 2 : 1; i > 0; --i) {
        Bundle bundle;
        for (size_t r = 0; r < static_cast<size_t>(auction.resource_count); ++r) {
          bundle.units[r] = random.Between(r == 0 ? 1 : 0, 3);
        }
        bundle.value_microcredits = kValueMaxMicrocredits - random.Between(0, spread);
        if (bid.bundles.empty() || bid.bundles[0].units != bundle.units) {
          bid.bundles.push_back(bundle);
        }
      }
      if (random.OneIn(4)) bid.held_units[0] = random.Between(0, 3);
      auction.bids.push_back(bid);
    }
    JointVcgOptions options;
    if (seed % 3 == 1) options.shortlist_cells = 5;
    const auto clearing = ClearJointVcg(auction, options);
    ASSERT_TRUE(clearing.ok()) << clearing.status() << Replay(seed, auction);
    ASSERT_EQ(BrokenPromise(auction, *clearing), "") << Replay(seed, auction);
    ASSERT_EQ(DifferenceFromExhaustive(auction, *clearing), "") << Replay(seed, auction);
  }
}

// The budget is of all work: also of looking through bids that can't win anything.
TEST(JointVcg, WhatIsLookedAtIsCounted) {
  JointAuction auction;
  auction.resource_count = 2;
  auction.capacity_units = {100, 100};
  auction.reserve_unit_prices_microcredits = {1'000, 1'000};
  for (GuestId guest = 1; guest <= 20; ++guest) {
    JointBid bid{guest, {}, CurveFamily{}, {}, 0};
    bid.curves->curves[0] = {{1, 100, 1, 1}};
    bid.curves->curves[1] = {{1, 100, 1, 1}};
    auction.bids.push_back(bid);
  }
  const JointClearing clearing = ClearJointVcg(auction).value();
  EXPECT_TRUE(clearing.awards.empty());
  EXPECT_GE(clearing.work, 20 * 101 * 101);
}

// 64 bids that are one and the same, half of which win: one search is enough for all charges.
TEST(JointVcg, BidsThatAreAllAlikeAreChargedTogether) {
  JointAuction auction;
  auction.resource_count = 2;
  auction.capacity_units = {64, 64};
  for (GuestId guest = 1; guest <= 64; ++guest) {
    auction.bids.push_back({guest, {{{2, 2}, 10}}, {}, {}, 0});
  }
  const JointClearing clearing = ClearJointVcg(auction).value();
  ASSERT_EQ(BrokenPromise(auction, clearing), "");
  ASSERT_TRUE(clearing.charges_are_exact);
  ASSERT_EQ(clearing.awards.size(), 32U);
  for (const JointAward& award : clearing.awards) EXPECT_EQ(award.charge_microcredits, 10);
  // The same auction but for a bundle of each that never wins, and makes all lists different.
  for (JointBid& bid : auction.bids) {
    bid.bundles.push_back({{64, 64}, 10 + static_cast<Microcredits>(bid.guest_id)});
  }
  const JointClearing unlike = ClearJointVcg(auction).value();
  EXPECT_EQ(unlike.welfare_microcredits, clearing.welfare_microcredits);
  EXPECT_GT(unlike.work, 4 * clearing.work);
}

TEST(JointVcg, NobodyBidsOrNothingIsForSale) {
  JointAuction auction;
  auction.resource_count = 2;
  auction.capacity_units = {3, 5};
  auction.reserve_unit_prices_microcredits = {7, 1};
  JointClearing expected;
  expected.clearing_unit_prices_microcredits = {7, 1};
  expected.welfare_microcredits = 3 * 7 + 5;
  expected.welfare_bound_microcredits = expected.welfare_microcredits;
  JointClearing actual = ClearJointVcg(auction).value();
  actual.work = 0;
  EXPECT_EQ(actual, expected);
  // A bid that wants nothing, and one that holds what it does not want.
  auction.reclaim_penalties_microcredits = {2, 0};
  auction.bids = {{1, {}, {}, {}}, {2, {}, {}, {3, 1}}};
  expected.welfare_microcredits -= 6;
  expected.welfare_bound_microcredits -= 6;
  actual = ClearJointVcg(auction).value();
  actual.work = 0;
  EXPECT_EQ(actual, expected);
  // Nothing for sale.
  auction.capacity_units = {};
  auction.bids[0].bundles = {{{1, 0}, 100}};
  actual = ClearJointVcg(auction).value();
  EXPECT_TRUE(actual.awards.empty());
  EXPECT_EQ(actual.welfare_microcredits, -6);
  EXPECT_TRUE(actual.charges_are_exact);
}

TEST(JointVcg, OneBidderPaysTheReserve) {
  JointAuction auction;
  auction.resource_count = 2;
  auction.capacity_units = {3, 5};
  auction.reserve_unit_prices_microcredits = {7, 1};
  auction.bids = {{9, {{{2, 4}, 100}, {{1, 1}, 50}}, {}, {}}};
  const JointClearing clearing = ClearJointVcg(auction).value();
  // 100 - 18 = 82 is more than 50 - 8 = 42.
  EXPECT_EQ(clearing.awards, (std::vector<JointAward>{{9, {2, 4}, 18, 18, 18}}));
  EXPECT_EQ(clearing.welfare_microcredits, 100 + 7 + 1);
}

TEST(JointVcg, AsManyBiddersAsThereMayBe) {
  TestRandom random(1);
  JointAuction auction;
  auction.resource_count = 2;
  auction.capacity_units = {60, 40};
  auction.reserve_unit_prices_microcredits = {10, 10};
  for (int i = 0; i < kJointBidsMax; ++i) {
    JointBid bid{static_cast<GuestId>(i) + 1, {}, {}, {}};
    const int64_t wealth = 1'000'000'000 / random.Between(1, 100'000);
    for (int64_t units = 1; units <= 3; ++units) {
      bid.bundles.push_back({{2 * units, random.Between(0, 3)}, wealth * units + units});
    }
    auction.bids.push_back(bid);
  }
  JointVcgOptions options;
  options.work_max = kJointWorkMaxDefault / 100;
  const auto clearing = ClearJointVcg(auction, options);
  ASSERT_TRUE(clearing.ok()) << clearing.status();
  EXPECT_EQ(BrokenPromise(auction, *clearing), "");
  EXPECT_TRUE(clearing->charges_are_exact);
  EXPECT_GE(clearing->awards.size(), 5U);
}

}  // namespace
}  // namespace nom::policies
