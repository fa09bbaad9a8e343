// SPDX-License-Identifier: Apache-2.0
// Guests' networks: what is asked of the kernel, in which order, and what is left when it refuses.

#include "marketd/host/linux/traffic.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "marketd/host/linux/network.h"
#include "tests/unit/marketd/host/linux/fake_cgroups.h"

namespace nom::market {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// Keeps a record of what was asked, and of the interfaces that there are then.
struct NetlinkRecord {
  std::vector<std::string> asked;
  std::vector<std::string> interfaces = {"lo", "eth0"};
  size_t fail_at = SIZE_MAX;  // Which call is refused.
};

class RecordedNetlink final : public Netlink {
 public:
  RecordedNetlink(NetlinkRecord& record, std::string where)
      : record_(record), where_(std::move(where)) {}

  absl::StatusOr<NetworkNamespace> AddNamespace() override {
    if (absl::Status s = Ask("namespace"); !s.ok()) return s;
    return NetworkNamespace(-1, std::make_unique<RecordedNetlink>(record_, "inside: "));
  }
  absl::Status AddVeth(const std::string& name, const std::string&, const std::string& peer,
                       int) override {
    return Make(name, absl::StrCat("veth ", name, " ", peer));
  }
  absl::Status AddIfb(const std::string& name, const std::string&) override {
    return Make(name, absl::StrCat("ifb ", name));
  }
  absl::Status SetUp(const std::string& name) override { return Ask(absl::StrCat("up ", name)); }
  absl::Status AddAddress(const std::string& name, uint32_t address) override {
    return Ask(absl::StrCat("address ", name, " ", AddressText(address)));
  }
  absl::Status AddRoute(const Ipv4Network& to, const std::string& name, uint32_t via) override {
    return Ask(absl::StrCat("route ", AddressText(to.address), "/", to.prefix, " ", name,
                            via == 0 ? "" : absl::StrCat(" via ", AddressText(via))));
  }
  absl::Status AddShaper(const std::string& name, int64_t mbits) override {
    return Ask(absl::StrCat("htb ", name, " ", mbits));
  }
  absl::Status SetShaper(const std::string& name, int64_t mbits) override {
    if (!Has(name)) return absl::NotFoundError(name);
    return Ask(absl::StrCat("rate ", name, " ", mbits));
  }
  absl::Status RedirectIngress(const std::string& from, const std::string& to) override {
    return Ask(absl::StrCat("redirect ", from, " ", to));
  }
  absl::Status Remove(const std::string& name) override {
    if (!Has(name)) return absl::NotFoundError(name);
    std::erase(record_.interfaces, name);
    return Ask(absl::StrCat("remove ", name));
  }
  absl::StatusOr<std::vector<std::string>> Interfaces() override { return record_.interfaces; }

 private:
  bool Has(const std::string& name) const {
    return std::count(record_.interfaces.begin(), record_.interfaces.end(), name) > 0;
  }
  absl::Status Ask(const std::string& what) {
    if (record_.asked.size() == record_.fail_at) {
      record_.asked.push_back("refused: " + what);
      return absl::UnavailableError(what);
    }
    record_.asked.push_back(where_ + what);
    return absl::OkStatus();
  }
  absl::Status Make(const std::string& name, const std::string& what) {
    if (Has(name)) return absl::AlreadyExistsError(what);
    absl::Status status = Ask(what);
    if (status.ok()) record_.interfaces.push_back(name);
    return status;
  }

  NetlinkRecord& record_;
  const std::string where_;
};

class TrafficTest : public ::testing::Test {
 protected:
  TrafficTest() { EXPECT_TRUE(ParseAddresses("10.77.0.0/24", &options_).ok()); }
  NetworkOptions options_{.mbits = 100};
  NetlinkRecord record_;
  RecordedNetlink netlink_{record_, ""};
};

TEST_F(TrafficTest, NothingPassesBeforeItsLimitIsThere) {
  Traffic traffic(netlink_, options_);
  ASSERT_TRUE(traffic.Add(17, 5).ok());
  EXPECT_THAT(
      record_.asked,
      ElementsAre("namespace", "veth nom-h eth0", "ifb nomih", "htb nom-h 5", "htb nomih 5",
                  "redirect nom-h nomih", "up nomih", "up nom-h", "address nom-h 169.254.1.1",
                  "route 10.77.0.17/32 nom-h", "inside: up lo", "inside: up eth0",
                  "inside: address eth0 10.77.0.17", "inside: route 169.254.1.1/32 eth0",
                  "inside: route 0.0.0.0/0 eth0 via 169.254.1.1"));
  record_.asked.clear();
  ASSERT_TRUE(traffic.SetRate(17, 40).ok());
  EXPECT_THAT(record_.asked, ElementsAre("rate nom-h 40", "rate nomih 40"));
}

TEST_F(TrafficTest, WhicheverCallIsRefusedNothingIsLeftBehind) {
  for (size_t call = 0; call < 15; ++call) {
    record_ = NetlinkRecord{.fail_at = call};
    EXPECT_FALSE(Traffic(netlink_, options_).Add(17, 5).ok()) << call;
    EXPECT_THAT(record_.interfaces, UnorderedElementsAre("lo", "eth0")) << call;
  }
}

TEST_F(TrafficTest, AnotherGuestsInterfacesAreNotTouchedByARefusal) {
  Traffic traffic(netlink_, options_);
  ASSERT_TRUE(traffic.Add(17, 5).ok());
  record_.asked.clear();
  EXPECT_TRUE(absl::IsAlreadyExists(traffic.Add(17, 5).status()));
  EXPECT_THAT(record_.interfaces, UnorderedElementsAre("lo", "eth0", "nom-h", "nomih"));
}

TEST_F(TrafficTest, WhatEndedGuestsLeaveIsRemovedAndNothingElse) {
  record_.interfaces = {"lo", "nom-1", "nomi1", "nomi2", "nomi", "ifb0", "nomish-x"};
  Traffic(netlink_, options_).RemoveLeftBehind();
  EXPECT_THAT(record_.interfaces,
              UnorderedElementsAre("lo", "nom-1", "nomi1", "nomi", "ifb0", "nomish-x"));
}

TEST_F(TrafficTest, AGuestThatHasNoNetworkHasNoRate) {
  EXPECT_TRUE(Traffic(netlink_, options_).SetRate(17, 40).ok());
  EXPECT_THAT(record_.asked, IsEmpty());
}

TEST(NetworkTest, NamesFitTheKernelAndTellGuestsApart) {
  EXPECT_EQ(PairName(1), "nom-1");
  EXPECT_EQ(PairName(kGuestIdMax), "nom-2gosa7pa2gv");
  EXPECT_LE(PairName(kGuestIdMax).size(), 15u);
  EXPECT_LE(IfbName(kGuestIdMax).size(), 15u);
  EXPECT_EQ(PairOfIfb(IfbName(12345)), PairName(12345));
  for (const char* other : {"nom-1", "nomi", "nomi-", "nomiX", "nomi1 2", "nomish-x", "eth0"}) {
    EXPECT_EQ(PairOfIfb(other), "") << other;
  }
}

TEST(NetworkTest, AddressesAreReadAndGivenOutInTurn) {
  NetworkOptions options;
  ASSERT_TRUE(ParseAddresses("192.168.4.0/30", &options).ok());
  EXPECT_EQ(AddressText(AddressOf(options, 1)), "192.168.4.1");
  EXPECT_EQ(AddressText(AddressOf(options, 2)), "192.168.4.2");
  EXPECT_EQ(AddressText(AddressOf(options, 3)), "192.168.4.1");
  for (const char* bad : {"", "10.0.0.0", "10.0.0/24", "10.0.0.256/24", "10.0.0.0/31", "10.0.0.0/7",
                          "10.0.0.1/24", "10.0.0.0.0/24", "a.b.c.d/24", "10.0.0.0/24/1"}) {
    NetworkOptions untouched;
    EXPECT_EQ(ParseAddresses(bad, &untouched).code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_EQ(untouched.prefix, 0) << bad;
  }
}

TEST(NetworkTest, IsCountedBehindTheLimitsByTheBusierDirection) {
  const TemporaryFolder folder;
  EXPECT_EQ(ReadNetworkStat(folder.path(), 17), NetworkStat{});
  PutFile(folder.path() + "/class/net/nom-h/statistics/tx_bytes", "1000\n");
  PutFile(folder.path() + "/class/net/nom-h/statistics/rx_bytes", "999999\n");  // Before its limit.
  PutFile(folder.path() + "/class/net/nomih/statistics/tx_bytes", "300\n");
  EXPECT_EQ(ReadNetworkStat(folder.path(), 17), (NetworkStat{1000, 300}));
  EXPECT_EQ(BitsBetween({100, 200}, {1000, 300}), 7200);
  EXPECT_EQ(BitsBetween({100, 200}, {150, 300}), 800);
  EXPECT_EQ(BitsBetween({100, 200}, {}), 0);  // It fell.
}

}  // namespace
}  // namespace nom::market
