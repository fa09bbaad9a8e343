// SPDX-License-Identifier: Apache-2.0
#include "tests/referee/shrink.h"

#include <gtest/gtest.h>

#include "policies/clearing/joint/joint_vcg.h"
#include "policies/clearing/mpsp.h"
#include "tests/referee/random_auction.h"
#include "tests/referee/random_joint_auction.h"

namespace nom::policies {
namespace {

// "No two guests win" is false of most auctions; two bids for one unit each show it.
TEST(Shrink, FindsTheSmallestCaseOfAFalseClaim) {
  const auto two_win = [](const Auction& auction) {
    const auto clearing = ClearMpsp(auction);
    return clearing.ok() && clearing->awards.size() >= 2;
  };
  int shrunk = 0;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(50); seed < end; ++seed) {
    const Auction auction = RandomAuction(Shape::kGeneral, seed, 12, 40);
    if (!two_win(auction)) continue;
    const Auction small = Shrink(auction, two_win);
    EXPECT_TRUE(two_win(small)) << Describe(seed, small);
    EXPECT_EQ(small.bids.size(), 2u) << Describe(seed, small);
    EXPECT_EQ(small.reserve_unit_price_microcredits, 0) << Describe(seed, small);
    EXPECT_EQ(small.reclaim_penalty_microcredits, 0) << Describe(seed, small);
    ++shrunk;
  }
  EXPECT_GT(shrunk, 0);
}

TEST(Shrink, FindsTheSmallestJointCaseOfAFalseClaim) {
  const auto two_win = [](const JointAuction& auction) {
    const auto clearing = ClearJointVcg(auction);
    return clearing.ok() && clearing->awards.size() >= 2;
  };
  JointShape shape;
  shape.bids_max = 10;
  shape.grid_max = 48;
  int shrunk = 0;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(50); seed < end; ++seed) {
    const JointAuction auction = RandomJointAuction(shape, seed);
    if (!two_win(auction)) continue;
    const JointAuction small = Shrink(auction, two_win);
    EXPECT_TRUE(two_win(small)) << seed;
    EXPECT_EQ(small.bids.size(), 2u) << seed;
    EXPECT_LE(small.resource_count, 2) << seed;
    EXPECT_EQ(small.reserve_unit_prices_microcredits, PriceVector{}) << seed;
    ++shrunk;
  }
  EXPECT_GT(shrunk, 0);
}

TEST(Shrink, LeavesWhatCannotBeSmaller) {
  const Auction auction = RandomAuction(Shape::kGeneral, 5, 12, 40);
  EXPECT_EQ(Shrink(auction, [&](const Auction& a) { return a == auction; }), auction);
}

}  // namespace
}  // namespace nom::policies
