// SPDX-License-Identifier: Apache-2.0
// The doorbell, with marketd's own end of it: what a ring does in either direction is counted, so
// that nothing here could be had by polling alone.

#include "marketd/host/nomhv/doorbell.h"

#include <cstdlib>

#include "tests/guests/driver/scenario.h"

namespace nom::tests {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);  // Ends a test that hangs.

// The machine connects to it when it starts, so it listens before the first test.
class BellServer : public ::testing::Environment {
 public:
  void SetUp() override {
    const char* socket = std::getenv("NOM_DOORBELL");
    if (socket == nullptr) return;  // A machine that is polled.
    const char* mailbox = std::getenv("NOM_MAILBOX");
    ASSERT_NE(mailbox, nullptr) << "NOM_MAILBOX names no file";
    auto listening = market::Doorbell::Listen(socket, mailbox);
    ASSERT_TRUE(listening.ok()) << listening.status();
    bell = *std::move(listening);
  }
  void TearDown() override { bell = nullptr; }

  static inline std::unique_ptr<market::Doorbell> bell;
};
[[maybe_unused]] const ::testing::Environment* const server =
    ::testing::AddGlobalTestEnvironment(new BellServer);

class Bells : public Scenario {
 protected:
  void SetUp() override {
    ASSERT_NE(BellServer::bell, nullptr) << "NOM_DOORBELL is not set";
    Scenario::SetUp();
    WantRings(0);
    while (bell().Wait(absl::ZeroDuration())) {
    }
  }
  void TearDown() override {
    WantRings(0);
    Scenario::TearDown();
  }

  static market::Doorbell& bell() { return *BellServer::bell; }
  void WantRings(uint32_t peer) {
    std::atomic_ref<uint32_t>(machine.raw_header()->doorbell_peer).store(peer);
  }
  uint64_t Taken() { return std::atomic_ref<uint64_t>(machine.raw_header()->doorbells).load(); }
  void Ping() {
    NomCommand ping{};
    ping.kind = NOM_COMMAND_PING;
    EXPECT_EQ(machine.Call(ping).status, NOM_STATUS_OK);
  }
};

TEST_F(Bells, EachRingOfOursIsOneInterrupt) {
  ASSERT_TRUE(bell().connected());
  for (int i = 0; i < 100; ++i) {
    const uint64_t before = Taken();
    bell().Ring();
    ASSERT_TRUE(machine.WaitFor("an interrupt", [&] { return Taken() > before; }));
    EXPECT_EQ(Taken(), before + 1);
  }
  // What is served by the tick alone is not counted.
  const uint64_t before = Taken();
  for (int i = 0; i < 20; ++i) Ping();
  EXPECT_EQ(Taken(), before);
  EXPECT_FALSE(bell().Wait(absl::ZeroDuration())) << "a ring of ours is no event";
}

TEST_F(Bells, EachAnswerRingsBack) {
  WantRings(market::Doorbell::kOwnPeer);
  for (int i = 0; i < 100; ++i) {
    Ping();
    ASSERT_TRUE(bell().Wait(kPatience)) << "answered, not rung for";
    EXPECT_FALSE(bell().Wait(absl::ZeroDuration())) << "rung for twice";
  }
}

TEST_F(Bells, NobodyIsRungWhoDidNotAsk) {
  // A number that is no peer's, one whose low half is ours, and nobody.
  for (const uint32_t peer :
       {0u, 0x10000u + uint32_t{market::Doorbell::kOwnPeer}, 0xffffffffu, 77u}) {
    WantRings(peer);
    Ping();
    Ping();  // Taken after the first one's ring would have been made.
    WantRings(0);
    EXPECT_FALSE(bell().Wait(absl::ZeroDuration())) << peer;
  }
  // Its own number: a machine that rings itself gets on with its work.
  const uint64_t before = Taken();
  WantRings(market::Doorbell::kMachinePeer);
  Ping();
  EXPECT_TRUE(machine.WaitFor("its own ring", [&] { return Taken() > before; }));
}

}  // namespace
}  // namespace nom::tests
