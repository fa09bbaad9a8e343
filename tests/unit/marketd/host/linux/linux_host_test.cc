// SPDX-License-Identifier: Apache-2.0
// A Linux host on a folder that behaves as cgroup v2.

#include "marketd/host/linux/linux_host.h"

#include <sys/wait.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <mutex>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "marketd/host/linux/board_file.h"
#include "marketd/host/linux/state_file.h"
#include "tests/unit/marketd/host/linux/fake_cgroups.h"

namespace nom::market {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int64_t kMiB = 1 << 20;

std::vector<Resource> Sold() {
  return {{.kind = ResourceKind::kCpu, .unit_size = 10},
          {.kind = ResourceKind::kMemory, .unit_size = kMiB}};
}

std::vector<Holding> Units(int64_t cpu_seed, int64_t cpu_award, int64_t memory_seed,
                           int64_t memory_award) {
  return {{.kind = ResourceKind::kCpu, .seed_units = cpu_seed, .award_units = cpu_award},
          {.kind = ResourceKind::kMemory, .seed_units = memory_seed, .award_units = memory_award}};
}

// Each guest has a seed of 100 millicores and 16 MiB.
GuestGrant Award(GuestId guest_id, int64_t cpu, int64_t memory) {
  const std::vector<Holding> now = Units(10, cpu, 16, memory);
  return {.guest_id = guest_id, .now = now, .next = now};
}

class LinuxHostTest : public ::testing::Test {
 protected:
  LinuxHostTest() {
    const std::string proc = folder_.path() + "/proc";
    PutFile(proc + "/sys/kernel/random/boot_id", "0123abcd-4567-89ef-0000-000000000000\n");
    PutFile(proc + "/sys/kernel/osrelease", "6.1.0-test\n");
    PutFile(proc + "/stat", "cpu  1 2 3 4 5 6 7 0 9 10\ncpu0 1 2\ncpu1 1 2\n");
    PutFile(proc + "/meminfo", "MemTotal: 1048576 kB\nSwapTotal: 8 kB\n");
    options_.cgroup_root = folder_.path() + "/tree";
    options_.run_directory = folder_.path() + "/run";
    options_.proc = proc;
    options_.cpu_unsold_millicores = 100;
    options_.memory_unsold_bytes = 512 * kMiB;
    options_.recipes = {
        {.name = "web", .argv = {"/usr/bin/web"}, .arguments = true, .user = "www-data"},
        {.name = "stiff", .argv = {"/usr/bin/stiff"}, .user = "www-data"},
        {.name = "burst", .argv = {"/bin/b"}, .user = "www-data", .cpu_burst_us = 20'000},
        {.name = "idle", .argv = {"/bin/i"}, .user = "www-data", .cpu = Recipe::Cpu::kIdle}};
    Restart();
  }

  // Another marketd, over the same tree and folder.
  void Restart() {
    host_ = nullptr;
    host_ = NewLinuxHost(options_, {.files = &files_,
                                    .all_files = &machine_,
                                    .launcher = &launcher_,
                                    .now_us = [this] { return now_us_.load(); },
                                    .nap = [](absl::Duration) {}});
    host_->SetResources(Sold());
  }

  HostFacts Attach() {
    absl::StatusOr<HostFacts> facts = host_->Attach();
    EXPECT_TRUE(facts.ok()) << facts.status();
    return facts.ok() ? *facts : HostFacts{};
  }

  absl::Status Create(GuestId guest_id, const std::string& recipe = "web",
                      const std::string& arguments = "") {
    return host_->CreateGuest({.guest_id = guest_id,
                               .name = "g" + std::to_string(guest_id),
                               .image = recipe,
                               .arguments = arguments,
                               .seeds = Units(10, 0, 16, 0)});
  }

  absl::StatusOr<RoundReport> Apply(RoundId round_id, std::vector<GuestGrant> grants) {
    return host_->Apply({.round_id = round_id, .grants = std::move(grants)});
  }

  // Time passes until the host looks at everything again.
  std::vector<HostNews> PollLater(int64_t us = 2'000'000) {
    now_us_ += us;
    return host_->Poll();
  }

  TemporaryFolder folder_;
  FakeCgroups files_{folder_.path() + "/tree"};
  FakeCgroups machine_{folder_.path() + "/machine"};
  FakeLauncher launcher_{files_};
  std::atomic<int64_t> now_us_{1'000'000};
  LinuxHostOptions options_;
  std::unique_ptr<Host> host_;
};

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
  const GuestSpec good{.guest_id = 2, .name = "x", .image = "web", .seeds = Units(10, 0, 16, 0)};
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
  bad.seeds = Units(0, 0, 16, 0);
  EXPECT_THAT(error(bad), HasSubstr("the kernel enforces no less than 10"));
  bad.seeds = Units(10, 0, 0, 0);
  EXPECT_THAT(error(bad), HasSubstr("no program starts in that"));
  bad.seeds = Units(10, 0, 497, 0);
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
  EXPECT_EQ(Attach().guests.at(0).holdings, Units(10, 0, 16, 0));
}

// --- A host that sells a disk as well. ---

class LinuxDiskHostTest : public LinuxHostTest {
 protected:
  LinuxDiskHostTest() {
    PutFile(folder_.path() + "/dev/vda", "");
    PutFile(folder_.path() + "/sys/class/block/vda/dev", "254:0\n");
    options_.sys = folder_.path() + "/sys";
    options_.disk = {.device = folder_.path() + "/dev/vda", .iops = 1000, .request_bytes = 4096};
    RestartWithDisk();
  }
  void RestartWithDisk() {
    Restart();
    std::vector<Resource> sold = Sold();
    sold.push_back({.kind = ResourceKind::kDisk, .unit_size = 10});
    host_->SetResources(sold);
  }
  static std::vector<Holding> WithDisk(int64_t seed, int64_t award) {
    std::vector<Holding> units = Units(10, 0, 16, 0);
    units.push_back({.kind = ResourceKind::kDisk, .seed_units = seed, .award_units = award});
    return units;
  }
  static GuestGrant Disk(GuestId guest_id, int64_t award) {
    return {.guest_id = guest_id, .now = WithDisk(1, award), .next = WithDisk(1, award)};
  }
  absl::Status CreateWithDisk(GuestId guest_id, int64_t seed = 1) {
    return host_->CreateGuest(
        {.guest_id = guest_id, .name = "g", .image = "web", .seeds = WithDisk(seed, 0)});
  }
  static std::string Max(int64_t iops) {
    return absl::StrCat("254:0 rbps=", iops * 4096, " wbps=", iops * 4096, " riops=", iops,
                        " wiops=", iops);
  }
};

TEST_F(LinuxDiskHostTest, ADiskIsLimitedByRequestsAndBytesAndMetered) {
  const HostFacts facts = Attach();
  EXPECT_THAT(facts.capacities, ::testing::Contains(std::pair(ResourceKind::kDisk, 1000)));
  EXPECT_EQ(files_.Get("", "cgroup.subtree_control"), "cpu memory pids io");
  ASSERT_TRUE(CreateWithDisk(1).ok());
  ASSERT_TRUE(CreateWithDisk(2).ok());
  EXPECT_EQ(files_.Get("guest-1", "io.max"), Max(10));
  ASSERT_TRUE(Apply(1, {Disk(1, 50), Disk(2, 9)}).ok());
  EXPECT_EQ(files_.Get("guest-1", "io.max"), Max(510));
  PutFile(files_.root() + "/guest-1/io.stat", "254:0 rbytes=4096 wbytes=0 rios=300 wios=0\n");
  now_us_ += 1'000'000;
  files_.ForgetWrites();
  const auto report = Apply(2, {Disk(1, 0), Disk(2, 98)});
  ASSERT_TRUE(report.ok()) << report.status();
  // What falls is written before what rises.
  EXPECT_THAT(files_.writes(),
              ElementsAre("guest-1/io.max=" + Max(10), "guest-2/io.max=" + Max(990)));
  ASSERT_THAT(report->meters, SizeIs(2));
  EXPECT_EQ(report->meters[0].amounts[2],
            (GuestMeters::Amount{ResourceKind::kDisk, 51'000'000, 30'000'000}));
  EXPECT_EQ(report->sums[2].granted_units, 100);
  EXPECT_EQ(report->sums[2].granted_max_units, 100);
  // Another marketd finds it.
  RestartWithDisk();
  EXPECT_EQ(Attach().guests.at(1).holdings, WithDisk(1, 98));
}

TEST_F(LinuxDiskHostTest, ARefusedLimitLeavesAllAsTheyWere) {
  Attach();
  ASSERT_TRUE(CreateWithDisk(1).ok());
  ASSERT_TRUE(CreateWithDisk(2).ok());
  ASSERT_TRUE(Apply(1, {Disk(1, 50), Disk(2, 9)}).ok());
  files_.Fail("guest-2", "io.max", EINVAL, 1);
  const absl::Status status = Apply(2, {Disk(1, 0), Disk(2, 20)}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("guest 2: "));
  EXPECT_EQ(files_.Get("guest-1", "io.max"), Max(510));
  EXPECT_EQ(files_.Get("guest-2", "io.max"), Max(100));
}

TEST_F(LinuxDiskHostTest, WithoutASeedOfDiskItWouldHaveTheWholeDisk) {
  Attach();
  EXPECT_THAT(std::string(CreateWithDisk(1, 0).message()), HasSubstr("has no seed of disk"));
  EXPECT_THAT(std::string(CreateWithDisk(1, 101).message()), HasSubstr("no room for its seed"));
}

TEST_F(LinuxDiskHostTest, ADiskThatCannotBeSoldIsSaidAtOnce) {
  options_.disk.device = folder_.path() + "/dev/none";
  RestartWithDisk();
  EXPECT_THAT(std::string(host_->Attach().status().message()), HasSubstr("/dev/none: No such"));
}

// --- A host that sells network as well. ---

class LinuxNetworkHostTest : public LinuxHostTest {
 protected:
  LinuxNetworkHostTest() {
    options_.sys = folder_.path() + "/sys";
    options_.network.mbits = 100;
    EXPECT_TRUE(ParseAddresses("10.77.0.0/16", &options_.network).ok());
    for (Recipe& recipe : options_.recipes) recipe.network = Recipe::Network::kOwn;
    options_.recipes[1].network = Recipe::Network::kNone;
    options_.recipes[2].network = Recipe::Network::kHost;
    RestartWithNetwork();
  }
  void RestartWithNetwork() {
    Restart();
    std::vector<Resource> sold = Sold();
    sold.push_back({.kind = ResourceKind::kNetwork, .unit_size = 1});
    host_->SetResources(sold);
  }
  static std::vector<Holding> WithNetwork(int64_t seed, int64_t award) {
    std::vector<Holding> units = Units(10, 0, 16, 0);
    units.push_back({.kind = ResourceKind::kNetwork, .seed_units = seed, .award_units = award});
    return units;
  }
  static GuestGrant Network(GuestId guest_id, int64_t award) {
    return {.guest_id = guest_id, .now = WithNetwork(2, award), .next = WithNetwork(2, award)};
  }
  absl::Status CreateWithNetwork(GuestId guest_id, int64_t seed = 2,
                                 const std::string& recipe = "web") {
    return host_->CreateGuest(
        {.guest_id = guest_id, .name = "g", .image = recipe, .seeds = WithNetwork(seed, 0)});
  }
};

TEST_F(LinuxNetworkHostTest, ARateFallsBeforeAnotherRisesAndIsMetered) {
  EXPECT_THAT(Attach().capacities, ::testing::Contains(std::pair(ResourceKind::kNetwork, 100)));
  ASSERT_TRUE(CreateWithNetwork(1).ok());
  ASSERT_TRUE(CreateWithNetwork(2).ok());
  EXPECT_EQ(launcher_.started[0].network_mbits, 2);
  ASSERT_TRUE(Apply(1, {Network(1, 8), Network(2, 80)}).ok());
  launcher_.rates.clear();
  PutFile(options_.sys + "/class/net/nom-1/statistics/tx_bytes", "1000000\n");
  now_us_ += 1'000'000;
  const auto report = Apply(2, {Network(1, 80), Network(2, 8)});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(launcher_.rates, ElementsAre("2=10", "1=82"));
  EXPECT_EQ(report->meters[0].amounts[2],
            (GuestMeters::Amount{ResourceKind::kNetwork, 10'000'000, 8'000'000}));
  EXPECT_THAT(std::string(Apply(3, {Network(1, 97)}).status().message()),
              HasSubstr("would bring the sum above the capacity"));
  // Another marketd puts in force what is written down: nobody reads it back from the kernel.
  launcher_.rates.clear();
  RestartWithNetwork();
  EXPECT_EQ(Attach().guests.at(0).holdings, WithNetwork(2, 80));
  EXPECT_THAT(launcher_.rates, ElementsAre("1=82", "2=10"));
}

TEST_F(LinuxNetworkHostTest, ARefusedRateLeavesAllAsTheyWere) {
  Attach();
  ASSERT_TRUE(CreateWithNetwork(1).ok());
  ASSERT_TRUE(CreateWithNetwork(2).ok());
  ASSERT_TRUE(Apply(1, {Network(1, 8), Network(2, 80)}).ok());
  launcher_.rates.clear();
  launcher_.refuse_rate_of = 1;
  EXPECT_THAT(std::string(Apply(2, {Network(1, 80), Network(2, 8)}).status().message()),
              HasSubstr("guest 1: no such rate"));
  EXPECT_THAT(launcher_.rates, ElementsAre("2=10", "1=82", "1=10", "2=82"));
}

TEST_F(LinuxNetworkHostTest, WhoCouldGoAroundItsLimitIsNotAdmitted) {
  Attach();
  EXPECT_THAT(std::string(CreateWithNetwork(1, 2, "burst").message()),
              HasSubstr("has the machine's own network, which is sold here"));
  EXPECT_THAT(std::string(CreateWithNetwork(1, 0).message()), HasSubstr("has no seed of network"));
  EXPECT_THAT(std::string(CreateWithNetwork(1, 2, "stiff").message()),
              HasSubstr("has a seed of network, and its recipe says network: none"));
  EXPECT_TRUE(CreateWithNetwork(1, 0, "stiff").ok());
  Restart();  // Nothing of it is sold any more.
  Attach();
  EXPECT_THAT(std::string(Create(2).message()), HasSubstr("no network is sold here"));
}

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
  EXPECT_EQ(facts.guests[2].holdings, Units(10, 40, 16, 0));  // As the kernel says.
  EXPECT_EQ(facts.guests[3].guest_id, 9u);
  EXPECT_EQ(facts.guests[3].holdings, Units(0, 20, 8, 24));
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
  grant.next = Units(10, 0, 16, 0);
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
