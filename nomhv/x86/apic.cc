#include "nomhv/x86/apic.h"

#include "nomhv/core/budget.h"
#include "nomhv/x86/cpu.h"

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
  WriteMsr(kMsrApicBase, (ReadMsr(kMsrApicBase) & 0xfff) | kBase | kGlobalEnable);
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

Clocks MeasureClocks() {
  // Channel 2 counts down once at 1193182 Hz; port 0x61 bit 5 shows when it is through (Intel
  // 8254, mode 0). Whoever delays us makes a measurement long, never short: the shortest counts.
  constexpr uint64_t kPitHz = 1193182;
  constexpr uint32_t kCount = 23864;  // 20 ms
  uint64_t best_tsc = ~uint64_t{0};
  uint64_t best_timer = 0;
  for (int i = 0; i < 3; ++i) {
    Out8(0x61, static_cast<uint8_t>((In8(0x61) & ~0x02) | 0x01));
    Out8(0x43, 0xb0);
    Out8(0x42, kCount & 0xff);
    Write(kInitialCount, ~uint32_t{0});
    const uint64_t start = ReadTsc();
    Out8(0x42, kCount >> 8);
    while ((In8(0x61) & 0x20) == 0) Pause();
    const uint64_t tsc = ReadTsc() - start;
    const uint64_t timer = ~uint32_t{0} - Read(kCurrentCount);
    if (tsc < best_tsc) {
      best_tsc = tsc;
      best_timer = timer;
    }
  }
  Write(kInitialCount, 0);
  return {best_tsc * kPitHz / kCount, best_timer * kPitHz / kCount};
}

void ArmTimer(uint64_t deadline_tsc, const Clocks& clocks) {
  if (deadline_tsc == kNoDeadline) {
    Write(kTimer, kMasked | kVectorTimer);
    Write(kInitialCount, 0);
    return;
  }
  const uint64_t now = ReadTsc();
  const uint64_t cycles = deadline_tsc > now ? deadline_tsc - now : 0;
  constexpr uint64_t kMost = ~uint32_t{0};
  // Two seconds at most: no overflow below, and a count that fits.
  const uint64_t most_cycles = clocks.tsc_hz * 2;
  uint64_t count = (cycles < most_cycles ? cycles : most_cycles) * (clocks.timer_hz / 1000) /
                   (clocks.tsc_hz / 1000);
  if (count > kMost) count = kMost;
  if (count == 0) count = 1;
  Write(kTimer, kVectorTimer);
  Write(kInitialCount, static_cast<uint32_t>(count));
}

void SendInterrupt(uint8_t apic_id, uint8_t vector) { SendCommand(apic_id, vector); }
void SendNmiToOthers() { SendCommand(0, kAllButSelf | kLevelAssert | kDeliveryNmi); }
void SendInit(uint8_t apic_id) { SendCommand(apic_id, kLevelAssert | kDeliveryInit); }
void SendStartup(uint8_t apic_id, uint8_t page) {
  SendCommand(apic_id, kLevelAssert | kDeliveryStartup | page);
}

void SpinFor(uint64_t us, uint64_t tsc_hz) {
  const uint64_t end = ReadTsc() + tsc_hz / 1000000 * us;
  while (ReadTsc() < end) Pause();
}

}  // namespace nomhv
