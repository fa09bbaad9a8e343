// SPDX-License-Identifier: Apache-2.0
// Auctions whose bids have weights, cleared by rules that know none.
//
// An objective other than welfare counts what bids are worth above the reserve by its own weights
// (auction.h). Such an auction is cleared as one without weights, in which every bid is worth that
// much less; what it charges above the reserve is divided by the payer's weight again. So
//
//   reserve * units <= charge <= value
//
// holds of the values as they were bid, and under a rule that is truthful the truth is a bidder's
// best bid here, too, whatever the weights are, as long as its own bid in this round does not move
// them: an affine maximiser, the only kind of rule with that property where values may be anything
// (Roberts, "The characterization of implementable choice rules", 1979). A bid whose weight is 0
// pays the reserve for what nobody with a weight takes.
//
// Prices are those of a bid whose weight is whole: one of half the weight pays twice as much above
// the reserve for a unit. W and its bound are the weighted ones: what was maximised.
//
// Rounding. Weighted values are rounded down, for each unit's price; charges above the reserve too.
// Quantities that are worth less than the reserve can't be sold, and are left out where a bid has a
// weight: they are not in the highest rejected price.

#ifndef NOM_POLICIES_CLEARING_WEIGHTS_H_
#define NOM_POLICIES_CLEARING_WEIGHTS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "policies/clearing/auction.h"

namespace nom::policies {

// True if some bid's weight is not whole.
bool HasWeights(const Auction& auction);

// The same with all weights whole: as it was bid.
Auction WithoutWeights(Auction auction);

// The auction without weights that is cleared in its place. Errors: INVALID_ARGUMENT as
// ValidateAuction says, or for a weight that is out of its range.
absl::StatusOr<Auction> Weighted(const Auction& auction);

// What was cleared of Weighted(auction), with the charges of `auction` itself.
Clearing Unweighted(const Auction& auction, Clearing clearing);

// W of an allocation, weights included; the rest is as for Welfare.
absl::StatusOr<Microcredits> WeightedWelfare(const Auction& auction,
                                             const std::vector<int64_t>& units);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_WEIGHTS_H_
