// SPDX-License-Identifier: Apache-2.0
// What a guest is told of its processor (AMD64 APM volume 3, appendix E): the machine's answer,
// less what is not the guest's.

#ifndef NOMHV_CORE_CPUID_H_
#define NOMHV_CORE_CPUID_H_

#include <cstdint>

namespace nomhv {

struct CpuidResult {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;

  friend constexpr bool operator==(const CpuidResult&, const CpuidResult&) = default;
};

inline constexpr uint32_t kCpuidHypervisor = 0x40000000;

// `machine` is the processor's own answer; `cr4` is the guest's.
constexpr CpuidResult GuestCpuid(uint32_t leaf, uint32_t subleaf, const CpuidResult& machine,
                                 uint64_t cr4) {
  constexpr auto without = [](auto... bits) { return ~((1u << bits) | ...); };
  constexpr uint32_t kAll = ~0u;
  constexpr uint32_t kAny = ~0u;
  struct Rule {
    uint32_t leaf, subleaf, eax, ebx, ecx, edx;  // The masks of what is passed.
  };
  constexpr Rule kRules[] = {
      // DTES64, MONITOR, x2APIC, deadline, OSXSAVE; MCE, APIC, MTRR, MCA, DS, ACPI, HTT. APIC 0.
      {1, kAny, kAll, 0xffff, without(2, 3, 21, 24, 27), without(7, 9, 12, 14, 21, 22, 28)},
      {5, kAny, 0, 0, 0, 0},                     // MONITOR.
      {6, kAny, 0, 0, 0, 0},                     // Power.
      {7, 0, kAll, kAll, without(4, 22), kAll},  // OSPKE, RDPID.
      {0xa, kAny, 0, 0, 0, 0},                   // Performance counters.
      {0xb, kAny, 0, 0, 0, 0},                   // Topology.
      // SVM, extended APIC, IBS, SKINIT, WDT, performance counters; as leaf 1, and RDTSCP.
      {0x80000001, kAny, kAll, kAll, without(2, 3, 10, 12, 13, 23), without(7, 9, 12, 14, 27)},
      {0x8000000a, kAny, 0, 0, 0, 0},  // SVM.
  };
  constexpr uint32_t kName = 0x76686d6e;  // "nmhv"
  constexpr uint32_t kLastHypervisor = 0x4000ffff;
  if (leaf == kCpuidHypervisor) return {kCpuidHypervisor, kName, kName, kName};
  if (leaf > kCpuidHypervisor && leaf <= kLastHypervisor) return {};
  CpuidResult r = machine;
  for (const Rule& rule : kRules) {
    if (rule.leaf != leaf || (rule.subleaf != kAny && rule.subleaf != subleaf)) continue;
    r = {r.eax & rule.eax, r.ebx & rule.ebx, r.ecx & rule.ecx, r.edx & rule.edx};
  }
  // What shows a bit of the guest's own CR4: OSXSAVE, OSPKE.
  if (leaf == 1) {
    r.ebx |= 1u << 16;
    r.ecx |= (cr4 >> 18 & 1) << 27 | 1u << 31;
  }
  if (leaf == 7 && subleaf == 0) r.ecx |= (cr4 >> 22 & 1) << 4;
  return r;
}

}  // namespace nomhv

#endif  // NOMHV_CORE_CPUID_H_
