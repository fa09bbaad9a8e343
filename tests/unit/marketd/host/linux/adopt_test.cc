// SPDX-License-Identifier: Apache-2.0
// Units of systemd as guests of a Linux host: adopted where they are, and given back as they were.

#include <sys/wait.h>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "marketd/host/linux/linux_host.h"
#include "tests/unit/marketd/host/linux/fake_cgroups.h"

namespace nom::market {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr int64_t kMiB = 1 << 20;
constexpr char kUnit[] = "system.slice/db.service";

std::vector<Holding> Units(int64_t cpu_award, int64_t memory_award) {
  return {{.kind = ResourceKind::kCpu, .seed_units = 10, .award_units = cpu_award},
          {.kind = ResourceKind::kMemory, .seed_units = 16, .award_units = memory_award}};
}

class AdoptTest : public ::testing::Test {
 protected:
  AdoptTest() {
    const std::string proc = folder_.path() + "/proc";
    PutFile(proc + "/sys/kernel/random/boot_id", "0123abcd-4567-89ef-0000-000000000000\n");
    PutFile(proc + "/sys/kernel/osrelease", "6.1.0-test\n");
    PutFile(proc + "/stat", "cpu  1 2 3 4 5 6 7 0 9 10\ncpu0 1 2\ncpu1 1 2\n");
    PutFile(proc + "/meminfo", "MemTotal: 1048576 kB\nSwapTotal: 8 kB\n");
    options_.cgroup_root = folder_.path() + "/tree";
    options_.run_directory = folder_.path() + "/run";
    options_.proc = proc;
    options_.recipes = {{.name = "db", .unit = "db.service"},
                        {.name = "web", .argv = {"/usr/bin/web"}, .user = "www-data"},
                        {.name = "calm", .unit = "calm.service", .force = Recipe::Force::kSwap}};
    launcher_.machine = &machine_;
    launcher_.units["db"] = {.cgroup = kUnit,
                             .limits = {.memory_max_bytes = 900 * kMiB, .memory_min_bytes = kMiB}};
    launcher_.units["calm"] = {.cgroup = "system.slice/calm.service", .limits = {}};
    for (const auto& [recipe, unit] : launcher_.units) {
      std::filesystem::create_directories(folder_.path() + "/machine/system.slice");
      EXPECT_TRUE(machine_.Make(unit.cgroup).ok());
      machine_.SetPopulated(unit.cgroup, true);
      machine_.SetMemory(unit.cgroup, 10 * kMiB, 0);
      machine_.SetUsage(unit.cgroup, 7'000'000);
    }
    Restart();
    EXPECT_TRUE(host_->Attach().ok());
  }

  // Another marketd, over the same trees and folder.
  void Restart() {
    host_ = nullptr;
    host_ = NewLinuxHost(options_, {.files = &files_,
                                    .all_files = &machine_,
                                    .launcher = &launcher_,
                                    .now_us = [this] { return now_us_; },
                                    .nap = [this](absl::Duration) { Nap(); }});
    host_->SetResources(Sold());
  }
  // What the launcher only began is done while the host waits, after a while.
  void Nap() {
    if (++naps_ % 3 != 0) return;
    for (const auto& write : std::exchange(launcher_.begun, {})) write();
  }
  static std::vector<Resource> Sold() {
    return {{.kind = ResourceKind::kCpu, .unit_size = 10},
            {.kind = ResourceKind::kMemory, .unit_size = kMiB}};
  }
  absl::Status Create(GuestId guest_id, const std::string& image) {
    return host_->CreateGuest(
        {.guest_id = guest_id, .name = "g", .image = image, .seeds = Units(0, 0)});
  }
  absl::StatusOr<RoundReport> Apply(RoundId round_id, int64_t cpu, int64_t memory) {
    const std::vector<Holding> now = Units(cpu, memory);
    return host_->Apply(
        {.round_id = round_id, .grants = {{.guest_id = 5, .now = now, .next = now}}});
  }
  std::vector<HostNews> PollLater(int64_t us) {
    now_us_ += us;
    return host_->Poll();
  }
  std::string Get(const std::string& file) const { return machine_.Get(kUnit, file); }

  TemporaryFolder folder_;
  FakeCgroups files_{folder_.path() + "/tree"};
  FakeCgroups machine_{folder_.path() + "/machine"};
  FakeLauncher launcher_{files_};
  int64_t now_us_ = 1'000'000;
  int naps_ = 0;
  LinuxHostOptions options_;
  std::unique_ptr<Host> host_;
};

TEST_F(AdoptTest, AUnitStaysWhereItIsAndIsLimitedToWhatItHolds) {
  ASSERT_TRUE(Create(5, "db").ok());
  EXPECT_THAT(launcher_.started, IsEmpty());
  EXPECT_FALSE(files_.Has("guest-5"));
  EXPECT_EQ(Get("cpu.max"), "10000 100000");
  EXPECT_EQ(Get("memory.max"), std::to_string(16 * kMiB));
  EXPECT_EQ(Get("memory.min"), std::to_string(16 * kMiB));
  // How many processes it has, and who of them dies, is the operator's and systemd's.
  EXPECT_EQ(Get("pids.max"), "max");
  EXPECT_EQ(Get("memory.oom.group"), "0");

  ASSERT_TRUE(Apply(1, 40, 32).ok());
  EXPECT_EQ(Get("cpu.max"), "50000 100000");
  EXPECT_EQ(Get("memory.max"), std::to_string(48 * kMiB));
  ASSERT_TRUE(Apply(2, 0, 8).ok());
  EXPECT_EQ(Get("cpu.max"), "10000 100000");
  EXPECT_EQ(Get("memory.max"), std::to_string(24 * kMiB));
  // Everything that was written went by way of the launcher.
  EXPECT_THAT(files_.writes(), Not(Contains(HasSubstr("guest-5/"))));
  EXPECT_THAT(launcher_.controls, Contains("5/memory.max=25165824"));
}

TEST_F(AdoptTest, IsFoundByTheUnitsOwnNameToo) {
  ASSERT_TRUE(Create(5, "db.service").ok());
  EXPECT_EQ(Get("cpu.max"), "10000 100000");
  const absl::Status again = Create(6, "db");
  EXPECT_EQ(again.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(again.message()), HasSubstr("unit db.service is guest 5 already"));
  EXPECT_THAT(launcher_.released, IsEmpty());
  EXPECT_EQ(Get("cpu.max"), "10000 100000");
}

TEST_F(AdoptTest, ItsMetersBeginWithItsAdoptionAndGoOnWhenItStartsAgain) {
  ASSERT_TRUE(Create(5, "db").ok());
  machine_.SetUsage(kUnit, 7'060'000);
  now_us_ += 1'000'000;
  absl::StatusOr<RoundReport> report = Apply(1, 0, 0);
  ASSERT_TRUE(report.ok());
  ASSERT_THAT(report->meters, SizeIs(1));
  EXPECT_EQ(report->meters[0].amounts[0].used_unit_us, 60'000u * 1000 / 10);
  EXPECT_EQ(report->meters[0].amounts[0].offered_unit_us, 1'000'000u * 100 / 10);
  machine_.SetUsage(kUnit, 20'000);  // In a new cgroup.
  now_us_ += 1'000'000;
  report = Apply(2, 0, 0);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->meters[0].amounts[0].used_unit_us, 80'000u * 1000 / 10);
  machine_.SetUsage(kUnit, 30'000);
  report = Apply(3, 0, 0);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->meters[0].amounts[0].used_unit_us, 90'000u * 1000 / 10);
}

TEST_F(AdoptTest, IsGivenBackAsItWasAndLives) {
  ASSERT_TRUE(Create(5, "db").ok());
  ASSERT_TRUE(host_->DestroyGuest(5).ok());
  ASSERT_THAT(launcher_.released, SizeIs(1));
  EXPECT_EQ(launcher_.released[0].recipe, "db");
  EXPECT_EQ(launcher_.released[0].limits, launcher_.units["db"].limits);
  EXPECT_TRUE(*machine_.Populated(kUnit));
  EXPECT_THAT(launcher_.controls, Not(Contains(HasSubstr("cgroup.kill"))));
  // And may be adopted again.
  EXPECT_TRUE(Create(6, "db").ok());
}

TEST_F(AdoptTest, OneThatKeepsMoreThanItsSeedIsRefusedUnharmed) {
  machine_.SetMemory(kUnit, 40 * kMiB, 10 * kMiB);
  const absl::Status status = Create(5, "db");
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("unit db.service keeps 30 MiB of memory, and its seed is 16 MiB"));
  EXPECT_THAT(launcher_.controls, ElementsAre(StartsWith("5/memory.reclaim=")));
  EXPECT_EQ(Get("memory.max"), "max");
  EXPECT_TRUE(*machine_.Populated(kUnit));
  // With its cache gone it fits.
  machine_.SetMemory(kUnit, 24 * kMiB, 10 * kMiB);
  EXPECT_TRUE(Create(5, "db").ok());
  EXPECT_EQ(Get("memory.current"), std::to_string(16 * kMiB));
}

TEST_F(AdoptTest, WhatTheLauncherOnlyBeganIsWaitedFor) {
  launcher_.late = true;
  machine_.SetMemory(kUnit, 24 * kMiB, 10 * kMiB);
  ASSERT_TRUE(Create(5, "db").ok());
  EXPECT_EQ(Get("memory.max"), std::to_string(16 * kMiB));
  ASSERT_TRUE(Apply(1, 0, 32).ok());
  EXPECT_EQ(Get("memory.max"), std::to_string(48 * kMiB));
  ASSERT_TRUE(Apply(2, 0, 0).ok());
  EXPECT_EQ(Get("memory.max"), std::to_string(16 * kMiB));
}

TEST_F(AdoptTest, WhereMoreIsSoldThanAUnitIsLimitedInItIsRefused) {
  std::vector<Resource> sold = Sold();
  sold.push_back({.kind = ResourceKind::kNetwork, .unit_size = 1});
  host_->SetResources(sold);
  EXPECT_THAT(std::string(Create(5, "db").message()),
              HasSubstr("it adopts a unit, of which only cpu and memory are limited"));
}

TEST_F(AdoptTest, WhatIsNotThereOrCannotBeLimitedIsSaid) {
  launcher_.units.erase("db");
  EXPECT_THAT(std::string(Create(5, "db").message()), HasSubstr("unit: not loaded"));
  EXPECT_THAT(launcher_.released, IsEmpty());
  launcher_.refuse_control = "memory.max";
  const absl::Status status = Create(5, "calm");
  EXPECT_THAT(std::string(status.message()), HasSubstr("systemd says no"));
  ASSERT_THAT(launcher_.released, SizeIs(1));  // Swap's limit was set before.
  EXPECT_THAT(host_->Attach()->guests, IsEmpty());
}

TEST_F(AdoptTest, WhatItKeepsPastTheDeadlineIsTakenAsItsRecipeSays) {
  ASSERT_TRUE(Create(5, "db").ok());
  ASSERT_TRUE(Apply(1, 0, 32).ok());
  machine_.SetMemory(kUnit, 40 * kMiB, 4 * kMiB);
  absl::StatusOr<RoundReport> report = Apply(2, 0, 0);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->forced_units, 24);
  EXPECT_THAT(launcher_.controls, Contains("5/cgroup.kill=1"));
  EXPECT_THAT(host_->Attach()->guests[0].exit_reason, HasSubstr("it kept 24 MiB more memory"));
  // Its own limits come back with its end as a guest, whatever systemd makes of it then.
  ASSERT_TRUE(host_->DestroyGuest(5).ok());
  EXPECT_THAT(launcher_.released, SizeIs(1));
}

TEST_F(AdoptTest, OneThatSystemdStartsAgainGoesOnAndOneThatStopsHasEnded) {
  ASSERT_TRUE(Create(5, "db").ok());
  machine_.SetPopulated(kUnit, false);
  ASSERT_TRUE(machine_.Remove(kUnit).ok());
  EXPECT_THAT(PollLater(2'000'000), IsEmpty());
  EXPECT_THAT(PollLater(2'000'000), IsEmpty());
  ASSERT_TRUE(machine_.Make(kUnit).ok());
  machine_.SetPopulated(kUnit, true);
  EXPECT_THAT(PollLater(4'000'000), IsEmpty());
  machine_.SetPopulated(kUnit, false);
  ASSERT_TRUE(machine_.Remove(kUnit).ok());
  EXPECT_THAT(PollLater(1'000'000), IsEmpty());
  EXPECT_THAT(PollLater(4'900'000), IsEmpty());
  const std::vector<HostNews> news = PollLater(300'000);
  ASSERT_THAT(news, SizeIs(1));
  EXPECT_EQ(std::get<GuestEnded>(news[0]).reason, "its unit has stopped");
}

TEST_F(AdoptTest, AnotherMarketdGoesOnFromTheRecord) {
  ASSERT_TRUE(Create(5, "db").ok());
  ASSERT_TRUE(Apply(1, 40, 32).ok());
  Restart();
  const absl::StatusOr<HostFacts> facts = host_->Attach();
  ASSERT_TRUE(facts.ok()) << facts.status();
  ASSERT_THAT(facts->guests, SizeIs(1));
  EXPECT_FALSE(facts->guests[0].ended);
  EXPECT_EQ(facts->guests[0].holdings, Units(40, 32));
  ASSERT_TRUE(Apply(2, 0, 0).ok());
  EXPECT_EQ(Get("memory.max"), std::to_string(16 * kMiB));
  ASSERT_TRUE(host_->DestroyGuest(5).ok());
  ASSERT_THAT(launcher_.released, SizeIs(1));
  EXPECT_EQ(launcher_.released[0].limits, launcher_.units["db"].limits);
}

TEST_F(AdoptTest, AnAdoptionThatWasCutShortIsUndone) {
  for (const char* file : {"memory.max", "memory.min", "cpu.max"}) {
    launcher_.released.clear();
    const pid_t child = fork();
    if (child == 0) {
      launcher_.dies_by = file;
      Create(5, "db").IgnoreError();
      _exit(1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0) << file << " was not written";
    Restart();
    const absl::StatusOr<HostFacts> facts = host_->Attach();
    ASSERT_TRUE(facts.ok()) << facts.status();
    EXPECT_THAT(facts->guests, IsEmpty());
    ASSERT_THAT(launcher_.released, SizeIs(1)) << file;
    EXPECT_EQ(launcher_.released[0].limits, launcher_.units["db"].limits);
    EXPECT_TRUE(*machine_.Populated(kUnit));
  }
  EXPECT_TRUE(Create(5, "db").ok());
}

}  // namespace
}  // namespace nom::market
