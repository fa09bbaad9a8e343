// SPDX-License-Identifier: Apache-2.0
#include "nomhv/x86/platform/log.h"

#include <algorithm>

#include "nomhv/core/log_ring.h"
#include "nomhv/x86/platform/clocks.h"
#include "nomhv/x86/platform/cpu.h"
#include "nomhv/x86/platform/spinlock.h"

namespace nomhv {
namespace {

// The 16550 (National Semiconductor PC16550D, 8.0).
constexpr uint16_t kCom1 = 0x3f8;
constexpr uint16_t kLineControl = kCom1 + 3;
constexpr uint16_t kLineStatus = kCom1 + 5;
constexpr uint8_t kTransmitterEmpty = 0x20;
constexpr uint32_t kFifoBytes = 16;  // Room for so many once it is empty.
// A port that is there takes a byte in 87 us; an access takes about one.
constexpr int kFlushTries = 1'000'000;

SpinLock g_lock;
LogRing g_ring;
uint64_t g_start_tsc = 0;
LogLevel g_level = LogLevel::kInfo;
bool g_drained_by_control = false;

bool PortIsReady() { return (In8(kLineStatus) & kTransmitterEmpty) != 0; }

uint64_t MsSinceStart() {
  return clocks().tsc_hz == 0 ? 0 : TscToUs(ReadTsc() - g_start_tsc) / 1000;
}

// Moves up to a FIFO's worth from the ring to the port, which is ready. How much there was.
uint32_t MoveBurst() {
  uint32_t moved = 0;
  while (moved < kFifoBytes) {
    char burst[kFifoBytes];
    size_t count = 0;
    {
      const SpinLockGuard guard(g_lock);
      const std::string_view next = g_ring.Next();
      count = std::min<size_t>(next.size(), kFifoBytes - moved);
      std::copy_n(next.begin(), count, burst);
      if (count > 0) g_ring.Took(count);
    }
    if (count == 0) break;
    for (size_t i = 0; i < count; ++i) Out8(kCom1, static_cast<uint8_t>(burst[i]));
    moved += static_cast<uint32_t>(count);
  }
  return moved;
}

void Put(LogRing::From from, std::string_view tag, std::string_view text) {
  const SpinLockGuard guard(g_lock);
  static_cast<void>(g_ring.Put(from, MsSinceStart(), tag, text));
}

}  // namespace

void InitSerial() {
  g_start_tsc = ReadTsc();
  Out8(kCom1 + 1, 0);        // No interrupts.
  Out8(kLineControl, 0x80);  // The divisor: 115200 baud.
  Out8(kCom1, 1);
  Out8(kCom1 + 1, 0);
  Out8(kLineControl, 0x03);  // 8 bits, no parity, one stop bit.
  Out8(kCom1 + 2, 0xc7);     // FIFO on and empty.
  Out8(kCom1 + 4, 0x03);
}

void SetLogLevel(LogLevel level) { g_level = level; }
LogLevel log_level() { return g_level; }

void LogIsDrainedByControl() { g_drained_by_control = true; }

void WriteLog(std::string_view text) {
  Put(LogRing::From::kNomhv, "nomhv", text);
  if (!g_drained_by_control) DrainLog(~uint32_t{0});
}

void WriteGuestLog(uint64_t guest_id, std::string_view name, std::string_view text) {
  Line<> tag;
  tag.Add("guest ", guest_id, " ", QuotedName{name});
  Put(LogRing::From::kGuest, tag.text(), text);
}

void DrainLog(uint32_t bytes_max) {
  uint32_t moved = 0;
  while (moved < bytes_max && PortIsReady()) {
    const uint32_t burst = MoveBurst();
    if (burst == 0) return;
    moved += burst;
  }
}

void FlushLog(std::string_view last_words) {
  int tries = kFlushTries;
  const auto wait = [&tries] {
    while (tries > 0 && !PortIsReady()) --tries;
    return tries > 0;
  };
  // Whoever holds the lock may be who stopped us: then the ring is left as it is.
  if (g_lock.TryLock(tries)) {
    for (std::string_view next = g_ring.Next(); !next.empty() && wait(); next = g_ring.Next()) {
      Out8(kCom1, static_cast<uint8_t>(next[0]));
      g_ring.Took(1);
    }
    g_lock.Unlock();
  }
  if (last_words.empty()) return;
  const uint64_t ms = MsSinceStart();
  Line<640> line;
  line.Add("[", ms / 1000, ".", ms / 100 % 10, ms / 10 % 10, ms % 10, "] PANIC: ", last_words,
           "\r\n");
  for (const char c : line.text()) {
    if (!wait()) return;
    Out8(kCom1, static_cast<uint8_t>(c));
  }
}

}  // namespace nomhv
