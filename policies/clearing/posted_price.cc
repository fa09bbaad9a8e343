// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/posted_price.h"

#include <algorithm>

#include "policies/clearing/greedy.h"
#include "policies/clearing/outcome.h"

namespace nom::policies {
absl::StatusOr<Clearing> ClearPostedPrice(const Auction& auction) {
  if (auto s = ValidateAuction(auction); !s.ok()) return s;
  const auto bound = WelfareBound(auction);
  if (!bound.ok()) return bound.status();
  std::vector<size_t> queue = InTieOrder(auction);
  std::stable_partition(queue.begin(), queue.end(),
                        [&](size_t i) { return auction.bids[i].held_units > 0; });
  const Microcredits price = auction.reserve_unit_price_microcredits;
  std::vector<int64_t> units(auction.bids.size(), 0);
  std::vector<Microcredits> charges(auction.bids.size(), 0);
  int64_t left_units = auction.capacity_units;
  for (size_t i : queue) {
    units[i] = BestUnits(auction.bids[i], left_units, price);
    charges[i] = units[i] * price;  // At most the value: buying nothing was a choice.
    left_units -= units[i];
  }
  absl::StatusOr<Clearing> clearing = MakeClearing(auction, units, charges, price);
  if (clearing.ok()) clearing->welfare_bound_microcredits = *bound;
  return clearing;
}

}  // namespace nom::policies
