// SPDX-License-Identifier: Apache-2.0
// Every limit of a joint auction, and what its bids say bundles are worth.

#include "policies/clearing/joint/joint_auction.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>

namespace nom::policies {
namespace {

using ::testing::HasSubstr;

// Two resources; bids[0] with bundles, bids[1] with curves.
JointAuction Sample() {
  JointAuction auction;
  auction.resource_count = 2;
  auction.capacity_units = {10, 4};
  auction.reserve_unit_prices_microcredits = {2, 3};
  auction.reclaim_penalties_microcredits = {1, 0};
  auction.bids.resize(2);
  auction.bids[0] = {7, {{{4, 1}, 90}, {{0, 2}, 20}}, {}, {1, 0}};
  CurveFamily family;
  family.combination = Combination::kSum;
  family.curves[0] = {{1, 4, 10, 10}};
  family.curves[1] = {{2, 2, 30, 0}};
  auction.bids[1] = {8, {}, family, {}};
  return auction;
}

struct Bad {
  std::function<void(JointAuction&)> spoil;
  const char* message;
};

void ExpectRefused(const std::vector<Bad>& bads) {
  ASSERT_TRUE(ValidateJointAuction(Sample()).ok()) << ValidateJointAuction(Sample());
  for (const Bad& bad : bads) {
    JointAuction auction = Sample();
    bad.spoil(auction);
    const absl::Status status = ValidateJointAuction(auction);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad.message;
    EXPECT_THAT(std::string(status.message()), HasSubstr(bad.message));
  }
}

TEST(JointAuctionTest, NumbersOfTheAuctionOutOfRangeAreNamed) {
  ExpectRefused({
      {[](auto& a) { a.resource_count = 0; }, "resource_count: 0 is outside [1, 6]"},
      {[](auto& a) { a.resource_count = 7; }, "resource_count: 7 is outside [1, 6]"},
      {[](auto& a) { a.capacity_units[1] = -1; }, "capacity_units[1]: -1 is outside [0, 16777216]"},
      {[](auto& a) { a.capacity_units[0] = kUnitsMax + 1; }, "capacity_units[0]: 16777217 is"},
      {[](auto& a) { a.capacity_units[2] = 1; }, "capacity_units[2]: there are only 2 resources"},
      {[](auto& a) { a.reserve_unit_prices_microcredits[0] = -1; },
       "reserve_unit_prices_microcredits[0]: -1 is outside [0, 1000000000000000]"},
      {[](auto& a) { a.reserve_unit_prices_microcredits[1] = kValueMaxMicrocredits + 1; },
       "reserve_unit_prices_microcredits[1]: 1000000000000001 is outside"},
      {[](auto& a) { a.reserve_unit_prices_microcredits[3] = 1; },
       "reserve_unit_prices_microcredits[3]: there are only 2 resources"},
      {[](auto& a) { a.reclaim_penalties_microcredits[0] = -1; },
       "reclaim_penalties_microcredits[0]: -1 is outside [0, 1000000000000000]"},
      {[](auto& a) { a.reclaim_penalties_microcredits[1] = kValueMaxMicrocredits + 1; },
       "reclaim_penalties_microcredits[1]: 1000000000000001 is outside"},
      {[](auto& a) { a.reclaim_penalties_microcredits[2] = 1; },
       "reclaim_penalties_microcredits[2]: there are only 2 resources"},
      {[](auto& a) { a.bids.resize(kJointBidsMax + 1); }, "bids: 4097 are more than 4096"},
  });
}

TEST(JointAuctionTest, NumbersOfABidOutOfRangeAreNamed) {
  ExpectRefused({
      {[](auto& a) { a.bids[1].guest_id = 0; }, "bids[1].guest_id: 0 is the operator"},
      {[](auto& a) { a.bids[1].guest_id = 7; },
       "bids[1].guest_id: guest 7 already bids in bids[0]"},
      {[](auto& a) { a.bids[0].held_units[0] = -1; }, "bids[0].held_units[0]: -1 is outside"},
      {[](auto& a) { a.bids[0].held_units[1] = kUnitsMax + 1; },
       "bids[0].held_units[1]: 16777217 is outside [0, 16777216]"},
      {[](auto& a) { a.bids[0].held_units[2] = 1; },
       "bids[0].held_units[2]: there are only 2 resources"},
      {[](auto& a) { a.bids[1].bundles = a.bids[0].bundles; },
       "bids[1].bundles: do not go together with curves"},
      {[](auto& a) { a.bids[0].bundles.resize(kBundlesMax + 1); },
       "bids[0].bundles: 4097 are more than 4096"},
      {[](auto& a) { a.bids[0].bundles[1].units[0] = -1; },
       "bids[0].bundles[1].units[0]: -1 is outside [0, 16777216]"},
      {[](auto& a) { a.bids[0].bundles[1].units[1] = kUnitsMax + 1; },
       "bids[0].bundles[1].units[1]: 16777217 is outside"},
      {[](auto& a) { a.bids[0].bundles[1].units[2] = 1; },
       "bids[0].bundles[1].units[2]: there are only 2 resources"},
      {[](auto& a) { a.bids[0].bundles[0].units = {}; },
       "bids[0].bundles[0].units: the empty bundle is worth 0"},
      {[](auto& a) { a.bids[0].bundles[0].value_microcredits = -1; },
       "bids[0].bundles[0].value_microcredits: -1 is outside [0, 1000000000000000]"},
      {[](auto& a) { a.bids[0].bundles[0].value_microcredits = kValueMaxMicrocredits + 1; },
       "bids[0].bundles[0].value_microcredits: 1000000000000001 is outside"},
      {[](auto& a) {
         a.bids[0].bundles.push_back({{4, 1}, 5});
       },
       "bids[0].bundles[2].units: the same as in bids[0].bundles[0]"},
  });
}

TEST(JointAuctionTest, NumbersOfCurvesOutOfRangeAreNamed) {
  auto make_product = [](JointAuction& a) {
    a.bids[1].curves->combination = Combination::kProduct;
    a.bids[1].curves->whole_value_microcredits = 100;
  };
  ExpectRefused({
      {[](auto& a) { a.bids[1].curves->whole_value_microcredits = 1; },
       "bids[1].curves.whole_value_microcredits: 1 is outside [0, 0]"},
      {[&](auto& a) {
         make_product(a);
         a.bids[1].curves->whole_value_microcredits = -1;
       },
       "bids[1].curves.whole_value_microcredits: -1 is outside [0, 1000000000000000]"},
      {[&](auto& a) {
         make_product(a);
         a.bids[1].curves->whole_value_microcredits = kValueMaxMicrocredits + 1;
       },
       "bids[1].curves.whole_value_microcredits: 1000000000000001 is outside"},
      {[&](auto& a) {
         make_product(a);
         a.bids[1].curves->curves[1] = {{2, 2, kLevelOne + 1, 0}};
       },
       "bids[1].curves.curves[1].ranges[0]: the value at 2: 1048577 is outside [0, 1048576]"},
      {[&](auto& a) {
         make_product(a);
         a.bids[1].curves->curves[0] = {{1, 3, kLevelOne - 1, 1}};
       },
       "bids[1].curves.curves[0].ranges[0]: the value at 3: 1048577 is outside [0, 1048576]"},
      {[](auto& a) {
         a.bids[1].curves->curves[0] = {{1, 1, kValueMaxMicrocredits / 4 + 1, 0}};
       },
       "bids[1].curves.curves[0].ranges[0]: the value at 1: 250000000000001 is outside"},
      {[](auto& a) {
         a.bids[1].curves->curves[2] = {{1, 1, 1, 0}};
       },
       "bids[1].curves.curves[2]: there are only 2 resources"},
      {[](auto& a) {
         a.bids[1].curves->curves[0] = {{4, 3, 1, 0}};
       },
       "bids[1].curves.curves[0].ranges[0]"},
      {[](auto& a) {
         a.bids[1].curves->curves[0].assign(kRangesMax + 1, {1, 1, 1, 0});
       },
       "bids[1].curves.curves[0].ranges"},
  });
}

TEST(JointAuctionTest, TheLimitsThemselvesAreAllowed) {
  JointAuction auction;
  auction.resource_count = kJointResourcesMax;
  auction.capacity_units.fill(kUnitsMax);
  auction.reserve_unit_prices_microcredits.fill(kValueMaxMicrocredits);
  auction.reclaim_penalties_microcredits.fill(kValueMaxMicrocredits);
  UnitVector all;
  all.fill(kUnitsMax);
  auction.bids.resize(kJointBidsMax);
  for (size_t i = 0; i < auction.bids.size(); ++i) {
    auction.bids[i].guest_id = std::numeric_limits<GuestId>::max() - i;
    auction.bids[i].held_units = all;
  }
  for (int64_t i = 0; i < kBundlesMax; ++i) {
    auction.bids[0].bundles.push_back({{kUnitsMax - i}, kValueMaxMicrocredits});
  }
  CurveFamily family;
  family.combination = Combination::kMin;
  family.curves[0] = {{kUnitsMax, kUnitsMax, kValueMaxMicrocredits, 0}};
  auction.bids[1].curves = family;
  family.combination = Combination::kProduct;
  family.whole_value_microcredits = kValueMaxMicrocredits;
  family.curves[0] = {{1, 1, kLevelOne, 0}};
  auction.bids[2].curves = family;
  EXPECT_TRUE(ValidateJointAuction(auction).ok()) << ValidateJointAuction(auction);
}

// What counts are bundles within the capacity at which every curve reaches a new high.
TEST(JointAuctionTest, CurvesThatDescribeTooManyBundlesAreRefused) {
  JointAuction auction;
  auction.resource_count = 2;
  auction.capacity_units = {1'023, 1'023};
  CurveFamily family;
  family.curves[0] = {{1, 5'000, 1, 1}};
  family.curves[1] = {{1, 5'000, 1, 1}};
  auction.bids = {{1, {}, family, {}}};
  EXPECT_TRUE(ValidateJointAuction(auction).ok());  // 1,024 x 1,024 = 2^20.
  auction.capacity_units[1] = 1'024;
  EXPECT_THAT(std::string(ValidateJointAuction(auction).message()),
              HasSubstr("bids[0].curves: describe more than 1048576 bundles within the capacity"));
  // Along the axes there are few, unless each unit saves a penalty.
  auction.bids[0].curves->combination = Combination::kMin;
  EXPECT_TRUE(ValidateJointAuction(auction).ok());
  auction.bids[0].held_units[0] = 1;
  auction.reclaim_penalties_microcredits[0] = 1;
  EXPECT_FALSE(ValidateJointAuction(auction).ok());
  // A flat curve has one quantity that counts.
  auction.bids[0].curves->curves[0] = {{1, 5'000, 1, 0}};
  EXPECT_TRUE(ValidateJointAuction(auction).ok());
}

TEST(JointAuctionTest, BidsThatDescribeTooManyBundlesTogetherAreRefused) {
  JointAuction auction;
  auction.resource_count = 2;
  auction.capacity_units = {1'023, 1'023};
  CurveFamily family;
  family.curves[0] = {{1, 1'023, 1, 1}};
  family.curves[1] = {{1, 1'023, 1, 1}};
  for (GuestId guest = 1; guest <= 128; ++guest) auction.bids.push_back({guest, {}, family, {}});
  EXPECT_TRUE(ValidateJointAuction(auction).ok());  // 128 x 2^20 = 2^27.
  auction.bids.push_back({129, {{{1}, 1}}, {}, {}});
  EXPECT_THAT(std::string(ValidateJointAuction(auction).message()),
              HasSubstr("bids: the first 129 describe more than 134217728 bundles"));
}

TEST(JointAuctionTest, ABundleIsWorthWhatItsListSays) {
  const JointBid bid = Sample().bids[0];
  EXPECT_EQ(ValueOf(bid, {}), 0);
  EXPECT_EQ(ValueOf(bid, {4, 1}), 90);
  EXPECT_EQ(ValueOf(bid, {0, 2}), 20);
  EXPECT_EQ(ValueOf(bid, {4, 2}), std::nullopt);
}

// 3 of the first is worth 30, or three quarters; 2 of the second 20, or half.
TEST(JointAuctionTest, CurvesAreCombinedAsTheirNamesSay) {
  JointBid bid{1, {}, CurveFamily{}, {}};
  CurveFamily& family = *bid.curves;
  family.curves[0] = {{1, 4, 10, 10}};
  family.curves[1] = {{2, 2, 20, 0}};
  family.combination = Combination::kSum;
  EXPECT_EQ(ValueOf(bid, {3, 2}), 50);
  EXPECT_EQ(ValueOf(bid, {3, 0}), 30);
  EXPECT_EQ(ValueOf(bid, {0, 2}), 20);
  family.combination = Combination::kMin;
  EXPECT_EQ(ValueOf(bid, {3, 2}), 20);
  EXPECT_EQ(ValueOf(bid, {3, 0}), 0);
  family.combination = Combination::kMax;
  EXPECT_EQ(ValueOf(bid, {3, 2}), 30);
  EXPECT_EQ(ValueOf(bid, {0, 2}), 20);
  EXPECT_EQ(ValueOf(bid, {3, 1}), std::nullopt);     // A gap of the second curve.
  EXPECT_EQ(ValueOf(bid, {5, 2}), std::nullopt);     // Beyond the first.
  EXPECT_EQ(ValueOf(bid, {3, 2, 1}), std::nullopt);  // Not wanted.
  family.combination = Combination::kProduct;
  family.whole_value_microcredits = 101;
  family.curves[0] = {{1, 4, kLevelOne / 4, kLevelOne / 4}};
  family.curves[1] = {{2, 2, kLevelOne / 2, 0}};
  EXPECT_EQ(ValueOf(bid, {4, 2}), 50);  // 101 x 1, then half of it, rounded down.
  EXPECT_EQ(ValueOf(bid, {3, 2}), 37);  // 75.75, so 75, and half of that is 37.5.
  EXPECT_EQ(ValueOf(bid, {3, 0}), 0);
  EXPECT_EQ(ValueOf(bid, {}), 0);
  // A curve that is not there does not count.
  family.curves[1].clear();
  EXPECT_EQ(ValueOf(bid, {3, 0}), 75);
  family.combination = Combination::kMin;
  EXPECT_EQ(ValueOf(bid, {2, 0}), kLevelOne / 2);
}

TEST(JointAuctionTest, WelfareIsWhatTheFormulaSays) {
  const JointAuction auction = Sample();
  // 90 for {4, 1}; 6 and 3 units left at 2 and 3. Guest 7 holds 1 and keeps it.
  EXPECT_EQ(JointWelfare(auction, {{4, 1}, {}}).value(), 90 + 6 * 2 + 3 * 3);
  // Nobody: all at the reserve, less 1 for what guest 7 loses.
  EXPECT_EQ(JointWelfare(auction, {{}, {}}).value(), 10 * 2 + 4 * 3 - 1);
  EXPECT_THAT(std::string(JointWelfare(auction, {{}}).status().message()),
              HasSubstr("units: 1 bundles for 2 bids"));
  EXPECT_THAT(std::string(JointWelfare(auction, {{4, 2}, {}}).status().message()),
              HasSubstr("units[0]: can't be sold to guest 7"));
  JointAuction scarce = auction;
  scarce.capacity_units = {4, 2};
  EXPECT_THAT(std::string(JointWelfare(scarce, {{4, 1}, {0, 2}}).status().message()),
              HasSubstr("units: the sum of resource 1 is above its capacity_units"));
  // Worth 20, but 21 at the reserves.
  JointAuction dear = auction;
  dear.reserve_unit_prices_microcredits = {2, 11};
  EXPECT_FALSE(JointWelfare(dear, {{0, 2}, {}}).ok());
  JointAuction huge = auction;
  huge.bids[0].held_units[0] = kUnitsMax;
  huge.reclaim_penalties_microcredits[0] = kValueMaxMicrocredits;
  EXPECT_EQ(JointWelfare(huge, {{}, {}}).status().code(), absl::StatusCode::kOutOfRange);
  // So much at the reserve that 64 bits would not even say so.
  JointAuction priceless = auction;
  priceless.capacity_units[0] = kUnitsMax;
  priceless.reserve_unit_prices_microcredits[0] = kValueMaxMicrocredits;
  EXPECT_EQ(JointWelfare(priceless, {{}, {}}).status().code(), absl::StatusCode::kOutOfRange);
}

}  // namespace
}  // namespace nom::policies
