// SPDX-License-Identifier: Apache-2.0
// A Linux host that sells a disk, and one that sells network.

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/marketd/host/linux/linux_host_fixture.h"

namespace nom::market {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

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
    std::vector<Holding> units = CpuAndMemory(10, 0, 16, 0);
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
    std::vector<Holding> units = CpuAndMemory(10, 0, 16, 0);
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

}  // namespace
}  // namespace nom::market
