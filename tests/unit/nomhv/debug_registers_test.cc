// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "nomhv/core/control_registers.h"

namespace nomhv {
namespace {

TEST(DebugRegisters, KeepWhatIsWritten) {
  DebugRegisters registers;
  uint64_t dr6 = DebugRegisters::kDr6Reset;
  uint64_t value = 0;
  for (uint32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(registers.Write(i, true, 0xffff800000001000 + i, dr6), DebugAccess::kDone);
  }
  EXPECT_EQ(registers.Read(2, true, dr6, value), DebugAccess::kDone);
  EXPECT_EQ(value, 0xffff800000001002);
  EXPECT_EQ(registers.Read(7, true, dr6, value), DebugAccess::kDone);
  EXPECT_EQ(value, 0x400u);
  EXPECT_EQ(registers.Write(7, true, 0xffffffff, dr6), DebugAccess::kDone);
  EXPECT_EQ(registers.Read(7, true, dr6, value), DebugAccess::kDone);
  EXPECT_EQ(value, 0xffff2fffu);
  EXPECT_EQ(registers.Write(6, true, 0, dr6), DebugAccess::kDone);
  EXPECT_EQ(dr6, 0xffff0ff0u);
  EXPECT_EQ(registers.Write(6, true, 0x4001, dr6), DebugAccess::kDone);
  EXPECT_EQ(registers.Read(6, true, dr6, value), DebugAccess::kDone);
  EXPECT_EQ(value, 0xffff4ff1u);
}

TEST(DebugRegisters, RefusalsAreTheProcessors) {
  DebugRegisters registers;
  uint64_t dr6 = DebugRegisters::kDr6Reset;
  uint64_t value = 0;
  EXPECT_EQ(registers.Write(7, true, uint64_t{1} << 32, dr6), DebugAccess::kGeneralProtection);
  EXPECT_EQ(registers.Write(6, true, uint64_t{1} << 63, dr6), DebugAccess::kGeneralProtection);
  EXPECT_EQ(registers.Read(8, true, dr6, value), DebugAccess::kInvalidOpcode);
  EXPECT_EQ(registers.Read(4, true, dr6, value), DebugAccess::kInvalidOpcode);
  EXPECT_EQ(registers.Read(4, false, dr6, value), DebugAccess::kDone);
  EXPECT_EQ(value, dr6);
  EXPECT_EQ(registers.Write(5, false, 0x401, dr6), DebugAccess::kDone);
  EXPECT_EQ(registers.Read(7, true, dr6, value), DebugAccess::kDone);
  EXPECT_EQ(value, 0x401u);
}

}  // namespace
}  // namespace nomhv
