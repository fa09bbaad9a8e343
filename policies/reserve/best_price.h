// SPDX-License-Identifier: Apache-2.0
// What one price would have earned the operator the most, had the bids of a round met it.
//
// A seller who posts a price p for each unit earns p * min(capacity, what is asked for at p). The
// price for which that is largest is what learnt/1 (reserve.h) learns from: for one unit and
// bidders drawn from one distribution it tends to Myerson's reserve (Optimal auction design, 1981)
// as they become many. Bids with gaps count as the smallest concave curve above them.

#ifndef NOM_POLICIES_RESERVE_BEST_PRICE_H_
#define NOM_POLICIES_RESERVE_BEST_PRICE_H_

#include "policies/clearing/auction.h"

namespace nom::policies {

// The lowest of equals; 0 if nothing is bid for, or nothing is sold. Of the values as they were
// bid, whatever the auction's reserve, penalty and weights are. The auction must be valid but for
// its weights. Time for sorting its ranges.
Microcredits BestUnitPrice(const Auction& auction);

}  // namespace nom::policies

#endif  // NOM_POLICIES_RESERVE_BEST_PRICE_H_
