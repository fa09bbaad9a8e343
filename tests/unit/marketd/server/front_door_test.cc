// SPDX-License-Identifier: Apache-2.0
// The front door with a server behind it: who gets in, and that it can be asked whether anybody
// does.

#include "marketd/server/front_door.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "marketd/base/listener.h"
#include "marketd/server/self_call.h"
#include "marketd/server/server.h"
#include "nom/market/v1/market.grpc.pb.h"
#include "tests/net/sockets.h"

namespace nom::marketd {
namespace {

using nom::testing::ConnectTo;
using nom::testing::EndedByPeer;
using nom::testing::Socket;
using ::testing::HasSubstr;

constexpr absl::Duration kLong = absl::Seconds(60);

std::string NewFolder() {
  std::string name = ::testing::TempDir() + "nom-door-XXXXXX";
  EXPECT_NE(::mkdtemp(name.data()), nullptr);
  return name;
}

TEST(ListenerTest, EveryKindOfAddress) {
  const std::string folder = NewFolder();
  for (const std::string& address : std::vector<std::string>{
           "127.0.0.1:0", "localhost:0", "0.0.0.0:0", "unix:" + folder + "/s"}) {
    const auto listener = Listen(address);
    ASSERT_TRUE(listener.ok()) << listener.status();
    EXPECT_FALSE(listener->sockets.empty());
    EXPECT_FALSE(absl::EndsWith(listener->address, ":0"));
    EXPECT_TRUE(TryListen(listener->address).ok()) << "a check is not in the way of who listens";
    const absl::Status again = Listen(listener->address).status();
    EXPECT_EQ(again.code(), absl::StatusCode::kUnavailable) << address;
    EXPECT_THAT(std::string(again.message()), HasSubstr("cannot listen on " + listener->address));
  }
}

TEST(ListenerTest, WhatCannotBeIsSaidWithTheSystemsReason) {
  for (const auto& [address, why] : std::vector<std::pair<std::string, std::string>>{
           {"192.0.2.1:7070", "Cannot assign"},         // RFC 5737: nobody's address.
           {"[2001:db8::1]:7070", ""},                  // RFC 3849, if there is IPv6 at all.
           {"no-such-host.invalid:7070", "not known"},  // RFC 2606.
           {"unix:/nonexistent/socket", "No such file"}}) {
    for (const absl::Status& status : {Listen(address).status(), TryListen(address)}) {
      EXPECT_FALSE(status.ok()) << address;
      EXPECT_THAT(std::string(status.message()), HasSubstr(why)) << address;
    }
  }
}

// Held to what the system itself says of the two, one after the other.
TEST(ListenerTest, WhetherTwoCanBeListenedOnAtOnceIsKnownBeforehand) {
  std::string port;
  {
    const auto free_again = Listen("0.0.0.0:0");
    ASSERT_TRUE(free_again.ok()) << free_again.status();
    port = free_again->address.substr(free_again->address.rfind(':'));
  }
  int collisions = 0;
  for (const std::string one : {"127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::]"}) {
    for (const std::string other :
         {"127.0.0.1", "127.0.0.2", "localhost", "0.0.0.0", "[::1]", "[::]"}) {
      const auto first = Listen(one + port);
      if (!first.ok() || !TryListen(other + port).ok()) continue;  // A machine without IPv6.
      const bool both = Listen(other + port).ok();
      const absl::Status said = TryListenOnAll({one + port, other + port});
      EXPECT_EQ(said.ok(), both) << one << " and " << other << ": " << said;
      if (!both) ++collisions;
    }
  }
  EXPECT_GE(collisions, 6) << "of 127.0.0.1, localhost and 0.0.0.0 alone there are more";
  EXPECT_TRUE(TryListenOnAll({"127.0.0.1:0", "127.0.0.1:0", "localhost:0"}).ok());
  EXPECT_FALSE(TryListenOnAll({"127.0.0.1:0", "192.0.2.1:7070"}).ok()) << "each is tried";
}

TEST(ListenerTest, AUnixSocketOfOneThatWasKilledIsReplacedAndAFileIsNot) {
  const std::string folder = NewFolder();
  const std::string path = folder + "/s";
  { ASSERT_TRUE(Listen("unix:" + path).ok()); }  // Leaves the socket behind, as a kill does.
  EXPECT_TRUE(Listen("unix:" + path).ok());
  const std::string file = folder + "/file";
  ::close(::open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  EXPECT_THAT(std::string(Listen("unix:" + file).status().message()), HasSubstr("a file of that"));
  struct stat facts = {};
  EXPECT_EQ(::stat(file.c_str(), &facts), 0);
}

class DoorTest : public ::testing::TestWithParam<std::string> {
 protected:
  void Start(size_t connections_max) {
    folder_ = NewFolder();
    std::string address = GetParam();
    if (address == "unix:") address = absl::StrCat("unix:", folder_, "/s");
    auto door = FrontDoor::Make(address);
    ASSERT_TRUE(door.ok()) << door.status();
    door_ = *std::move(door);
    ServerOptions options;
    options.front_door = door_.get();
    options.connections_max = connections_max;
    options.services = {&service_};
    auto server = Server::Start(options);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    server_->SetServing(true);
  }

  market::v1::MarketService::CallbackService service_;  // gRPC does not start without one.
  std::string folder_;
  std::unique_ptr<FrontDoor> door_;
  std::unique_ptr<Server> server_;
};

TEST_P(DoorTest, AnswersItselfUntilItIsClosed) {
  ASSERT_NO_FATAL_FAILURE(Start(64));
  for (int i = 0; i < 3; ++i) {
    const absl::Status status = CallSelf(*door_, kLong);
    EXPECT_TRUE(status.ok()) << status;
  }
  EXPECT_EQ(door_->counters().open, 0) << "its own visits take nobody's place";
  server_->SetServing(false);
  EXPECT_EQ(CallSelf(*door_, kLong).code(), absl::StatusCode::kUnavailable);
  server_->Shutdown(absl::ZeroDuration());
  EXPECT_EQ(CallSelf(*door_, kLong).code(), absl::StatusCode::kUnavailable);
}

INSTANTIATE_TEST_SUITE_P(Addresses, DoorTest,
                         ::testing::Values("127.0.0.1:0", "localhost:0", "0.0.0.0:0", "unix:"),
                         [](const auto& param) { return absl::StrCat("a", param.index); });

class TcpDoorTest : public DoorTest {};

TEST_P(TcpDoorTest, StrangersMakeRoomAndOwnVisitsNeedNone) {
  ASSERT_NO_FATAL_FAILURE(Start(4));
  std::vector<Socket> strangers;
  for (int i = 0; i < 4; ++i) strangers.push_back(ConnectTo(door_->address()));
  while (door_->counters().open < 4) ::usleep(1000);
  EXPECT_TRUE(CallSelf(*door_, kLong).ok());
  strangers.push_back(ConnectTo(door_->address()));
  EXPECT_TRUE(EndedByPeer(strangers[0], 60'000)) << "the first that came";
  EXPECT_LE(door_->counters().open, 4);
}

INSTANTIATE_TEST_SUITE_P(Loopback, TcpDoorTest, ::testing::Values("127.0.0.1:0"));

}  // namespace
}  // namespace nom::marketd
