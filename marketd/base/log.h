// SPDX-License-Identifier: Apache-2.0
// The log: one line for each thing that an operator may be asked about, as key=value.
//
//   2026-11-29T12:00:00.123Z level=info event=tenant_created tenant=shop by=operator
//
// `event` is a fixed word that alerts and searches can rely on; what varies is in the fields. Under
// systemd the fields go to the journal as they are (journalctl NOM_EVENT=tenant_created).

#ifndef MARKETD_BASE_LOG_H_
#define MARKETD_BASE_LOG_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace nom::marketd {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// "debug", "info", "warning", "error".
absl::string_view LevelName(LogLevel level);

struct LogField {
  LogField(absl::string_view k, const absl::AlphaNum& v) : key(k), value(v.Piece()) {}
  std::string key;  // a-z, 0-9 and _.
  std::string value;
};

struct LogLine {
  absl::Time time;
  LogLevel level = LogLevel::kInfo;
  std::string event;
  std::vector<LogField> fields;
};

// "level=info event=... key=value ...": values with blanks, quotes or control characters are quoted
// and escaped, so that nobody's text can make a line, or a field, of its own.
std::string LogText(const LogLine& line);

// From any thread. Lines below the level are dropped.
void Log(LogLevel level, absl::string_view event, std::vector<LogField> fields = {});

// Where lines go; standard error with the time before, if it was never set. Called from any thread,
// one line at a time. Returns once the one before is used no more.
using LogSink = std::function<void(const LogLine& line)>;
void SetLogSink(LogSink sink);
void SetLogLevel(LogLevel level);

}  // namespace nom::marketd

#endif  // MARKETD_BASE_LOG_H_
