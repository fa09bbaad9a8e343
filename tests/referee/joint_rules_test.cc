// SPDX-License-Identifier: Apache-2.0
// joint_vcg against exhaustive search: W, every charge, and the promises of joint_auction.h.

#include <gtest/gtest.h>

#include <string>

#include "policies/clearing/joint/joint_vcg.h"
#include "tests/referee/joint_exhaustive.h"
#include "tests/referee/joint_promises.h"
#include "tests/referee/random_joint_auction.h"

namespace nom::policies {
namespace {

// Small money and grids are quick, so many fit.
constexpr uint64_t kAuctions = 20'000;

// Both ways of dividing are for problems far too large for this referee, unless they are forced.
JointVcgOptions OptionsFor(uint64_t seed) {
  JointVcgOptions options;
  if (seed % 3 == 1) options.shortlist_cells = 3;
  if (seed % 3 == 2) options.shortlist_cells = 12;
  if (seed % 2 == 1) options.box_work = 1;
  return options;
}

TEST(JointRules, EqualTheExhaustiveReferee) {
  int64_t winners = 0;
  int64_t skipped = 0;
  for (uint64_t seed = FirstSeed(); seed < FirstSeed() + CountOr(kAuctions); ++seed) {
    const JointAuction auction = RandomJointAuction({}, seed);
    if (!LargestJointWelfare(auction).ok()) {
      ++skipped;
      continue;
    }
    const auto clearing = ClearJointVcg(auction, OptionsFor(seed));
    ASSERT_TRUE(clearing.ok()) << clearing.status() << "\n" << Replay(seed, auction);
    ASSERT_EQ(BrokenPromise(auction, *clearing), "") << Replay(seed, auction);
    ASSERT_EQ(DifferenceFromExhaustive(auction, *clearing), "") << Replay(seed, auction);
    winners += static_cast<int64_t>(clearing->awards.size());
  }
  EXPECT_LT(skipped * 10, static_cast<int64_t>(CountOr(kAuctions)));
  EXPECT_GE(winners * 2, static_cast<int64_t>(CountOr(kAuctions)) - 10);
}

}  // namespace
}  // namespace nom::policies
