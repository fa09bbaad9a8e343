// SPDX-License-Identifier: Apache-2.0
// The demand curve of one auction: how many units all bids together would take at each price.
//
// At a unit price p a bid takes the quantity q that leaves it most, value(q) - p * q. As p falls,
// that quantity rises along the corners of the upper concave hull of (q, value(q)): each edge of
// the hull is a number of units that the bid takes from one price on. All edges of all bids by
// falling price are the curve. So quantities that a bid refuses, and values that rise ever faster,
// are drawn as what they are to an auction: more units at once.

#ifndef MARKETD_PAGE_DEMAND_H_
#define MARKETD_PAGE_DEMAND_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "marketd/market/types.h"
#include "policies/clearing/auction.h"
#include "policies/clearing/joint/joint_auction.h"

namespace nom::marketd {

struct DemandStep {
  market::Microcredits unit_price_microcredits = 0;  // Rounded down.
  int64_t units = 0;                                 // Of this step and all before it.
  friend bool operator==(const DemandStep&, const DemandStep&) = default;
};

struct DemandCurve {
  std::vector<DemandStep> steps;  // By falling price, each price once.
  int64_t bids = 0;               // That ask for something.
  int64_t joint_bids = 0;         // Of these, for several kinds together.
};

// Whether a bidder of the auction is drawn.
using IsDrawn = std::function<bool(policies::GuestId bidder)>;

// Of an auction of one kind. The bids must be valid.
DemandCurve DemandOf(const policies::Auction& auction, const IsDrawn& is_drawn);

// Of one resource of a joint auction. A bid for several resources takes of this one what leaves it
// most while the others cost `unit_prices`; where its curves are joined by a product of more than
// two kinds, or a range is longer than 64 units, quantities in between are tried, so that its part
// of the curve may lie slightly too low.
DemandCurve DemandOf(const policies::JointAuction& auction, size_t resource,
                     const policies::PriceVector& unit_prices, const IsDrawn& is_drawn);

// At most `steps_max` (> 0) steps that end as `steps` do: each stands for as many of them, at the
// lowest of their prices.
std::vector<DemandStep> Thinned(const std::vector<DemandStep>& steps, size_t steps_max);

}  // namespace nom::marketd

#endif  // MARKETD_PAGE_DEMAND_H_
