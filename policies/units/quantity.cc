// SPDX-License-Identifier: Apache-2.0
#include "policies/units/quantity.h"

#include "absl/numeric/int128.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"

namespace nom::policies {
namespace {

constexpr int64_t kAmountMax = int64_t{1} << 62;
// More digits than any amount needs; an absl::int128 holds the product of these and any factor.
constexpr int kDigitsMax = 20;

struct Unit {
  absl::string_view name;
  int64_t factor;
};

// Each list begins with the names that FormatQuantity uses, from the largest down; the last of
// these has factor 1. Others follow that are read only.
constexpr Unit kBytes[] = {{"TiB", int64_t{1} << 40},
                           {"GiB", int64_t{1} << 30},
                           {"MiB", int64_t{1} << 20},
                           {"KiB", int64_t{1} << 10},
                           {"B", 1},
                           {"TB", 1'000'000'000'000},
                           {"GB", 1'000'000'000},
                           {"MB", 1'000'000},
                           {"kB", 1'000}};
constexpr Unit kMillicores[] = {{"cores", 1000}, {"m", 1}, {"core", 1000}, {"millicores", 1}};
constexpr Unit kRates[] = {{"Gbit/s", 1000}, {"Mbit/s", 1}};
constexpr Unit kRequests[] = {{"IOPS", 1}};

absl::Span<const Unit> UnitsOf(Measure measure) {
  switch (measure) {
    case Measure::kBytes:
      return kBytes;
    case Measure::kMillicores:
      return kMillicores;
    case Measure::kMegabitsPerSecond:
      return kRates;
    case Measure::kRequestsPerSecond:
      break;
  }
  return kRequests;
}

absl::string_view BaseName(Measure measure) {
  switch (measure) {
    case Measure::kBytes:
      return "bytes";
    case Measure::kMillicores:
      return "millicores";
    case Measure::kMegabitsPerSecond:
      return "Mbit/s";
    case Measure::kRequestsPerSecond:
      break;
  }
  return "requests a second";
}

}  // namespace

absl::StatusOr<int64_t> ParseQuantity(absl::string_view text, Measure measure) {
  const auto wrong = [text](auto... what) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\": ", what...));
  };
  const absl::Span<const Unit> units = UnitsOf(measure);
  const std::string known = absl::StrJoin(
      units, ", ", [](std::string* out, const Unit& unit) { absl::StrAppend(out, unit.name); });
  const absl::string_view whole = absl::StripAsciiWhitespace(text);
  absl::int128 digits = 0;
  absl::int128 scale = 1;
  int count = 0;
  bool point = false;
  size_t at = 0;
  for (; at < whole.size(); ++at) {
    if (whole[at] == '.' && !point && count > 0) {
      point = true;
      continue;
    }
    if (!absl::ascii_isdigit(static_cast<unsigned char>(whole[at]))) break;
    if (++count > kDigitsMax) return wrong("has more than ", kDigitsMax, " digits");
    digits = digits * 10 + (whole[at] - '0');
    if (point) scale *= 10;
  }
  if (count == 0) return wrong("must begin with a number, such as 1.5, and have a unit: ", known);
  if (point && whole[at - 1] == '.') return wrong("nothing follows the decimal point");
  const absl::string_view name = absl::StripLeadingAsciiWhitespace(whole.substr(at));
  if (name.empty()) return wrong("has no unit; give one of ", known);
  for (const Unit& unit : units) {
    if (unit.name != name) continue;
    const absl::int128 scaled = digits * unit.factor;
    if (scaled % scale != 0) return wrong("is not a whole number of ", BaseName(measure));
    const absl::int128 amount = scaled / scale;
    if (amount > kAmountMax) return wrong("is more than 2^62");
    return static_cast<int64_t>(amount);
  }
  return wrong("unknown unit \"", name, "\"; known are ", known);
}

std::string FormatQuantity(int64_t amount, Measure measure) {
  for (const Unit& unit : UnitsOf(measure)) {
    if (unit.factor == 1 || (amount != 0 && amount % unit.factor == 0)) {
      const bool word = unit.name == "cores" || unit.name == "IOPS";
      return absl::StrCat(amount / unit.factor, word ? " " : "", unit.name);
    }
  }
  return absl::StrCat(amount);  // Every list has a unit of factor 1.
}

}  // namespace nom::policies
