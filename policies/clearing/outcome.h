// SPDX-License-Identifier: Apache-2.0
// What every rule does once it knows its awards. Inside policies/clearing only.

#ifndef NOM_POLICIES_CLEARING_OUTCOME_H_
#define NOM_POLICIES_CLEARING_OUTCOME_H_

#include <vector>

#include "policies/clearing/auction.h"

namespace nom::policies {

// Both vectors are parallel to auction.bids; charges of losers are 0. Fills in the awards by rising
// guest, W and its bound (W itself: for exact rules), the highest rejected offer, and what bound
// the price. Errors: those of Welfare.
absl::StatusOr<Clearing> MakeClearing(const Auction& auction, const std::vector<int64_t>& units,
                                      const std::vector<Microcredits>& charges,
                                      Microcredits clearing_unit_price_microcredits);

// The same where those two are known.
Clearing MakeClearing(const Auction& auction, const std::vector<int64_t>& units,
                      const std::vector<Microcredits>& charges,
                      Microcredits clearing_unit_price_microcredits,
                      Microcredits welfare_microcredits,
                      Microcredits highest_rejected_unit_price_microcredits);

// A clearing in which all winners pay the same price a unit: max(reserve, min(highest rejected
// offer, the least that a winner values a unit at)). So reserve * units <= charge <= value.
absl::StatusOr<Clearing> AtOnePrice(const Auction& auction, const std::vector<int64_t>& units);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_OUTCOME_H_
