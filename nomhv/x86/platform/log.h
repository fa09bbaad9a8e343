// SPDX-License-Identifier: Apache-2.0
// The machine's log: lines on the first serial port, each with the milliseconds since boot. Lines
// go into a ring at once, and from there to the port when it takes them: nobody waits for it.

#ifndef NOMHV_X86_PLATFORM_LOG_H_
#define NOMHV_X86_PLATFORM_LOG_H_

#include <cstdint>
#include <string_view>

#include "nomhv/core/line.h"

namespace nomhv {

enum class LogLevel { kError = 0, kInfo = 1 };

void InitSerial();
void SetLogLevel(LogLevel level);
[[nodiscard]] LogLevel log_level();

// A line of nomhv's. Any processor.
void WriteLog(std::string_view text);
// A line of a guest's, under its id and quoted name. Any processor.
void WriteGuestLog(uint64_t guest_id, std::string_view name, std::string_view text);

// Writes what the port takes at once, `bytes_max` at most. The control processor.
void DrainLog(uint32_t bytes_max);
// At boot, with but one processor, each line drains the log itself; from now on control does.
void LogIsDrainedByControl();

// For a machine that is about to stop: what is left, and last words if there are any, waiting for
// the port for a bounded time. Takes no lock for longer than that either.
void FlushLog(std::string_view last_words = {});

template <typename... Parts>
void Log(LogLevel level, const Parts&... parts) {
  if (level > log_level()) return;
  Line<> line;
  line.Add(parts...);
  WriteLog(line.text());
}

}  // namespace nomhv

#endif  // NOMHV_X86_PLATFORM_LOG_H_
