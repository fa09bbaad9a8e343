// SPDX-License-Identifier: Apache-2.0
// What a PC's guest is told: of its processor, its clock, by ACPI, and at its start.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "nomhv/core/pc/acpi.h"
#include "nomhv/core/pc/clock.h"
#include "nomhv/core/pc/cpuid.h"
#include "nomhv/core/pc/start.h"

namespace nomhv {
namespace {

constexpr CpuidResult kAll = {~0u, ~0u, ~0u, ~0u};
constexpr CpuidResult kNone = {};

CpuidResult Told(uint32_t leaf, uint32_t subleaf = 0, const CpuidResult& machine = kAll,
                 uint32_t number = 0, uint32_t count = 1, uint64_t cr4 = 0) {
  return PcCpuid(leaf, subleaf, machine, cr4, number, count);
}
bool Bit(uint32_t word, int bit) { return (word >> bit & 1) != 0; }

TEST(PcCpuid, HasAnX2ApicWithADeadlineWhateverTheMachineHas) {
  for (const CpuidResult& machine : {kAll, kNone}) {
    const CpuidResult told = Told(1, 0, machine);
    EXPECT_TRUE(Bit(told.ecx, 21));
    EXPECT_TRUE(Bit(told.ecx, 24));
    EXPECT_TRUE(Bit(told.ecx, 31));
    EXPECT_TRUE(Bit(told.edx, 9));
    EXPECT_FALSE(Bit(told.ecx, 3)) << "MONITOR";
    EXPECT_FALSE(Bit(told.edx, 12)) << "MTRR";
    EXPECT_FALSE(Bit(told.edx, 7)) << "MCE";
    EXPECT_EQ(Told(6, 0, machine).eax, 4u);
    EXPECT_EQ(Told(0x80000007, 0, machine), (CpuidResult{0, 0, 0, 1u << 8}));
  }
  EXPECT_TRUE(Bit(Told(1, 0, kAll, 0, 1, 1u << 18).ecx, 27)) << "OSXSAVE is the guest's own";
}

TEST(PcCpuid, ProcessorsAreCounted) {
  EXPECT_EQ(Told(1, 0, kAll, 3, 4).ebx, 0x0304ff00u);
  EXPECT_TRUE(Bit(Told(1, 0, kNone, 3, 4).edx, 28));
  EXPECT_FALSE(Bit(Told(1, 0, kAll, 0, 1).edx, 28));
  EXPECT_EQ(Told(0xb, 0, kAll, 3, 4), (CpuidResult{0, 1, 0x100, 3}));
  EXPECT_EQ(Told(0xb, 1, kAll, 3, 4), (CpuidResult{3, 4, 0x201, 3}));
  EXPECT_EQ(Told(0xb, 2, kAll, 3, 4), (CpuidResult{0, 0, 2, 3}));
  EXPECT_EQ(Told(0x80000008, 0, kAll, 3, 4).ecx, 3u);
}

TEST(PcCpuid, WhatIsTheMachinesIsNotShown) {
  for (const uint32_t leaf : {4u, 5u, 0xau, 0x15u, 0x16u, 0x1fu, 0x8000000au, 0x8000001du,
                              0x8000001fu, 0x80000021u, 0xeu, 0x8000001eu}) {
    EXPECT_EQ(Told(leaf), kNone) << leaf;
  }
  EXPECT_EQ(Told(0).eax, 0xdu);
  EXPECT_EQ(Told(0x80000000).eax, 0x80000008u);
  EXPECT_EQ(Told(0, 0, {0x7, 1, 2, 3}), (CpuidResult{0x7, 1, 2, 3}));
  EXPECT_FALSE(Bit(Told(7).ecx, 16)) << "five levels";
  EXPECT_EQ(Told(7).edx >> 26, 0u) << "control of speculation";
  EXPECT_EQ(Told(0x80000008).ebx, 0x205u);
  EXPECT_EQ(Told(0xd, 1).eax, 7u) << "XSAVES has an MSR";
  EXPECT_EQ(Told(0xd, 2), kAll);
  EXPECT_FALSE(Bit(Told(0x80000001).ecx, 2)) << "SVM";
}

TEST(PcCpuid, TheClockIsKvms) {
  const CpuidResult name = Told(0x40000000);
  char text[13] = {};
  std::memcpy(text, &name.ebx, 4);
  std::memcpy(text + 4, &name.ecx, 4);
  std::memcpy(text + 8, &name.edx, 4);
  EXPECT_STREQ(text, "KVMKVMKVM");
  EXPECT_EQ(name.eax, 0x40000001u);
  EXPECT_EQ(Told(0x40000001),
            (CpuidResult{1u << 0 | 1u << 1 | 1u << 3 | 1u << 5 | 1u << 24, 0, 0, 0}));
  EXPECT_EQ(Told(0x40000002), kNone);
}

TEST(PcClock, CountsNanoseconds) {
  for (const uint64_t hz : {1'000'000ull, 999'999'999ull, 1'000'000'000ull, 1'000'000'001ull,
                            2'000'000'000ull, 2'994'373'000ull, 5'100'000'000ull}) {
    const PcClock clock = MakePcClock(500, hz);
    EXPECT_EQ(clock.version % 2, 0u);
    EXPECT_EQ(PcClockNs(clock, 500), 0u);
    // An hour: within one part in 2^31.
    const auto ns = static_cast<double>(PcClockNs(clock, 500 + 3600 * hz));
    EXPECT_NEAR(ns, 3.6e12, 3.6e12 / 2147483648.0 + 2) << hz;
  }
}

uint64_t Word(std::span<const std::byte> bytes, size_t at, size_t size) {
  uint64_t value = 0;
  std::memcpy(&value, bytes.data() + at, size);
  return value;
}

struct Tables {
  static constexpr uint64_t kAt = 0xe0000;
  std::byte bytes[kPcAcpiBytes];
  explicit Tables(uint32_t count) {
    std::memset(bytes, 0xaa, sizeof(bytes));
    BuildPcAcpi(count, kAt, bytes);
  }
  // The table at a guest's address, checked as a guest checks it.
  [[nodiscard]] std::span<const std::byte> At(uint64_t gpa, std::string_view signature) const {
    EXPECT_GE(gpa, kAt);
    EXPECT_EQ(gpa % 4, 0u);
    const std::span<const std::byte> rest = std::span(bytes).subspan(gpa - kAt);
    EXPECT_EQ(std::memcmp(rest.data(), signature.data(), 4), 0) << signature;
    const auto table = rest.first(Word(rest, 4, 4));
    EXPECT_EQ(Sum(table), 0) << signature;
    return table;
  }
  static int Sum(std::span<const std::byte> table) {
    int sum = 0;
    for (const std::byte b : table) sum += std::to_integer<int>(b);
    return sum % 256;
  }
};

TEST(PcAcpi, TablesLeadToEachOther) {
  for (const uint32_t count : {1u, 2u, 8u}) {
    const Tables tables(count);
    EXPECT_EQ(std::memcmp(tables.bytes, "RSD PTR ", 8), 0);
    EXPECT_EQ(Tables::Sum(std::span(tables.bytes).first(20)), 0);
    EXPECT_EQ(Tables::Sum(std::span(tables.bytes).first(36)), 0);
    const auto xsdt = tables.At(Word(tables.bytes, 24, 8), "XSDT");
    ASSERT_EQ(xsdt.size(), 52u);
    const auto fadt = tables.At(Word(xsdt, 36, 8), "FACP");
    EXPECT_EQ(fadt.size(), 276u);
    EXPECT_TRUE(Bit(static_cast<uint32_t>(Word(fadt, 112, 4)), 20)) << "reduced hardware";
    EXPECT_TRUE(Bit(static_cast<uint32_t>(Word(fadt, 112, 4)), 19)) << "physical destinations";
    EXPECT_EQ(Word(fadt, 40, 4), Word(fadt, 140, 8));
    EXPECT_EQ(tables.At(Word(fadt, 140, 8), "DSDT").size(), 151u);
    const auto madt = tables.At(Word(xsdt, 44, 8), "APIC");
    ASSERT_EQ(madt.size(), 44 + 8 * count);
    for (uint32_t i = 0; i < count; ++i) {
      EXPECT_EQ(Word(madt, 44 + 8 * i, 8), 0x100000800u | uint64_t{i} << 16 | uint64_t{i} << 24);
    }
  }
}

LoadPlan Kernel(uint64_t gpa, uint64_t bytes) {
  LoadPlan plan;
  plan.segment_count = 1;
  plan.segments[0] = {gpa, bytes, 0, bytes};
  return plan;
}

TEST(PcStart, TheInitramfsLiesHighestInTheSeed) {
  const std::vector<std::byte> initramfs(5000);
  const PcBoot boot = {.initramfs = initramfs, .command_line = "quiet"};
  uint64_t gpa = 0;
  const LoadPlan kernel = Kernel(0x1000000, 0x1000000);
  EXPECT_EQ(PlanPcBoot(boot, kernel, 0x3000, gpa), NOM_IMAGE_FAULT_NONE);
  EXPECT_EQ(gpa, 0x2ffe000u);
  EXPECT_EQ(PlanPcBoot(boot, kernel, 0x2002, gpa), NOM_IMAGE_FAULT_NONE);
  EXPECT_EQ(gpa, 0x2000000u);
  EXPECT_EQ(PlanPcBoot(boot, kernel, 0x2001, gpa), NOM_IMAGE_FAULT_OUTSIDE_SEED);
  EXPECT_EQ(PlanPcBoot(boot, Kernel(0x1000000, 0x1000001), 0x2002, gpa),
            NOM_IMAGE_FAULT_OUTSIDE_SEED)
      << "not in the kernel's last page";
  EXPECT_EQ(PlanPcBoot({}, kernel, 0x2000, gpa), NOM_IMAGE_FAULT_NONE);
}

TEST(PcStart, TheKernelKeepsOutOfWhatIsReserved) {
  uint64_t gpa = 0;
  EXPECT_EQ(PlanPcBoot({}, Kernel(0x9e000, 0x1000), 0x2000, gpa), NOM_IMAGE_FAULT_NONE);
  EXPECT_EQ(PlanPcBoot({}, Kernel(0x9e000, 0x1001), 0x2000, gpa), NOM_IMAGE_FAULT_OVERLAP);
  EXPECT_EQ(PlanPcBoot({}, Kernel(0xff000, 0x1000), 0x2000, gpa), NOM_IMAGE_FAULT_OVERLAP);
  EXPECT_EQ(PlanPcBoot({}, Kernel(0, 0x200000), 0x2000, gpa), NOM_IMAGE_FAULT_OVERLAP);
  EXPECT_EQ(PlanPcBoot({}, Kernel(0x100000, 0x1000), 0x2000, gpa), NOM_IMAGE_FAULT_NONE);
  EXPECT_EQ(PlanPcBoot({}, Kernel(0x1000, 0x1000), 0x80, gpa), NOM_IMAGE_FAULT_OUTSIDE_SEED)
      << "the seed ends before memory above 1 MiB begins";
}

TEST(PcStart, TheKernelIsToldAll) {
  const std::vector<std::byte> initramfs(5000);
  const std::string command_line(kPcCommandLineBytes, 'c');
  std::vector<std::byte> page(NOM_FRAME_BYTES, std::byte{0xaa});
  BuildPcStartInfo({.initramfs = initramfs, .command_line = command_line}, 0x123000, 0x8000,
                   std::span<std::byte, NOM_FRAME_BYTES>(page));
  EXPECT_EQ(Word(page, 0, 4), 0x336ec578u);
  EXPECT_EQ(Word(page, 4, 4), 1u);
  EXPECT_EQ(Word(page, 32, 8), kPcAcpi);
  const auto at = [&](size_t field) { return Word(page, field, 8) - kPcStartInfo; };
  ASSERT_EQ(Word(page, 12, 4), 1u);
  EXPECT_EQ(Word(page, at(16), 8), 0x123000u);
  EXPECT_EQ(Word(page, at(16) + 8, 8), 5000u);
  EXPECT_STREQ(reinterpret_cast<const char*>(page.data() + at(24)), command_line.c_str());
  ASSERT_EQ(Word(page, 48, 4), 3u);
  uint64_t end = 0;
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(Word(page, at(40) + 24 * i, 8), end) << "without holes";
    end += Word(page, at(40) + 24 * i + 8, 8);
    EXPECT_EQ(Word(page, at(40) + 24 * i + 16, 4), i == 1 ? 2u : 1u);
  }
  EXPECT_EQ(end, 0x8000u * NOM_FRAME_BYTES);
  BuildPcStartInfo({}, 0, 0x8000, std::span<std::byte, NOM_FRAME_BYTES>(page));
  EXPECT_EQ(Word(page, 12, 4), 0u);
}

}  // namespace
}  // namespace nomhv
