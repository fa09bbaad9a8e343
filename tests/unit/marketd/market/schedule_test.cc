// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/schedule.h"

#include <gtest/gtest.h>

namespace nom::market {
namespace {

HostConfig Minute() {
  HostConfig config;
  config.SetPeriod(absl::Seconds(60));
  return config;
}

const absl::Time kStart = absl::FromUnixSeconds(1'000);

TEST(Schedule, DividesThePeriod) {
  const Schedule schedule(Minute(), kStart);
  EXPECT_EQ(schedule.close(), kStart + absl::Seconds(42));  // Less grace 12 s and clearing 6 s.
  EXPECT_EQ(schedule.close_latest(), kStart + absl::Seconds(54));
  EXPECT_EQ(schedule.effective(), kStart + absl::Seconds(60));
  EXPECT_EQ(schedule.effective_latest(), kStart + absl::Seconds(120));
}

TEST(Schedule, MissedTimeIsSkippedByWholePeriods) {
  Schedule schedule(Minute(), kStart);
  EXPECT_EQ(schedule.SkipPast(kStart + absl::Seconds(41)), 0);
  EXPECT_EQ(schedule.SkipPast(kStart + absl::Seconds(42)), 1);
  EXPECT_EQ(schedule.start(), kStart + absl::Seconds(60));
  // A laptop sleeps for ten hours: one jump, not six hundred rounds.
  EXPECT_EQ(schedule.SkipPast(kStart + absl::Hours(10)), 599);
  EXPECT_GT(schedule.close(), kStart + absl::Hours(10));
  EXPECT_EQ((schedule.start() - kStart) % absl::Seconds(60), absl::ZeroDuration());
}

}  // namespace
}  // namespace nom::market
