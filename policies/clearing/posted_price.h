// SPDX-License-Identifier: Apache-2.0
// The operator's price, take it or leave it: what most clouds do.
//
// Everybody may buy at the reserve. Guests choose one after the other, those who hold units first,
// then in the order of ties: each gets the quantity, out of what is left, that leaves it the most
// after paying; among equals the largest. Truthful, as nobody's bid moves its price or its place in
// the queue; not efficient, as whoever is early takes what somebody later would have paid more for.

#ifndef NOM_POLICIES_CLEARING_POSTED_PRICE_H_
#define NOM_POLICIES_CLEARING_POSTED_PRICE_H_

#include "policies/clearing/auction.h"

namespace nom::policies {

// O(p + n log n) for p ranges of n bids, and O(p log p) for the bound. Errors: INVALID_ARGUMENT,
// OUT_OF_RANGE.
absl::StatusOr<Clearing> ClearPostedPrice(const Auction& auction);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_POSTED_PRICE_H_
