// SPDX-License-Identifier: Apache-2.0
#include "policies/bidding/safe_mode.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace nom::policies {
namespace {

using Change = SafeMode::Change;

TEST(SafeMode, IsOnUntilPricesAreSeen) {
  SafeMode mode;
  EXPECT_TRUE(mode.on());
  EXPECT_EQ(mode.OnTime(5), Change::kNone);
  EXPECT_EQ(mode.OnLost(), Change::kNone);
  EXPECT_EQ(mode.OnPrices(10, 20, 100), Change::kLeft);
  EXPECT_FALSE(mode.on());
  EXPECT_EQ(mode.fresh_until(), 30);
}

TEST(SafeMode, ComesOnWhenPricesHaveGrownOldAndIsToldOnce) {
  SafeMode mode;
  EXPECT_EQ(mode.OnPrices(10, 20, 0), Change::kLeft);
  EXPECT_EQ(mode.OnTime(29), Change::kNone);
  EXPECT_EQ(mode.OnPrices(29, 20, 0), Change::kNone);
  EXPECT_EQ(mode.OnTime(30), Change::kNone) << "they were renewed";
  EXPECT_EQ(mode.OnTime(49), Change::kEntered);
  EXPECT_EQ(mode.OnTime(50), Change::kNone);
  EXPECT_EQ(mode.OnPrices(50, 1, 0), Change::kLeft);
}

TEST(SafeMode, ComesOnAtOnceWhenTheLineIsLost) {
  SafeMode mode;
  EXPECT_EQ(mode.OnPrices(10, 20, 0), Change::kLeft);
  EXPECT_EQ(mode.OnLost(), Change::kEntered);
  EXPECT_EQ(mode.OnTime(11), Change::kNone);
  EXPECT_TRUE(mode.on()) << "only new prices end it";
}

TEST(SafeMode, NoPromiseIsBelievedForMoreThanThreePeriods) {
  EXPECT_EQ(SafeMode::BelievedFor(1'000, 100), 300);
  EXPECT_EQ(SafeMode::BelievedFor(299, 100), 299);
  EXPECT_EQ(SafeMode::BelievedFor(1'000, 0), 1'000);
  EXPECT_EQ(SafeMode::BelievedFor(1'000, -1), 1'000);
  EXPECT_EQ(SafeMode::BelievedFor(0, 100), 0);
  EXPECT_EQ(SafeMode::BelievedFor(INT64_MIN, 100), 0);
  EXPECT_EQ(SafeMode::BelievedFor(INT64_MAX, INT64_MAX), INT64_MAX);
}

TEST(SafeMode, PricesThatAreOldAlreadyAreNone) {
  SafeMode mode;
  EXPECT_EQ(mode.OnPrices(10, -5, 100), Change::kNone);
  EXPECT_TRUE(mode.on());
  EXPECT_EQ(mode.OnPrices(10, 20, 100), Change::kLeft);
  EXPECT_EQ(mode.OnPrices(15, 0, 100), Change::kEntered);
}

TEST(SafeMode, TheEndOfTimeIsNoOverflow) {
  SafeMode mode;
  EXPECT_EQ(mode.OnPrices(INT64_MAX - 1, INT64_MAX, 0), Change::kLeft);
  EXPECT_EQ(mode.fresh_until(), INT64_MAX);
}

}  // namespace
}  // namespace nom::policies
