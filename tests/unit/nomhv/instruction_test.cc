// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/instruction.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace nomhv {
namespace {

using Bytes = std::vector<uint8_t>;

TEST(Instruction, PrefixesAreCounted) {
  for (const Opcode& opcode :
       {kOpcodeHlt, kOpcodeCpuid, kOpcodeRdmsr, kOpcodeWrmsr, kOpcodeInvalidate, kOpcodeVmmcall}) {
    for (const Bytes& prefixes :
         {Bytes{}, Bytes{0xf3}, Bytes{0x66}, Bytes{0x48}, Bytes{0x2e, 0x66, 0x67, 0x4f},
          Bytes{0x48, 0x66}, Bytes{0xf2, 0xf3, 0x26, 0x36, 0x3e, 0x64, 0x65, 0x40}}) {
      Bytes code = prefixes;
      code.insert(code.end(), opcode.bytes.begin(), opcode.bytes.begin() + opcode.count);
      code.push_back(0x90);
      const auto found = FindOpcode(code, opcode, /*code64=*/true);
      ASSERT_TRUE(found.has_value());
      EXPECT_EQ(found->count, prefixes.size());
    }
  }
}

TEST(Instruction, WbinvdIsLikeInvd) {
  EXPECT_TRUE(FindOpcode(Bytes{0x0f, 0x08}, kOpcodeInvalidate, true).has_value());
  EXPECT_EQ(FindOpcode(Bytes{0xf3, 0x0f, 0x09}, kOpcodeInvalidate, true)->count, 1u);
  EXPECT_FALSE(FindOpcode(Bytes{0x0f, 0x0a}, kOpcodeInvalidate, true).has_value());
}

TEST(Instruction, RexIsAnOpcodeOutside64BitCode) {
  EXPECT_TRUE(FindOpcode(Bytes{0x48, 0x0f, 0xa2}, kOpcodeCpuid, true).has_value());
  EXPECT_FALSE(FindOpcode(Bytes{0x48, 0x0f, 0xa2}, kOpcodeCpuid, false).has_value());
}

TEST(Instruction, WhatIsNotItIsNotTakenForIt) {
  EXPECT_FALSE(FindOpcode(Bytes{}, kOpcodeHlt, true).has_value());
  EXPECT_FALSE(FindOpcode(Bytes{0xf3}, kOpcodeHlt, true).has_value());
  EXPECT_FALSE(FindOpcode(Bytes{0x0f}, kOpcodeCpuid, true).has_value());
  EXPECT_FALSE(FindOpcode(Bytes{0x0f, 0xa3}, kOpcodeCpuid, true).has_value());
  EXPECT_FALSE(FindOpcode(Bytes(15, 0x66), kOpcodeCpuid, true).has_value());
}

TEST(Instruction, DebugMovesNameTheirRegisters) {
  // mov %rdi, %dr7: 0f 23 ff; mov %dr6, %r9: 41 0f 21 f1.
  const auto write = DecodeDebugMove(Bytes{0x0f, 0x23, 0xff}, true, true);
  ASSERT_TRUE(write.has_value());
  EXPECT_EQ(write->length, 3u);
  EXPECT_EQ(write->debug_register, 7);
  EXPECT_EQ(write->general_register, 7);
  const auto read = DecodeDebugMove(Bytes{0x41, 0x0f, 0x21, 0xf1}, false, true);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->length, 4u);
  EXPECT_EQ(read->debug_register, 6);
  EXPECT_EQ(read->general_register, 9);
  // The mode is ignored; a REX before another prefix is void.
  EXPECT_EQ(DecodeDebugMove(Bytes{0x0f, 0x23, 0x07}, true, true)->general_register, 7);
  EXPECT_EQ(DecodeDebugMove(Bytes{0x41, 0x66, 0x0f, 0x21, 0xf1}, false, true)->general_register, 1);
  EXPECT_EQ(DecodeDebugMove(Bytes{0x44, 0x0f, 0x23, 0xc0}, true, true)->debug_register, 8);
  EXPECT_FALSE(DecodeDebugMove(Bytes{0x0f, 0x23}, true, true).has_value());
  EXPECT_FALSE(DecodeDebugMove(Bytes{0x0f, 0x21, 0xff}, true, true).has_value());
}

TEST(Instruction, RandomBytesStayInBounds) {
  std::mt19937_64 random(8);
  for (int i = 0; i < 200000; ++i) {
    Bytes code(random() % 16);
    for (uint8_t& byte : code) {
      byte = random() % 3 == 0 ? static_cast<uint8_t>(random())
                               : static_cast<uint8_t>("\x66\xf3\x48\x0f"[random() % 4]);
    }
    const auto found = FindOpcode(code, kOpcodeVmmcall, random() % 2 == 0);
    if (found.has_value()) {
      ASSERT_LE(found->count + kOpcodeVmmcall.count, code.size());
    }
    const auto move = DecodeDebugMove(code, random() % 2 == 0, random() % 2 == 0);
    if (move.has_value()) {
      ASSERT_LE(move->length, code.size());
      ASSERT_LE(move->debug_register, 15);
      ASSERT_LE(move->general_register, 15);
    }
  }
}

}  // namespace
}  // namespace nomhv
