// SPDX-License-Identifier: Apache-2.0
#include "marketd/base/log.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/time/clock.h"

namespace nom::marketd {
namespace {

struct Output {
  std::mutex mutex;
  LogSink sink;
};

Output& TheOutput() {
  static auto* const output = new Output;  // Outlives every thread that may log.
  return *output;
}

std::atomic<LogLevel> least_level{LogLevel::kInfo};

bool IsPlain(absl::string_view value) {
  return !value.empty() && std::all_of(value.begin(), value.end(), [](unsigned char c) {
    return absl::ascii_isgraph(c) && c != '"' && c != '=' && c != '\\';
  });
}

void WriteToStderr(const LogLine& line) {
  const std::string text =
      absl::StrCat(absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", line.time, absl::UTCTimeZone()), " ",
                   LogText(line), "\n");
  // In one write, so that lines of several programs in one file stay whole. A log that cannot be
  // written is no reason to stop the market.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace

absl::string_view LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      break;
  }
  return "error";
}

std::string LogText(const LogLine& line) {
  std::string out = absl::StrCat("level=", LevelName(line.level), " event=", line.event);
  for (const LogField& field : line.fields) {
    absl::StrAppend(&out, " ", field.key, "=");
    if (IsPlain(field.value)) {
      out += field.value;
    } else {
      absl::StrAppend(&out, "\"", absl::Utf8SafeCEscape(field.value), "\"");
    }
  }
  return out;
}

void Log(LogLevel level, absl::string_view event, std::vector<LogField> fields) {
  if (level < least_level) return;
  const LogLine line = {.time = absl::Now(),
                        .level = level,
                        .event = std::string(event),
                        .fields = std::move(fields)};
  Output& output = TheOutput();
  std::lock_guard lock(output.mutex);
  if (output.sink) {
    output.sink(line);
  } else {
    WriteToStderr(line);
  }
}

void SetLogSink(LogSink sink) {
  Output& output = TheOutput();
  std::lock_guard lock(output.mutex);
  output.sink = std::move(sink);
}

void SetLogLevel(LogLevel level) { least_level = level; }

}  // namespace nom::marketd
