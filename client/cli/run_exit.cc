// SPDX-License-Identifier: Apache-2.0
#include "client/cli/run_exit.h"

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/bid_syntax.h"
#include "policies/units/quantity.h"

namespace nom::cli {

absl::StatusOr<std::pair<Resource, int64_t>> ParseSeed(
    const std::string& text, const std::map<Resource, int64_t>& unit_sizes) {
  const std::pair<std::string, std::string> halves = absl::StrSplit(text, absl::MaxSplits('=', 1));
  const bool has_unit = !halves.second.empty() &&
                        !absl::ascii_isdigit(static_cast<unsigned char>(halves.second.back()));
  if (!has_unit) return ParseQuantity(text);
  const absl::StatusOr<Resource> resource = ParseResourceArgument(halves.first);
  if (!resource.ok()) return resource.status();
  policies::Measure measure = policies::Measure::kBytes;
  switch (*resource) {
    case Resource::kCpu:
      measure = policies::Measure::kMillicores;
      break;
    case Resource::kMemory:
      break;
    case Resource::kNetwork:
      measure = policies::Measure::kMegabitsPerSecond;
      break;
    case Resource::kDisk:
      measure = policies::Measure::kRequestsPerSecond;
      break;
    case Resource::kCache:
    case Resource::kDevice:
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", text, "\": ", halves.first, " is counted in units, as ", halves.first, "=2"));
  }
  const absl::StatusOr<int64_t> amount = policies::ParseQuantity(halves.second, measure);
  if (!amount.ok()) return amount.status();
  const auto unit = unit_sizes.find(*resource);
  if (unit == unit_sizes.end() || unit->second <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\": this host does not sell ", halves.first));
  }
  if (*amount % unit->second != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\": this host sells ", halves.first, " in units of ",
                     policies::FormatQuantity(unit->second, measure)));
  }
  return std::pair(*resource, *amount / unit->second);
}

int ExitCodeOf(const std::string& exit_reason) {
  const std::vector<std::string> words = absl::StrSplit(exit_reason, absl::ByAnyChar(" :"));
  int number = 0;
  if (words.size() < 2 || !absl::SimpleAtoi(words[1], &number)) return 1;
  if (words[0] == "exit" && number >= 0 && number <= 255) return number;
  if (words[0] == "signal" && number > 0 && number < 128) return 128 + number;
  return 1;
}

}  // namespace nom::cli
