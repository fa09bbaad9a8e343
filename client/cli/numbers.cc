// SPDX-License-Identifier: Apache-2.0
#include "client/cli/numbers.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace nom::cli {
namespace {

// Wide enough for twenty digits, of which an int64_t holds nineteen.
__extension__ using Wide = __int128;
constexpr size_t kDigitsMax = 20;
constexpr size_t kDecimalsMax = 6;

bool AllDigits(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](unsigned char c) { return absl::ascii_isdigit(c); });
}

absl::Status NoNumber(absl::string_view text, absl::string_view wanted) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text, "\" is not ", wanted, " (decimal digits only)"));
}

// The value of `digits`, which are digits; too large to matter if they are too many.
Wide ValueOf(absl::string_view digits) {
  while (digits.size() > 1 && digits[0] == '0') digits.remove_prefix(1);
  Wide value = 0;
  for (const char c : digits.substr(0, kDigitsMax)) value = value * 10 + (c - '0');
  return value;
}

absl::StatusOr<int64_t> InRange(absl::string_view text, Wide value, int64_t min, int64_t max) {
  if (value < Wide{min} || value > Wide{max}) {
    return absl::OutOfRangeError(
        absl::StrCat("\"", text, "\" is out of range: ", min, " to ", max, " is allowed"));
  }
  return static_cast<int64_t>(value);
}

}  // namespace

absl::StatusOr<int64_t> ParseWhole(absl::string_view text, int64_t min, int64_t max) {
  absl::string_view digits = text;
  const bool negative = absl::ConsumePrefix(&digits, "-");
  if (!AllDigits(digits)) return NoNumber(text, "a whole number");
  return InRange(text, negative ? -ValueOf(digits) : ValueOf(digits), min, max);
}

absl::StatusOr<int64_t> ParseMoney(absl::string_view text, int64_t min, int64_t max) {
  constexpr char kWanted[] =
      "a sum of money: whole micro-credits, as 1500000, or credits, as 1.5cr";
  absl::string_view digits = text;
  if (!absl::ConsumeSuffix(&digits, "cr")) {
    const absl::StatusOr<int64_t> whole = ParseWhole(text, min, max);
    return absl::IsInvalidArgument(whole.status()) ? NoNumber(text, kWanted) : whole;
  }
  const bool negative = absl::ConsumePrefix(&digits, "-");
  const size_t point = digits.find('.');
  const absl::string_view credits = digits.substr(0, point);
  std::string decimals;
  if (point != absl::string_view::npos) {
    decimals = std::string(digits.substr(point + 1));
    if (!AllDigits(decimals)) return NoNumber(text, kWanted);
  }
  if (!AllDigits(credits)) return NoNumber(text, kWanted);
  if (decimals.size() > kDecimalsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" has more than six decimals: a micro-credit is the least"));
  }
  decimals.resize(kDecimalsMax, '0');
  const Wide value = ValueOf(credits) * Wide{kMicrocreditsPerCredit} + ValueOf(decimals);
  return InRange(text, negative ? -value : value, min, max);
}

absl::StatusOr<double> ParseSeconds(absl::string_view text, double min, double max) {
  const size_t point = text.find('.');
  const bool good = AllDigits(text.substr(0, point)) &&
                    (point == absl::string_view::npos || AllDigits(text.substr(point + 1)));
  double seconds = 0;
  if (!good || !absl::SimpleAtod(text, &seconds)) return NoNumber(text, "a number of seconds");
  if (!(seconds >= min && seconds <= max)) {
    return absl::OutOfRangeError(
        absl::StrCat("\"", text, "\" is out of range: ", min, " to ", max, " is allowed"));
  }
  return seconds;
}

absl::StatusOr<int64_t> ParseLifetime(absl::string_view text) {
  constexpr int64_t kMinute = 60;
  constexpr int64_t kHour = 60 * kMinute;
  constexpr int64_t kDay = 24 * kHour;
  constexpr int64_t kDaysMax = 36'500;
  for (const auto& [unit, seconds] : {std::pair("s", int64_t{1}), std::pair("m", kMinute),
                                      std::pair("h", kHour), std::pair("d", kDay)}) {
    absl::string_view digits = text;
    if (!absl::ConsumeSuffix(&digits, unit)) continue;
    if (!AllDigits(digits)) break;
    const absl::StatusOr<int64_t> count =
        InRange(text, ValueOf(digits), 1, kDaysMax * kDay / seconds);
    if (!count.ok()) return count.status();
    return *count * seconds;
  }
  return NoNumber(text, "a length of time, as 45s, 30m, 12h or 90d");
}

std::string FormatCredits(int64_t microcredits) {
  const Wide magnitude = microcredits < 0 ? -Wide{microcredits} : Wide{microcredits};
  std::string decimals =
      absl::StrCat(static_cast<int64_t>(magnitude % Wide{kMicrocreditsPerCredit}));
  decimals.insert(0, kDecimalsMax - decimals.size(), '0');
  while (!decimals.empty() && decimals.back() == '0') decimals.pop_back();
  return absl::StrCat(microcredits < 0 ? "-" : "",
                      static_cast<int64_t>(magnitude / Wide{kMicrocreditsPerCredit}),
                      decimals.empty() ? "" : ".", decimals, "cr");
}

}  // namespace nom::cli
