// SPDX-License-Identifier: Apache-2.0
// The five ACPI tables that a PC's guest finds (ACPI 6.4, 5.2): RSDP, XSDT, FADT, MADT, DSDT. A
// machine of reduced hardware: no PIC, PIT, power management timer, RTC or VGA. The DSDT names a
// PCI root bridge, whose functions lie where guests have their devices, and a serial port.

#ifndef NOMHV_CORE_PC_ACPI_H_
#define NOMHV_CORE_PC_ACPI_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace nomhv {

inline constexpr size_t kPcAcpiBytes = 1024;

// Fills `out`, which the guest finds at `gpa` (16-aligned, below 4 GiB), the RSDP first. `count`
// processors, their APIC ids from 0.
void BuildPcAcpi(uint32_t count, uint64_t gpa, std::span<std::byte, kPcAcpiBytes> out);

}  // namespace nomhv

#endif  // NOMHV_CORE_PC_ACPI_H_
