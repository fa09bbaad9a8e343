// SPDX-License-Identifier: Apache-2.0
// The rates of the TSC and of the APIC timer, measured against whatever clock the machine has of a
// known rate: CPUID, the ACPI timer, the HPET or the PIT. Every wait is bounded: a clock that
// stands still, or a port where there is none, is passed over.

#ifndef NOMHV_X86_PLATFORM_CLOCKS_H_
#define NOMHV_X86_PLATFORM_CLOCKS_H_

#include <cstdint>
#include <string_view>

#include "nomhv/core/acpi_tables.h"

namespace nomhv {

struct Clocks {
  uint64_t tsc_hz = 0;
  uint64_t timer_hz = 0;         // Of the APIC timer, divided by 1.
  const char* measured_by = "";  // In words.
};

// Once, on the first processor, after InitApic. `hpet_address` 0: there is none. `only`, if not
// empty, is the one clock to be looked at: "cpuid", "acpi", "hpet" or "pit". False when no clock
// can be found or what it shows is impossible.
[[nodiscard]] bool MeasureClocks(const PmTimer& pm_timer, uint64_t hpet_address,
                                 std::string_view only);

// What was measured; zeroes before.
[[nodiscard]] const Clocks& clocks();

// Microseconds of the machine, from any TSC reading; and TSC cycles of so much time. Of
// microseconds a day at most: no deadline is further off.
[[nodiscard]] uint64_t TscToUs(uint64_t tsc);
[[nodiscard]] uint64_t MsToCycles(uint64_t ms);
[[nodiscard]] uint64_t UsToCycles(uint64_t us);

}  // namespace nomhv

#endif  // NOMHV_X86_PLATFORM_CLOCKS_H_
