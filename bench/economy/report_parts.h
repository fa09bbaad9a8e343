// SPDX-License-Identifier: Apache-2.0
// What the files of the report share. Inside bench/economy only.

#ifndef NOM_BENCH_ECONOMY_REPORT_PARTS_H_
#define NOM_BENCH_ECONOMY_REPORT_PARTS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "bench/economy/report.h"
#include "bench/plot/svg_plot.h"

namespace nom::economy {

inline constexpr double kCredit = 1e6;  // In micro-credits.

// Into options.out, if there is one. Errors: UNAVAILABLE.
template <typename Drawable>
absl::Status Draw(const ReportOptions& options, const std::string& name, const Drawable& drawable) {
  if (options.out.empty()) return absl::OkStatus();
  const std::string path = absl::StrCat(options.out, "/", name, ".svg");
  if (WriteSvg(drawable, path)) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("can't write ", path));
}

// The sections "contracts" and "choice", see Section::report.
absl::StatusOr<std::string> ReportContracts(const ReportOptions& options);
absl::StatusOr<std::string> ReportChoice(const ReportOptions& options);

}  // namespace nom::economy

#endif  // NOM_BENCH_ECONOMY_REPORT_PARTS_H_
