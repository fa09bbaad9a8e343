// SPDX-License-Identifier: Apache-2.0
// How a market is reached: through no proxy, and never by a connection that is dead.

#include "client/src/channel.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "nom/market/v1/market.grpc.pb.h"
#include "tests/net/forwarder.h"
#include "tests/net/sockets.h"
#include "tests/unit/client/fake_market.h"

namespace nom::client {
namespace {

using client_test::FakeMarket;

absl::Status GetAccount(const std::shared_ptr<grpc::Channel>& channel, const std::string& token) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  AddToken(token, context);
  market::v1::GetAccountResponse response;
  const grpc::Status status =
      market::v1::MarketService::NewStub(channel)->GetAccount(&context, {}, &response);
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

class ProxyTest : public ::testing::Test {
 protected:
  ProxyTest() : proxy_(testing::ListenOnLoopback(&address_)) {
    for (const char* name : {"http_proxy", "https_proxy", "grpc_proxy"}) {
      ::setenv(name, ("http://" + address_).c_str(), 1);
    }
  }
  ~ProxyTest() override {
    for (const char* name : {"http_proxy", "https_proxy", "grpc_proxy"}) ::unsetenv(name);
  }
  // What a proxy that listens was sent, within a moment; a proxy that was asked would have heard of
  // it before the call was answered.
  bool Asked() const {
    pollfd poll{.fd = proxy_.fd(), .events = POLLIN, .revents = 0};
    return ::poll(&poll, 1, 0) > 0;
  }

  std::string address_;
  testing::Socket proxy_;
};

TEST_F(ProxyTest, WhatIsOnThisMachineIsNeverReachedThroughOne) {
  FakeMarket market;
  market.RequireToken("secret");
  const std::string port = market.target().substr(market.target().rfind(':'));
  for (const std::string& target :
       {market.target(), "localhost" + port, "dns:///127.0.0.1" + port, "ipv4:127.0.0.1" + port}) {
    const auto channel = OpenChannel({.target = target, .plaintext = true});
    ASSERT_TRUE(channel.ok()) << channel.status();
    const absl::Status status = GetAccount(*channel, "secret");
    EXPECT_TRUE(status.ok()) << target << ": " << status;
    EXPECT_FALSE(Asked()) << target;
  }
}

TEST(KeepaliveTest, AConnectionThatWasCutOffIsGivenUpWithoutACall) {
  FakeMarket market;
  testing::Forwarder forwarder(market.target());
  const auto channel =
      OpenChannel({.target = forwarder.address(),
                   .plaintext = true,
                   .keepalive = {.ping_interval_ms = 200, .ping_timeout_ms = 200}});
  ASSERT_TRUE(channel.ok()) << channel.status();
  ASSERT_TRUE(GetAccount(*channel, "").ok());
  forwarder.Freeze();
  // Without pings this would be READY for as long as the test lasts.
  EXPECT_TRUE((*channel)->WaitForStateChange(
      GRPC_CHANNEL_READY, std::chrono::system_clock::now() + std::chrono::seconds(60)));
  const absl::Status status = GetAccount(*channel, "");
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(forwarder.connections(), 2);
}

TEST(TargetTest, WhatIsNoAddressIsNotLookedUp) {
  for (const auto& [target, why] :
       std::vector<std::pair<std::string, std::string>>{{"", "none was given"},
                                                        {"http://market:7070", "no web page"},
                                                        {"https://market", "no web page"},
                                                        {"grpc://market:7070", "no web page"},
                                                        {"market", "has no port"},
                                                        {"127.0.0.1", "has no port"},
                                                        {"[::1]", "has no port"},
                                                        {"market:", "\"\" is no port"},
                                                        {"market:0", "is no port"},
                                                        {"market:65536", "is no port"},
                                                        {"market:7070x", "is no port"},
                                                        {"market:+7070", "is no port"},
                                                        {"market:7070/path", "is no port"},
                                                        {":7070", "has no host"},
                                                        {"::1:7070", "in brackets"},
                                                        {"2001:db8::1", "in brackets"}}) {
    const absl::Status status = OpenChannel({.target = target}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << target << ": " << status;
    EXPECT_NE(status.message().find(why), absl::string_view::npos) << status;
  }
  for (const char* target : {"market:7070", "market.example.com:443", "127.0.0.1:1", "[::1]:65535",
                             "unix:/run/m", "unix:m", "dns:///market:7070", "dns:market",
                             "ipv4:127.0.0.1:1,127.0.0.2:1", "ipv6:[::1]:1"}) {
    EXPECT_TRUE(OpenChannel({.target = target}).ok()) << target;
  }
}

}  // namespace
}  // namespace nom::client
