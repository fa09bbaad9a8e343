// Concave bids without a penalty to count: awards by selection, and every VCG charge from one look
// at what was left out. Inside policies/clearing only.
//
// Where marginal values never rise, the largest W serves the dearest units first, whoever offers
// them. Without winner i the a_i units it had go to the best offers of others that were not served,
// so its charge is the value of those: a sum over the excluded tail, found by prefix sums. That is
// the same answer as the dynamic program's, to the last bit, in a time that grows with the number
// of ranges (concave_columns.h).

#ifndef NOM_POLICIES_CLEARING_CONCAVE_CONCAVE_BIDS_H_
#define NOM_POLICIES_CLEARING_CONCAVE_CONCAVE_BIDS_H_

#include <optional>
#include <vector>

#include "policies/clearing/auction.h"

namespace nom::policies {

// OK if the bid refuses no quantity from its first unit to its last and no unit is worth more than
// the one before it. INVALID_ARGUMENT names the range that breaks this. `bid` must be valid.
absl::Status CheckConcave(const Bid& bid);
// The same without a message: fast.
bool IsConcave(const Bid& bid);

struct ConcaveAwards {
  std::vector<int64_t> units;         // Parallel to auction.bids.
  std::vector<Microcredits> charges;  // VCG; parallel to auction.bids. Empty if not asked for.
  Microcredits next_unit_price_microcredits = 0;  // W(capacity) - W(capacity - 1), see mpsp.h.
};

// Nothing if a bid is not concave, or if there is a reclaim penalty and somebody holds units: then
// holders' offers are worth more than their values. Both need the general methods. All bids must be
// valid.
std::optional<ConcaveAwards> ClearConcave(const Auction& auction, bool with_charges);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_CONCAVE_CONCAVE_BIDS_H_
