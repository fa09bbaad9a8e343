// SPDX-License-Identifier: Apache-2.0
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
    const Bid& bid = auction.bids[i];
    units[i] =
        BestUnits(bid, ShareAt(price, budgets[i], bid), auction.reserve_unit_price_microcredits);
    // A share bought with the whole budget can be worth less than it cost.
    charges[i] = static_cast<Microcredits>(
        std::min<Int128>(Int128{units[i]} * price, ValueOf(bid, units[i])));
  }
  absl::StatusOr<Clearing> clearing = MakeClearing(auction, units, charges, price);
  if (clearing.ok()) clearing->welfare_bound_microcredits = *bound;
  return clearing;
}

}  // namespace nom::policies
