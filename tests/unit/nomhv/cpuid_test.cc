// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/cpuid.h"

#include <gtest/gtest.h>

namespace nomhv {
namespace {

// A processor that has everything.
constexpr CpuidResult kAll = {~0u, ~0u, ~0u, ~0u};

bool Has(uint32_t word, int bit) { return (word >> bit & 1) != 0; }

TEST(Cpuid, WhatIsNotTheGuestsIsNotShown) {
  const CpuidResult one = GuestCpuid(1, 0, kAll, 0);
  for (const int bit : {2, 3, 21, 24, 27}) EXPECT_FALSE(Has(one.ecx, bit)) << bit;
  for (const int bit : {7, 9, 12, 14, 21, 22, 28}) EXPECT_FALSE(Has(one.edx, bit)) << bit;
  EXPECT_TRUE(Has(one.ecx, 26)) << "XSAVE is the guest's";
  EXPECT_TRUE(Has(one.ecx, 31)) << "a hypervisor is here";
  EXPECT_EQ(one.ebx, 0x1ffffu) << "APIC 0 of one";
  EXPECT_EQ(one.eax, ~0u);
  const CpuidResult extended = GuestCpuid(0x80000001, 0, kAll, 0);
  for (const int bit : {2, 3, 10, 12, 13, 23}) EXPECT_FALSE(Has(extended.ecx, bit)) << bit;
  for (const int bit : {7, 9, 12, 14, 27}) EXPECT_FALSE(Has(extended.edx, bit)) << bit;
  EXPECT_TRUE(Has(extended.edx, 29)) << "long mode";
  for (const uint32_t leaf : {5u, 6u, 0xau, 0xbu, 0x8000000au}) {
    EXPECT_EQ(GuestCpuid(leaf, 0, kAll, 0), CpuidResult{}) << leaf;
  }
}

TEST(Cpuid, TheGuestsOwnControlRegisterShows) {
  EXPECT_FALSE(Has(GuestCpuid(1, 0, kAll, 0).ecx, 27));
  EXPECT_TRUE(Has(GuestCpuid(1, 0, {}, 1u << 18).ecx, 27));
  EXPECT_FALSE(Has(GuestCpuid(7, 0, kAll, 0).ecx, 4));
  EXPECT_TRUE(Has(GuestCpuid(7, 0, {}, 1u << 22).ecx, 4));
  EXPECT_FALSE(Has(GuestCpuid(7, 0, kAll, 0).ecx, 22)) << "RDPID";
  EXPECT_EQ(GuestCpuid(7, 1, kAll, 0), kAll) << "another subleaf is another leaf";
}

TEST(Cpuid, TheHypervisorsLeavesAreNomhvs) {
  const CpuidResult name = GuestCpuid(0x40000000, 0, kAll, 0);
  EXPECT_EQ(name, (CpuidResult{0x40000000, 0x76686d6e, 0x76686d6e, 0x76686d6e}));
  for (const uint32_t leaf : {0x40000001u, 0x40000100u, 0x4000ffffu}) {
    EXPECT_EQ(GuestCpuid(leaf, 0, kAll, 0), CpuidResult{}) << leaf;
  }
  EXPECT_EQ(GuestCpuid(0x40010000, 0, kAll, 0), kAll);
  EXPECT_EQ(GuestCpuid(0xd, 1, kAll, 0), kAll);
}

}  // namespace
}  // namespace nomhv
