// From keys back to money: what was found, as awards, charges and a price. Inside
// policies/clearing/mpsp only.

#ifndef NOM_POLICIES_CLEARING_MPSP_IN_MONEY_H_
#define NOM_POLICIES_CLEARING_MPSP_IN_MONEY_H_

#include <vector>

#include "policies/clearing/auction.h"
#include "policies/clearing/int128.h"
#include "policies/clearing/mpsp/solution.h"

namespace nom::policies {

struct InMoney {
  // Parallel to auction.bids; charges of losers are 0, and all are if none were asked for.
  std::vector<int64_t> units;
  std::vector<Microcredits> charges;
  Microcredits next_unit_price_microcredits = 0;  // W(capacity) - W(capacity - 1), see mpsp.h.
};

// `origin` gives the index in auction.bids of a bid of the solution, which was found for
// `capacity_units`, keys of this scale (normal_form.h) and these shared owners.
template <typename Key>
InMoney ToMoney(const Auction& auction, const std::vector<size_t>& origin, Int128 key_scale,
                int64_t capacity_units, const std::vector<std::vector<size_t>>& shared,
                const Solution<Key>& solution);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_MPSP_IN_MONEY_H_
