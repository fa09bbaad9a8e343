// SPDX-License-Identifier: Apache-2.0
// Demand curves, by hand and against the bid language's own answers.

#include "marketd/page/demand.h"

#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace nom::marketd {
namespace {

using policies::Auction;
using policies::Bid;
using policies::JointAuction;
using policies::JointBid;
using policies::Range;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr auto kAll = [](policies::GuestId) { return true; };

TEST(DemandTest, StepsOfAllBidsByFallingPrice) {
  Auction auction;
  auction.bids = {{.guest_id = 1, .ranges = {{0, 10, 0, 5}, {10, 20, 50, 2}}},
                  {.guest_id = 2, .ranges = {{0, 4, 0, 3}}},
                  {.guest_id = 3, .ranges = {{0, 6, 0, 5}}},
                  {.guest_id = 4, .ranges = {}}};
  const DemandCurve curve = DemandOf(auction, kAll);
  EXPECT_THAT(curve.steps, ElementsAre(DemandStep{5, 16}, DemandStep{3, 20}, DemandStep{2, 30}));
  EXPECT_EQ(curve.bids, 3);
  EXPECT_EQ(curve.joint_bids, 0);
  const DemandCurve of_two = DemandOf(auction, [](policies::GuestId id) { return id == 2; });
  EXPECT_THAT(of_two.steps, ElementsAre(DemandStep{3, 4}));
  EXPECT_EQ(of_two.bids, 1);
}

TEST(DemandTest, WhatABidRefusesIsSteppedOver) {
  Auction auction;
  // Nothing, or 8 to 10 units: worth 40 at 8, so 5 each, then 1 each.
  auction.bids = {{.guest_id = 1, .ranges = {{8, 10, 40, 1}}}};
  EXPECT_THAT(DemandOf(auction, kAll).steps, ElementsAre(DemandStep{5, 8}, DemandStep{1, 10}));
  // Values that rise ever faster are taken all at once.
  auction.bids = {{.guest_id = 1, .ranges = {{0, 5, 0, 1}, {5, 10, 5, 7}}}};
  EXPECT_THAT(DemandOf(auction, kAll).steps, ElementsAre(DemandStep{4, 10}));
  // What is worth less with more units is not asked for.
  auction.bids = {{.guest_id = 1, .ranges = {{0, 5, 0, 4}, {5, 10, 20, -1}}}};
  EXPECT_THAT(DemandOf(auction, kAll).steps, ElementsAre(DemandStep{4, 5}));
}

// Between two prices of the curve, each bid's own best quantity adds up to it.
TEST(DemandTest, AgreesWithWhatBidsWouldTakeAtAPrice) {
  std::mt19937_64 random(20261130);
  for (int round = 0; round < 300; ++round) {
    Auction auction;
    const int bids = static_cast<int>(random() % 6) + 1;
    for (int b = 0; b < bids; ++b) {
      Bid bid{.guest_id = static_cast<policies::GuestId>(b) + 1};
      int64_t from = static_cast<int64_t>(random() % 5);
      int64_t value = from == 0 ? 0 : static_cast<int64_t>(random() % 5000);
      for (int r = 0; r < static_cast<int>(random() % 4); ++r) {
        const int64_t to = from + static_cast<int64_t>(random() % 20) + 1;
        const int64_t price = static_cast<int64_t>(random() % 500);
        bid.ranges.push_back({from, to, value, price});
        value += (to - from) * price;
        from = to;
        if (random() % 2 == 0) {  // A gap.
          from += 3;
          value += static_cast<int64_t>(random() % 900);
        }
      }
      auction.bids.push_back(bid);
    }
    ASSERT_TRUE(policies::ValidateAuction(auction).ok());
    const DemandCurve curve = DemandOf(auction, kAll);
    for (const int64_t price : {1, 50, 100, 177, 250, 333, 499, 800, 2000}) {
      int64_t drawn = 0;
      bool at_a_step = false;
      for (const DemandStep& step : curve.steps) {
        // Prices of steps are rounded down: at the price itself either side is right.
        at_a_step |= step.unit_price_microcredits == price;
        if (step.unit_price_microcredits >= price) drawn = step.units;
      }
      if (at_a_step) continue;
      int64_t taken = 0;
      for (const Bid& bid : auction.bids) taken += BestUnits(bid, policies::kUnitsMax, price);
      EXPECT_EQ(drawn, taken) << "at " << price << " in round " << round;
    }
  }
}

JointAuction TwoResources() {
  JointAuction auction;
  auction.resource_count = 2;
  auction.capacity_units = {100, 100};
  return auction;
}

TEST(DemandTest, BundlesAreDrawnAtThePricesOfTheOthers) {
  JointAuction auction = TwoResources();
  auction.bids = {{.guest_id = 8, .bundles = {{{4, 2}, 100}, {{8, 4}, 160}}}};
  // With the other at 10 each: 4 units leave 80, 8 leave 120.
  const DemandCurve curve = DemandOf(auction, 0, {0, 10}, kAll);
  EXPECT_THAT(curve.steps, ElementsAre(DemandStep{20, 4}, DemandStep{10, 8}));
  EXPECT_EQ(curve.joint_bids, 1);
  // Dear enough, and nothing is asked for.
  EXPECT_THAT(DemandOf(auction, 0, {0, 60}, kAll).steps, IsEmpty());
}

TEST(DemandTest, CurvesAreJoinedAsTheySay) {
  JointAuction auction = TwoResources();
  JointBid bid{.guest_id = 8};
  policies::CurveFamily family;
  family.curves[0] = {{0, 10, 0, 8}};
  family.curves[1] = {{0, 10, 0, 8}};
  // Each by itself.
  family.combination = policies::Combination::kSum;
  bid.curves = family;
  auction.bids = {bid};
  EXPECT_THAT(DemandOf(auction, 0, {0, 3}, kAll).steps, ElementsAre(DemandStep{8, 10}));
  EXPECT_EQ(DemandOf(auction, 0, {0, 3}, kAll).joint_bids, 0);
  // As much of the other for each unit of this one: the other's price comes off.
  family.combination = policies::Combination::kMin;
  auction.bids[0].curves = family;
  EXPECT_THAT(DemandOf(auction, 0, {0, 3}, kAll).steps, ElementsAre(DemandStep{5, 10}));
  EXPECT_EQ(DemandOf(auction, 0, {0, 3}, kAll).joint_bids, 1);
  // Either: this one only as far as it leaves more than 10 of the other would (80 - 30).
  family.combination = policies::Combination::kMax;
  auction.bids[0].curves = family;
  EXPECT_THAT(DemandOf(auction, 0, {0, 3}, kAll).steps, ElementsAre(DemandStep{3, 10}));
  // Each scales the other: 1000 for all of both, 10 of the other at 3.
  family.combination = policies::Combination::kProduct;
  family.whole_value_microcredits = 1000;
  family.curves[0] = {{10, 10, policies::kLevelOne, 0}};
  family.curves[1] = {{10, 10, policies::kLevelOne, 0}};
  auction.bids[0].curves = family;
  ASSERT_TRUE(policies::ValidateJointAuction(auction).ok());
  EXPECT_THAT(DemandOf(auction, 0, {0, 3}, kAll).steps, ElementsAre(DemandStep{97, 10}));
}

TEST(DemandTest, ThinnedCurvesKeepTheirEnd) {
  std::vector<DemandStep> steps;
  for (int i = 0; i < 1000; ++i) steps.push_back({1000 - i, i + 1});
  EXPECT_EQ(Thinned(steps, 1000), steps);
  for (const size_t most : {1u, 2u, 3u, 7u, 512u, 999u}) {
    const std::vector<DemandStep> thin = Thinned(steps, most);
    EXPECT_LE(thin.size(), most + 1);
    EXPECT_EQ(thin.back(), steps.back());
  }
  EXPECT_THAT(Thinned({}, 5), IsEmpty());
}

}  // namespace
}  // namespace nom::marketd
