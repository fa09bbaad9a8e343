// SPDX-License-Identifier: Apache-2.0
// What a Linux host is made of, each part alone.

#include <cstring>
#include <set>
#include <tuple>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "marketd/host/linux/amounts.h"
#include "marketd/host/linux/disk.h"
#include "marketd/host/linux/limits.h"
#include "marketd/host/linux/machine.h"
#include "marketd/host/linux/meters.h"
#include "marketd/host/linux/recipe.h"
#include "tests/unit/marketd/host/linux/fake_cgroups.h"

namespace nom::market {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// --- cgroup_files ---

class CgroupFilesTest : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  FakeCgroups files_{folder_.path() + "/tree"};
};

TEST_F(CgroupFilesTest, ReadsAndWritesTheKernelsTexts) {
  ASSERT_TRUE(files_.Make("g").ok());
  EXPECT_EQ(files_.ReadCpuMax("g").value(), CpuMax{});
  EXPECT_TRUE(files_.WriteCpuMax("g", {.quota_us = 12'300}).ok());
  EXPECT_EQ(files_.Get("g", "cpu.max"), "12300 100000");
  EXPECT_EQ(files_.ReadCpuMax("g")->quota_us, 12'300);
  EXPECT_EQ(files_.ReadMemoryMax("g").value(), kCgroupMax);
  EXPECT_TRUE(files_.WriteMemoryMax("g", 4096).ok());
  EXPECT_EQ(files_.ReadMemoryMax("g").value(), 4096);
  EXPECT_TRUE(files_.WriteMemoryMax("g", kCgroupMax).ok());
  EXPECT_EQ(files_.Get("g", "memory.max"), "max");
  EXPECT_EQ(files_.ReadOomKills("g").value(), 0u);
  EXPECT_FALSE(files_.Populated("g").value());
  PutFile(files_.root() + "/g/cgroup.procs", "12\n7\n");
  EXPECT_THAT(files_.Processes("g").value(), ElementsAre(12, 7));
  EXPECT_THAT(files_.Children("").value(), ElementsAre("g"));
  EXPECT_TRUE(files_.Remove("g").ok());
  EXPECT_THAT(files_.Children("").value(), ElementsAre());
}

TEST_F(CgroupFilesTest, EveryErrnoHasItsMeaningAndNamesTheFile) {
  ASSERT_TRUE(files_.Make("g").ok());
  for (const auto& [error, code] : {std::pair(EAGAIN, absl::StatusCode::kResourceExhausted),
                                    std::pair(EBUSY, absl::StatusCode::kFailedPrecondition),
                                    std::pair(ENODEV, absl::StatusCode::kNotFound),
                                    std::pair(EACCES, absl::StatusCode::kPermissionDenied),
                                    std::pair(EINVAL, absl::StatusCode::kInvalidArgument),
                                    std::pair(EIO, absl::StatusCode::kUnavailable)}) {
    files_.Fail("g", "memory.max", error, 1);
    const absl::Status status = files_.WriteMemoryMax("g", 4096);
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("/g/memory.max"));
  }
  EXPECT_EQ(files_.WriteMemoryMax("none", 1).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(files_.Make("g").code(), absl::StatusCode::kAlreadyExists);
  // A kernel without swap has no file for it.
  std::filesystem::remove(files_.root() + "/g/memory.swap.max");
  EXPECT_TRUE(files_.WriteMemorySwapMax("g", 0).ok());
  EXPECT_FALSE(files_.WriteMemorySwapMax("g", kCgroupMax).ok());
}

TEST_F(CgroupFilesTest, TextsThatNoKernelWritesAreRefused) {
  ASSERT_TRUE(files_.Make("g").ok());
  for (const char* text : {"", "x", "-5", "99999999999999999999", "12 x"}) {
    PutFile(files_.root() + "/g/memory.current", text);
    EXPECT_EQ(files_.ReadMemoryCurrent("g").status().code(), absl::StatusCode::kDataLoss) << text;
  }
  for (const char* text : {"", "max", "max x", "5 0", "5 -1"}) {
    PutFile(files_.root() + "/g/cpu.max", text);
    EXPECT_EQ(files_.ReadCpuMax("g").status().code(), absl::StatusCode::kDataLoss) << text;
  }
  PutFile(files_.root() + "/g/cgroup.events", "frozen 0\n");
  EXPECT_EQ(files_.Populated("g").status().code(), absl::StatusCode::kDataLoss);
}

TEST(CgroupVersionTest, AnOrdinaryFolderAndNoFolderAreRefusedInOneSentence) {
  const TemporaryFolder folder;
  EXPECT_THAT(std::string(CgroupFiles(folder.path()).CheckVersion().message()),
              HasSubstr("is not on a cgroup v2 file system; on a hybrid machine boot with "
                        "systemd.unified_cgroup_hierarchy=1"));
  const absl::Status none = CgroupFiles(folder.path() + "/none").CheckVersion();
  EXPECT_EQ(none.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(none.message()), HasSubstr("the holder unit makes it"));
}

TEST_F(CgroupFilesTest, AMissingControllerIsNamedWithTheWayToTurnItOn) {
  EXPECT_TRUE(PrepareCgroupRoot(files_).ok());
  EXPECT_EQ(files_.Get("", "cgroup.subtree_control"), "cpu memory pids");
  files_.ForgetWrites();
  EXPECT_TRUE(PrepareCgroupRoot(files_).ok());  // Nothing to do any more.
  EXPECT_THAT(files_.writes(), ElementsAre());

  PutFile(files_.root() + "/cgroup.controllers", "cpu pids");
  EXPECT_THAT(std::string(PrepareCgroupRoot(files_).message()),
              AllOf(HasSubstr("has no memory controller"),
                    HasSubstr("echo +memory > " + folder_.path() + "/cgroup.subtree_control"),
                    HasSubstr("cgroup_enable=memory")));
}

TEST_F(CgroupFilesTest, ARootThatCannotBeDrivenIsRefusedInOneSentence) {
  files_.Fail("", "cgroup.subtree_control", EBUSY);
  PutFile(files_.root() + "/cgroup.subtree_control", "");
  // The read fails too while the fault lasts: the second time it is the write alone.
  EXPECT_EQ(PrepareCgroupRoot(files_).code(), absl::StatusCode::kFailedPrecondition);
  files_.Heal();
  PutFile(files_.root() + "/cgroup.procs", "1\n2\n3\n");
  files_.on_write = [this](const std::string&) {
    files_.Fail("", "cgroup.subtree_control", EBUSY, 1);
  };
  EXPECT_THAT(std::string(PrepareCgroupRoot(files_).message()),
              HasSubstr("3 processes live in it, so that it cannot have controllers"));
  files_.on_write = [this](const std::string&) {
    files_.Fail("", "cgroup.subtree_control", EACCES, 1);
  };
  EXPECT_THAT(std::string(PrepareCgroupRoot(files_).message()), HasSubstr("is not ours to write"));
}

TEST_F(CgroupFilesTest, ADevicesLineIsFoundAmongOthers) {
  ASSERT_TRUE(files_.Make("g").ok());
  const DiskNumber disk{254, 16};
  EXPECT_EQ(files_.ReadIoMax("g", disk).value(), IoMax{});
  EXPECT_EQ(files_.ReadIoStat("g", disk).value(), IoStat{});
  EXPECT_TRUE(files_.WriteIoMax("g", disk, {.read_bytes = 4096, .reads = 7}).ok());
  EXPECT_EQ(files_.Get("g", "io.max"), "254:16 rbps=4096 wbps=max riops=7 wiops=max");
  PutFile(files_.root() + "/g/io.max",
          "254:1 rbps=1 wbps=1 riops=1 wiops=1\n254:16 rbps=8 wbps=max riops=9 wiops=max\n");
  EXPECT_EQ(files_.ReadIoMax("g", disk).value(), (IoMax{.read_bytes = 8, .reads = 9}));
  PutFile(files_.root() + "/g/io.stat",
          "254:1 rbytes=1 wbytes=1 rios=1 wios=1 dbytes=0 dios=0\n"
          "254:16 rbytes=1000 wbytes=2000 rios=3 wios=4 dbytes=0 dios=0\n");
  EXPECT_EQ(files_.ReadIoStat("g", disk).value(), (IoStat{1000, 2000, 3, 4}));
  for (const char* text : {"254:16 rbytes=1\n", "254:16 rbytes=x wbytes=1 rios=1 wios=1\n"}) {
    PutFile(files_.root() + "/g/io.stat", text);
    EXPECT_EQ(files_.ReadIoStat("g", disk).status().code(), absl::StatusCode::kDataLoss) << text;
  }
}

// --- amounts ---

TEST(AmountsTest, NoRoundingHidesAnExcess) {
  const std::vector<Resource> sold = {{.kind = ResourceKind::kMemory, .unit_size = 4096},
                                      {.kind = ResourceKind::kDisk, .unit_size = 10},
                                      {.kind = ResourceKind::kDevice, .unit_size = 1}};
  const Units units(sold);
  EXPECT_FALSE(units.Sells(ResourceKind::kCpu));
  const Amounts amounts =
      units.ToAmounts({{.kind = ResourceKind::kDisk, .seed_units = 2, .award_units = 3},
                       {.kind = ResourceKind::kCpu, .seed_units = 9},
                       {.kind = ResourceKind::kDevice, .seed_units = 9}});
  EXPECT_EQ(amounts, (Amounts{.disk_iops = 50}));
  const std::vector<HostSum> sums =
      units.ToSums({.memory_bytes = 4097}, {.memory_bytes = 8192}, {.memory_bytes = 8191});
  ASSERT_EQ(sums.size(), 2u);  // Of what is sold and can be enforced.
  EXPECT_EQ(sums[0].granted_units, 2);
  EXPECT_EQ(sums[0].granted_max_units, 2);
  EXPECT_EQ(sums[0].capacity_units, 1);
  EXPECT_TRUE(Fits({.disk_iops = 5}, {.disk_iops = 5}));
  EXPECT_FALSE(Fits({.disk_iops = 6}, {.memory_bytes = 100, .disk_iops = 5}));
}

// --- disk ---

class DiskTest : public ::testing::Test {
 protected:
  // /dev/NAME, and its facts as /sys/devices/... with a link to it, as the kernel has them.
  void Put(const std::string& name, const std::string& below, const std::string& number) {
    PutFile(folder_.path() + "/dev/" + name, "");
    const std::string place = folder_.path() + "/sys/devices/" + below + name;
    PutFile(place + "/dev", number + "\n");
    std::filesystem::create_directories(place + "/slaves");
    std::filesystem::create_directories(folder_.path() + "/sys/class/block");
    std::filesystem::create_symlink(place, folder_.path() + "/sys/class/block/" + name);
  }
  absl::StatusOr<DiskNumber> Find(const std::string& name) {
    return FindWholeDisk(folder_.path() + "/dev/" + name, folder_.path() + "/sys");
  }
  TemporaryFolder folder_;
};

TEST_F(DiskTest, AWholeDiskIsFoundAlsoByALinkToIt) {
  Put("vdb", "", "254:16");
  EXPECT_EQ(Find("vdb").value(), (DiskNumber{254, 16}));
  std::filesystem::create_symlink("vdb", folder_.path() + "/dev/by-name");
  EXPECT_EQ(Find("by-name").value(), (DiskNumber{254, 16}));
}

TEST_F(DiskTest, WhatDoesNotKeepALimitIsRefusedWithWhatToSay) {
  Put("vdb", "", "254:16");
  Put("vdb1", "vdb/", "254:17");
  PutFile(folder_.path() + "/sys/devices/vdb/vdb1/partition", "1\n");
  EXPECT_THAT(std::string(Find("vdb1").status().message()),
              HasSubstr("is a partition, and the kernel limits whole disks only; say /dev/vdb"));
  Put("dm-0", "", "253:0");
  PutFile(folder_.path() + "/sys/devices/dm-0/slaves/vdb1", "");
  PutFile(folder_.path() + "/sys/devices/dm-0/slaves/vda", "");
  EXPECT_THAT(std::string(Find("dm-0").status().message()),
              HasSubstr("lies on /dev/vda, /dev/vdb1, where requests are counted"));
  Put("loop0", "", "7:0");
  PutFile(folder_.path() + "/sys/devices/loop0/loop/backing_file", "/x\n");
  EXPECT_THAT(std::string(Find("loop0").status().message()), HasSubstr("is a loop device"));
  PutFile(folder_.path() + "/dev/tty", "");
  EXPECT_THAT(std::string(Find("tty").status().message()), HasSubstr("is no block device"));
  EXPECT_TRUE(absl::IsNotFound(Find("sdz").status()));
}

TEST(DiskArithmeticTest, BytesAreLimitedWithRequests) {
  const DiskOptions options{.device = "/dev/vda", .iops = 1000, .request_bytes = 1 << 16};
  EXPECT_EQ(
      IoMaxFor(options, 100),
      (IoMax{.read_bytes = 6'553'600, .write_bytes = 6'553'600, .reads = 100, .writes = 100}));
  EXPECT_EQ(IopsOf(IoMaxFor(options, 100), 7), 100);
  EXPECT_EQ(IopsOf({}, 7), 7);
  EXPECT_EQ(IoMaxFor(options, INT64_MAX).read_bytes, kCgroupMax);
}

TEST(DiskArithmeticTest, ALargeRequestCountsAsSeveralAndTheBusierDirectionCounts) {
  const DiskOptions options{.request_bytes = 1 << 16};
  const IoStat none;
  EXPECT_EQ(RequestsBetween(options, none, {.read_bytes = 4096 * 5, .reads = 5}), 5);
  EXPECT_EQ(RequestsBetween(options, none, {.read_bytes = 1 << 20, .reads = 1}), 16);
  EXPECT_EQ(RequestsBetween(options, none, {.read_bytes = (1 << 16) + 1, .reads = 1}), 2);
  EXPECT_EQ(RequestsBetween(options, {.reads = 10, .writes = 10}, {.reads = 13, .writes = 17}), 7);
  EXPECT_EQ(RequestsBetween(options, {.reads = 10}, {.reads = 3}), 0);  // It fell.
  EXPECT_EQ(RequestsBetween({.request_bytes = 0}, none, {.read_bytes = UINT64_MAX}), INT64_MAX);
}

// --- limits ---

TEST(LimitsTest, AGrantIsAQuotaOfAHundredMilliseconds) {
  const Amounts seed{.millicores = 100};
  EXPECT_EQ(CpuLimitsFor(nullptr, seed, {.millicores = 123}).max,
            (CpuMax{.quota_us = 12'300, .period_us = 100'000}));
  EXPECT_EQ(MillicoresOf({.quota_us = 12'300}, 7), 123);
  EXPECT_EQ(MillicoresOf({}, 7), 7);
  Recipe recipe;
  recipe.cpu_burst_us = 20'000;
  EXPECT_EQ(CpuLimitsFor(&recipe, seed, {.millicores = 500}).burst_us, 20'000);
  EXPECT_EQ(CpuLimitsFor(&recipe, seed, {.millicores = 100}).burst_us,
            10'000);  // The kernel's limit.
}

TEST(LimitsTest, AnIdleGuestHasNoLimitUntilItWins) {
  Recipe recipe;
  recipe.cpu = Recipe::Cpu::kIdle;
  const Amounts seed{.millicores = 50};
  const CpuLimits idle = CpuLimitsFor(&recipe, seed, seed);
  EXPECT_EQ(idle.max.quota_us, kCgroupMax);
  EXPECT_TRUE(idle.idle);
  const CpuLimits won = CpuLimitsFor(&recipe, seed, {.millicores = 60});
  EXPECT_EQ(won.max.quota_us, 6'000);
  EXPECT_FALSE(won.idle);
}

// --- meters ---

TEST(MetersTest, OfferedIsWhatWasHeldLessWhatWasStolen) {
  MeterSums sums;
  const Amounts held{.millicores = 400, .memory_bytes = 1000};
  AddInterval({.length_us = 1'000'000, .processors = 2}, held,
              {.cpu_usage_us = 100'000, .memory_bytes = 300}, sums);
  EXPECT_EQ(sums.cpu_offered, absl::uint128(400'000'000));
  EXPECT_EQ(sums.memory_offered, absl::uint128(1'000'000'000));
  EXPECT_EQ(sums.memory_used, absl::uint128(300'000'000));
  // A quarter of two processors was stolen; it used 200 millicores.
  AddInterval({.length_us = 1'000'000, .stolen_us = 500'000, .processors = 2}, held,
              {.cpu_usage_us = 300'000}, sums);
  EXPECT_EQ(sums.cpu_offered, absl::uint128(700'000'000));
  // It got its whole grant in spite of it: it was offered that.
  AddInterval({.length_us = 1'000'000, .stolen_us = 1'000'000, .processors = 2}, held,
              {.cpu_usage_us = 700'000}, sums);
  EXPECT_EQ(sums.cpu_offered, absl::uint128(1'100'000'000));
}

TEST(MetersTest, ADiskIsOfferedByTheSecondAndUsedByTheRequest) {
  MeterSums sums;
  AddInterval({.length_us = 2'000'000}, {.disk_iops = 50},
              {.disk = {.reads = 80}, .disk_requests = 80}, sums);
  EXPECT_EQ(sums.disk_offered, absl::uint128(100'000'000));
  EXPECT_EQ(sums.disk_used, absl::uint128(80'000'000));
  EXPECT_EQ(sums.disk_seen.reads, 80u);
  const std::vector<Resource> sold = {{.kind = ResourceKind::kDisk, .unit_size = 10}};
  EXPECT_THAT(ToGuestMeters(7, sums, 1, sold).amounts,
              ElementsAre(GuestMeters::Amount{ResourceKind::kDisk, 10'000'000, 8'000'000}));
}

TEST(MetersTest, NothingThatAKernelSaysMakesThemFall) {
  MeterSums sums;
  for (const int64_t length_us : {int64_t{1000}, int64_t{-5}, int64_t{0}}) {
    for (const int64_t stolen_us : {int64_t{-10}, int64_t{0}, INT64_MAX}) {
      for (const uint64_t usage_us : {uint64_t{0}, uint64_t{50}, uint64_t{20}}) {
        const MeterSums before = sums;
        AddInterval({.length_us = length_us, .stolen_us = stolen_us, .processors = 0},
                    {.millicores = 100, .memory_bytes = 10},
                    {.cpu_usage_us = usage_us, .memory_bytes = -1}, sums);
        EXPECT_GE(sums.cpu_offered, before.cpu_offered);
        EXPECT_GE(sums.cpu_usage_us, before.cpu_usage_us);
        EXPECT_GE(sums.memory_offered, before.memory_offered);
        EXPECT_GE(sums.memory_used, before.memory_used);
      }
    }
  }
}

TEST(MetersTest, OneThatEndedIsOfferedNothingMore) {
  MeterSums sums{.created_us = 10, .ended_us = 30};
  AddInterval({.length_us = 100, .processors = 1}, {.millicores = 10, .memory_bytes = 10}, {},
              sums);
  EXPECT_EQ(sums.cpu_offered, absl::uint128(0));
  const GuestMeters meters = ToGuestMeters(7, sums, 60, {});
  EXPECT_EQ(meters.age_us, 50);
  EXPECT_EQ(meters.alive_us, 20);
}

TEST(MetersTest, UnitsAreCountedModuloTwoToThe64) {
  MeterSums sums;
  sums.memory_offered = (absl::uint128(1) << 64) * 1024 + 5 * 1024;
  const std::vector<Resource> resources = {{.kind = ResourceKind::kMemory, .unit_size = 1024},
                                           {.kind = ResourceKind::kCpu}};
  const GuestMeters meters = ToGuestMeters(7, sums, 1, resources);
  ASSERT_EQ(meters.amounts.size(), 2u);
  EXPECT_EQ(meters.amounts[0].kind, ResourceKind::kCpu);
  EXPECT_EQ(meters.amounts[1].offered_unit_us, 5u);
}

// --- recipe ---

TEST(RecipeTest, AUnitIsOfSystemdAndNothingElseIsSaidOfIt) {
  const Recipe good{.name = "db", .unit = "postgresql@15-main.service"};
  EXPECT_TRUE(CheckRecipe(good).ok());
  EXPECT_TRUE(CheckRecipe({.name = "job", .unit = "run-1.scope"}).ok());
  for (const char* unit : {"postgresql", "nginx.socket", "system.slice", "a b.service",
                           "../x.service", ".service", "a/b.service", "x.service\n"}) {
    EXPECT_THAT(std::string(CheckRecipe({.name = "db", .unit = unit}).message()),
                HasSubstr("unit: must be the name of a service or a scope"))
        << unit;
  }
  for (const char* unit : {"nom-marketd.service", "nom-holder.service", "init.scope"}) {
    EXPECT_THAT(std::string(CheckRecipe({.name = "db", .unit = unit}).message()),
                HasSubstr("is what the market itself stands on"));
  }
  const auto refused = [&good](auto change) {
    Recipe recipe = good;
    change(recipe);
    return absl::StartsWith(CheckRecipe(recipe).message(), "unit: runs already");
  };
  EXPECT_TRUE(refused([](Recipe& r) { r.argv = {"/bin/sh"}; }));
  EXPECT_TRUE(refused([](Recipe& r) { r.user = "nobody"; }));
  EXPECT_TRUE(refused([](Recipe& r) { r.arguments = true; }));
  EXPECT_TRUE(refused([](Recipe& r) { r.output = "/tmp/x"; }));
  EXPECT_TRUE(refused([](Recipe& r) { r.network = Recipe::Network::kNone; }));
  EXPECT_TRUE(refused([](Recipe& r) { r.cpu = Recipe::Cpu::kIdle; }));
  EXPECT_TRUE(refused([](Recipe& r) { r.processes_max = 5; }));
  // By its name and by its unit's; an empty name is nobody's.
  const std::vector<Recipe> recipes = {{.name = "web", .argv = {"/bin/web"}, .user = "www"}, good};
  EXPECT_EQ(FindRecipe(recipes, "db"), &recipes[1]);
  EXPECT_EQ(FindRecipe(recipes, "postgresql@15-main.service"), &recipes[1]);
  EXPECT_EQ(FindRecipe(recipes, ""), nullptr);
}

TEST(RecipeTest, WhatWouldLeadOutsideIsRefused) {
  const Recipe good{.name = "web", .argv = {"/usr/bin/web", "-x"}, .user = "www-data"};
  EXPECT_TRUE(CheckRecipe(good).ok());
  const auto error = [&good](auto change) {
    Recipe recipe = good;
    change(recipe);
    return std::string(CheckRecipe(recipe).message());
  };
  EXPECT_THAT(error([](Recipe& r) { r.name = "We b"; }), HasSubstr("name: must be 1 to 63"));
  EXPECT_THAT(error([](Recipe& r) { r.argv = {}; }), HasSubstr("argv: names no program"));
  EXPECT_THAT(error([](Recipe& r) { r.argv = {"web"}; }),
              HasSubstr("argv[0]: must be an absolute"));
  EXPECT_THAT(error([](Recipe& r) { r.argv = {"/srv/../bin/sh"}; }), HasSubstr("steps up"));
  EXPECT_THAT(error([](Recipe& r) { r.user = "root"; }), HasSubstr("no guest runs as root"));
  EXPECT_THAT(error([](Recipe& r) { r.user = "00"; }), HasSubstr("no guest runs as root"));
  EXPECT_THAT(error([](Recipe& r) { r.user = ""; }), HasSubstr("user: is missing"));
  EXPECT_THAT(error([](Recipe& r) { r.root = "srv"; }), HasSubstr("root: must be an absolute"));
  EXPECT_THAT(error([](Recipe& r) { r.directory = "/a/.."; }), HasSubstr("directory: "));
  EXPECT_THAT(error([](Recipe& r) { r.processes_max = 0; }), HasSubstr("processes_max: "));
}

// --- machine ---

TEST(MachineTest, IsReadFromProc) {
  const TemporaryFolder folder;
  const std::string proc = folder.path();
  PutFile(proc + "/sys/kernel/random/boot_id", "0123abcd-4567-89ef-0000-000000000000\n");
  PutFile(proc + "/sys/kernel/osrelease", "6.1.0-test\n");
  PutFile(proc + "/stat", "cpu  1 2 3 4 5 6 7 200 9 10\ncpu0 1 2\ncpu1 1 2\nctxt 5\n");
  PutFile(proc + "/meminfo", "MemTotal:  1024 kB\nMemFree: 1 kB\nSwapTotal: 8 kB\n");
  const auto facts = ReadMachineFacts(proc);
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->boot_id, 0x0123abcd456789efu);
  EXPECT_EQ(facts->processors, 2);
  EXPECT_EQ(facts->memory_bytes, 1 << 20);
  EXPECT_EQ(facts->swap_bytes, 8192);
  EXPECT_EQ(facts->kernel, "6.1.0-test");
  EXPECT_EQ(ReadStolenUs(proc).value(), 2'000'000);
  for (const char* file : {"/stat", "/meminfo", "/sys/kernel/random/boot_id"}) {
    const std::string good = GetFile(proc + file);
    PutFile(proc + file, "nonsense\n");
    EXPECT_THAT(std::string(ReadMachineFacts(proc).status().message()), HasSubstr(file));
    PutFile(proc + file, good);
  }
}

}  // namespace
}  // namespace nom::market
