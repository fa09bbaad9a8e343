// SPDX-License-Identifier: Apache-2.0
// A Linux host that guests leave, and that loses its marketd: what is found, known and finished
// after.

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "marketd/host/linux/board_file.h"
#include "marketd/host/linux/state_file.h"
#include "tests/unit/marketd/host/linux/linux_host_fixture.h"

namespace nom::market {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(LinuxHostTest, ACgroupThatVanishesIsAGuestThatEnded) {
  Attach();
  ASSERT_TRUE(Create(1).ok());
  ASSERT_TRUE(Create(2).ok());
  ASSERT_TRUE(Apply(1, {Award(1, 0, 100), Award(2, 0, 0)}).ok());
  std::filesystem::remove_all(files_.root() + "/guest-1");
  EXPECT_TRUE(Apply(2, {Award(1, 0, 0), Award(2, 0, 100)}).ok());
  const std::vector<HostNews> news = PollLater();
  ASSERT_THAT(news, SizeIs(1));
  EXPECT_EQ(std::get<GuestEnded>(news[0]).reason, "its cgroup was removed");
}

TEST_F(LinuxHostTest, ATrueExitReason) {
  Attach();
  for (GuestId g = 1; g <= 3; ++g) ASSERT_TRUE(Create(g).ok());
  // The first process is gone, but another lives: so does the guest.
  launcher_.ended.push_back({1, "exit 3"});
  EXPECT_THAT(PollLater(), IsEmpty());
  files_.SetPopulated("guest-1", false);
  // Nobody saw it, unless the launcher speaks within a second.
  files_.SetPopulated("guest-2", false);
  std::vector<HostNews> news = PollLater(300'000);
  ASSERT_THAT(news, SizeIs(1));
  EXPECT_EQ(std::get<GuestEnded>(news[0]).reason, "exit 3");
  news = PollLater();
  ASSERT_THAT(news, SizeIs(1));
  EXPECT_EQ(std::get<GuestEnded>(news[0]).reason, "ended; how is not known, no launcher saw it");
  // The kernel ran out of the guest's memory.
  PutFile(files_.root() + "/guest-3/memory.events", "oom 4206\noom_kill 1\n");
  files_.SetPopulated("guest-3", false);
  launcher_.ended.push_back({3, "signal 9 (Killed)"});
  news = PollLater();
  ASSERT_THAT(news, SizeIs(1));
  EXPECT_THAT(std::get<GuestEnded>(news[0]).reason,
              HasSubstr("signal 9 (Killed): the kernel ended it, it needed more memory than the 16 "
                        "MiB that it held"));
  EXPECT_THAT(PollLater(), IsEmpty());  // Told once.
  // Restarted, the reasons are still known.
  Restart();
  EXPECT_EQ(Attach().guests.at(0).exit_reason, "exit 3");
}

TEST_F(LinuxHostTest, MetersGoOnWhileNoMarketdRuns) {
  Attach();
  ASSERT_TRUE(Create(1).ok());
  now_us_ += 1'000'000;
  auto report = Apply(1, {Award(1, 10, 4)});
  ASSERT_TRUE(report.ok());
  ASSERT_THAT(report->meters, SizeIs(1));
  EXPECT_EQ(report->meters[0].age_us, 1'000'000);
  EXPECT_EQ(report->meters[0].amounts[0].offered_unit_us, 10'000'000u);
  EXPECT_EQ(report->meters[0].amounts[1].offered_unit_us, 16'000'000u);
  Restart();
  files_.SetUsage("guest-1", 50'000);
  now_us_ += 2'000'000;
  const HostFacts facts = Attach();
  EXPECT_EQ(facts.applied_round_id, 1u);
  ASSERT_THAT(facts.applied_meters, SizeIs(1));
  EXPECT_EQ(facts.applied_meters[0], report->meters[0]);
  now_us_ += 1'000'000;
  report = Apply(2, {Award(1, 0, 0)});
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->meters[0].age_us, 4'000'000);
  EXPECT_EQ(report->meters[0].amounts[0].offered_unit_us, 10'000'000u + 3 * 20'000'000u);
  EXPECT_EQ(report->meters[0].amounts[0].used_unit_us, 5'000'000u);
  EXPECT_EQ(report->meters[0].amounts[1].offered_unit_us, 16'000'000u + 3 * 20'000'000u);
}

TEST_F(LinuxHostTest, WhatTheMachineBelowStoleWasNotOffered) {
  Attach();
  ASSERT_TRUE(Create(1).ok());
  now_us_ += 1'000'000;
  PutFile(options_.proc + "/stat", "cpu  1 2 3 4 5 6 7 100 9 10\ncpu0 1\ncpu1 1\n");  // 1 of 2 s.
  const auto report = Apply(1, {Award(1, 0, 0)});
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->meters[0].amounts[0].offered_unit_us, 5'000'000u);
  EXPECT_EQ(report->meters[0].amounts[1].offered_unit_us, 16'000'000u);
}

TEST_F(LinuxHostTest, ReconcilesWithWhatItFinds) {
  Attach();
  for (GuestId g = 1; g <= 3; ++g) ASSERT_TRUE(Create(g).ok());
  ASSERT_TRUE(Apply(5, {Award(1, 10, 10), Award(2, 0, 0), Award(3, 0, 0)}).ok());
  // One ended, one was changed by somebody, one began that nobody was told of.
  files_.SetPopulated("guest-2", false);
  PutFile(files_.root() + "/guest-3/cpu.max", "50000 100000\n");
  launcher_.ended.push_back({2, "exit 0"});
  absl::StatusOr<HostRecord> record = LoadHostRecord(options_.run_directory + "/state");
  ASSERT_TRUE(record.ok());
  record->guests[4].name = "half";
  ASSERT_TRUE(SaveHostRecord(options_.run_directory + "/state", *record).ok());
  ASSERT_TRUE(files_.Make("guest-4").ok());
  files_.SetPopulated("guest-4", true);
  // And two that the record does not know: one alive, one not.
  ASSERT_TRUE(files_.Make("guest-9").ok());
  files_.SetPopulated("guest-9", true);
  PutFile(files_.root() + "/guest-9/cpu.max", "20000 100000\n");
  PutFile(files_.root() + "/guest-9/memory.max", std::to_string(32 * kMiB));
  PutFile(files_.root() + "/guest-9/memory.min", std::to_string(8 * kMiB));
  ASSERT_TRUE(files_.Make("guest-10").ok());
  ASSERT_TRUE(files_.Make("somebody-else").ok());

  files_.ForgetWrites();
  Restart();
  const HostFacts facts = Attach();
  ASSERT_THAT(facts.guests, SizeIs(4));
  EXPECT_EQ(facts.guests[0].holdings, Award(1, 10, 10).now);
  EXPECT_TRUE(facts.guests[1].ended);
  EXPECT_EQ(facts.guests[1].exit_reason, "exit 0");
  EXPECT_EQ(facts.guests[2].holdings, CpuAndMemory(10, 40, 16, 0));  // As the kernel says.
  EXPECT_EQ(facts.guests[3].guest_id, 9u);
  EXPECT_EQ(facts.guests[3].holdings, CpuAndMemory(0, 20, 8, 24));
  EXPECT_FALSE(files_.Has("guest-4"));
  EXPECT_FALSE(files_.Has("guest-10"));
  EXPECT_TRUE(files_.Has("somebody-else"));
  // Nothing was put in force by it.
  for (const std::string& write : files_.writes()) {
    EXPECT_FALSE(absl::StrContains(write, ".max=") && !absl::StrContains(write, "=max ")) << write;
  }
}

TEST_F(LinuxHostTest, AnotherBootForgetsAll) {
  Attach();
  ASSERT_TRUE(Create(1).ok());
  host_ = nullptr;
  std::filesystem::remove_all(files_.root() + "/guest-1");
  PutFile(options_.proc + "/sys/kernel/random/boot_id", "ffffffff-4567-89ef-0000-000000000000\n");
  Restart();
  const HostFacts facts = Attach();
  EXPECT_NE(facts.boot_id, 0x0123abcd456789efu);
  EXPECT_THAT(facts.guests, IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(options_.run_directory + "/guest-1"));
}

TEST_F(LinuxHostTest, ADamagedRecordIsNotThrownAway) {
  Attach();
  ASSERT_TRUE(Create(1).ok());
  const std::string path = options_.run_directory + "/state";
  PutFile(path, "nom-linux-host 1\nboot");
  Restart();
  EXPECT_THAT(std::string(host_->Attach().status().message()),
              AllOf(HasSubstr(path), HasSubstr("look at it, then remove it")));
  EXPECT_EQ(GetFile(path), "nom-linux-host 1\nboot");
}

TEST_F(LinuxHostTest, DestroyingKillsAndGivesTheLastMeters) {
  Attach();
  ASSERT_TRUE(Create(1).ok());
  files_.SetMemory("guest-1", 10 * kMiB, 3 * kMiB);
  now_us_ += 1'000'000;
  files_.Fail("guest-1", "rmdir", EBUSY, 3);  // Until the last process has been waited for.
  const auto meters = host_->DestroyGuest(1);
  ASSERT_TRUE(meters.ok()) << meters.status();
  EXPECT_EQ(meters->age_us, 1'000'000);
  EXPECT_FALSE(files_.Has("guest-1"));
  EXPECT_FALSE(std::filesystem::exists(options_.run_directory + "/guest-1"));
  EXPECT_EQ(files_.Get("", "memory.min"), "0");
  EXPECT_THAT(files_.writes(), Contains("guest-1/memory.reclaim=" + std::to_string(3 * kMiB)));
  EXPECT_TRUE(absl::IsNotFound(host_->DestroyGuest(1).status()));
  EXPECT_THAT(PollLater(), IsEmpty());
}

TEST_F(LinuxHostTest, NoticesStandOnTheBoard) {
  Attach();
  ASSERT_TRUE(Create(1).ok());
  ASSERT_TRUE(host_->Publish({.round_id = 3, .valid_for = absl::Seconds(1)}).ok());
  GuestGrant grant = Award(1, 10, 10);
  grant.next = CpuAndMemory(10, 0, 16, 0);
  ASSERT_TRUE(host_->Prepare({.round_id = 4, .grants = {grant}}, absl::Seconds(2)).ok());
  const auto board = [this] {
    const std::string bytes = GetFile(options_.run_directory + "/guest-1/board");
    NomGuestBoard out;
    std::memcpy(&out, bytes.data() + NOM_FRAME_BYTES, sizeof(out));
    return out;
  };
  EXPECT_EQ(board().notice_sequence, 1u);
  EXPECT_EQ(board().deadline_tsc, 3'000'000'000u);
  EXPECT_EQ(board().holdings[1].next_units, 16);
  ASSERT_TRUE(Apply(4, {Award(1, 0, 0)}).ok());
  EXPECT_EQ(board().deadline_tsc, 0u);
  EXPECT_EQ(board().holdings[1].units, 16);
}

// A marketd that is killed before any write of an Apply leaves a machine on which the next one
// finishes what was begun, or finds that nothing was; and nobody is killed who fits.
TEST_F(LinuxHostTest, KilledAtEveryWriteOfAnApply) {
  Attach();
  for (GuestId g = 1; g <= 3; ++g) ASSERT_TRUE(Create(g).ok());
  const std::vector<GuestGrant> before = {Award(1, 50, 100), Award(2, 0, 0), Award(3, 10, 50)};
  const std::vector<GuestGrant> after = {Award(1, 0, 20), Award(2, 50, 100), Award(3, 10, 10)};
  ASSERT_TRUE(Apply(1, before).ok());
  files_.SetMemory("guest-1", 100 * kMiB, 90 * kMiB);
  files_.SetMemory("guest-3", 20 * kMiB, 0);
  int finished = 0;
  int writes = 0;
  for (; writes < 100 && finished == 0; ++writes) {
    const pid_t child = fork();
    if (child == 0) {
      files_.DieAfterWrites(writes);
      _exit(Apply(2, after).ok() ? 7 : 8);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    ASSERT_NE(WEXITSTATUS(status), 8);
    finished += WEXITSTATUS(status) == 7;

    Restart();
    const HostFacts facts = Attach();
    ASSERT_EQ(facts.applied_round_id, 2u) << "killed before write " << writes;
    ASSERT_THAT(facts.guests, SizeIs(3));
    for (size_t g = 0; g < 3; ++g) {
      EXPECT_FALSE(facts.guests[g].ended) << "killed before write " << writes;
      EXPECT_EQ(facts.guests[g].holdings, after[g].now);
      const std::string cgroup = GuestFolder(g + 1);
      EXPECT_EQ(files_.Get(cgroup, "memory.max"), std::to_string(after[g].now[1].units() * kMiB));
      EXPECT_EQ(files_.Get(cgroup, "cpu.max"),
                std::to_string(after[g].now[0].units() * 1000) + " 100000");
    }
    ASSERT_TRUE(Apply(1, before).ok());
    files_.SetMemory("guest-1", 100 * kMiB, 90 * kMiB);
  }
  EXPECT_EQ(finished, 1);
  EXPECT_GT(writes, 8);
}

}  // namespace
}  // namespace nom::market
