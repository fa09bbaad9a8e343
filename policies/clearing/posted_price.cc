#include "policies/clearing/posted_price.h"

#include <algorithm>

#include "policies/clearing/greedy.h"
#include "policies/clearing/int128.h"
#include "policies/clearing/outcome.h"

namespace nom::policies {
namespace {

// The surplus is a straight line on a range, so its ends are enough.
int64_t BestUnits(const Bid& bid, int64_t left_units, Microcredits price) {
  int64_t best_units = 0;
  Int128 best = 0;
  for (const Range& range : bid.ranges) {
    if (range.min_units > left_units) break;
    for (int64_t units : {range.min_units, std::min(range.max_units, left_units)}) {
      const Int128 surplus = ValueOf(bid, units) - Int128{units} * price;
      if (surplus >= best) {  // Ranges rise, so among equals the largest stays.
        best = surplus;
        best_units = units;
      }
    }
  }
  return best_units;
}

}  // namespace

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
