// SPDX-License-Identifier: Apache-2.0
// What nomhv reads of ACPI's tables (ACPI 6.4, 5.2). The tables are firmware's: their lengths are
// checked, and what is not understood is passed over.

#ifndef NOMHV_CORE_ACPI_TABLES_H_
#define NOMHV_CORE_ACPI_TABLES_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace nomhv {

inline constexpr uint32_t kProcessorsMax = 64;

struct ProcessorList {
  uint32_t count = 0;
  uint32_t apic_ids[kProcessorsMax] = {};
  uint32_t left_out = 0;  // Enabled, and more than there is room for.
  uint32_t too_high = 0;  // Of an id above 254: only an x2APIC reaches them.
};

// The enabled processors of an MADT (5.2.12), header included: local APICs and local x2APICs. The
// processor `own_id`, which reads this, comes first, listed or not.
void ReadMadt(std::span<const std::byte> table, uint32_t own_id, ProcessorList& list);

struct PmTimer {
  uint16_t port = 0;  // 0: there is none.
  bool wide = false;  // 32 bits, not 24.
};
// From an FADT (5.2.9), header included.
PmTimer ReadFadtTimer(std::span<const std::byte> table);

// Where an HPET's registers lie, from its table (IA-PC HPET 1.0a, 3.2.4); 0: nowhere in memory.
uint64_t ReadHpetAddress(std::span<const std::byte> table);

// Where configuration space lies in memory, from an MCFG (PCI Firmware 3.2, 4.1.2): segment 0 only.
struct Ecam {
  uint64_t base = 0;  // Of bus 0; 0: there is none.
  uint32_t last_bus = 0;
};
Ecam ReadMcfg(std::span<const std::byte> table);

// The one remapping unit of a machine, from a DMAR (VT-d 3.4, 8.3), and what is behind it. Places:
// bus << 8 | device << 3 | function.
struct RemappingUnit {
  static constexpr uint32_t kScopesMax = 64;  // What is beyond is not behind it.
  uint64_t registers = 0;                     // 0: there is none, or there are several.
  bool all = false;                           // Every function is behind it.
  uint32_t scope_count = 0;
  struct Scope {
    uint16_t place = 0;
    bool below = false;  // A bridge: what is below it.
  } scopes[kScopesMax];
};
RemappingUnit ReadDmar(std::span<const std::byte> table);

}  // namespace nomhv

#endif  // NOMHV_CORE_ACPI_TABLES_H_
