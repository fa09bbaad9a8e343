// SPDX-License-Identifier: Apache-2.0
// Concave bids: awards by selection, and every VCG charge from one look at the offers around the
// margin. Inside policies/clearing only.
//
// A bid is concave if it refuses no quantity up to its last and no unit is worth more than the one
// before it. With a reclaim penalty its first units, those the guest holds, are worth the penalty
// more, which leaves it concave. If all bids are, the largest W serves the dearest units first,
// whoever offers them; columns.h says what each owner pays. That is the same answer as the dynamic
// program's, to the last bit, in a time that grows with the number of ranges.

#ifndef NOM_POLICIES_CLEARING_CONCAVE_CONCAVE_BIDS_H_
#define NOM_POLICIES_CLEARING_CONCAVE_CONCAVE_BIDS_H_

#include <optional>
#include <vector>

#include "policies/clearing/auction.h"
#include "policies/clearing/work.h"

namespace nom::policies {

// OK if the bid is concave. INVALID_ARGUMENT names the range that breaks this. `bid` must be valid.
absl::Status CheckConcave(const Bid& bid);
// The same without a message: fast.
bool IsConcave(const Bid& bid);

struct ConcaveAwards {
  std::vector<int64_t> units;         // Parallel to auction.bids.
  std::vector<Microcredits> charges;  // VCG; parallel to auction.bids. Empty if not asked for.
  Microcredits next_unit_price_microcredits = 0;  // W(capacity) - W(capacity - 1), see mpsp.h.
};

// Nothing if the work is used up, which is what work.is_used_up() says then; or else if a bid is
// not concave: that needs the general methods. All bids must be valid.
std::optional<ConcaveAwards> ClearConcave(const Auction& auction, bool with_charges, Work& work);

// The same where nobody counts: nothing if a bid is not concave.
std::optional<ConcaveAwards> ClearConcave(const Auction& auction, bool with_charges);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_CONCAVE_CONCAVE_BIDS_H_
