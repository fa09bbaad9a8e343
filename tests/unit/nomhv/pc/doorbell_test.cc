// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/pc/doorbell.h"

#include <gtest/gtest.h>

#include <random>

namespace nomhv {
namespace {

constexpr uint64_t kWindow = 1000;

NomStatus StatusOf(uint64_t first, uint64_t count) {
  return DecodeDoorbell(first * NOM_FRAME_BYTES + count - 1, kWindow).code();
}

TEST(Doorbell, ARequestIsAnAddressAndACount) {
  const auto range = DecodeDoorbell(0x123000 + 511, kWindow);
  ASSERT_TRUE(range.ok());
  EXPECT_EQ(range.value().first, 0x123u);
  EXPECT_EQ(range.value().count, 512u);
  EXPECT_EQ(DecodeDoorbell(0, kWindow).value().count, 1u);
}

TEST(Doorbell, NothingBeyondTheWindowOrTooLarge) {
  EXPECT_EQ(StatusOf(0, 512), NOM_STATUS_OK);
  EXPECT_EQ(StatusOf(0, 513), NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(StatusOf(0, 4096), NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(StatusOf(kWindow - 1, 1), NOM_STATUS_OK);
  EXPECT_EQ(StatusOf(kWindow - 1, 2), NOM_STATUS_BAD_ADDRESS);
  EXPECT_EQ(StatusOf(kWindow, 1), NOM_STATUS_BAD_ADDRESS);
  EXPECT_EQ(StatusOf(kWindow - 511, 512), NOM_STATUS_BAD_ADDRESS);
  EXPECT_EQ(DecodeDoorbell(~uint64_t{0}, kWindow).code(), NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(DecodeDoorbell(~uint64_t{0xfff}, kWindow).code(), NOM_STATUS_BAD_ADDRESS);
}

TEST(Doorbell, AnythingMayBeWritten) {
  std::mt19937_64 engine(3);
  for (int i = 0; i < 100'000; ++i) {
    const uint64_t window = 1 + engine() % NOM_WINDOW_FRAMES_MAX;
    const uint64_t value = engine() >> engine() % 64;
    const auto range = DecodeDoorbell(value, window);
    if (!range.ok()) continue;
    EXPECT_LE(range.value().count, NOM_PC_DOORBELL_FRAMES);
    EXPECT_LE(range.value().first + range.value().count, window);
  }
}

TEST(Doorbell, RoomIsNeverNegative) {
  EXPECT_EQ(RoomUnder(10, 4), 6u);
  EXPECT_EQ(RoomUnder(4, 10), 0u);
}

}  // namespace
}  // namespace nomhv
