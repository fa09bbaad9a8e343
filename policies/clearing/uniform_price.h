// SPDX-License-Identifier: Apache-2.0
// Everybody pays one price. For bids without gaps whose marginal values never rise.
//
// Maximises W exactly (auction.h), by serving marginal units from the dearest down
// (concave/concave_bids.h). The price is the highest rejected offer, or the reserve if that is
// more:
//
//   price = max(reserve, min(highest rejected unit price, min over winners of value_i / a_i))
//
// and charge_i = price * a_i. The inner minimum matters only with a reclaim penalty: then a holder
// may keep a unit that an outsider offered more for, and the outsider's offer may be above what the
// holder can pay. So reserve * a_i <= charge_i <= value_i(a_i), always.
//
// Small bidders have little reason to bid anything but the truth; a bidder large enough to set the
// price can gain by asking for less. Where that matters, use mpsp.

#ifndef NOM_POLICIES_CLEARING_UNIFORM_PRICE_H_
#define NOM_POLICIES_CLEARING_UNIFORM_PRICE_H_

#include "policies/clearing/auction.h"

namespace nom::policies {

// Expected time linear in the ranges. Errors: INVALID_ARGUMENT for an auction that is not valid or
// a bid that CheckConcave refuses, OUT_OF_RANGE if the welfare does not fit in 64 bits.
absl::StatusOr<Clearing> ClearUniformPrice(const Auction& auction);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_UNIFORM_PRICE_H_
