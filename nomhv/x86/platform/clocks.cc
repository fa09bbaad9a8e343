// SPDX-License-Identifier: Apache-2.0
#include "nomhv/x86/platform/clocks.h"

#include <algorithm>

#include "nomhv/x86/platform/apic.h"
#include "nomhv/x86/platform/cpu.h"

namespace nomhv {
namespace {

struct Reference {
  const char* name;
  uint64_t hz;
  uint64_t mask;  // It counts up and wraps here.
  uint64_t (*read)();
};

uint16_t g_pm_port = 0;
volatile uint64_t* g_hpet = nullptr;
Clocks g_clocks;

// Without a change for so many reads a clock stands still; the slowest ticks each microsecond.
constexpr uint32_t kReadsWithoutChange = 200'000;

bool MeasureOnce(const Reference& reference, Clocks& once) {
  const uint64_t wanted = reference.hz / 50;  // 20 ms
  if (wanted == 0) return false;              // CPUID may say anything.
  StartCountingTimer();
  const uint64_t start_tsc = ReadTsc();
  const uint64_t start = reference.read();
  uint64_t passed = 0;
  uint32_t unchanged = 0;
  while (passed < wanted) {
    const uint64_t now = (reference.read() - start) & reference.mask;
    unchanged = now == passed ? unchanged + 1 : 0;
    if (unchanged > kReadsWithoutChange) return false;
    passed = now;
    Pause();
  }
  const uint64_t tsc = ReadTsc() - start_tsc;
  const uint64_t timer = CountedByTimer();
  once.tsc_hz = tsc * reference.hz / passed;
  once.timer_hz = timer * reference.hz / passed;
  return true;
}

// Whoever delays us makes a rate high, never low: the lowest of three counts.
bool Measure(const Reference& reference) {
  Clocks best;
  for (int i = 0; i < 3; ++i) {
    Clocks once;
    if (!MeasureOnce(reference, once)) return false;
    if (i == 0 || once.tsc_hz < best.tsc_hz) best = once;
  }
  constexpr uint64_t kLeastHz = 1'000'000;
  constexpr uint64_t kMostHz = 100'000'000'000;
  if (best.tsc_hz < kLeastHz || best.tsc_hz > kMostHz || best.timer_hz < kLeastHz) return false;
  g_clocks = best;
  g_clocks.measured_by = reference.name;
  return true;
}

// Channel 2 of the PIT in mode 0, counting down through all 16 bits (Intel 8254).
void StartPit() {
  Out8(0x61, static_cast<uint8_t>((In8(0x61) & ~0x02) | 0x01));
  Out8(0x43, 0xb0);
  Out8(0x42, 0);
  Out8(0x42, 0);
}
uint64_t ReadPit() {
  Out8(0x43, 0x80);
  const uint64_t low = In8(0x42);
  return ~(low | uint64_t{In8(0x42)} << 8);
}

// Leaf 15h: the crystal's rate and the TSC's ratio to it. 0 where it does not say.
uint64_t TscHzByCpuid() {
  if (Cpuid(0).eax < 0x15) return 0;
  const CpuidResult r = Cpuid(0x15);
  return r.eax == 0 ? 0 : uint64_t{r.ecx} * r.ebx / r.eax;
}

}  // namespace

bool MeasureClocks(const PmTimer& pm_timer, uint64_t hpet_address, std::string_view only) {
  const auto wanted = [only](std::string_view name) { return only.empty() || only == name; };
  if (const uint64_t hz = TscHzByCpuid(); hz != 0 && wanted("cpuid")) {
    if (Measure({"CPUID", hz, ~uint64_t{0}, ReadTsc})) {
      g_clocks.tsc_hz = hz;
      return true;
    }
  }
  if (pm_timer.port != 0 && wanted("acpi")) {
    constexpr uint64_t kPmTimerHz = 3'579'545;  // ACPI 6.4, 4.8.2.1
    g_pm_port = pm_timer.port;
    const uint64_t mask = pm_timer.wide ? 0xffffffff : 0xffffff;
    const auto read = [] { return uint64_t{In32(g_pm_port)}; };
    if (Measure({"the ACPI timer", kPmTimerHz, mask, read})) return true;
  }
  if (hpet_address != 0 && wanted("hpet")) {
    // IA-PC HPET specification 1.0a, 2.3: the period in femtoseconds, the switch, the counter.
    g_hpet = reinterpret_cast<volatile uint64_t*>(hpet_address);
    const uint64_t period_fs = g_hpet[0] >> 32;
    constexpr uint64_t kMostFs = 100'000'000;
    if (period_fs != 0 && period_fs <= kMostFs) {
      g_hpet[0x10 / 8] = g_hpet[0x10 / 8] | 1;
      const uint64_t hz = 1'000'000'000'000'000 / period_fs;
      const auto read = [] { return uint64_t{g_hpet[0xf0 / 8]}; };
      if (Measure({"the HPET", hz, 0xffffffff, read})) return true;
    }
  }
  if (!wanted("pit")) return false;
  StartPit();
  return Measure({"the PIT", 1'193'182, 0xffff, ReadPit});
}

const Clocks& clocks() { return g_clocks; }

uint64_t TscToUs(uint64_t tsc) {
  const uint64_t hz = g_clocks.tsc_hz;
  return tsc / hz * 1000000 + tsc % hz * 1000 / (hz / 1000);
}

uint64_t MsToCycles(uint64_t ms) { return g_clocks.tsc_hz / 1000 * ms; }

uint64_t UsToCycles(uint64_t us) {
  constexpr uint64_t kDayUs = uint64_t{24} * 3600 * 1000000;
  const uint64_t bounded = std::min(us, kDayUs);
  const uint64_t hz = g_clocks.tsc_hz;
  return bounded / 1000000 * hz + bounded % 1000000 * (hz / 1000) / 1000;
}

}  // namespace nomhv
