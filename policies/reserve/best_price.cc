// SPDX-License-Identifier: Apache-2.0
#include "policies/reserve/best_price.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "policies/clearing/concave/hull.h"
#include "policies/clearing/int128.h"

namespace nom::policies {

Microcredits BestUnitPrice(const Auction& auction) {
  Auction free = auction;  // At no reserve and no penalty a gain is a value.
  free.reserve_unit_price_microcredits = 0;
  free.reclaim_penalty_microcredits = 0;
  const Hull hull = MakeHull(free);
  std::vector<std::pair<Microcredits, int64_t>> parts;  // Up to which price, how many units.
  parts.reserve(hull.slope.size());
  for (size_t i = 0; i < hull.slope.size(); ++i) parts.emplace_back(hull.slope[i], hull.units[i]);
  std::sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a > b; });
  Microcredits best_price = 0;
  Int128 best = 0;
  int64_t asked_units = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    asked_units += parts[i].second;
    if (i + 1 < parts.size() && parts[i + 1].first == parts[i].first) continue;
    const Int128 earned = Int128{parts[i].first} * std::min(asked_units, auction.capacity_units);
    if (earned >= best && parts[i].first > 0) {
      best = earned;
      best_price = parts[i].first;
    }
    if (asked_units >= auction.capacity_units) break;  // Lower prices sell no more.
  }
  return best_price;
}

}  // namespace nom::policies
