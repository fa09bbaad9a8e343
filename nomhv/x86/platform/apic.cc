// SPDX-License-Identifier: Apache-2.0
#include "nomhv/x86/platform/apic.h"

#include <algorithm>

#include "nomhv/core/budget.h"
#include "nomhv/x86/platform/clocks.h"
#include "nomhv/x86/platform/cpu.h"

namespace nomhv {
namespace {

constexpr uint64_t kBase = 0xfee00000;
// Offsets: APM 2, table 16-2.
constexpr uint32_t kId = 0x20;
constexpr uint32_t kTaskPriority = 0x80;
constexpr uint32_t kEndOfInterrupt = 0xb0;
constexpr uint32_t kSpurious = 0xf0;
constexpr uint32_t kCommandLow = 0x300;
constexpr uint32_t kCommandHigh = 0x310;
constexpr uint32_t kTimer = 0x320;
constexpr uint32_t kLint0 = 0x350;
constexpr uint32_t kLint1 = 0x360;
constexpr uint32_t kError = 0x370;
constexpr uint32_t kInitialCount = 0x380;
constexpr uint32_t kCurrentCount = 0x390;
constexpr uint32_t kDivide = 0x3e0;

constexpr uint32_t kMasked = 1u << 16;
constexpr uint32_t kDivideBy1 = 0xb;
constexpr uint32_t kDeliveryPending = 1u << 12;
constexpr uint32_t kLevelAssert = 1u << 14;
constexpr uint32_t kDeliveryNmi = 4u << 8;
constexpr uint32_t kDeliveryInit = 5u << 8;
constexpr uint32_t kDeliveryStartup = 6u << 8;
constexpr uint32_t kAllButSelf = 3u << 18;

uint32_t Read(uint32_t offset) { return *reinterpret_cast<volatile uint32_t*>(kBase + offset); }
void Write(uint32_t offset, uint32_t value) {
  *reinterpret_cast<volatile uint32_t*>(kBase + offset) = value;
}

void SendCommand(uint8_t apic_id, uint32_t low) {
  while ((Read(kCommandLow) & kDeliveryPending) != 0) Pause();
  Write(kCommandHigh, uint32_t{apic_id} << 24);
  Write(kCommandLow, low);
}

}  // namespace

void DisablePic() {
  Out8(0x21, 0xff);
  Out8(0xa1, 0xff);
}

void InitApic() {
  constexpr uint64_t kGlobalEnable = 1u << 11;
  constexpr uint64_t kX2ApicMode = 1u << 10;
  // From x2APIC mode the way back leads through "disabled" (16.9).
  if (const uint64_t base = ReadMsr(kMsrApicBase); (base & kX2ApicMode) != 0) {
    WriteMsr(kMsrApicBase, base & ~(kGlobalEnable | kX2ApicMode));
  }
  WriteMsr(kMsrApicBase, (ReadMsr(kMsrApicBase) & 0x3ff) | kBase | kGlobalEnable);
  Write(kTaskPriority, 0);
  Write(kLint0, kMasked);
  Write(kLint1, kMasked);
  Write(kError, kMasked);
  Write(kDivide, kDivideBy1);
  Write(kTimer, kMasked | kVectorTimer);
  Write(kSpurious, 0x100 | kVectorSpurious);
}

uint8_t LocalApicId() { return static_cast<uint8_t>(Read(kId) >> 24); }

void EndOfInterrupt() { Write(kEndOfInterrupt, 0); }

void StartCountingTimer() { Write(kInitialCount, ~uint32_t{0}); }

uint64_t CountedByTimer() {
  const uint64_t counted = ~uint32_t{0} - Read(kCurrentCount);
  Write(kInitialCount, 0);
  return counted;
}

void ArmTimer(uint64_t deadline_tsc) {
  if (deadline_tsc == kNoDeadline) {
    Write(kTimer, kMasked | kVectorTimer);
    Write(kInitialCount, 0);
    return;
  }
  const uint64_t now = ReadTsc();
  const uint64_t cycles = deadline_tsc > now ? deadline_tsc - now : 0;
  // Two seconds at most: no overflow below, and a count that fits.
  const uint64_t most_cycles = clocks().tsc_hz * 2;
  const uint64_t count =
      std::min(cycles, most_cycles) * (clocks().timer_hz / 1000) / (clocks().tsc_hz / 1000);
  Write(kTimer, kVectorTimer);
  Write(kInitialCount, static_cast<uint32_t>(std::clamp<uint64_t>(count, 1, ~uint32_t{0})));
}

void SendInterrupt(uint8_t apic_id, uint8_t vector) { SendCommand(apic_id, vector); }
void SendNmiToOthers() { SendCommand(0, kAllButSelf | kLevelAssert | kDeliveryNmi); }
void SendInit(uint8_t apic_id) { SendCommand(apic_id, kLevelAssert | kDeliveryInit); }
void SendStartup(uint8_t apic_id, uint8_t page) {
  SendCommand(apic_id, kLevelAssert | kDeliveryStartup | page);
}

void SpinFor(uint64_t us) {
  const uint64_t end = ReadTsc() + UsToCycles(us);
  while (ReadTsc() < end) Pause();
}

}  // namespace nomhv
