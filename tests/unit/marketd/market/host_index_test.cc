// SPDX-License-Identifier: Apache-2.0
// What a host has promised, by round.

#include "marketd/market/host_index.h"

#include <gtest/gtest.h>

namespace nom::market {
namespace {

TEST(UnitsByRound, TheFirstRoundsThatHaveRoom) {
  UnitsByRound units;
  EXPECT_EQ(units.FirstWithin(5, 3, 0), 5u);
  EXPECT_EQ(units.FirstWithin(5, 3, -1), 0u);
  units.Add(7, 10, 4);   // 7 to 9: 4.
  units.Add(12, 20, 6);  // 12 to 19: 6.
  units.Add(15, 17, 1);
  EXPECT_EQ(units.FirstWithin(1, 6, 3), 1u);
  EXPECT_EQ(units.FirstWithin(1, 7, 3), 20u) << "between the two there are two rounds only";
  EXPECT_EQ(units.FirstWithin(3, 2, 3), 3u);
  EXPECT_EQ(units.FirstWithin(8, 2, 3), 10u);
  EXPECT_EQ(units.FirstWithin(8, 3, 3), 20u);
  EXPECT_EQ(units.FirstWithin(8, 7, 4), 20u);
  EXPECT_EQ(units.FirstWithin(13, 2, 6), 13u);
  EXPECT_EQ(units.FirstWithin(13, 3, 6), 17u);
  EXPECT_EQ(units.FirstWithin(1, kNoRound, 3), 20u);
  EXPECT_EQ(units.FirstWithin(1, kNoRound, 6), 17u);
  EXPECT_EQ(units.FirstWithin(1, kNoRound, 7), 1u);
  EXPECT_EQ(units.FirstWithin(30, kNoRound, 0), 30u);
}

}  // namespace
}  // namespace nom::market
