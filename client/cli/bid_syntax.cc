// SPDX-License-Identifier: Apache-2.0
#include "client/cli/bid_syntax.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/src/bid_limits.h"

namespace nom::cli {
namespace {

// Wide enough for any product of a quantity and a price.
__extension__ using Wide = __int128;

}  // namespace

absl::StatusOr<std::vector<BidRange>> ParseRanges(const std::vector<std::string>& texts) {
  std::vector<BidRange> ranges;
  for (const std::string& text : texts) {
    const auto wrong = [&](absl::string_view what) {
      return absl::InvalidArgumentError(absl::StrCat("range \"", text, "\": ", what));
    };
    const std::vector<absl::string_view> halves = absl::StrSplit(text, '@');
    if (halves.size() != 2) return wrong("expected MAX@PRICE, MIN-MAX@PRICE or ...=VALUE");
    const std::vector<absl::string_view> units = absl::StrSplit(halves[0], '-');
    const std::vector<absl::string_view> money = absl::StrSplit(halves[1], '=');
    BidRange range{.min_units = 1};
    const bool units_ok = units.size() == 1   ? absl::SimpleAtoi(units[0], &range.max_units)
                          : units.size() == 2 ? absl::SimpleAtoi(units[0], &range.min_units) &&
                                                    absl::SimpleAtoi(units[1], &range.max_units)
                                              : false;
    if (!units_ok) return wrong("units are whole numbers of at least 0, as 8 or 4-8");
    if (money.size() > 2 || !absl::SimpleAtoi(money[0], &range.unit_price_microcredits)) {
      return wrong("the price is a whole number of micro-credits");
    }
    if (money.size() == 2) {
      if (!absl::SimpleAtoi(money[1], &range.value_at_min_microcredits)) {
        return wrong("the value is a whole number of micro-credits");
      }
    } else {
      if (range.unit_price_microcredits < 0) return wrong("the price is negative");
      Wide value = Wide{range.min_units} * Wide{range.unit_price_microcredits};
      if (!ranges.empty()) {
        const BidRange& before = ranges.back();
        value = Wide{before.value_at_min_microcredits} +
                Wide{before.max_units - before.min_units} * Wide{before.unit_price_microcredits} +
                Wide{range.min_units - before.max_units} * Wide{range.unit_price_microcredits};
        if (range.min_units < before.max_units) return wrong("overlaps the range before it");
      }
      if (value > Wide{kBidValueMaxMicrocredits}) {
        return wrong(absl::StrCat("worth more than ", kBidValueMaxMicrocredits));
      }
      range.value_at_min_microcredits = static_cast<int64_t>(value);
    }
    ranges.push_back(range);
    // Each range before the next: its numbers are used to find the next one's value.
    if (absl::Status status = client::CheckRanges(ranges); !status.ok()) return status;
  }
  return ranges;
}

std::string FormatRange(const BidRange& range) {
  std::string text;
  if (range.min_units > 1) absl::StrAppend(&text, range.min_units, "-");
  absl::StrAppend(&text, range.max_units, "@", range.unit_price_microcredits);
  if (Wide{range.min_units} * Wide{range.unit_price_microcredits} !=
      Wide{range.value_at_min_microcredits}) {
    absl::StrAppend(&text, "=", range.value_at_min_microcredits);
  }
  return text;
}

absl::StatusOr<Resource> ParseResourceArgument(absl::string_view text) {
  const std::optional<Resource> resource = ParseResource(text);
  if (resource) return *resource;
  std::string known;
  for (Resource each : kAllResources) {
    absl::StrAppend(&known, known.empty() ? "" : ", ", ResourceName(each));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown resource \"", text, "\": one of ", known));
}

absl::StatusOr<std::pair<Resource, int64_t>> ParseQuantity(absl::string_view text) {
  const std::vector<absl::string_view> halves = absl::StrSplit(text, '=');
  int64_t units = 0;
  if (halves.size() != 2 || !absl::SimpleAtoi(halves[1], &units) || units < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\": expected RESOURCE=UNITS, as memory=8"));
  }
  absl::StatusOr<Resource> resource = ParseResourceArgument(halves[0]);
  if (!resource.ok()) return resource.status();
  return std::pair(*resource, units);
}

absl::StatusOr<Bundle> ParseBundle(const std::string& text) {
  const auto wrong = [&text](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("bundle \"", text, "\": ", what));
  };
  const std::vector<absl::string_view> halves = absl::StrSplit(text, '@');
  Bundle bundle;
  if (halves.size() != 2) return wrong("expected RESOURCE=UNITS,...@VALUE, as memory=8,cpu=20@900");
  if (!absl::SimpleAtoi(halves[1], &bundle.value_microcredits) || bundle.value_microcredits < 0 ||
      bundle.value_microcredits > kBidValueMaxMicrocredits) {
    return wrong(absl::StrCat("the value is a whole number of micro-credits, at most ",
                              kBidValueMaxMicrocredits));
  }
  for (const absl::string_view part : absl::StrSplit(halves[0], ',')) {
    const absl::StatusOr<std::pair<Resource, int64_t>> quantity = ParseQuantity(part);
    if (!quantity.ok()) return wrong(quantity.status().message());
    if (quantity->second < 1 || quantity->second > kBidUnitsMax) {
      return wrong(absl::StrCat("units are from 1 to ", kBidUnitsMax));
    }
    if (!bundle.units.insert(*quantity).second) {
      return wrong(absl::StrCat(ResourceName(quantity->first), " is there twice"));
    }
  }
  return bundle;
}

absl::StatusOr<std::pair<Resource, std::vector<BidRange>>> ParseCurve(const std::string& text) {
  const auto wrong = [&text](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("curve \"", text, "\": ", what));
  };
  const size_t colon = text.find(':');
  if (colon == std::string::npos) return wrong("expected RESOURCE: RANGE ..., as memory: 16@900");
  const absl::StatusOr<Resource> resource = ParseResourceArgument(text.substr(0, colon));
  if (!resource.ok()) return wrong(resource.status().message());
  const std::vector<std::string> texts =
      absl::StrSplit(text.substr(colon + 1), ' ', absl::SkipEmpty());
  absl::StatusOr<std::vector<BidRange>> ranges = ParseRanges(texts);
  if (!ranges.ok()) return wrong(ranges.status().message());
  if (ranges->empty()) return wrong("there are no ranges");
  return std::pair(*resource, *std::move(ranges));
}

absl::StatusOr<Combination> ParseCombination(absl::string_view text) {
  if (text == "sum") return Combination::kSum;
  if (text == "min") return Combination::kMin;
  if (text == "max") return Combination::kMax;
  if (text == "product") return Combination::kProduct;
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text, "\": curves are combined by sum, min, max or product"));
}

}  // namespace nom::cli
