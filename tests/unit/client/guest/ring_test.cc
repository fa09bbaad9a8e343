// SPDX-License-Identifier: Apache-2.0
#include "client/guest/ring.h"

#include <gtest/gtest.h>

#include <random>
#include <thread>
#include <vector>

namespace nom::guest {
namespace {

constexpr size_t kBytes = 2048;

Message Numbered(uint64_t number) {
  Message message;
  for (uint64_t i = 0; i < 8; ++i) message.words[i] = number * 8 + i;
  return message;
}

class RingTest : public testing::Test {
 protected:
  RingMemory* memory() { return reinterpret_cast<RingMemory*>(memory_.data()); }
  std::vector<Message> memory_ = std::vector<Message>(kBytes / sizeof(Message));
  RingSender sender_{memory(), kBytes};
  RingReceiver receiver_{memory(), kBytes};
  Message message_;
};

TEST_F(RingTest, HasAPowerOfTwoOfSlotsBehindTheCounts) {
  EXPECT_EQ(RingMemory::Slots(2048), 16u);
  EXPECT_EQ(RingMemory::Slots(2048 + 128 - 64), 16u);
  EXPECT_EQ(RingMemory::Slots(3 * 64), 1u);
  EXPECT_EQ(RingMemory::Slots(2 * 64), 0u);
  EXPECT_EQ(sizeof(RingMemory), 128u);
}

TEST_F(RingTest, FullAndEmptyWait) {
  EXPECT_EQ(receiver_.Receive(&message_), RingStatus::kWait);
  for (uint64_t i = 0; i < 16; ++i) EXPECT_EQ(sender_.Send(Numbered(i)), RingStatus::kOk);
  EXPECT_EQ(sender_.Send(Numbered(16)), RingStatus::kWait);
  EXPECT_EQ(receiver_.Receive(&message_), RingStatus::kOk);
  EXPECT_EQ(message_, Numbered(0));
  EXPECT_EQ(sender_.Send(Numbered(16)), RingStatus::kOk);
  for (uint64_t i = 1; i <= 16; ++i) {
    ASSERT_EQ(receiver_.Receive(&message_), RingStatus::kOk);
    EXPECT_EQ(message_, Numbered(i));
  }
  EXPECT_EQ(receiver_.Receive(&message_), RingStatus::kWait);
}

TEST_F(RingTest, GoesRoundAndRound) {
  for (uint64_t i = 0; i < 100'000; ++i) {
    ASSERT_EQ(sender_.Send(Numbered(i)), RingStatus::kOk);
    ASSERT_EQ(receiver_.Receive(&message_), RingStatus::kOk);
    ASSERT_EQ(message_, Numbered(i));
  }
}

TEST_F(RingTest, TwoThreads) {
  constexpr uint64_t kMessages = 200'000;
  std::thread sending([&] {
    for (uint64_t i = 0; i < kMessages;) i += sender_.Send(Numbered(i)) == RingStatus::kOk ? 1 : 0;
  });
  for (uint64_t i = 0; i < kMessages;) {
    if (receiver_.Receive(&message_) != RingStatus::kOk) continue;
    if (message_ != Numbered(i)) ADD_FAILURE() << "message " << i;
    ++i;
  }
  sending.join();
}

TEST_F(RingTest, WildCountsAreFoundOut) {
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    RingReceiver receiver(memory(), kBytes);
    memory()->sent = static_cast<uint32_t>(random() >> random() % 32);
    const RingStatus status = receiver.Receive(&message_);
    if (memory()->sent > 16) {
      ASSERT_EQ(status, RingStatus::kBroken) << memory()->sent;
    } else {
      ASSERT_EQ(status, memory()->sent == 0 ? RingStatus::kWait : RingStatus::kOk);
    }
    RingSender sender(memory(), kBytes);
    memory()->received = 0;
    for (int k = 0; k < 16; ++k) ASSERT_EQ(sender.Send(message_), RingStatus::kOk);
    memory()->received = static_cast<uint32_t>(random() >> random() % 32);
    const RingStatus sent = sender.Send(message_);
    ASSERT_EQ(sent, memory()->received > 16   ? RingStatus::kBroken
                    : memory()->received == 0 ? RingStatus::kWait
                                              : RingStatus::kOk);
  }
}

TEST(ChannelTest, BothWays) {
  std::vector<Message> memory(2 * NOM_FRAME_BYTES / sizeof(Message));
  Channel offerer(memory.data(), 2, Channel::Side::kOfferer);
  Channel acceptor(memory.data(), 2, Channel::Side::kAcceptor);
  Message message;
  EXPECT_EQ(offerer.Send(Numbered(1)), RingStatus::kOk);
  EXPECT_EQ(acceptor.Send(Numbered(2)), RingStatus::kOk);
  EXPECT_EQ(offerer.Receive(&message), RingStatus::kOk);
  EXPECT_EQ(message, Numbered(2));
  EXPECT_EQ(acceptor.Receive(&message), RingStatus::kOk);
  EXPECT_EQ(message, Numbered(1));
}

}  // namespace
}  // namespace nom::guest
