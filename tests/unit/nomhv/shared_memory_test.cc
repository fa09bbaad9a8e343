// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/shared_memory.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <thread>

#include "nomhv/abi/board.h"
#include "nomhv/abi/mailbox.h"

namespace nomhv {
namespace {

TEST(Seqlock, ReadsBackWhatWasWritten) {
  NomMeter shared{};
  NomMeter value{};
  std::memset(static_cast<void*>(&value), 0x5a, sizeof(value));
  SeqlockWrite(&shared, value);
  EXPECT_EQ(shared.sequence, 2u);
  EXPECT_EQ(shared.state, value.state) << "the sequence's neighbour";
  NomMeter copy{};
  ASSERT_TRUE(SeqlockRead(&shared, copy, 1));
  copy.sequence = value.sequence;
  EXPECT_EQ(std::memcmp(&copy, &value, sizeof(copy)), 0);

  NomMachineBoard board{};
  NomMachineBoard machine{};
  machine.magic = NOM_MACHINE_BOARD_MAGIC;
  machine.sequence = 12345;  // Means nothing.
  machine.resource_count = 2;
  SeqlockWrite(&board, machine);
  EXPECT_EQ(board.sequence, 2u);
  EXPECT_EQ(board.magic, NOM_MACHINE_BOARD_MAGIC);
  EXPECT_EQ(board.resource_count, 2u);
}

TEST(Seqlock, OneFieldChangesAndIsSeenToHaveChanged) {
  NomGuestBoard board{};
  NomGuestBoard value{};
  value.frames_granted = 7;
  value.resource_count = 3;  // The sequence's neighbour.
  SeqlockWrite(&board, value);
  const uint32_t before = board.sequence;
  SeqlockSet(&board, &NomGuestBoard::frames_held, 5);
  EXPECT_EQ(board.frames_held, 5u);
  EXPECT_EQ(board.frames_granted, 7u);
  EXPECT_EQ(board.resource_count, 3u);
  EXPECT_EQ(board.sequence, before + 2);
}

TEST(Seqlock, AnOddSequenceIsNotReadForEver) {
  NomBidPage page{};
  page.sequence = 7;
  NomBidPage copy;
  EXPECT_FALSE(SeqlockRead(&page, copy, 1000));
}

TEST(Seqlock, AStrangersSequenceDoesNotMatter) {
  for (const uint32_t sequence : {1u, 0xffffffffu, 0xfffffffeu}) {
    NomMeter shared{};
    shared.sequence = sequence;
    NomMeter value{};
    value.guest_id = 9;
    SeqlockWrite(&shared, value);
    EXPECT_EQ(shared.sequence % 2, 0u);
    EXPECT_NE(shared.sequence, sequence);
    EXPECT_EQ(shared.guest_id, 9u);
  }
}

// Every word of what the writer writes is one number; a reader that ever sees two was lied to.
TEST(Seqlock, ReadersNeverSeeATornBoard) {
  auto shared = std::make_unique<NomMachineBoard>();
  const auto fill = [](NomMachineBoard& board, uint32_t number) {
    auto* words = reinterpret_cast<uint32_t*>(&board);
    for (size_t i = 0; i < sizeof(board) / 4; ++i) words[i] = number;
  };
  const auto value = std::make_unique<NomMachineBoard>();
  fill(*value, 0);
  SeqlockWrite(shared.get(), *value);

  std::atomic<bool> stop = false;
  std::atomic<uint64_t> whole = 0;
  std::atomic<uint64_t> torn = 0;
  std::atomic<uint64_t> backwards = 0;
  const auto reader = [&] {
    const auto copy = std::make_unique<NomMachineBoard>();
    uint32_t last = 0;
    while (!stop.load(std::memory_order_relaxed)) {
      if (!SeqlockRead(shared.get(), *copy, 100)) continue;
      ++whole;
      const uint32_t number = copy->abi_version;
      if (number < last) ++backwards;
      last = number;
      copy->sequence = number;
      const auto* words = reinterpret_cast<const uint32_t*>(copy.get());
      for (size_t i = 0; i < sizeof(*copy) / 4; ++i) {
        if (words[i] != number) {
          ++torn;
          break;
        }
      }
    }
  };
  std::thread a(reader);
  std::thread b(reader);
  for (uint32_t number = 1; number < 20000 || (whole < 20000 && number < 100'000'000); ++number) {
    fill(*value, number);
    SeqlockWrite(shared.get(), *value);
  }
  stop = true;
  a.join();
  b.join();
  EXPECT_GE(whole, 20000u) << "nobody read anything: the test says nothing";
  EXPECT_EQ(torn, 0u);
  EXPECT_EQ(backwards, 0u);
}

}  // namespace
}  // namespace nomhv
