// SPDX-License-Identifier: Apache-2.0
// The local APIC in its memory-mapped form and its one-shot timer (AMD64 APM volume 2, chapter 16).

#ifndef NOMHV_X86_PLATFORM_APIC_H_
#define NOMHV_X86_PLATFORM_APIC_H_

#include <cstdint>

namespace nomhv {

inline constexpr uint8_t kVectorTimer = 0x30;
inline constexpr uint8_t kVectorPoke = 0x31;      // Look at your requests.
inline constexpr uint8_t kVectorDoorbell = 0x32;  // marketd rang.
inline constexpr uint8_t kVectorDevices = 0x40;   // The first of those of guests' devices.
inline constexpr uint8_t kVectorSpurious = 0xff;

// Masks the old interrupt controllers. Once, on the first processor.
void DisablePic();
// Enables this processor's APIC, in its memory-mapped form also where firmware left it an x2APIC.
void InitApic();
[[nodiscard]] uint8_t LocalApicId();
void EndOfInterrupt();

// For measuring: lets the timer count down from its highest, and says how far it came.
void StartCountingTimer();
[[nodiscard]] uint64_t CountedByTimer();

// Arms the one-shot timer for the TSC `deadline` (kNoDeadline: disarms). The timer counts 32 bits;
// a deadline beyond that fires early, and whoever asked looks at the clock and arms again.
void ArmTimer(uint64_t deadline_tsc);

void SendInterrupt(uint8_t apic_id, uint8_t vector);
void SendNmiToOthers();
void SendInit(uint8_t apic_id);
void SendStartup(uint8_t apic_id, uint8_t page);

void SpinFor(uint64_t us);

}  // namespace nomhv

#endif  // NOMHV_X86_PLATFORM_APIC_H_
