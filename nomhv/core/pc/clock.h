// SPDX-License-Identifier: Apache-2.0
// The clock and the account of stolen time that a PC's guest reads in its own memory (Linux,
// Documentation/virt/kvm/x86/msr.rst). The TSC is the machine's, so the clock is written once.

#ifndef NOMHV_CORE_PC_CLOCK_H_
#define NOMHV_CORE_PC_CLOCK_H_

#include <cstdint>

namespace nomhv {

inline constexpr uint32_t kMsrKvmWallClock = 0x4b564d00;
inline constexpr uint32_t kMsrKvmSystemTime = 0x4b564d01;
inline constexpr uint32_t kMsrKvmStealTime = 0x4b564d03;

// As the guest reads it: version (odd while it is written), then
//   nanoseconds = system_time + ((tsc - tsc_timestamp) << shift) * multiplier >> 32.
struct PcClock {
  uint32_t version = 2;
  uint32_t pad = 0;
  uint64_t tsc_timestamp = 0;
  uint64_t system_time = 0;
  uint32_t multiplier = 0;
  int8_t shift = 0;   // Negative: to the right.
  uint8_t flags = 1;  // The same on all processors.
  uint8_t pad1[2] = {};
};
static_assert(sizeof(PcClock) == 32);

struct PcStolenTime {
  uint64_t ns = 0;
  uint32_t version = 0;  // Odd while it is written.
  uint32_t flags = 0;
  uint8_t preempted = 0;
  uint8_t pad[47] = {};
};
static_assert(sizeof(PcStolenTime) == 64);

// A clock that counts from `start_tsc` on. `tsc_hz` is at least 1 MHz.
constexpr PcClock MakePcClock(uint64_t start_tsc, uint64_t tsc_hz) {
  constexpr uint64_t kNsPerSecond = 1'000'000'000;
  PcClock clock;
  clock.tsc_timestamp = start_tsc;
  // ns = cycles * 1e9 / hz, as a fraction of 32 bits from 1/2 to 1.
  while (tsc_hz <= kNsPerSecond) {
    tsc_hz <<= 1;
    ++clock.shift;
  }
  while (tsc_hz > 2 * kNsPerSecond) {
    tsc_hz >>= 1;
    --clock.shift;
  }
  clock.multiplier = static_cast<uint32_t>((kNsPerSecond << 32) / tsc_hz);
  return clock;
}

// What the guest makes of a reading of the TSC.
constexpr uint64_t PcClockNs(const PcClock& clock, uint64_t tsc) {
  __extension__ using Wide = unsigned __int128;
  uint64_t cycles = tsc - clock.tsc_timestamp;
  cycles = clock.shift >= 0 ? cycles << clock.shift : cycles >> -clock.shift;
  return clock.system_time +
         static_cast<uint64_t>(static_cast<Wide>(cycles) * clock.multiplier >> 32);
}

}  // namespace nomhv

#endif  // NOMHV_CORE_PC_CLOCK_H_
