// SPDX-License-Identifier: Apache-2.0
#include "client/src/bid_limits.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/src/range_list.h"
#include "policies/bidding/curve.h"

namespace nom::client {
namespace {

// Wide enough for any product of a quantity and a price that CheckRanges lets pass.
__extension__ using Wide = __int128;

Wide ValueAt(const BidRange& range, int64_t units) {
  return Wide{range.value_at_min_microcredits} +
         Wide{units - range.min_units} * Wide{range.unit_price_microcredits};
}

absl::Status Wrong(size_t index, absl::string_view field, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("ranges[", index, "].", field, ": ", what));
}

absl::Status At(absl::string_view place, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(place, status.message()));
}

bool ValueInBounds(Wide value) { return value >= 0 && value <= Wide{kBidValueMaxMicrocredits}; }

}  // namespace

absl::Status CheckRanges(const std::vector<BidRange>& ranges) {
  if (ranges.empty()) return absl::InvalidArgumentError("ranges: at least one is needed");
  if (ranges.size() > kBidRangesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("ranges: ", ranges.size(), " are too many, at most ", kBidRangesMax));
  }
  for (size_t i = 0; i < ranges.size(); ++i) {
    const BidRange& range = ranges[i];
    if (range.min_units < 0) {
      return Wrong(i, "min_units", absl::StrCat(range.min_units, " is negative"));
    }
    if (range.max_units < range.min_units) {
      return Wrong(i, "max_units",
                   absl::StrCat(range.max_units, " is less than min_units ", range.min_units));
    }
    if (range.max_units > kBidUnitsMax) {
      return Wrong(i, "max_units", absl::StrCat(range.max_units, " is more than ", kBidUnitsMax));
    }
    if (!ValueInBounds(range.value_at_min_microcredits)) {
      return Wrong(i, "value_at_min_microcredits",
                   absl::StrCat(range.value_at_min_microcredits, " is not within 0 and ",
                                kBidValueMaxMicrocredits));
    }
    if (range.min_units == 0 && range.value_at_min_microcredits != 0) {
      return Wrong(i, "value_at_min_microcredits", "must be 0 at 0 units");
    }
    if (range.unit_price_microcredits < -kBidValueMaxMicrocredits ||
        range.unit_price_microcredits > kBidValueMaxMicrocredits) {
      return Wrong(i, "unit_price_microcredits",
                   absl::StrCat(range.unit_price_microcredits, " is not within +-",
                                kBidValueMaxMicrocredits));
    }
    if (!ValueInBounds(ValueAt(range, range.max_units))) {
      return Wrong(
          i, "unit_price_microcredits",
          absl::StrCat("the value at max_units is not within 0 and ", kBidValueMaxMicrocredits));
    }
    if (i == 0) continue;
    const BidRange& before = ranges[i - 1];
    if (range.min_units < before.max_units) {
      return Wrong(i, "min_units",
                   absl::StrCat(range.min_units, " overlaps the range before, which ends at ",
                                before.max_units));
    }
    if (range.min_units == before.max_units &&
        ValueAt(before, before.max_units) != Wide{range.value_at_min_microcredits}) {
      return Wrong(i, "value_at_min_microcredits",
                   absl::StrCat("touches the range before at ", range.min_units,
                                " units with another value"));
    }
  }
  return absl::OkStatus();
}

namespace {

absl::Status CheckResource(Resource resource) {
  if (ParseResource(ResourceName(resource))) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("resource: ", static_cast<int>(resource), " is none"));
}

absl::Status CheckBundle(const Bundle& bundle) {
  bool wants_any = false;
  for (const auto& [resource, units] : bundle.units) {
    if (absl::Status status = CheckResource(resource); !status.ok()) return At("units.", status);
    if (units < 0 || units > kBidUnitsMax) {
      return absl::InvalidArgumentError(absl::StrCat("units[", ResourceName(resource), "]: ", units,
                                                     " is not within 0 and ", kBidUnitsMax));
    }
    wants_any = wants_any || units > 0;
  }
  if (!wants_any) return absl::InvalidArgumentError("units: there are none");
  if (!ValueInBounds(bundle.value_microcredits)) {
    return absl::InvalidArgumentError(
        absl::StrCat("value_microcredits: ", bundle.value_microcredits, " is not within 0 and ",
                     kBidValueMaxMicrocredits));
  }
  return absl::OkStatus();
}

absl::Status CheckCurves(const Valuation& valuation) {
  const bool is_product = valuation.combination == Combination::kProduct;
  if (valuation.combination < Combination::kSum || valuation.combination > Combination::kProduct) {
    return absl::InvalidArgumentError(
        absl::StrCat("combination: ", static_cast<int>(valuation.combination), " is none"));
  }
  for (const auto& [resource, ranges] : valuation.curves) {
    if (absl::Status status = CheckResource(resource); !status.ok()) return At("curves.", status);
    const std::string place = absl::StrCat("curves[", ResourceName(resource), "].");
    if (absl::Status status = CheckRanges(ranges); !status.ok()) return At(place, status);
    if (is_product && HighestValue(ranges) > kLevelOne) {
      return absl::InvalidArgumentError(absl::StrCat(place, "ranges: a level above ", kLevelOne));
    }
  }
  if (is_product && !ValueInBounds(valuation.whole_value_microcredits)) {
    return absl::InvalidArgumentError(
        absl::StrCat("whole_value_microcredits: ", valuation.whole_value_microcredits,
                     " is not within 0 and ", kBidValueMaxMicrocredits));
  }
  return absl::OkStatus();
}

absl::Status CheckValuation(const Valuation& valuation) {
  if (valuation.bundles.size() > kBundlesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("bundles: ", valuation.bundles.size(), " are more than ", kBundlesMax));
  }
  if (!valuation.bundles.empty() && !valuation.curves.empty()) {
    return absl::InvalidArgumentError("bundles and curves do not go together");
  }
  if (valuation.whole_value_microcredits != 0 &&
      (valuation.curves.empty() || valuation.combination != Combination::kProduct)) {
    return absl::InvalidArgumentError("whole_value_microcredits: only a product has one");
  }
  std::set<std::map<Resource, int64_t>> seen;
  for (size_t i = 0; i < valuation.bundles.size(); ++i) {
    const std::string place = absl::StrCat("bundles[", i, "].");
    if (absl::Status s = CheckBundle(valuation.bundles[i]); !s.ok()) return At(place, s);
    std::map<Resource, int64_t> units = valuation.bundles[i].units;
    std::erase_if(units, [](const auto& need) { return need.second == 0; });
    if (!seen.insert(std::move(units)).second) {
      return absl::InvalidArgumentError(absl::StrCat(place, "units: another has the same"));
    }
  }
  return valuation.curves.empty() ? absl::OkStatus() : CheckCurves(valuation);
}

}  // namespace

absl::Status CheckBid(const Bid& bid) {
  if (bid.budget_microcredits && *bid.budget_microcredits < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("budget_microcredits: ", *bid.budget_microcredits, " is negative"));
  }
  if (!bid.valuation) {
    if (absl::Status status = CheckResource(bid.resource); !status.ok()) return status;
    return bid.ranges.empty() ? absl::OkStatus() : CheckRanges(bid.ranges);
  }
  if (!bid.ranges.empty()) {
    return absl::InvalidArgumentError("ranges: none go together with a valuation");
  }
  return At("valuation.", CheckValuation(*bid.valuation));
}

std::vector<BidRange> CutToUnitPrice(const std::vector<BidRange>& ranges,
                                     int64_t ceiling_microcredits) {
  return FromRangeList(policies::Cap(ToRangeList(ranges),
                                     {.ceiling_unit_price_microcredits = ceiling_microcredits}));
}

int64_t HighestValue(const std::vector<BidRange>& ranges) {
  Wide highest = 0;
  for (const BidRange& range : ranges) {
    highest =
        std::max({highest, Wide{range.value_at_min_microcredits}, ValueAt(range, range.max_units)});
  }
  return static_cast<int64_t>(highest);
}

int64_t HighestValue(const Bid& bid) {
  if (!bid.valuation) return HighestValue(bid.ranges);
  Wide highest = 0;
  for (const Bundle& bundle : bid.valuation->bundles) {
    highest = std::max(highest, Wide{bundle.value_microcredits});
  }
  // Of a min or a max no less than of all its curves.
  for (const auto& [resource, ranges] : bid.valuation->curves) highest += HighestValue(ranges);
  if (!bid.valuation->curves.empty() && bid.valuation->combination == Combination::kProduct) {
    highest = bid.valuation->whole_value_microcredits;
  }
  return static_cast<int64_t>(std::min(highest, Wide{kBidValueMaxMicrocredits}));
}

namespace {

int64_t AtCeilings(const Bundle& bundle, const std::map<Resource, int64_t>& ceilings) {
  Wide sum = 0;
  for (const auto& [resource, units] : bundle.units) {
    if (units == 0) continue;
    const auto ceiling = ceilings.find(resource);
    if (ceiling == ceilings.end()) return kBidValueMaxMicrocredits;
    sum += Wide{units} * Wide{std::max<int64_t>(0, ceiling->second)};
  }
  return static_cast<int64_t>(std::min(sum, Wide{kBidValueMaxMicrocredits}));
}

}  // namespace

absl::StatusOr<Bid> CutToCeilings(Bid bid, const std::map<Resource, int64_t>& unit_price_ceilings) {
  if (unit_price_ceilings.empty()) return bid;
  if (!bid.valuation) {
    const auto ceiling = unit_price_ceilings.find(bid.resource);
    if (ceiling == unit_price_ceilings.end()) return bid;
    bid.ranges = CutToUnitPrice(bid.ranges, ceiling->second);
    if (!bid.ranges.empty()) return bid;
    return absl::ResourceExhaustedError(
        absl::StrCat("ranges: a price ceiling of ", ceiling->second, " leaves nothing to bid"));
  }
  Valuation& valuation = *bid.valuation;
  for (Bundle& bundle : valuation.bundles) {
    bundle.value_microcredits =
        std::min(bundle.value_microcredits, AtCeilings(bundle, unit_price_ceilings));
  }
  std::erase_if(valuation.bundles,
                [](const Bundle& bundle) { return bundle.value_microcredits == 0; });
  const bool is_min = valuation.combination == Combination::kMin;
  bool is_left = !valuation.bundles.empty();
  for (auto curve = valuation.curves.begin(); curve != valuation.curves.end();) {
    const auto ceiling = unit_price_ceilings.find(curve->first);
    if (ceiling != unit_price_ceilings.end()) {
      if (valuation.combination == Combination::kProduct) {
        return absl::InvalidArgumentError(absl::StrCat(
            "valuation.curves[", ResourceName(curve->first),
            "]: the levels of a product cannot be held to a price ceiling; bid bundles"));
      }
      curve->second = CutToUnitPrice(curve->second, ceiling->second);
    }
    const bool is_empty = curve->second.empty();
    if (is_empty && is_min) {  // The scarcest decides: nothing of all.
      is_left = false;
      break;
    }
    is_left = is_left || !is_empty;
    curve = is_empty ? valuation.curves.erase(curve) : std::next(curve);
  }
  if (is_left) return bid;
  return absl::ResourceExhaustedError("valuation: the price ceilings leave nothing to bid");
}

}  // namespace nom::client
