// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/control_registers.h"

#include <gtest/gtest.h>

#include <random>

namespace nomhv {
namespace {

TEST(ControlRegisters, EferIsTheGuestsButForWhatTheProcessorSays) {
  ControlRegisters r;
  EXPECT_TRUE(r.WriteMsr(kMsrEfer, kEferLme | kEferNxe | kEferSce));
  EXPECT_EQ(r.ReadMsr(kMsrEfer), kEferLme | kEferNxe | kEferSce);
  // LMA is the processor's: written, it is kept as it is.
  EXPECT_TRUE(r.WriteMsr(kMsrEfer, kEferLme | kEferLma));
  EXPECT_EQ(r.efer, kEferLme);
  r.efer |= kEferLma;
  EXPECT_TRUE(r.WriteMsr(kMsrEfer, kEferLme));
  EXPECT_EQ(r.efer, kEferLme | kEferLma);
  // With paging on the mode stays; SVME and what nobody defined are refused.
  r.cr0 = kCr0Paging | kCr0Protection;
  EXPECT_FALSE(r.WriteMsr(kMsrEfer, kEferNxe));
  EXPECT_TRUE(r.WriteMsr(kMsrEfer, kEferLme | kEferNxe));
  for (const int bit : {1, 9, 12, 13, 14, 63}) {
    EXPECT_FALSE(r.WriteMsr(kMsrEfer, r.efer | uint64_t{1} << bit)) << bit;
  }
  EXPECT_EQ(r.efer, kEferLme | kEferLma | kEferNxe);
}

TEST(ControlRegisters, PatTakesKnownTypesOnly) {
  ControlRegisters r;
  EXPECT_EQ(r.ReadMsr(kMsrPat), kPatReset);
  EXPECT_TRUE(r.WriteMsr(kMsrPat, 0x0001040506070000));
  EXPECT_EQ(r.pat, 0x0001040506070000u);
  for (const uint64_t bad : {2u, 3u, 8u, 0x80u, 0xffu}) {
    for (int i = 0; i < 8; ++i) EXPECT_FALSE(r.WriteMsr(kMsrPat, bad << (8 * i)));
  }
  EXPECT_EQ(r.pat, 0x0001040506070000u);
}

TEST(ControlRegisters, NoOtherMsrIsTheGuests) {
  std::mt19937 random(3);
  for (int i = 0; i < 100000; ++i) {
    const auto msr = static_cast<uint32_t>(random());
    if (msr == kMsrPat || msr == kMsrEfer) continue;
    ControlRegisters r;
    ASSERT_FALSE(r.ReadMsr(msr).has_value()) << msr;
    ASSERT_FALSE(r.WriteMsr(msr, 0)) << msr;
  }
}

}  // namespace
}  // namespace nomhv
