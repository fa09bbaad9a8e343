// SPDX-License-Identifier: Apache-2.0
// The words of Intel's VT-d in legacy mode: table entries, invalidations, remapped interrupts
// ("VT-d Architecture Specification" 3.4; sections are named).

#ifndef NOMHV_CORE_VTD_H_
#define NOMHV_CORE_VTD_H_

#include <cstdint>

namespace nomhv {

struct VtdEntry {
  uint64_t low = 0;
  uint64_t high = 0;
};

// 9.1: a bus has a table of 256 context entries.
constexpr VtdEntry VtdRootEntry(uint64_t context_table) { return {context_table | 1, 0}; }

// 9.3: a function's requests go through the tables at `root`, of three or four levels, and are
// remembered under `domain`. Faults are recorded.
constexpr VtdEntry VtdContextEntry(uint64_t root, int levels, uint16_t domain) {
  return {root | 1, uint64_t{domain} << 8 | static_cast<uint64_t>(levels - 2)};
}

// 6.5.2: what the unit is to forget. Of translations with all reads and writes drained.
constexpr VtdEntry VtdForgetContexts() { return {0x1 | 1 << 4, 0}; }
constexpr VtdEntry VtdForgetAllTranslations() { return {0x2 | 1 << 4 | 3 << 6, 0}; }
constexpr VtdEntry VtdForgetTranslations(uint16_t domain) {
  return {0x2 | 2 << 4 | 3 << 6 | uint64_t{domain} << 16, 0};
}
constexpr VtdEntry VtdForgetInterrupts() { return {0x4, 0}; }
// Writes `value` to the aligned word at `address` once all that stands before it is done.
constexpr VtdEntry VtdWait(uint64_t address, uint32_t value) {
  return {0x5 | 1 << 5 | uint64_t{value} << 32, address};
}

// 9.10: an interrupt of the function `source` alone, fixed, edge, to a processor in xAPIC mode.
constexpr VtdEntry VtdInterruptEntry(uint16_t source, uint8_t apic_id, uint8_t vector) {
  constexpr uint64_t kVerifySource = 1;
  return {1 | uint64_t{vector} << 16 | uint64_t{apic_id} << 40, source | kVerifySource << 18};
}
// 5.1.2.2: the address of a message that is the table's entry `index`; its data is 0.
constexpr uint32_t VtdMessageAddress(uint16_t index) {
  return 0xfee00010 | uint32_t{index & 0x7fffu} << 5 | uint32_t{index} >> 15 << 2;
}

}  // namespace nomhv

#endif  // NOMHV_CORE_VTD_H_
