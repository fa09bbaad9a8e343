// SPDX-License-Identifier: Apache-2.0
// What nomctl run asks of the market, and ends with.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include "tests/unit/client/cli/nomctl_fixture.h"

namespace nom::client_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// A host with 400 units of 10 millicores and 64 units of 1 MiB.
class NomctlRunTest : public NomctlTest {
 protected:
  NomctlRunTest() {
    market_.Configure([](FakeMarket& market) {
      auto* const host = market.hosts.add_hosts();
      host->set_host_id("lab");
      pb::ResourceInfo* info = host->add_resources();
      info->set_kind(pb::RESOURCE_KIND_CPU);
      info->set_unit_size(10);
      info->set_capacity_units(400);
      info = host->add_resources();
      info->set_kind(pb::RESOURCE_KIND_MEMORY);
      info->set_unit_size(1 << 20);
      info->set_capacity_units(64);
    });
  }

  Ended RunWith(const std::vector<std::string>& options) {
    std::vector<std::string> all = {"run", "--tenant", "shop", "--name", "build"};
    all.insert(all.end(), options.begin(), options.end());
    all.insert(all.end(), {"--", "make", "-j8"});
    return Run(all);
  }
  // But for those that look how the guest fares.
  std::vector<std::string> Changes() {
    std::vector<std::string> out;
    for (const std::string& write : Writes()) {
      if (write.rfind("GetGuest ", 0) != 0) out.push_back(write);
    }
    return out;
  }
};

TEST_F(NomctlRunTest, EndsAsTheCommandDidAndLeavesNoGuest) {
  const Ended ended = RunWith({"--seed", "cpu=200m", "--seed", "memory=16MiB"});
  EXPECT_EQ(ended.exit_code, 3) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("guest 7: exit 3"));
  EXPECT_THAT(Changes(),
              ElementsAre("AdmitGuest host_id: \"lab\" tenant_id: \"shop\" name: \"build\" image: "
                          "\"command\" arguments: \"make -j8\" seeds { kind: RESOURCE_KIND_CPU "
                          "units: 20 } seeds { kind: RESOURCE_KIND_MEMORY units: 16 }",
                          "EvictGuest guest_id: 7"));
}

TEST_F(NomctlRunTest, BidsForAllThatCanBeHadUpToAPrice) {
  EXPECT_EQ(RunWith({"--seed", "cpu=200m", "--max-price", "cpu=2", "--max-price", "memory=0.5cr",
                     "--most", "memory=8MiB"})
                .exit_code,
            3);
  EXPECT_THAT(
      Changes(),
      ElementsAre(StartsWith("AdmitGuest "),
                  "PlaceBid bid { guest_id: 7 kind: RESOURCE_KIND_CPU ranges { min_units: 1 "
                  "max_units: 380 value_at_min_microcredits: 2 unit_price_microcredits: 2 } }",
                  "PlaceBid bid { guest_id: 7 kind: RESOURCE_KIND_MEMORY ranges { min_units: 1 "
                  "max_units: 8 value_at_min_microcredits: 500000 unit_price_microcredits: 500000 "
                  "} }",
                  "EvictGuest guest_id: 7"));
}

TEST_F(NomctlRunTest, ARefusedBidLeavesNoGuestBehind) {
  market_.FailBids({grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "no means")});
  const Ended ended = RunWith({"--max-price", "cpu=2"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.err, HasSubstr("no means"));
  EXPECT_THAT(Changes(), ElementsAre(StartsWith("AdmitGuest "), StartsWith("PlaceBid "),
                                     "EvictGuest guest_id: 7"));
}

TEST_F(NomctlRunTest, WhatCannotBeMeantStartsNothing) {
  for (const std::vector<std::string>& options : std::vector<std::vector<std::string>>{
           {"--max-price", "cpu"},
           {"--max-price", "cpu=0"},
           {"--max-price", "cpu=-2"},
           {"--max-price", "cpu=two"},
           {"--max-price", "gold=2"},
           {"--max-price", "disk=2"},
           {"--max-price", "cpu=9223372036854775807"},
           {"--max-price", "cpu=2", "--max-price", "cpu=3"},
           {"--max-price", "cpu=2", "--seed", "cpu=400"},
           {"--max-price", "cpu=2", "--most", "cpu=0"},
           {"--max-price", "cpu=2", "--most", "memory=8MiB"},
           {"--most", "cpu=200m"},
           {"--max-price", "cpu=2", "--most", "cpu=200m", "--most", "cpu=100m"},
           {"--seed", "cpu=200m", "--seed", "cpu=20"},
           {"--seed", "cpu=205m"}}) {
    const Ended ended = RunWith(options);
    EXPECT_EQ(ended.exit_code, 2) << testing::PrintToString(options) << ended.err;
  }
  EXPECT_THAT(Changes(), IsEmpty());
}

TEST_F(NomctlRunTest, AUnitIsAdoptedUnderANameMadeOfIts) {
  EXPECT_EQ(Run({"adopt", "postgresql@15-main.service", "--tenant", "shop", "--seed", "cpu=200m",
                 "--seed", "memory=16MiB"})
                .out,
            "unit postgresql@15-main.service is guest 7, postgresql-15-main; nomctl evict "
            "postgresql-15-main gives it back\n");
  EXPECT_EQ(Run({"adopt", "db", "--tenant", "shop", "--name", "books"}).exit_code, 0);
  EXPECT_THAT(
      Changes(),
      ElementsAre("AdmitGuest host_id: \"lab\" tenant_id: \"shop\" name: \"postgresql-15-main\" "
                  "image: \"postgresql@15-main.service\" seeds { kind: RESOURCE_KIND_CPU units: 20 "
                  "} seeds { kind: RESOURCE_KIND_MEMORY units: 16 }",
                  "AdmitGuest host_id: \"lab\" tenant_id: \"shop\" name: \"books\" image: \"db\""));
  EXPECT_EQ(Run({"adopt", "db"}).exit_code, 2);
  EXPECT_EQ(Run({"adopt", "db", "--tenant", "shop", "--seed", "cpu=205m"}).exit_code, 2);
}

// A folder in place of /, with a package installed and systemd running.
class NomctlHostInitTest : public NomctlTest {
 protected:
  NomctlHostInitTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "nom-init-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    Put("/proc/stat", "cpu  1 2\ncpu0 1\n");
    Put("/proc/meminfo", "MemTotal: 1048576 kB\nSwapTotal: 0 kB\n");
    Put("/sys/fs/cgroup/cgroup.controllers", "cpu memory io pids\n");
    Put("/run/systemd/system/x", "");
    Put("/usr/share/nom/examples/marketd.yaml", "packaged\n");
    Put("/usr/share/nom/examples/nom-marketd.service.d/linux-host.conf", "[Service]\n");
    Put("/etc/nom/marketd.yaml", "packaged\n");
    Put("/etc/nom/operator.token", "secret\n");
  }
  ~NomctlHostInitTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  void Put(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories((root_ + path).substr(0, (root_ + path).rfind('/')));
    std::ofstream(root_ + path) << text;
  }
  std::string Get(const std::string& path) const {
    std::stringstream text;
    text << std::ifstream(root_ + path).rdbuf();
    return text.str();
  }
  Ended Init() {
    return Run({"host", "init", "--machine", root_, "--directory", root_ + "/etc/nom", "--units",
                root_ + "/etc/systemd/system"});
  }
  std::string root_;
};

TEST_F(NomctlHostInitTest, TakesThePlaceOfWhatThePackagePutThere) {
  const std::filesystem::path config = root_ + "/etc/nom/marketd.yaml";
  std::filesystem::permissions(config, std::filesystem::perms(0640));
  const Ended ended = Init();
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("wrote " + config.string()));
  EXPECT_THAT(ended.err, HasSubstr("operator.token is there already, and is kept"));
  EXPECT_THAT(Get("/etc/nom/marketd.yaml"), HasSubstr("kind: linux"));
  EXPECT_EQ(std::filesystem::status(config).permissions(), std::filesystem::perms(0640));
  EXPECT_EQ(Get("/etc/nom/operator.token"), "secret\n");
  EXPECT_EQ(Get("/etc/systemd/system/nom-marketd.service.d/linux-host.conf"), "[Service]\n");
  EXPECT_THAT(ended.out, HasSubstr("systemctl restart nom-marketd"));
}

TEST_F(NomctlHostInitTest, KeepsWhatSomebodyWroteAndSaysSo) {
  Put("/etc/nom/marketd.yaml", "packaged, and changed\n");
  Put("/etc/systemd/system/nom-marketd.service.d/linux-host.conf", "[Service]\nNice=5\n");
  const Ended ended = Init();
  EXPECT_EQ(ended.exit_code, 3);
  EXPECT_THAT(ended.err, HasSubstr("marketd.yaml is there already, and is kept; what this machine "
                                   "wants in it: nomctl host init --dry-run"));
  EXPECT_EQ(Get("/etc/nom/marketd.yaml"), "packaged, and changed\n");
  EXPECT_EQ(Get("/etc/systemd/system/nom-marketd.service.d/linux-host.conf"),
            "[Service]\nNice=5\n");
}

TEST_F(NomctlHostInitTest, OutOfATreeItSaysWhatIsMissing) {
  std::filesystem::remove_all(root_ + "/usr");
  std::filesystem::remove_all(root_ + "/etc");
  const Ended ended = Init();
  EXPECT_EQ(ended.exit_code, 3);
  EXPECT_THAT(Get("/etc/nom/marketd.yaml"), HasSubstr("kind: linux"));
  EXPECT_EQ(Get("/etc/nom/operator.token").size(), 65u);
  EXPECT_THAT(ended.err, HasSubstr("put deploy/systemd/nom-marketd.service.d/linux-host.conf to"));
}

}  // namespace
}  // namespace nom::client_test
