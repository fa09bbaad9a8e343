// SPDX-License-Identifier: Apache-2.0
// A Linux host: guests come, and are granted what they won.

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "marketd/host/linux/board_file.h"
#include "tests/unit/marketd/host/linux/linux_host_fixture.h"

namespace nom::market {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(LinuxHostTest, SaysWhatTheMachineIsLessWhatIsNeverSold) {
  const HostFacts facts = Attach();
  EXPECT_THAT(facts.detail, HasSubstr("Linux 6.1.0-test, 2 processors, 1024 MiB"));
  EXPECT_EQ(facts.boot_id, 0x0123abcd456789efu);
  EXPECT_THAT(facts.capacities, ElementsAre(std::pair(ResourceKind::kCpu, 1900),
                                            std::pair(ResourceKind::kMemory, 512 * kMiB)));
  EXPECT_THAT(facts.guests, IsEmpty());
}

TEST_F(LinuxHostTest, SomeOfEachProcessorIsTheKernelsUnlessTheOperatorSaysOtherwise) {
  options_.cpu_unsold_millicores = -1;
  options_.memory_unsold_bytes = -1;
  Restart();
  EXPECT_THAT(Attach().capacities, ElementsAre(std::pair(ResourceKind::kCpu, 1900),
                                               std::pair(ResourceKind::kMemory, 896 * kMiB)));
}

TEST_F(LinuxHostTest, OneMarketdDrivesAMachine) {
  Attach();
  auto other = NewLinuxHost(options_, {.files = &files_,
                                       .all_files = &machine_,
                                       .launcher = &launcher_,
                                       .now_us = [] { return int64_t{1}; },
                                       .nap = [](absl::Duration) {}});
  EXPECT_THAT(std::string(other->Attach().status().message()),
              HasSubstr("another marketd drives this machine"));
  host_ = nullptr;
  EXPECT_TRUE(other->Attach().ok());
}

TEST_F(LinuxHostTest, AGuestBeginsWithItsSeed) {
  Attach();
  ASSERT_TRUE(Create(7, "web", "-p 80").ok());
  EXPECT_EQ(files_.Get("guest-7", "cpu.max"), "10000 100000");
  EXPECT_EQ(files_.Get("guest-7", "memory.min"), std::to_string(16 * kMiB));
  EXPECT_EQ(files_.Get("guest-7", "memory.max"), std::to_string(16 * kMiB));
  EXPECT_EQ(files_.Get("guest-7", "memory.swap.max"), "0");
  EXPECT_EQ(files_.Get("guest-7", "memory.oom.group"), "1");
  EXPECT_EQ(files_.Get("guest-7", "pids.max"), "512");
  EXPECT_EQ(files_.Get("", "memory.min"), std::to_string(16 * kMiB));
  ASSERT_THAT(launcher_.started, SizeIs(1));
  EXPECT_EQ(launcher_.started[0].guest_id, 7u);
  EXPECT_EQ(launcher_.started[0].recipe, "web");
  EXPECT_EQ(launcher_.started[0].arguments, "-p 80");
  // Its first process is put into a cgroup that has all of its limits.
  EXPECT_EQ(GetFile(options_.run_directory + "/guest-7/board").size(), kBoardFileBytes);
}

TEST_F(LinuxHostTest, WhatCannotBeCreatedLeavesNothingBehind) {
  Attach();
  ASSERT_TRUE(Create(1).ok());
  const auto error = [this](GuestSpec spec) {
    const absl::Status status = host_->CreateGuest(spec);
    EXPECT_FALSE(status.ok());
    EXPECT_NE(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(files_.Has(GuestFolder(spec.guest_id)), spec.guest_id == 1) << status;
    return std::string(status.message());
  };
  const GuestSpec good{
      .guest_id = 2, .name = "x", .image = "web", .seeds = CpuAndMemory(10, 0, 16, 0)};
  GuestSpec bad = good;
  bad.image = "none";
  EXPECT_THAT(error(bad), HasSubstr("there is none of that name; recipes: web, stiff"));
  bad = good;
  bad.image = "stiff";
  bad.arguments = "-x";
  EXPECT_THAT(error(bad), HasSubstr("takes no arguments"));
  bad = good;
  bad.guest_id = 1;
  EXPECT_THAT(error(bad), HasSubstr("is there already"));
  bad = good;
  bad.seeds = CpuAndMemory(0, 0, 16, 0);
  EXPECT_THAT(error(bad), HasSubstr("the kernel enforces no less than 10"));
  bad.seeds = CpuAndMemory(10, 0, 0, 0);
  EXPECT_THAT(error(bad), HasSubstr("no program starts in that"));
  bad.seeds = CpuAndMemory(10, 0, 497, 0);
  EXPECT_THAT(error(bad), HasSubstr("no room for its seed"));
  launcher_.refuse = absl::FailedPreconditionError("launcher: is not there");
  EXPECT_THAT(error(good), HasSubstr("launcher: is not there"));
  launcher_.refuse = absl::OkStatus();
  for (const char* file : {"mkdir", "pids.max", "memory.max", "memory.min", "memory.oom.group",
                           "memory.swap.max", "cpu.max", "cpu.idle"}) {
    files_.Fail("guest-2", file, EACCES, 1);
    EXPECT_THAT(error(good), HasSubstr("Permission denied")) << file;
    files_.Heal();
  }
  EXPECT_EQ(files_.Get("", "memory.min"), std::to_string(16 * kMiB));
  EXPECT_TRUE(host_->CreateGuest(good).ok());
  EXPECT_THAT(launcher_.started, SizeIs(3));
}

TEST_F(LinuxHostTest, NothingGrowsBeforeTheLastShrink) {
  Attach();
  for (GuestId g = 1; g <= 4; ++g) ASSERT_TRUE(Create(g).ok());
  ASSERT_TRUE(
      Apply(1, {Award(1, 50, 100), Award(2, 50, 100), Award(3, 0, 0), Award(4, 0, 0)}).ok());
  files_.ForgetWrites();
  ASSERT_TRUE(
      Apply(2, {Award(1, 0, 0), Award(2, 40, 20), Award(3, 60, 120), Award(4, 10, 10)}).ok());
  int64_t memory = 2 * 16 + 2 * 116;
  int64_t cpu = 2 * 100 + 2 * 600;
  const int64_t memory_most = memory;
  const int64_t cpu_most = 100 + 500 + 700 + 200;  // The greater of what was and what comes.
  std::map<std::string, std::pair<int64_t, int64_t>> held = {{"guest-1", {600, 116}},
                                                             {"guest-2", {600, 116}},
                                                             {"guest-3", {100, 16}},
                                                             {"guest-4", {100, 16}}};
  bool grown = false;
  for (const std::string& write : files_.writes()) {
    const std::vector<std::string> parts = absl::StrSplit(write, absl::ByAnyChar("/= "));
    auto& [has_cpu, has_memory] = held[parts[0]];
    int64_t* now = parts[1] == "cpu.max"      ? &has_cpu
                   : parts[1] == "memory.max" ? &has_memory
                                              : nullptr;
    if (now == nullptr) continue;
    int64_t value = 0;
    ASSERT_TRUE(absl::SimpleAtoi(parts[2], &value)) << write;
    value = parts[1] == "cpu.max" ? value / 100 : value / kMiB;
    if (value > *now) grown = true;
    if (parts[1] == "memory.max" && value < *now) {
      EXPECT_FALSE(grown) << write;
    }
    (parts[1] == "cpu.max" ? cpu : memory) += value - *now;
    *now = value;
    EXPECT_LE(memory, memory_most) << write;
    EXPECT_LE(cpu, cpu_most) << write;
  }
  EXPECT_EQ(held["guest-3"], std::pair(int64_t{700}, int64_t{136}));
  EXPECT_EQ(held["guest-1"], std::pair(int64_t{100}, int64_t{16}));
  EXPECT_EQ(memory, 16 + 36 + 136 + 26);
}

TEST_F(LinuxHostTest, WhatBreaksAPromiseIsRefusedAndChangesNothing) {
  Attach();
  ASSERT_TRUE(Create(1).ok());
  ASSERT_TRUE(Create(2).ok());
  files_.ForgetWrites();
  EXPECT_THAT(std::string(Apply(1, {Award(1, -1, 0)}).status().message()),
              HasSubstr("guest 1: would fall below its seed"));
  EXPECT_THAT(std::string(Apply(1, {Award(1, 0, 300), Award(2, 0, 300)}).status().message()),
              HasSubstr("would bring the sum above the capacity"));
  EXPECT_THAT(std::string(Apply(1, {Award(1, 171, 0)}).status().message()),
              HasSubstr("would bring the sum above the capacity"));
  EXPECT_THAT(files_.writes(), IsEmpty());
}

TEST_F(LinuxHostTest, AGuestThatIsNotNamedKeepsWhatItHolds) {
  Attach();
  ASSERT_TRUE(Create(1).ok());
  ASSERT_TRUE(Create(2).ok());
  ASSERT_TRUE(Apply(1, {Award(1, 10, 10), Award(2, 20, 20)}).ok());
  ASSERT_TRUE(Apply(2, {Award(1, 0, 0)}).ok());
  EXPECT_EQ(files_.Get("guest-2", "cpu.max"), "30000 100000");
  EXPECT_EQ(files_.Get("guest-2", "memory.max"), std::to_string(36 * kMiB));
}

TEST_F(LinuxHostTest, BurstIsNeverAboveTheQuota) {
  Attach();
  ASSERT_TRUE(Create(1, "burst").ok());
  EXPECT_EQ(files_.Get("guest-1", "cpu.max.burst"), "10000");
  ASSERT_TRUE(Apply(1, {Award(1, 90, 0)}).ok());
  EXPECT_EQ(files_.Get("guest-1", "cpu.max.burst"), "20000");
  ASSERT_TRUE(Apply(2, {Award(1, 0, 0)}).ok());
  EXPECT_EQ(files_.Get("guest-1", "cpu.max"), "10000 100000");
  EXPECT_EQ(files_.Get("guest-1", "cpu.max.burst"), "10000");
}

TEST_F(LinuxHostTest, AnIdleGuestIsLimitedOnlyByWhatItWon) {
  Attach();
  ASSERT_TRUE(Create(1, "idle").ok());
  EXPECT_EQ(files_.Get("guest-1", "cpu.max"), "max 100000");
  EXPECT_EQ(files_.Get("guest-1", "cpu.idle"), "1");
  ASSERT_TRUE(Apply(1, {Award(1, 5, 0)}).ok());
  EXPECT_EQ(files_.Get("guest-1", "cpu.max"), "15000 100000");
  EXPECT_EQ(files_.Get("guest-1", "cpu.idle"), "0");
  ASSERT_TRUE(Apply(2, {Award(1, 0, 0)}).ok());
  EXPECT_EQ(files_.Get("guest-1", "cpu.max"), "max 100000");
  Restart();
  EXPECT_EQ(Attach().guests.at(0).holdings, CpuAndMemory(10, 0, 16, 0));
}

}  // namespace
}  // namespace nom::market
