// SPDX-License-Identifier: Apache-2.0
// What the simulator tells people: tables as text, and plots as SVG files.

#ifndef NOM_BENCH_ECONOMY_REPORT_H_
#define NOM_BENCH_ECONOMY_REPORT_H_

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/statusor.h"

namespace nom::economy {

struct ReportOptions {
  uint64_t seed = 1;
  int guests = 64;         // Of the rules section: 2 to kGuestsMax.
  int64_t rounds = 2'000;  // Of the rules section: 1 to kRoundsMax. The others take a share of it.
  std::string out;         // The folder for plots, which must exist; empty: none are drawn.
};

inline constexpr int kGuestsMax = 1'024;
inline constexpr int64_t kRoundsMax = 1'000'000;

struct Section {
  const char* name;
  const char* summary;
  // The text; plots are written on the way. Errors: those of the rules, UNAVAILABLE if a plot can't
  // be written.
  absl::StatusOr<std::string> (*report)(const ReportOptions& options);
};

// In the order in which they are shown.
std::span<const Section> Sections();

}  // namespace nom::economy

#endif  // NOM_BENCH_ECONOMY_REPORT_H_
