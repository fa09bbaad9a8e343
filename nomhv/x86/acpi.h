// The tables of ACPI that nomhv needs: which processors there are (ACPI 6.4, 5.2.5 and 5.2.12).

#ifndef NOMHV_X86_ACPI_H_
#define NOMHV_X86_ACPI_H_

#include <cstdint>

#include "nomhv/core/processors.h"
#include "nomhv/x86/boot_info.h"

namespace nomhv {

struct ProcessorList {
  uint32_t count = 0;
  uint8_t apic_ids[kProcessorsMax] = {};
};

// The enabled processors of the MADT, at most kProcessorsMax. Panics if there is no MADT.
void ReadProcessors(const BootInfo& info, ProcessorList& list);

}  // namespace nomhv

#endif  // NOMHV_X86_ACPI_H_
