// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <set>

#include "marketd/base/clock.h"
#include "marketd/base/money.h"
#include "marketd/base/random.h"
#include "marketd/base/status.h"

namespace nom {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

TEST(Money, NothingWraps) {
  EXPECT_EQ(CheckedAdd(2, 3), 5);
  EXPECT_EQ(CheckedAdd(kMax, 1), std::nullopt);
  EXPECT_EQ(CheckedSubtract(kMin, 1), std::nullopt);
  EXPECT_EQ(CheckedSubtract(0, kMin), std::nullopt);
  EXPECT_EQ(CheckedMultiply(kMax / 2, 3), std::nullopt);
  EXPECT_EQ(CheckedMultiply(-4, 5), -20);
  EXPECT_EQ(SaturatingAdd(kMax, 1), kMax);
  EXPECT_EQ(SaturatingAdd(kMin, -1), kMin);
  EXPECT_EQ(SaturatingMultiply(kMax, -2), kMin);
  EXPECT_EQ(SaturatingMultiply(kMin, -1), kMax);
}

TEST(Money, SharesRoundDownAndAreExactIn128Bits) {
  EXPECT_EQ(ShareRoundedDown(10, 1, 3), 3);
  EXPECT_EQ(ShareRoundedDown(kMax, kMax, kMax), kMax);
  EXPECT_EQ(ShareRoundedDown(kMax, 2, 1), kMax);  // Saturates.
  EXPECT_EQ(ShareRoundedDown(kMax, kMax - 1, kMax), kMax - 1);
}

TEST(Random, IsTheSameEverywhere) {
  // Written into ledgers by way of AuctionSeed: these numbers may never change.
  EXPECT_EQ(Mix64(0), 0xe220a8397b1dcdafu);     // SplitMix64's first output for seed 0.
  EXPECT_EQ(Hash64("a"), 0xaf63dc4c8601ec8cu);  // FNV-1a's published value.
}

TEST(Random, StaysInRangeAndReachesItsEnds) {
  Random random(1);
  std::set<int64_t> seen;
  for (int i = 0; i < 1'000; ++i) seen.insert(random.Uniform(-2, 2));
  EXPECT_EQ(seen, (std::set<int64_t>{-2, -1, 0, 1, 2}));
  EXPECT_FALSE(random.OneIn(0));
  EXPECT_TRUE(random.OneIn(1));
}

TEST(Clock, SimulatedStandsStillUntilTold) {
  SimulatedClock clock;
  const absl::Time start = clock.Now();
  EXPECT_EQ(clock.Now(), start);
  clock.Advance(absl::Seconds(3));
  EXPECT_EQ(clock.Now(), start + absl::Seconds(3));
  clock.Set(start - absl::Hours(1));
  EXPECT_EQ(clock.Now(), start - absl::Hours(1));
}

absl::StatusOr<int> Half(int n) {
  if (n % 2 != 0) return absl::InvalidArgumentError("odd");
  return n / 2;
}

absl::StatusOr<int> Quarter(int n) {
  NOM_ASSIGN_OR_RETURN(const int half, Half(n));
  NOM_RETURN_IF_ERROR(Half(half).status());
  return half / 2;
}

TEST(Status, MacrosPassErrorsOn) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(Quarter(6).status(), absl::InvalidArgumentError("odd"));
  EXPECT_EQ(Quarter(5).status(), absl::InvalidArgumentError("odd"));
}

TEST(StatusDeathTest, BrokenPromisesStopTheProgram) {
  EXPECT_DEATH(NOM_CHECK(1 > 2, "one is not above two"), "broken promise: one is not above two");
}

}  // namespace
}  // namespace nom
