// SPDX-License-Identifier: Apache-2.0
// What a PC's guest is told of its processor: what any guest is told (core/cpuid.h), and an x2APIC
// with a TSC deadline, its place among its siblings, and KVM's clock, which Linux knows how to
// read (Linux, Documentation/virt/kvm/x86/cpuid.rst).

#ifndef NOMHV_CORE_PC_CPUID_H_
#define NOMHV_CORE_PC_CPUID_H_

#include <cstdint>

#include "nomhv/core/cpuid.h"

namespace nomhv {

// Processor `number` of `count`.
constexpr CpuidResult PcCpuid(uint32_t leaf, uint32_t subleaf, const CpuidResult& machine,
                              uint64_t cr4, uint32_t number, uint32_t count) {
  constexpr auto bits = [](auto... which) { return ((1u << which) | ...); };
  // What lies above is of machines: topology, caches, encryption, errata of speculation.
  constexpr uint32_t kLast = 0xd;
  constexpr uint32_t kFirstExtended = 0x80000000;
  constexpr uint32_t kLastExtended = 0x80000008;
  if ((leaf > kLast && leaf < kCpuidHypervisor) || leaf > kLastExtended) return {};
  CpuidResult r = GuestCpuid(leaf, subleaf, machine, cr4);
  switch (leaf) {
    case 0:
      if (r.eax > kLast) r.eax = kLast;
      break;
    case kFirstExtended:
      if (r.eax > kLastExtended) r.eax = kLastExtended;
      break;
    case 1:
      r.ecx |= bits(21, 24);  // x2APIC, TSC deadline.
      r.ecx &= ~bits(15);     // PDCM.
      r.edx |= bits(9);       // APIC.
      r.ebx = (r.ebx & 0xff00) | number << 24 | count << 16;
      if (count > 1) r.edx |= bits(28);  // HTT: leaf 1 counts processors.
      break;
    case 4:
      return {};
    case 6:
      r.eax = bits(2);  // The APIC's timer never stops.
      break;
    case 7:
      if (subleaf != 0) break;
      // TSC_ADJUST, SGX, monitoring and allocation of caches, tracing; protection keys, WAITPKG,
      // five levels; all by which speculation is controlled, as these MSRs are not there.
      r.ebx &= ~bits(1, 2, 12, 15, 25);
      r.ecx &= ~bits(3, 5, 16, 31);
      r.edx &= ~bits(18, 19, 26, 27, 28, 29, 30, 31);
      break;
    case 0xb:
      // Level 0 is a core's only thread, level 1 all of them.
      r = {subleaf == 1 ? 3u : 0u,
           subleaf == 0   ? 1u
           : subleaf == 1 ? count
                          : 0u,
           subleaf | (subleaf < 2 ? (subleaf + 1) << 8 : 0u), number};
      break;
    case 0xd:
      if (subleaf == 1) r = {r.eax & 7, r.ebx, 0, 0};  // Without XSAVES.
      break;
    case 0x80000001:
      r.ecx &= ~bits(22, 24, 28);  // Topology extensions, counters.
      r.edx |= bits(9);
      break;
    case 0x80000007:
      r = {0, 0, 0, bits(8)};  // The TSC is invariant.
      break;
    case 0x80000008:
      // Of EBX: CLZERO, XSAVEERPTR, WBNOINVD.
      r = {r.eax, r.ebx & bits(0, 2, 9), count - 1, 0};
      break;
    case kCpuidHypervisor:
      r = {kCpuidHypervisor + 1, 0x4b4d564b, 0x564b4d56, 0x4d};  // "KVMKVMKVM"
      break;
    case kCpuidHypervisor + 1:
      // Clock (both numbers of its MSRs), no delays at ports, steal time, a stable clock.
      r.eax = bits(0, 1, 3, 5, 24);
      break;
    default:
      break;
  }
  return r;
}

}  // namespace nomhv

#endif  // NOMHV_CORE_PC_CPUID_H_
