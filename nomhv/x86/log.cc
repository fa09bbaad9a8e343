#include "nomhv/x86/log.h"

#include "nomhv/x86/cpu.h"
#include "nomhv/x86/spinlock.h"

namespace nomhv {
namespace {

constexpr uint16_t kCom1 = 0x3f8;
constexpr uint16_t kLineControl = kCom1 + 3;
constexpr uint16_t kLineStatus = kCom1 + 5;
constexpr uint8_t kTransmitterEmpty = 0x20;
// A port that is not there reads as all ones or never empties: then a byte is dropped.
constexpr int kTriesPerByte = 100000;

SpinLock g_lock;
uint64_t g_start_tsc = 0;
uint64_t g_tsc_hz = 0;
LogLevel g_level = LogLevel::kInfo;

void WriteByte(char c) {
  for (int i = 0; i < kTriesPerByte; ++i) {
    if ((In8(kLineStatus) & kTransmitterEmpty) != 0) {
      Out8(kCom1, static_cast<uint8_t>(c));
      return;
    }
    Pause();
  }
}

void WriteText(std::string_view text) {
  for (const char c : text) WriteByte(c);
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

void SetLogClock(uint64_t tsc_hz) { g_tsc_hz = tsc_hz; }
void SetLogLevel(LogLevel level) { g_level = level; }
LogLevel log_level() { return g_level; }

void WriteLogWithoutLock(std::string_view tag, std::string_view text) {
  const uint64_t ms = g_tsc_hz >= 1000 ? (ReadTsc() - g_start_tsc) / (g_tsc_hz / 1000) : 0;
  Line<64> stamp;
  stamp.Add("[", ms / 1000, ".", ms / 100 % 10, ms / 10 % 10, ms % 10, "] ");
  WriteText(stamp.text());
  WriteText(tag);
  WriteText(": ");
  WriteText(text);
  WriteText("\r\n");
}

void WriteLog(std::string_view tag, std::string_view text) {
  const SpinLockGuard guard(g_lock);
  WriteLogWithoutLock(tag, text);
}

}  // namespace nomhv
