// SPDX-License-Identifier: Apache-2.0
// A good allocation and a proven bound, fast: the concave relaxation.
//
// Every bid is replaced by the smallest concave curve above it (concave/hull.h). The best
// allocation of those, with fractions of a unit, is found by serving the steepest parts first; no
// allocation of the real bids has a larger W. Serving the same parts in the same order, whole or
// not at all, is the greedy allocation of the real bids.

#ifndef NOM_POLICIES_CLEARING_GREEDY_H_
#define NOM_POLICIES_CLEARING_GREEDY_H_

#include "policies/clearing/auction.h"
#include "policies/clearing/work.h"

namespace nom::policies {

// An upper bound on W, rounded up; W itself for bids that are concave. `auction` must be valid.
// Expected time linear in the ranges. Errors: OUT_OF_RANGE if it does not fit in 64 bits,
// RESOURCE_EXHAUSTED if the work is used up, which without `work` it never is.
absl::StatusOr<Microcredits> WelfareBound(const Auction& auction, Work& work);
absl::StatusOr<Microcredits> WelfareBound(const Auction& auction);

// Awards from the steepest parts down; where a part does not fit, the most that is allowed and
// does. All pay one price, as in uniform_price: max(reserve, min(highest rejected offer, the least
// that a winner values a unit at)), so reserve * units <= charge <= value. Not efficient in
// general, not truthful; welfare_bound says by how much it can be off. Expected time linear until
// the first part does not fit; what is left of the capacity then is filled from a heap. Errors:
// INVALID_ARGUMENT, OUT_OF_RANGE, and RESOURCE_EXHAUSTED as above.
absl::StatusOr<Clearing> ClearGreedy(const Auction& auction, Work& work);
absl::StatusOr<Clearing> ClearGreedy(const Auction& auction);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_GREEDY_H_
