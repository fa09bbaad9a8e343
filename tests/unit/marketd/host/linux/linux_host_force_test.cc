// SPDX-License-Identifier: Apache-2.0
// A Linux host that takes back what is not given: reclaimed, or by a kill.

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/marketd/host/linux/linux_host_fixture.h"

namespace nom::market {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(LinuxHostTest, ARefuserIsKilledAndItsNeighbourIsNotTouched) {
  Attach();
  ASSERT_TRUE(Create(1).ok());
  ASSERT_TRUE(Create(2).ok());
  ASSERT_TRUE(Apply(1, {Award(1, 0, 100), Award(2, 0, 100)}).ok());
  files_.SetMemory("guest-1", 100 * kMiB, 4 * kMiB);
  files_.SetMemory("guest-2", 100 * kMiB, 4 * kMiB);
  const auto report = Apply(2, {Award(1, 0, 50), Award(2, 0, 100)});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->forced_units, 34);
  EXPECT_THAT(files_.Get("guest-1", "cgroup.events"), HasSubstr("populated 0"));
  EXPECT_EQ(files_.Get("guest-2", "memory.current"), std::to_string(100 * kMiB));
  EXPECT_EQ(files_.Get("guest-1", "memory.events"),
            "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0");  // By us, not by the kernel's choice.
  const std::vector<HostNews> news = PollLater();
  ASSERT_THAT(news, SizeIs(1));
  EXPECT_EQ(std::get<GuestEnded>(news[0]).guest_id, 1u);
  EXPECT_EQ(std::get<GuestEnded>(news[0]).reason,
            "killed: it kept 34 MiB more memory than it held past the deadline");
  // It holds nothing, and what it held can be given away.
  EXPECT_TRUE(Apply(3, {Award(2, 0, 480)}).ok());
}

TEST_F(LinuxHostTest, AHogOfPageCacheLivesOn) {
  Attach();
  ASSERT_TRUE(Create(1).ok());
  ASSERT_TRUE(Apply(1, {Award(1, 0, 100)}).ok());
  files_.SetMemory("guest-1", 116 * kMiB, 110 * kMiB);
  const auto report = Apply(2, {Award(1, 0, 0)});
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->forced_units, 100);
  EXPECT_EQ(files_.Get("guest-1", "memory.current"), std::to_string(16 * kMiB));
  EXPECT_THAT(PollLater(), IsEmpty());
}

TEST_F(LinuxHostTest, OneThatGaveBackIsNeitherReclaimedNorKilled) {
  Attach();
  ASSERT_TRUE(Create(1).ok());
  ASSERT_TRUE(Apply(1, {Award(1, 0, 100)}).ok());
  files_.SetMemory("guest-1", 16 * kMiB, 10 * kMiB);
  files_.ForgetWrites();
  const auto report = Apply(2, {Award(1, 0, 0)});
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->forced_units, 0);
  for (const std::string& write : files_.writes()) {
    EXPECT_FALSE(absl::StrContains(write, "memory.reclaim")) << write;
    EXPECT_FALSE(absl::StrContains(write, "cgroup.kill")) << write;
  }
}

TEST_F(LinuxHostTest, AWriteThatFailsPutsAllBack) {
  Attach();
  for (GuestId g = 1; g <= 3; ++g) ASSERT_TRUE(Create(g).ok());
  const std::vector<GuestGrant> before = {Award(1, 50, 100), Award(2, 0, 0), Award(3, 10, 10)};
  ASSERT_TRUE(Apply(1, before).ok());
  struct Fault {
    const char* cgroup;
    const char* file;
    int error;
  };
  for (const Fault& fault :
       {Fault{"guest-1", "cpu.max", EACCES}, Fault{"guest-2", "cpu.max", EBUSY},
        Fault{"guest-2", "memory.max", EACCES}, Fault{"guest-2", "cpu.idle", EBUSY}}) {
    files_.Fail(fault.cgroup, fault.file, fault.error, 1);
    const auto report = Apply(2, {Award(1, 0, 0), Award(2, 50, 100), Award(3, 10, 10)});
    EXPECT_EQ(report.status().code(), absl::StatusCode::kFailedPrecondition) << fault.file;
    EXPECT_THAT(std::string(report.status().message()), HasSubstr("guest ")) << fault.file;
    files_.Heal();
    EXPECT_EQ(files_.Get("guest-1", "cpu.max"), "60000 100000") << fault.cgroup << fault.file;
    EXPECT_EQ(files_.Get("guest-1", "memory.max"), std::to_string(116 * kMiB));
    EXPECT_EQ(files_.Get("guest-2", "cpu.max"), "10000 100000");
    EXPECT_EQ(files_.Get("guest-2", "memory.max"), std::to_string(16 * kMiB));
    Restart();
    const HostFacts facts = Attach();
    EXPECT_EQ(facts.applied_round_id, 1u);
    EXPECT_EQ(facts.guests.at(0).holdings, before[0].now);
  }
}

// A fork bomb of 10 millicores would take minutes to die within them.
TEST_F(LinuxHostTest, WhatDiesDoesSoWithoutALimit) {
  Attach();
  ASSERT_TRUE(Create(1).ok());
  files_.ForgetWrites();
  ASSERT_TRUE(host_->DestroyGuest(1).ok());
  ASSERT_GE(files_.writes().size(), 2u);
  EXPECT_EQ(files_.writes()[0], "guest-1/cgroup.kill=1");
  EXPECT_EQ(files_.writes()[1], "guest-1/cpu.max=max 100000");
}

// A write to memory.max blocks for as long as the kernel reclaims. Guests shrink side by side, and
// the time for it has an end.
TEST_F(LinuxHostTest, WritesThatBlockDoSoSideBySide) {
  Attach();
  for (GuestId g = 1; g <= 4; ++g) ASSERT_TRUE(Create(g).ok());
  ASSERT_TRUE(Apply(1, {Award(1, 0, 50), Award(2, 0, 50), Award(3, 0, 50), Award(4, 0, 50)}).ok());
  std::mutex mutex;
  std::condition_variable all_in;
  int inside = 0;
  // Nobody comes out of the write before all are in it.
  files_.on_write = [&](const std::string& write) {
    if (!absl::StrContains(write, "memory.max=")) return;
    std::unique_lock lock(mutex);
    ++inside;
    all_in.notify_all();
    all_in.wait(lock, [&] { return inside >= 4; });
  };
  EXPECT_TRUE(Apply(2, {Award(1, 0, 0), Award(2, 0, 0), Award(3, 0, 0), Award(4, 0, 0)}).ok());
}

TEST_F(LinuxHostTest, OneWhoseWriteDoesNotComeBackIsKilledInTheEnd) {
  options_.shrink_timeout = absl::Milliseconds(20);
  options_.recipes[0].force = Recipe::Force::kSwap;
  Restart();
  Attach();
  ASSERT_TRUE(Create(1).ok());
  ASSERT_TRUE(Create(2).ok());
  ASSERT_TRUE(Apply(1, {Award(1, 0, 50), Award(2, 0, 50)}).ok());
  files_.SetMemory("guest-1", 60 * kMiB, 0);
  std::mutex mutex;
  std::condition_variable killed;
  bool dead = false;
  files_.on_write = [&](const std::string& write) {
    std::unique_lock lock(mutex);
    if (absl::StrContains(write, "guest-1/cgroup.kill")) {
      dead = true;
      killed.notify_all();
    }
    if (absl::StrContains(write, "guest-1/memory.max=")) killed.wait(lock, [&] { return dead; });
  };
  const auto report = Apply(2, {Award(1, 0, 0), Award(2, 0, 0)});
  ASSERT_TRUE(report.ok()) << report.status();
  const std::vector<HostNews> news = PollLater();
  ASSERT_THAT(news, SizeIs(1));
  EXPECT_EQ(std::get<GuestEnded>(news[0]).guest_id, 1u);
}

}  // namespace
}  // namespace nom::market
