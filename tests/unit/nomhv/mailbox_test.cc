// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/mailbox.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <random>

namespace nomhv {
namespace {

class MailboxTest : public ::testing::Test {
 protected:
  MailboxTest() : memory_(Allocate()), mailbox_(memory_.get()) {
    std::memset(memory_.get(), 0xa5, NOM_MAILBOX_BYTES);
    mailbox_.Open(77, 1'000'000'000, {1000, 2000}, 2);
  }

  NomMailboxHeader& header() { return *reinterpret_cast<NomMailboxHeader*>(memory_.get()); }
  NomCommand& command_slot(uint32_t i) {
    return reinterpret_cast<NomCommand*>(memory_.get() +
                                         NOM_MAILBOX_COMMANDS_AT)[i % NOM_COMMAND_SLOTS];
  }
  const NomEvent& event_slot(uint32_t i) {
    return reinterpret_cast<NomEvent*>(memory_.get() + NOM_MAILBOX_EVENTS_AT)[i % NOM_EVENT_SLOTS];
  }
  NomBidPage& bids(uint32_t slot) {
    return *reinterpret_cast<NomBidPage*>(memory_.get() + NOM_MAILBOX_BIDS_AT +
                                          slot * NOM_FRAME_BYTES);
  }
  void Send(uint64_t id) {
    command_slot(header().command_head).id = id;
    ++header().command_head;
  }

  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  static std::unique_ptr<std::byte, Free> Allocate() {
    return std::unique_ptr<std::byte, Free>(
        static_cast<std::byte*>(std::aligned_alloc(4096, NOM_MAILBOX_BYTES)));
  }
  std::unique_ptr<std::byte, Free> memory_;
  Mailbox mailbox_;
};

TEST_F(MailboxTest, OpensWithEverythingInPlace) {
  EXPECT_EQ(header().magic, NOM_MAILBOX_MAGIC);
  EXPECT_EQ(header().abi_version, NOM_ABI_VERSION);
  EXPECT_EQ(header().boot_id, 77u);
  EXPECT_EQ(header().tsc_hz, 1'000'000'000u);
  EXPECT_EQ(header().capacity_frames, 1000u);
  EXPECT_EQ(header().capacity_millicores, 2000u);
  EXPECT_EQ(header().guest_processors, 2u);
  EXPECT_EQ(header().command_head, 0u);
  EXPECT_EQ(header().event_tail, 0u);
  for (uint32_t i = 0; i < NOM_MAILBOX_PAYLOAD_AT; ++i) {
    if (i < sizeof(NomMailboxHeader)) continue;
    ASSERT_EQ(memory_.get()[i], std::byte{0}) << "leftovers at " << i;
  }
  EXPECT_EQ(memory_.get()[NOM_MAILBOX_PAYLOAD_AT], std::byte{0xa5}) << "the payload is marketd's";
}

TEST_F(MailboxTest, CommandsComeInOrderAcrossTheWrap) {
  NomCommand command;
  EXPECT_FALSE(mailbox_.TakeCommand(command));
  uint64_t taken = 0;
  for (uint64_t sent = 0; sent < 1000;) {
    for (int i = 0; i < 40 && sent < 1000; ++i) Send(sent++);
    while (mailbox_.TakeCommand(command)) EXPECT_EQ(command.id, taken++);
    EXPECT_EQ(header().command_tail, taken);
  }
  EXPECT_EQ(taken, 1000u);
}

TEST_F(MailboxTest, NonsenseCommandIndexTakesNothing) {
  NomCommand command;
  for (const uint32_t head : {NOM_COMMAND_SLOTS + 1, 0x80000000u, 0xffffffffu}) {
    header().command_head = head;
    EXPECT_FALSE(mailbox_.TakeCommand(command)) << head;
  }
  header().command_head = 0;
  Send(5);
  EXPECT_TRUE(mailbox_.TakeCommand(command));
  // What nomhv published of its own index is not read back.
  header().command_tail = 12345;
  Send(6);
  ASSERT_TRUE(mailbox_.TakeCommand(command));
  EXPECT_EQ(command.id, 6u);
}

TEST_F(MailboxTest, NoCommandIsTakenWithoutRoomForItsAnswer) {
  for (uint32_t i = 0; i < NOM_EVENT_SLOTS; ++i) {
    NomEvent event{};
    event.id = i;
    ASSERT_TRUE(mailbox_.Post(event));
  }
  EXPECT_FALSE(mailbox_.Post({}));
  Send(1);
  NomCommand command;
  EXPECT_FALSE(mailbox_.TakeCommand(command));
  header().event_tail = 1;
  EXPECT_TRUE(mailbox_.HasRoom());
  EXPECT_FALSE(mailbox_.HasRoom(1));
  EXPECT_TRUE(mailbox_.TakeCommand(command));
  NomEvent event{};
  event.id = 256;
  EXPECT_TRUE(mailbox_.Post(event));
  EXPECT_EQ(event_slot(256).id, 256u);
  EXPECT_EQ(event_slot(1).id, 1u);
  EXPECT_EQ(header().event_head, 257u);
}

TEST_F(MailboxTest, NonsenseEventIndexPostsNothing) {
  ASSERT_TRUE(mailbox_.Post({}));
  for (const uint32_t tail : {2u, 0x80000000u, 0xfffff000u}) {
    header().event_tail = tail;
    EXPECT_FALSE(mailbox_.Post({})) << tail;
  }
  header().event_tail = 1;
  EXPECT_TRUE(mailbox_.Post({}));
}

TEST_F(MailboxTest, PayloadsAreChecked) {
  NomPublish publish;
  NomCommand command{};
  const auto read = [&](uint32_t offset, uint32_t bytes) {
    command.payload_offset = offset;
    command.payload_bytes = bytes;
    return mailbox_.ReadPayload(command, publish).code();
  };
  constexpr uint32_t kSize = sizeof(NomPublish);
  EXPECT_EQ(read(0, kSize), NOM_STATUS_OK);
  EXPECT_EQ(read(0, kSize - 1), NOM_STATUS_BAD_PARAMETER);
  // What came later may be missing, and half of it is nothing.
  publish = {};
  const uint64_t seven = 7;
  std::memcpy(memory_.get() + NOM_MAILBOX_PAYLOAD_AT + offsetof(NomPublish, head), &seven,
              sizeof(seven));
  command = {.payload_offset = 0, .payload_bytes = offsetof(NomPublish, head)};
  const auto read_short = [&] {
    return mailbox_.ReadPayload(command, publish, offsetof(NomPublish, head)).code();
  };
  EXPECT_EQ(read_short(), NOM_STATUS_OK);
  EXPECT_EQ(publish.head.transaction_id, 0u);
  command.payload_bytes = kSize - 1;
  EXPECT_EQ(read_short(), NOM_STATUS_OK);
  EXPECT_EQ(publish.head.transaction_id, 0u);
  command.payload_bytes = kSize;
  EXPECT_EQ(read_short(), NOM_STATUS_OK);
  EXPECT_EQ(publish.head.transaction_id, 7u);
  command.payload_bytes = offsetof(NomPublish, head) - 1;
  EXPECT_EQ(read_short(), NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(read(NOM_MAILBOX_PAYLOAD_BYTES - kSize, kSize), NOM_STATUS_OK);
  EXPECT_EQ(read(NOM_MAILBOX_PAYLOAD_BYTES - kSize + 1, kSize), NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(read(0xffffffff, kSize), NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(read(16, 0xffffffff), NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(read(0xffffff00, 0x200), NOM_STATUS_BAD_PARAMETER) << "wraps round 32 bits";

  EXPECT_TRUE(mailbox_.Payload(0, NOM_MAILBOX_PAYLOAD_BYTES).ok());
  EXPECT_FALSE(mailbox_.Payload(1, NOM_MAILBOX_PAYLOAD_BYTES).ok());
  EXPECT_FALSE(mailbox_.Payload(~uint64_t{0}, 2).ok());
  EXPECT_EQ(mailbox_.Payload(64, 10).value().data(), memory_.get() + NOM_MAILBOX_PAYLOAD_AT + 64);
}

TEST_F(MailboxTest, SumsKeepTheirHighest) {
  mailbox_.WriteSums({500, 100}, 20);
  mailbox_.WriteSums({400, 300}, 30);
  EXPECT_EQ(header().frames_granted, 400u);
  EXPECT_EQ(header().frames_granted_max, 500u);
  EXPECT_EQ(header().millicores_granted, 300u);
  EXPECT_EQ(header().millicores_granted_max, 300u);
  EXPECT_EQ(header().frames_free, 30u);
  header().frames_granted_max = 9999;
  mailbox_.WriteSums({1, 1}, 30);
  EXPECT_EQ(header().frames_granted_max, 500u);
}

TEST_F(MailboxTest, BidPagesAreCopiedWhenWholeAndNew) {
  NomBidPage page{};
  page.bid_count = 1;
  page.work_done = 11;
  mailbox_.CopyBids(3, &page);
  EXPECT_EQ(bids(3).work_done, 0u) << "sequence 0: nothing was ever written";
  page.sequence = 2;
  mailbox_.CopyBids(3, &page);
  EXPECT_EQ(bids(3).work_done, 11u);
  const uint32_t sequence = bids(3).sequence;
  EXPECT_EQ(sequence % 2, 0u);
  page.work_done = 12;
  mailbox_.CopyBids(3, &page);
  EXPECT_EQ(bids(3).work_done, 11u) << "the sequence has not changed";
  page.sequence = 3;
  mailbox_.CopyBids(3, &page);
  EXPECT_EQ(bids(3).work_done, 11u) << "the guest is writing";
  page.sequence = 4;
  mailbox_.CopyBids(3, &page);
  EXPECT_EQ(bids(3).work_done, 12u);
  EXPECT_NE(bids(3).sequence, sequence);
  mailbox_.ClearBids(3);
  EXPECT_EQ(bids(3).work_done, 0u);
  NomBidPage next{};
  next.sequence = 4;
  next.work_done = 5;
  mailbox_.CopyBids(3, &next);
  EXPECT_EQ(bids(3).work_done, 5u) << "the next guest's pages are its own";
}

TEST_F(MailboxTest, ALowerEpochThanTheHighestIsRefused) {
  EXPECT_TRUE(mailbox_.AdmitEpoch(0)) << "a marketd of ABI 1.0 sends none";
  EXPECT_EQ(header().epoch, 0u);
  EXPECT_TRUE(mailbox_.AdmitEpoch(7));
  EXPECT_TRUE(mailbox_.AdmitEpoch(7));
  EXPECT_FALSE(mailbox_.AdmitEpoch(6));
  EXPECT_FALSE(mailbox_.AdmitEpoch(0));
  EXPECT_EQ(header().epoch, 7u);
  // What the header shows is not read back.
  header().epoch = 0;
  EXPECT_FALSE(mailbox_.AdmitEpoch(6));
  EXPECT_TRUE(mailbox_.AdmitEpoch(8));
  EXPECT_EQ(mailbox_.epoch(), 8u);
}

TEST_F(MailboxTest, TheLongestTimeBetweenHeartbeatsIsKept) {
  mailbox_.WriteHeartbeat(1000);
  EXPECT_EQ(header().heartbeat_gap_tsc, 0u);
  mailbox_.WriteHeartbeat(1500);
  mailbox_.WriteHeartbeat(1600);
  EXPECT_EQ(header().heartbeat_tsc, 1600u);
  EXPECT_EQ(header().heartbeat_gap_tsc, 500u);
  mailbox_.WriteHeartbeat(3000);
  EXPECT_EQ(header().heartbeat_gap_tsc, 1400u);
}

TEST_F(MailboxTest, NoSuchSlotPanics) {
  EXPECT_DEATH(mailbox_.WriteMeter(NOM_GUESTS_MAX, {}), "no such slot");
  EXPECT_DEATH(mailbox_.ClearBids(NOM_GUESTS_MAX), "no such slot");
}

// A peer that writes garbage over everything it can: nomhv never reads or writes out of bounds
// (AddressSanitizer watches), and works again once the peer behaves.
TEST_F(MailboxTest, SurvivesGarbage) {
  std::mt19937_64 random(41);
  NomBidPage page{};
  auto grants = std::make_unique<NomGrants>();
  for (int i = 0; i < 20000; ++i) {
    header().command_head = static_cast<uint32_t>(random() >> (random() % 33));
    header().event_tail = static_cast<uint32_t>(random() >> (random() % 33));
    NomCommand& slot = command_slot(static_cast<uint32_t>(random()));
    for (uint64_t* word = reinterpret_cast<uint64_t*>(&slot);
         word != reinterpret_cast<uint64_t*>(&slot + 1); ++word) {
      *word = random();
    }
    page.sequence = static_cast<uint32_t>(random());
    mailbox_.CopyBids(static_cast<uint32_t>(i) % NOM_GUESTS_MAX, &page);
    NomCommand command;
    if (mailbox_.TakeCommand(command)) {
      static_cast<void>(mailbox_.ReadPayload(command, *grants).code());
      static_cast<void>(mailbox_.Payload(command.argument[0], command.argument[1]).ok());
      NomEvent done{};
      done.kind = NOM_EVENT_DONE;
      done.id = command.id;
      static_cast<void>(mailbox_.Post(done));
    }
  }
  header().event_tail = header().event_head;
  header().command_head = header().command_tail;
  Send(123);
  NomCommand command;
  ASSERT_TRUE(mailbox_.TakeCommand(command));
  EXPECT_EQ(command.id, 123u);
  EXPECT_TRUE(mailbox_.Post({}));
}

}  // namespace
}  // namespace nomhv
