// SPDX-License-Identifier: Apache-2.0
// Between units by resource, as the SDK names them, and the row of numbers that policies/bidding
// works on: a place for each resource.

#ifndef CLIENT_SRC_RESOURCE_UNITS_H_
#define CLIENT_SRC_RESOURCE_UNITS_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "nom/types.h"
#include "policies/bidding/working_points.h"

namespace nom::client {

static_assert(kResourceCount == policies::kPointResourcesMax);

using ResourceRow = std::array<int64_t, kResourceCount>;

inline size_t PlaceOf(Resource resource) { return static_cast<size_t>(resource) - 1; }

// INVALID_ARGUMENT names `field` if there is no such resource or the units are out of range.
inline absl::StatusOr<ResourceRow> ToRow(const std::map<Resource, int64_t>& units,
                                         absl::string_view field) {
  ResourceRow row = {};
  for (const auto& [resource, count] : units) {
    if (PlaceOf(resource) >= kResourceCount) {
      return absl::InvalidArgumentError(
          absl::StrCat(field, ": ", static_cast<int>(resource), " is no resource"));
    }
    if (count < 0 || count > kBidUnitsMax) {
      return absl::InvalidArgumentError(absl::StrCat(field, ": ", count, " of ",
                                                     ResourceName(resource),
                                                     " is not within 0 and ", kBidUnitsMax));
    }
    row[PlaceOf(resource)] = count;
  }
  return row;
}

// Those that are not 0. `row` has kResourceCount numbers.
inline std::map<Resource, int64_t> FromRow(const int64_t* row) {
  std::map<Resource, int64_t> units;
  for (Resource resource : kAllResources) {
    if (row[PlaceOf(resource)] != 0) units[resource] = row[PlaceOf(resource)];
  }
  return units;
}

// What a unit costs, held within what policies/bidding works with, or that it is not on sale.
inline ResourceRow PriceRow(const Prices& prices) {
  ResourceRow row = {};
  for (Resource resource : kAllResources) {
    const std::optional<int64_t> price = prices.UnitPrice(resource);
    row[PlaceOf(resource)] =
        price ? std::clamp<int64_t>(*price, 0, kBidValueMaxMicrocredits) : policies::kNotOnSale;
  }
  return row;
}

}  // namespace nom::client

#endif  // CLIENT_SRC_RESOURCE_UNITS_H_
