// SPDX-License-Identifier: Apache-2.0
// Each guest gets a share in proportion to its budget: cheap, easy to explain, not truthful.
//
// A guest's budget is the most that its bid says any quantity is worth. One price is found for all,
//
//   price = the smallest p >= reserve with sum_i min(floor(budget_i / p), max_units_i) <= capacity
//
// and each guest may spend its budget at it. So while nobody wants less than its share, shares are
// capacity * budget_i / sum of budgets, rounded down; what one does not want raises the others'.
// Within its share a guest gets the quantity that is worth most above the reserve, and pays
// price * units, or what that quantity is worth to it if that is less: so
// reserve * units <= charge <= value.
//
// Known bound, for guests who bid what is best for them rather than the truth, want any quantity
// and have falling marginal values: at least 3/4 of the largest welfare (Johari and Tsitsiklis
// 2004). Two guests with straight curves never fall below 2 * sqrt(2) - 2 of it.

#ifndef NOM_POLICIES_CLEARING_PROPORTIONAL_SHARE_H_
#define NOM_POLICIES_CLEARING_PROPORTIONAL_SHARE_H_

#include "policies/clearing/auction.h"

namespace nom::policies {

// O(50 n + p log p) for p ranges of n bids. Errors: INVALID_ARGUMENT, OUT_OF_RANGE.
absl::StatusOr<Clearing> ClearProportionalShare(const Auction& auction);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_PROPORTIONAL_SHARE_H_
