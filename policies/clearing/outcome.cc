#include "policies/clearing/outcome.h"

#include <algorithm>

namespace nom::policies {

absl::StatusOr<Clearing> MakeClearing(const Auction& auction, const std::vector<int64_t>& units,
                                      const std::vector<Microcredits>& charges,
                                      Microcredits clearing_unit_price_microcredits) {
  absl::StatusOr<Microcredits> welfare = Welfare(auction, units);
  if (!welfare.ok()) return welfare.status();
  Clearing clearing;
  clearing.welfare_microcredits = *welfare;
  clearing.welfare_bound_microcredits = *welfare;
  for (size_t i = 0; i < units.size(); ++i) {
    if (units[i] > 0) {
      clearing.awards.push_back({auction.bids[i].guest_id, units[i], charges[i]});
    }
  }
  std::sort(clearing.awards.begin(), clearing.awards.end(),
            [](const Award& a, const Award& b) { return a.guest_id < b.guest_id; });
  clearing.clearing_unit_price_microcredits = clearing_unit_price_microcredits;
  clearing.highest_rejected_unit_price_microcredits = HighestRejectedUnitPrice(auction, units);
  clearing.bound_by = clearing_unit_price_microcredits > auction.reserve_unit_price_microcredits
                          ? BoundBy::kBids
                          : BoundBy::kReserve;
  return clearing;
}

}  // namespace nom::policies
