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

// Where an HPET's registers lie, from its table (IA-PC HPET specification 1.0a, 3.2.4); 0: nowhere
// in memory.
uint64_t ReadHpetAddress(std::span<const std::byte> table);

}  // namespace nomhv

#endif  // NOMHV_CORE_ACPI_TABLES_H_
