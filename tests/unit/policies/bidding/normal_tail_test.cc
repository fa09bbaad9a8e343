// SPDX-License-Identifier: Apache-2.0
#include "policies/bidding/normal_tail.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>

namespace nom::policies {
namespace {

constexpr int64_t kOneDeviation = int64_t{1} << kDeviationBits;

double Truth(int64_t z) {
  const double deviations = static_cast<double>(z) / static_cast<double>(kOneDeviation);
  return std::erfc(deviations / std::sqrt(2.0)) / 2 * static_cast<double>(kCertain);
}

// Every z from the mean to where nothing is left; below the mean they are the same numbers.
TEST(NormalTail, NeverRises) {
  int64_t before = kCertain / 2;
  for (int64_t z = 0; z <= 7 * kOneDeviation; ++z) {
    const int64_t tail = NormalTail(z);
    ASSERT_LE(tail, before) << z;
    before = tail;
  }
  EXPECT_EQ(before, 0);
}

TEST(NormalTail, IsTheTruthRounded) {
  for (int64_t z = -7 * kOneDeviation; z <= 7 * kOneDeviation; z += 61) {
    ASSERT_LE(std::abs(static_cast<double>(NormalTail(z)) - Truth(z)), 0.51) << z;
  }
  EXPECT_EQ(NormalTail(std::numeric_limits<int64_t>::max()), 0);
  EXPECT_EQ(NormalTail(std::numeric_limits<int64_t>::min()), kCertain);
}

// The published tables of the normal distribution, times 2^32.
TEST(NormalTail, AgreesWithTheTables) {
  EXPECT_EQ(NormalTail(0), kCertain / 2);
  EXPECT_EQ(NormalTail(kOneDeviation), 681'419'127);     // .1586552539
  EXPECT_EQ(NormalTail(2 * kOneDeviation), 97'711'073);  // .0227501319
  EXPECT_EQ(NormalTail(3 * kOneDeviation), 5'797'768);   // .0013498980
  EXPECT_EQ(NormalTail(-3 * kOneDeviation), kCertain - 5'797'768);
}

TEST(ChanceAbove, IsTheTailOfWhatIsMissing) {
  EXPECT_EQ(ChanceAbove(750, 600, 50), NormalTail(3 * kOneDeviation));
  EXPECT_EQ(ChanceAbove(750, 900, 50), NormalTail(-3 * kOneDeviation));
  EXPECT_EQ(ChanceAbove(750, 750, 1), kCertain / 2);
  EXPECT_EQ(ChanceAbove(1'000'000'000'000, 0, 1), 0);
  EXPECT_EQ(ChanceAbove(0, 1'000'000'000'000, 1), kCertain);
}

TEST(ChanceAbove, WithoutDeviationNothingIsLeftToChance) {
  EXPECT_EQ(ChanceAbove(750, 750, 0), 0);
  EXPECT_EQ(ChanceAbove(750, 751, 0), kCertain);
}

}  // namespace
}  // namespace nom::policies
