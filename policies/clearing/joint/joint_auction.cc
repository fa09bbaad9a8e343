// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/joint/joint_auction.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "policies/clearing/int128.h"
#include "policies/clearing/joint/axis.h"

namespace nom::policies {
namespace {

absl::Status Wrong(const std::string& where, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(where, ": ", what));
}

absl::Status CheckWithin(const std::string& where, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return Wrong(where, absl::StrCat(value, " is outside [", low, ", ", high, "]"));
}

// The entries of an array up to resource_count within [0, high], the others 0.
absl::Status CheckVector(const std::string& where, const UnitVector& values, int resource_count,
                         int64_t high) {
  for (int r = 0; r < kJointResourcesMax; ++r) {
    const int64_t value = values[static_cast<size_t>(r)];
    const std::string entry = absl::StrCat(where, "[", r, "]");
    if (r >= resource_count && value != 0) {
      return Wrong(entry, absl::StrCat("there are only ", resource_count, " resources"));
    }
    if (auto s = CheckWithin(entry, value, 0, high); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status CheckBundles(const std::string& where, const JointBid& bid, int resource_count) {
  if (bid.bundles.size() > static_cast<size_t>(kBundlesMax)) {
    return Wrong(where, absl::StrCat(bid.bundles.size(), " are more than ", kBundlesMax));
  }
  std::vector<std::pair<UnitVector, size_t>> seen;
  seen.reserve(bid.bundles.size());
  for (size_t i = 0; i < bid.bundles.size(); ++i) {
    const Bundle& bundle = bid.bundles[i];
    const std::string at = absl::StrCat(where, "[", i, "]");
    if (auto s = CheckVector(at + ".units", bundle.units, resource_count, kUnitsMax); !s.ok()) {
      return s;
    }
    if (bundle.units == UnitVector{}) return Wrong(at + ".units", "the empty bundle is worth 0");
    if (auto s = CheckWithin(at + ".value_microcredits", bundle.value_microcredits, 0,
                             kValueMaxMicrocredits);
        !s.ok()) {
      return s;
    }
    seen.emplace_back(bundle.units, i);
  }
  std::sort(seen.begin(), seen.end());
  const auto twice = std::adjacent_find(
      seen.begin(), seen.end(), [](const auto& a, const auto& b) { return a.first == b.first; });
  if (twice == seen.end()) return absl::OkStatus();
  return Wrong(absl::StrCat(where, "[", std::next(twice)->second, "].units"),
               absl::StrCat("the same as in ", where, "[", twice->second, "]"));
}

absl::Status CheckCurves(const std::string& where, const JointAuction& auction,
                         const JointBid& bid) {
  const CurveFamily& family = *bid.curves;
  const bool is_product = family.combination == Combination::kProduct;
  if (auto s = CheckWithin(where + ".whole_value_microcredits", family.whole_value_microcredits, 0,
                           is_product ? kValueMaxMicrocredits : 0);
      !s.ok()) {
    return s;
  }
  for (int r = 0; r < kJointResourcesMax; ++r) {
    const std::vector<Range>& ranges = family.curves[static_cast<size_t>(r)];
    const std::string at = absl::StrCat(where, ".curves[", r, "]");
    if (r >= auction.resource_count && !ranges.empty()) {
      return Wrong(at, absl::StrCat("there are only ", auction.resource_count, " resources"));
    }
    if (auto s = ValidateBid({bid.guest_id, ranges, 0}); !s.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(at, ".", s.message()));
    }
    // The sum of all curves is a value too; an equal part each is enough for it to be within the
    // limit.
    const Microcredits high = is_product ? kLevelOne
                              : family.combination == Combination::kSum
                                  ? kValueMaxMicrocredits / kJointResourcesMax
                                  : kValueMaxMicrocredits;
    for (size_t i = 0; i < ranges.size(); ++i) {
      const Bid one{bid.guest_id, ranges, 0};
      for (int64_t units : {ranges[i].min_units, ranges[i].max_units}) {
        if (auto s = CheckWithin(absl::StrCat(at, ".ranges[", i, "]: the value at ", units),
                                 ValueOf(one, units), 0, high);
            !s.ok()) {
          return s;
        }
      }
    }
  }
  return absl::OkStatus();
}

// How many bundles the curves of a bid describe, or more than kCurveBundlesMax.
int64_t CountCurveBundles(const JointAuction& auction, const JointBid& bid) {
  const bool along_axes = IsFrontierOnly(auction, bid);
  int64_t count = along_axes ? 0 : 1;
  for (int r = 0; r < auction.resource_count; ++r) {
    const auto points = static_cast<int64_t>(AxisPoints(auction, bid, r).size());
    if (along_axes) {
      count += points;
    } else if (points > 2 * kCurveBundlesMax / count) {
      return kCurveBundlesMax + 1;
    } else {
      count *= points;
    }
  }
  return count;
}

// The value at `units` of a curve; nothing if it refuses them. A curve that is not there takes
// nothing.
std::optional<Microcredits> ValueOfCurve(const std::vector<Range>& ranges, int64_t units) {
  const Bid bid{1, ranges, 0};
  if (!Allowed(bid, units)) return std::nullopt;
  return ValueOf(bid, units);
}

std::optional<Microcredits> ValueOfCurves(const CurveFamily& family, const UnitVector& units) {
  const bool is_product = family.combination == Combination::kProduct;
  Microcredits value = is_product ? family.whole_value_microcredits : 0;
  bool is_first = true;
  for (size_t r = 0; r < family.curves.size(); ++r) {
    const std::optional<Microcredits> of_curve = ValueOfCurve(family.curves[r], units[r]);
    if (!of_curve.has_value()) return std::nullopt;
    if (family.curves[r].empty()) continue;
    switch (family.combination) {
      case Combination::kSum:
        value += *of_curve;
        break;
      case Combination::kMin:
        value = is_first ? *of_curve : std::min(value, *of_curve);
        break;
      case Combination::kMax:
        value = std::max(value, *of_curve);
        break;
      case Combination::kProduct:
        value = ScaleByLevel(value, *of_curve);
        break;
    }
    is_first = false;
  }
  return is_first ? 0 : value;
}

// The most that a valid curve is worth anywhere.
Microcredits CurveMax(const std::vector<Range>& ranges) {
  Microcredits most = 0;
  for (const Range& range : ranges) {
    const Bid bid{1, {range}, 0};
    most = std::max({most, ValueOf(bid, range.min_units), ValueOf(bid, range.max_units)});
  }
  return most;
}

}  // namespace

int64_t CountBundles(const JointAuction& auction, const JointBid& bid) {
  if (!bid.curves.has_value()) return static_cast<int64_t>(bid.bundles.size());
  return std::min(kCurveBundlesMax + 1, CountCurveBundles(auction, bid));
}

Microcredits ValueMax(const JointBid& bid) {
  Microcredits most = 0;
  if (!bid.curves.has_value()) {
    for (const Bundle& bundle : bid.bundles) most = std::max(most, bundle.value_microcredits);
    return most;
  }
  const Combination combination = bid.curves->combination;
  bool is_first = true;
  if (combination == Combination::kProduct) most = bid.curves->whole_value_microcredits;
  for (const std::vector<Range>& ranges : bid.curves->curves) {
    if (ranges.empty()) continue;
    const Microcredits of_curve = CurveMax(ranges);
    switch (combination) {
      case Combination::kSum:
        most += of_curve;
        break;
      case Combination::kMin:
        most = is_first ? of_curve : std::min(most, of_curve);
        break;
      case Combination::kMax:
        most = std::max(most, of_curve);
        break;
      case Combination::kProduct:
        most = ScaleByLevel(most, of_curve);
        break;
    }
    is_first = false;
  }
  return is_first ? 0 : most;
}

absl::Status ValidateJointAuction(const JointAuction& auction) {
  if (auto s = CheckWithin("resource_count", auction.resource_count, 1, kJointResourcesMax);
      !s.ok()) {
    return s;
  }
  const int count = auction.resource_count;
  if (auto s = CheckVector("capacity_units", auction.capacity_units, count, kUnitsMax); !s.ok()) {
    return s;
  }
  if (auto s = CheckVector("reserve_unit_prices_microcredits",
                           auction.reserve_unit_prices_microcredits, count, kValueMaxMicrocredits);
      !s.ok()) {
    return s;
  }
  if (auto s = CheckVector("reclaim_penalties_microcredits", auction.reclaim_penalties_microcredits,
                           count, kValueMaxMicrocredits);
      !s.ok()) {
    return s;
  }
  if (auction.bids.size() > static_cast<size_t>(kJointBidsMax)) {
    return Wrong("bids", absl::StrCat(auction.bids.size(), " are more than ", kJointBidsMax));
  }
  std::vector<std::pair<GuestId, size_t>> guests;
  int64_t bundles = 0;
  for (size_t i = 0; i < auction.bids.size(); ++i) {
    const JointBid& bid = auction.bids[i];
    const std::string where = absl::StrCat("bids[", i, "]");
    if (bid.guest_id == 0) return Wrong(where + ".guest_id", "0 is the operator, who never bids");
    if (auto s = CheckVector(where + ".held_units", bid.held_units, count, kUnitsMax); !s.ok()) {
      return s;
    }
    if (bid.curves.has_value()) {
      if (!bid.bundles.empty()) return Wrong(where + ".bundles", "do not go together with curves");
      if (auto s = CheckCurves(where + ".curves", auction, bid); !s.ok()) return s;
      const int64_t described = CountBundles(auction, bid);
      if (described > kCurveBundlesMax) {
        return Wrong(where + ".curves",
                     absl::StrCat("describe more than ", kCurveBundlesMax,
                                  " bundles within the capacity: use larger units"));
      }
      bundles += described;
    } else {
      if (auto s = CheckBundles(where + ".bundles", bid, count); !s.ok()) return s;
      bundles += static_cast<int64_t>(bid.bundles.size());
    }
    if (bundles > kJointBundlesMax) {
      return Wrong("bids", absl::StrCat("the first ", i + 1, " describe more than ",
                                        kJointBundlesMax, " bundles: use larger units"));
    }
    guests.emplace_back(bid.guest_id, i);
  }
  std::sort(guests.begin(), guests.end());
  const auto twice =
      std::adjacent_find(guests.begin(), guests.end(),
                         [](const auto& a, const auto& b) { return a.first == b.first; });
  if (twice == guests.end()) return absl::OkStatus();
  return Wrong(absl::StrCat("bids[", std::next(twice)->second, "].guest_id"),
               absl::StrCat("guest ", twice->first, " already bids in bids[", twice->second, "]"));
}

std::optional<Microcredits> ValueOf(const JointBid& bid, const UnitVector& units) {
  if (units == UnitVector{}) return 0;
  if (bid.curves.has_value()) return ValueOfCurves(*bid.curves, units);
  for (const Bundle& bundle : bid.bundles) {
    if (bundle.units == units) return bundle.value_microcredits;
  }
  return std::nullopt;
}

absl::StatusOr<Microcredits> JointWelfare(const JointAuction& auction,
                                          const std::vector<UnitVector>& units) {
  if (units.size() != auction.bids.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("units: ", units.size(), " bundles for ", auction.bids.size(), " bids"));
  }
  Int128 welfare = 0;
  UnitVector sold = {};
  for (size_t i = 0; i < units.size(); ++i) {
    const JointBid& bid = auction.bids[i];
    const std::optional<Microcredits> value = ValueOf(bid, units[i]);
    Int128 at_reserve = 0;
    for (size_t r = 0; r < sold.size(); ++r) {
      sold[r] += units[i][r];
      at_reserve += Int128{units[i][r]} * auction.reserve_unit_prices_microcredits[r];
      welfare -= Int128{auction.reclaim_penalties_microcredits[r]} *
                 std::max<int64_t>(0, bid.held_units[r] - units[i][r]);
    }
    if (!value.has_value() || *value < at_reserve) {
      return absl::InvalidArgumentError(
          absl::StrCat("units[", i, "]: can't be sold to guest ", bid.guest_id));
    }
    welfare += *value;
  }
  for (size_t r = 0; r < sold.size(); ++r) {
    if (sold[r] > auction.capacity_units[r]) {
      return absl::InvalidArgumentError(
          absl::StrCat("units: the sum of resource ", r, " is above its capacity_units"));
    }
    welfare +=
        Int128{auction.capacity_units[r] - sold[r]} * auction.reserve_unit_prices_microcredits[r];
  }
  return ToMicrocredits(welfare, "welfare");
}

}  // namespace nom::policies
