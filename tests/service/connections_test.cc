// SPDX-License-Identifier: Apache-2.0
// Strangers and dead peers: what they take of a market, and that they give it back.

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/net/forwarder.h"
#include "tests/net/http2_stranger.h"
#include "tests/net/http_get.h"
#include "tests/net/sockets.h"
#include "tests/service/market_fixture.h"

namespace nom::testing {
namespace {

using ::testing::HasSubstr;

constexpr char kPlaceBidPath[] = "/nom.market.v1.MarketService/PlaceBid";

// The resident memory of a process in MiB.
int64_t ResidentMib(pid_t pid) {
  std::ifstream status(absl::StrCat("/proc/", pid, "/status"));
  std::string line;
  while (std::getline(status, line)) {
    if (!absl::StartsWith(line, "VmRSS:")) continue;
    int64_t kib = 0;
    const std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    if (words.size() > 1 && absl::SimpleAtoi(words[1], &kib)) return kib / 1024;
  }
  return -1;
}

class ConnectionsTest : public MarketTest {
 protected:
  grpc::Status Rounds(const Client& client) {
    market_pb::ListRoundsResponse response;
    return client.market->ListRounds(client.Context().get(), {}, &response);
  }
};

// 64 descriptors, as a shell with a low limit gives.
class FewDescriptorsTest : public ConnectionsTest {
 protected:
  void SetUp() override {
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit few = before;
    few.rlim_cur = 96;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
    ConnectionsTest::SetUp();
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  }
};

TEST_F(FewDescriptorsTest, IdleStrangersDoNotMakeItDeaf) {
  EXPECT_THAT(Rounds(*alice_), Succeeds());
  std::vector<Socket> strangers;
  for (int i = 0; i < 200; ++i) strangers.push_back(ConnectTo(marketd_->grpc_address()));
  const Client newcomer(marketd_->grpc_address());
  EXPECT_THAT(Rounds(newcomer), Succeeds()) << "a caller that says who it is finds room";
  EXPECT_THAT(Rounds(*alice_), Succeeds()) << "and one that had a place keeps it";
  strangers.clear();
  const Client later(marketd_->grpc_address(), bob_->token);
  EXPECT_THAT(Rounds(later), Succeeds());
  EXPECT_THAT(HttpGet(marketd_->metrics_address(), "/metrics"),
              HasSubstr("nom_market_answering 1\n"));
}

TEST_F(ConnectionsTest, AMessageIsNotReadBeforeItsSenderIsKnown) {
  const int64_t before = ResidentMib(marketd_->pid());
  Http2Stranger stranger(marketd_->grpc_address());
  for (int i = 0; i < 1'500; ++i) stranger.BeginCall(kPlaceBidPath, "", 1 << 20, (1 << 20) - 1);
  for (int i = 0; i < 600 && stranger.streams_open() > 0; ++i) {
    ASSERT_TRUE(stranger.Pump(100)) << stranger.goaway();
  }
  EXPECT_EQ(stranger.streams_open(), 0u);
  EXPECT_EQ(stranger.endings().count("16"), 1u) << "UNAUTHENTICATED";
  EXPECT_LT(ResidentMib(marketd_->pid()) - before, 48);
  EXPECT_THAT(Rounds(*alice_), Succeeds());
}

TEST_F(ConnectionsTest, WhatOneCallerSendsAndDoesNotEndIsBounded) {
  const int64_t before = ResidentMib(marketd_->pid());
  {
    Http2Stranger caller(marketd_->grpc_address());
    const std::string authorization = "Bearer " + alice_->token;
    for (int i = 0; i < 1'500; ++i) {
      caller.BeginCall(kPlaceBidPath, authorization, (1 << 18) - 5, (1 << 18) - 6);
    }
    size_t sent = 0;
    do {  // Until it may send no more.
      sent = caller.body_bytes_sent();
      if (!caller.Pump(1'000)) break;
    } while (caller.body_bytes_sent() != sent);
    EXPECT_THAT(Rounds(*bob_), Succeeds());
    // 128 streams of 256 KiB.
    EXPECT_LT(ResidentMib(marketd_->pid()) - before, 96);
  }
  // Given back when the caller has gone; marketd looks every ten seconds.
  int64_t after = 0;
  for (int i = 0; i < 300; ++i) {
    after = ResidentMib(marketd_->pid()) - before;
    if (after < 24) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  EXPECT_LT(after, 24);
}

// Half a minute in real time, as the figures that peers notice each other by are: all of them at
// once.
TEST_F(ConnectionsTest, PingsAreWelcomeAndADeadWatcherLosesItsPlace) {
  Forwarder forwarder(marketd_->grpc_address());
  const Client cut_off(forwarder.address(), alice_->token);
  const auto context = cut_off.Context();
  const auto reader = cut_off.market->Watch(context.get(), market_pb::WatchRequest());
  market_pb::WatchResponse response;
  ASSERT_TRUE(reader->Read(&response));
  forwarder.Freeze();

  Http2Stranger with_call(marketd_->grpc_address());
  with_call.BeginCall("/grpc.health.v1.Health/Watch", "", 0, 0);
  Http2Stranger without_call(marketd_->grpc_address());
  bool noticed = false;
  for (int ping = 1; ping <= 4; ++ping) {
    with_call.Ping();
    without_call.Ping();
    for (int i = 0; i < 55; ++i) {  // 5.5 s: more often than anybody is told to.
      ASSERT_TRUE(with_call.Pump(50)) << with_call.goaway();
      ASSERT_TRUE(without_call.Pump(50)) << without_call.goaway();
    }
    EXPECT_EQ(with_call.pings_answered(), ping) << with_call.goaway();
    EXPECT_EQ(without_call.pings_answered(), ping) << without_call.goaway();
    noticed |= absl::StrContains(HttpGet(marketd_->metrics_address(), "/metrics"),
                                 "nom_market_watchers 0\n");
  }
  EXPECT_TRUE(noticed);
}

}  // namespace
}  // namespace nom::testing
