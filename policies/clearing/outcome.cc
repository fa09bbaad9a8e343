// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/outcome.h"

#include <algorithm>

namespace nom::policies {

absl::StatusOr<Clearing> MakeClearing(const Auction& auction, const std::vector<int64_t>& units,
                                      const std::vector<Microcredits>& charges,
                                      Microcredits clearing_unit_price_microcredits) {
  absl::StatusOr<Microcredits> welfare = Welfare(auction, units);
  if (!welfare.ok()) return welfare.status();
  return MakeClearing(auction, units, charges, clearing_unit_price_microcredits, *welfare,
                      HighestRejectedUnitPrice(auction, units));
}

Clearing MakeClearing(const Auction& auction, const std::vector<int64_t>& units,
                      const std::vector<Microcredits>& charges,
                      Microcredits clearing_unit_price_microcredits,
                      Microcredits welfare_microcredits,
                      Microcredits highest_rejected_unit_price_microcredits) {
  Clearing clearing;
  clearing.welfare_microcredits = welfare_microcredits;
  clearing.welfare_bound_microcredits = welfare_microcredits;
  for (size_t i = 0; i < units.size(); ++i) {
    if (units[i] > 0) {
      clearing.awards.push_back({auction.bids[i].guest_id, units[i], charges[i]});
    }
  }
  std::sort(clearing.awards.begin(), clearing.awards.end(),
            [](const Award& a, const Award& b) { return a.guest_id < b.guest_id; });
  clearing.clearing_unit_price_microcredits = clearing_unit_price_microcredits;
  clearing.highest_rejected_unit_price_microcredits = highest_rejected_unit_price_microcredits;
  clearing.bound_by = clearing_unit_price_microcredits > auction.reserve_unit_price_microcredits
                          ? BoundBy::kBids
                          : BoundBy::kReserve;
  return clearing;
}

absl::StatusOr<Clearing> AtOnePrice(const Auction& auction, const std::vector<int64_t>& units) {
  const absl::StatusOr<Microcredits> welfare = Welfare(auction, units);
  if (!welfare.ok()) return welfare.status();
  const Microcredits highest_rejected = HighestRejectedUnitPrice(auction, units);
  Microcredits price = highest_rejected;
  for (size_t i = 0; i < units.size(); ++i) {
    if (units[i] > 0) price = std::min(price, ValueOf(auction.bids[i], units[i]) / units[i]);
  }
  price = std::max(price, auction.reserve_unit_price_microcredits);
  std::vector<Microcredits> charges(units.size(), 0);
  for (size_t i = 0; i < units.size(); ++i) {
    // At most the bid's value: nothing is sold for less than the reserve.
    if (units[i] > 0) charges[i] = price * units[i];
  }
  return MakeClearing(auction, units, charges, price, *welfare, highest_rejected);
}

}  // namespace nom::policies
