// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/guest_walk.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace nomhv {
namespace {

constexpr uint64_t kPaging = uint64_t{1} << 31;
constexpr uint64_t kPse = 1u << 4;
constexpr uint64_t kPae = 1u << 5;
constexpr uint64_t kFiveLevels = 1u << 12;
constexpr uint64_t kLma = 1u << 10;

struct Fake {
  std::map<uint64_t, uint64_t> words;
  mutable int reads = 0;
  std::optional<uint64_t> Read64(uint64_t gpa) const {
    EXPECT_EQ(gpa % 8, 0u);
    ++reads;
    const auto it = words.find(gpa);
    return it == words.end() ? std::nullopt : std::optional(it->second);
  }
};

TEST(GuestWalk, WithoutPagingItIsTheAddress) {
  EXPECT_EQ(GuestPhysical(Fake{}, {1, 0, 0, 0}, 0x1'2345'6789), 0x23456789u);
}

TEST(GuestWalk, FourLevelsWithSmallAndLargePages) {
  Fake fake;
  const ControlRegisters state = {kPaging | 1, 0x1000, kPae, kLma};
  fake.words[0x1000 + 1 * 8] = 0x2003;
  fake.words[0x2000 + 2 * 8] = 0x3003;
  fake.words[0x3000 + 3 * 8] = 0x4003;
  fake.words[0x4000 + 4 * 8] = 0x8000000000005003;
  const uint64_t linear = uint64_t{1} << 39 | uint64_t{2} << 30 | 3u << 21 | 4u << 12 | 0x567;
  EXPECT_EQ(GuestPhysical(fake, state, linear), 0x5567u);
  fake.words[0x3000 + 3 * 8] = 0x40000083;
  EXPECT_EQ(GuestPhysical(fake, state, linear), 0x40004567u);
  fake.words[0x2000 + 2 * 8] = 0x80000083;
  EXPECT_EQ(GuestPhysical(fake, state, linear), 0x80000000u + (3u << 21) + 0x4567u);
  fake.words[0x2000 + 2 * 8] = 0x3002;
  EXPECT_EQ(GuestPhysical(fake, state, linear), std::nullopt) << "not present";
}

TEST(GuestWalk, FiveLevels) {
  Fake fake;
  const ControlRegisters state = {kPaging | 1, 0x1000, kPae | kFiveLevels, kLma};
  fake.words[0x1000 + 5 * 8] = 0x2003;
  fake.words[0x2000] = 0x3003;
  fake.words[0x3000] = 0x40000083;
  EXPECT_EQ(GuestPhysical(fake, state, uint64_t{5} << 48 | 0x123456), 0x40123456u);
}

TEST(GuestWalk, PhysicalExtension) {
  Fake fake;
  const ControlRegisters state = {kPaging | 1, 0x1020, kPae, 0};
  fake.words[0x1020 + 3 * 8] = 0x2001;
  fake.words[0x2000 + 511 * 8] = 0x3001;
  fake.words[0x3000 + 1 * 8] = 0x9001;
  EXPECT_EQ(GuestPhysical(fake, state, 0xffe01abc), 0x9abcu);
  fake.words[0x2000 + 511 * 8] = 0x600081;
  EXPECT_EQ(GuestPhysical(fake, state, 0xffe01abc), 0x601abcu);
}

TEST(GuestWalk, ThirtyTwoBits) {
  Fake fake;
  ControlRegisters state = {kPaging | 1, 0x1000, 0, 0};
  // Entries 1 and 3 of each table, in the upper halves of words.
  fake.words[0x1000] = uint64_t{0x2003} << 32;
  fake.words[0x2000 + 8] = uint64_t{0x7003} << 32;
  EXPECT_EQ(GuestPhysical(fake, state, 1u << 22 | 3u << 12 | 0x9ab), 0x79abu);
  fake.words[0x1000] = uint64_t{0xc02083} << 32;
  state.cr4 = kPse;
  EXPECT_EQ(GuestPhysical(fake, state, 1u << 22 | 0x123456), (uint64_t{1} << 32) + 0xd23456);
  fake.words.clear();
  EXPECT_EQ(GuestPhysical(fake, state, 0), std::nullopt) << "tables in a hole";
}

TEST(GuestWalk, GarbageIsWalkedInBoundedSteps) {
  std::mt19937_64 random(21);
  for (int i = 0; i < 20000; ++i) {
    struct Garbage {
      std::mt19937_64* random;
      mutable int reads = 0;
      std::optional<uint64_t> Read64(uint64_t) const {
        ++reads;
        return (*random)() | 1;
      }
    } garbage{&random};
    const ControlRegisters state = {random() | kPaging, random(), random(), random()};
    static_cast<void>(GuestPhysical(garbage, state, random()));
    ASSERT_LE(garbage.reads, 5);
  }
}

}  // namespace
}  // namespace nomhv
