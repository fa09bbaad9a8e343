// SPDX-License-Identifier: Apache-2.0
#include "client/cli/what_if_parts.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "client/cli/json.h"
#include "policies/cases/case_file.h"

namespace nom::cli {
namespace {

constexpr size_t kTimedRunsMax = 9;
constexpr absl::Duration kTimedFor = absl::Milliseconds(200);

// The field that a rule's message begins with, "bids[3].ranges[1].min_units"; empty if none.
std::string FieldOf(absl::string_view message) {
  const absl::string_view field = message.substr(0, message.find(": "));
  const bool is_one = field.size() < message.size() && !field.empty() &&
                      std::all_of(field.begin(), field.end(), [](unsigned char c) {
                        return std::isalnum(c) || c == '_' || c == '.' || c == '[' || c == ']';
                      });
  return is_one ? std::string(field) : "";
}

}  // namespace

absl::Duration MedianTime(const std::function<bool()>& run) {
  std::vector<absl::Duration> runs;
  const absl::Time begin = absl::Now();
  bool again = true;
  while (again) {
    const absl::Time start = absl::Now();
    again = run();
    const absl::Time end = absl::Now();
    runs.push_back(end - start);
    again = again && runs.size() < kTimedRunsMax && end - begin < kTimedFor;
  }
  const auto middle = runs.begin() + static_cast<ptrdiff_t>(runs.size() / 2);
  std::nth_element(runs.begin(), middle, runs.end());
  return *middle;
}

absl::Status WithLine(const std::string& name, const std::string& text, const std::string& prefix,
                      const absl::Status& status) {
  const std::string field = FieldOf(status.message());
  const int line = field.empty() ? 0 : policies::LineOf(text, prefix + field);
  return {status.code(), absl::StrCat(name, line == 0 ? "" : absl::StrCat(": line ", line), ": ",
                                      status.message())};
}

const char* BoundByWord(policies::BoundBy bound_by) {
  return bound_by == policies::BoundBy::kBids ? "bids" : "reserve";
}

const char* VerdictText(Verdict verdict) {
  switch (verdict) {
    case Verdict::kNone:
      break;
    case Verdict::kAsExpected:
      return ", as expected";
    case Verdict::kNotAsExpected:
      return ", NOT AS EXPECTED";
  }
  return "";
}

std::string GapText(policies::Microcredits welfare, policies::Microcredits bound) {
  if (bound == welfare) return "the best there is";
  return absl::StrFormat("no allocation is above %d: at most %.3g %% more", bound,
                         100.0 * static_cast<double>(bound - welfare) /
                             static_cast<double>(std::max<int64_t>(1, std::abs(welfare))));
}

std::string JsonOfAnswer(absl::string_view rule, absl::Duration took, Verdict verdict,
                         const absl::Status& status) {
  std::string out = absl::StrFormat("{\"rule\": %s, \"seconds\": %.9f", JsonText(rule),
                                    absl::ToDoubleSeconds(took));
  if (verdict != Verdict::kNone) {
    absl::StrAppend(&out,
                    ", \"as_expected\": ", verdict == Verdict::kAsExpected ? "true" : "false");
  }
  if (!status.ok()) absl::StrAppend(&out, ", \"error\": ", JsonText(status.message()));
  return out;
}

}  // namespace nom::cli
