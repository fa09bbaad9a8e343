// SPDX-License-Identifier: Apache-2.0
// Finds the tables of ACPI that nomhv needs (ACPI 6.4, 5.2.5); core/acpi_tables.h reads them.

#ifndef NOMHV_X86_PLATFORM_ACPI_H_
#define NOMHV_X86_PLATFORM_ACPI_H_

#include <cstdint>

#include "nomhv/core/acpi_tables.h"
#include "nomhv/x86/platform/boot_info.h"

namespace nomhv {

// What the machine has, as its firmware's tables say.
struct AcpiFacts {
  bool found = false;  // Else there was no root pointer or no MADT.
  ProcessorList processors;
  PmTimer pm_timer;
  uint64_t hpet_address = 0;  // 0: none.
  Ecam ecam;
  RemappingUnit remapping;
};

// `own_id` is this processor's APIC id.
void ReadAcpi(const BootInfo& info, uint32_t own_id, AcpiFacts& facts);

}  // namespace nomhv

#endif  // NOMHV_X86_PLATFORM_ACPI_H_
