// The machine's log: lines on the first serial port, each with the milliseconds since boot.

#ifndef NOMHV_X86_LOG_H_
#define NOMHV_X86_LOG_H_

#include <cstdint>
#include <string_view>

#include "nomhv/core/line.h"

namespace nomhv {

enum class LogLevel { kError = 0, kInfo = 1, kDebug = 2 };

void InitSerial();
void SetLogClock(uint64_t tsc_hz);
void SetLogLevel(LogLevel level);
[[nodiscard]] LogLevel log_level();

// Writes one line, whole: `tag` says who speaks. Any processor.
void WriteLog(std::string_view tag, std::string_view text);
// The same with no lock, for a machine that is about to stop.
void WriteLogWithoutLock(std::string_view tag, std::string_view text);

template <typename... Parts>
void Log(LogLevel level, const Parts&... parts) {
  if (level > log_level()) return;
  Line<> line;
  line.Add(parts...);
  WriteLog("nomhv", line.text());
}

}  // namespace nomhv

#endif  // NOMHV_X86_LOG_H_
