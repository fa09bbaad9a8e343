// SPDX-License-Identifier: Apache-2.0
// The grid on which prices lie.

#include "policies/clearing/joint/context.h"

#include <gtest/gtest.h>

namespace nom::policies::joint {
namespace {

JointAuction Auction() {
  JointAuction auction;
  auction.capacity_units[0] = 1;
  return auction;
}

// A raised bound never comes down to what an allocation gains, so prices would be sought for ever:
// bounds are raised only where nothing else is left.
TEST(Context, RoundsNothingWhileSumsFitInADouble) {
  for (int bits = 1; bits < 48; ++bits) {
    const Context context = Context::Make(Auction(), Int128{1} << bits, 0);
    EXPECT_EQ(context.rounding, 0) << bits;
    EXPECT_LE(context.step, 1) << bits;
    // All gains, and four resources at up to twice that, are whole steps below 2^53.
    EXPECT_LE(static_cast<double>((Int128{1} << bits) + 1) * 9 * context.steps_a_unit, 0x1p53);
  }
  EXPECT_LE(Context::Make(Auction(), Int128{1} << 30, 0).step, 1.0 / 65'536);
  EXPECT_GT(Context::Make(Auction(), Int128{1} << 50, 0).rounding, 0);
}

TEST(Context, RoundsPricesToTheNearestStepWithinTheirLimits) {
  const Context context = Context::Make(Auction(), 1'000, 0);
  const double half = 5 + context.step / 2;
  EXPECT_EQ(context.Round({half + context.step / 8})[0], 5 + context.step);
  EXPECT_EQ(context.Round({half - context.step / 8})[0], 5);
  EXPECT_EQ(context.Round({-1})[0], 0);
  EXPECT_EQ(context.Round({1e9})[0], context.prices_max[0]);
  EXPECT_EQ(context.Round({1, 1})[1], 0);  // There is only one resource.
}

}  // namespace
}  // namespace nom::policies::joint
