#include "policies/clearing/proportional_share.h"

#include <algorithm>

#include "policies/clearing/greedy.h"
#include "policies/clearing/int128.h"
#include "policies/clearing/outcome.h"

namespace nom::policies {
namespace {

Microcredits BudgetOf(const Bid& bid) {
  Microcredits budget = 0;
  for (const Range& range : bid.ranges) {
    budget = std::max({budget, range.value_at_min_microcredits, ValueOf(bid, range.max_units)});
  }
  return budget;
}

// What a budget buys at a price; everything if the price is 0.
int64_t ShareAt(Microcredits price, Microcredits budget, const Bid& bid) {
  if (bid.ranges.empty()) return 0;
  const int64_t most = bid.ranges.back().max_units;
  return price == 0 ? most : std::min(most, budget / price);
}

// The largest quantity of at most `share_units` that is worth the price.
int64_t UnitsWithin(const Bid& bid, int64_t share_units, Microcredits price) {
  for (size_t r = bid.ranges.size(); r-- > 0;) {
    const Range& range = bid.ranges[r];
    const int64_t high = std::min(range.max_units, share_units);
    if (high < range.min_units) continue;
    const Int128 surplus_at_high = ValueOf(bid, high) - Int128{high} * price;
    if (surplus_at_high >= 0) return high;
    // A straight line that is below 0 at `high` is at least 0 only further down, if it falls.
    const Int128 slope = Int128{range.unit_price_microcredits} - price;
    if (range.min_units == range.max_units || slope >= 0) continue;
    const Int128 steps = (-surplus_at_high + (-slope) - 1) / -slope;  // Rounded up.
    if (high - steps >= range.min_units) return high - static_cast<int64_t>(steps);
  }
  return 0;
}

}  // namespace

absl::StatusOr<Clearing> ClearProportionalShare(const Auction& auction) {
  if (auto s = ValidateAuction(auction); !s.ok()) return s;
  const auto bound = WelfareBound(auction);
  if (!bound.ok()) return bound.status();
  std::vector<Microcredits> budgets;
  budgets.reserve(auction.bids.size());
  for (const Bid& bid : auction.bids) budgets.push_back(BudgetOf(bid));
  auto fits = [&](Microcredits price) {
    int64_t units = 0;
    for (size_t i = 0; i < budgets.size(); ++i) {
      units += ShareAt(price, budgets[i], auction.bids[i]);
      if (units > auction.capacity_units) return false;
    }
    return true;
  };
  // Shares fall as the price rises; at one micro-credit more than the largest budget all are 0.
  Microcredits low = auction.reserve_unit_price_microcredits;
  Microcredits high = std::max(low, kValueMaxMicrocredits + 1);
  while (low < high) {
    const Microcredits middle = low + (high - low) / 2;
    if (fits(middle)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  const Microcredits price = low;
  std::vector<int64_t> units(auction.bids.size(), 0);
  std::vector<Microcredits> charges(auction.bids.size(), 0);
  for (size_t i = 0; i < units.size(); ++i) {
    units[i] = UnitsWithin(auction.bids[i], ShareAt(price, budgets[i], auction.bids[i]), price);
    charges[i] = units[i] * price;  // At most the value: UnitsWithin.
  }
  absl::StatusOr<Clearing> clearing = MakeClearing(auction, units, charges, price);
  if (clearing.ok()) clearing->welfare_bound_microcredits = *bound;
  return clearing;
}

}  // namespace nom::policies
