// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/pc/memory_move.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace nomhv {
namespace {

using Bytes = std::vector<uint8_t>;

// What the assembler says of each: its bytes, then what it is.
TEST(MemoryMove, StoresAndLoadsAreRead) {
  struct Case {
    Bytes code;
    uint32_t bytes;
    bool write;
    uint8_t general_register;
  };
  for (const Case& c : {
           Case{{0x89, 0x10}, 4, true, 2},                                  // mov %edx,(%rax)
           Case{{0x8b, 0x00}, 4, false, 0},                                 // mov (%rax),%eax
           Case{{0x44, 0x89, 0x07}, 4, true, 8},                            // mov %r8d,(%rdi)
           Case{{0x41, 0x89, 0x45, 0x0c}, 4, true, 0},                      // mov %eax,0xc(%r13)
           Case{{0x48, 0x89, 0x5c, 0x24, 0x08}, 8, true, 3},                // mov %rbx,0x8(%rsp)
           Case{{0x4c, 0x8b, 0xbf, 0x00, 0x10, 0x00, 0x00}, 8, false, 15},  // mov 0x1000(%rdi),%r15
           Case{{0x89, 0x05, 0x01, 0x02, 0x03, 0x04}, 4, true, 0},          // mov %eax,0x..(%rip)
           Case{{0x89, 0x04, 0x25, 0x00, 0x00, 0x00, 0xc8}, 4, true, 0},    // mov %eax,0x...
           Case{{0x8b, 0x54, 0x88, 0x04}, 4, false, 2},  // mov 0x4(%rax,%rcx,4),%edx
           Case{{0x8b, 0x94, 0x88, 0, 0, 1, 0}, 4, false, 2},
           Case{{0x3e, 0x67, 0x89, 0x10}, 4, true, 2},
       }) {
    Bytes code = c.code;
    code.push_back(0x90);
    const auto move = DecodeMemoryMove(code);
    ASSERT_TRUE(move.has_value());
    EXPECT_EQ(move->length, c.code.size());
    EXPECT_EQ(move->bytes, c.bytes);
    EXPECT_EQ(move->write, c.write);
    EXPECT_EQ(move->general_register, c.general_register);
    for (size_t cut = 0; cut < c.code.size(); ++cut) {
      EXPECT_FALSE(DecodeMemoryMove(std::span(c.code).first(cut)).has_value()) << cut;
    }
  }
}

TEST(MemoryMove, ConstantsAreRead) {
  const Bytes narrow = {0xc7, 0x43, 0x0c, 0xfe, 0xff, 0xff, 0xff};
  auto move = DecodeMemoryMove(narrow);
  ASSERT_TRUE(move.has_value());
  EXPECT_TRUE(move->write);
  EXPECT_EQ(move->length, 7u);
  EXPECT_EQ(move->general_register, std::nullopt);
  EXPECT_EQ(move->constant, 0xfffffffeu);
  for (size_t cut = 0; cut < narrow.size(); ++cut) {
    EXPECT_FALSE(DecodeMemoryMove(std::span(narrow).first(cut)).has_value()) << cut;
  }
  move = DecodeMemoryMove(Bytes{0x48, 0xc7, 0x00, 0xfe, 0xff, 0xff, 0xff});
  ASSERT_TRUE(move.has_value());
  EXPECT_EQ(move->bytes, 8u);
  EXPECT_EQ(move->constant, ~uint64_t{1});
}

TEST(MemoryMove, EverythingElseIsNotEmulated) {
  for (const Bytes& code : {
           Bytes{0x66, 0x89, 0x10},                     // Of 16 bits.
           Bytes{0x88, 0x10},                           // Of 8.
           Bytes{0xf0, 0x89, 0x10},                     // Locked.
           Bytes{0xf3, 0x89, 0x10}, Bytes{0x89, 0xd0},  // Between registers.
           Bytes{0xc7, 0x08, 0, 0, 0, 0},               // Not MOV.
           Bytes{0x87, 0x10},                           // XCHG.
           Bytes{0x01, 0x10},                           // ADD.
           Bytes{0xa5},                                 // MOVS.
           Bytes{0x0f, 0x11, 0x00},                     // MOVUPS.
       }) {
    Bytes longer = code;
    longer.resize(15, 0x90);
    EXPECT_FALSE(DecodeMemoryMove(longer).has_value()) << int{code[0]} << " " << int{code[1]};
  }
}

TEST(MemoryMove, AnyBytesAreReadWithinTheirBounds) {
  std::mt19937 random(3);
  for (int i = 0; i < 300'000; ++i) {
    Bytes code(random() % 16);
    for (uint8_t& byte : code) {
      byte = static_cast<uint8_t>(random() % 3 == 0 ? (random() % 2 == 0 ? 0x89 : 0xc7) : random());
    }
    const auto move = DecodeMemoryMove(code);
    if (!move.has_value()) continue;
    ASSERT_LE(move->length, code.size());
    ASSERT_GE(move->length, 2u);
    ASSERT_TRUE(move->bytes == 4 || move->bytes == 8);
    ASSERT_TRUE(move->write || move->general_register.has_value());
    ASSERT_LT(move->general_register.value_or(0), 16);
  }
}

}  // namespace
}  // namespace nomhv
