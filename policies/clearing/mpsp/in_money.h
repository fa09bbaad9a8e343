// SPDX-License-Identifier: Apache-2.0
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

// `origin` gives the index in auction.bids of a bid of the solution, which was found for keys of
// this scale (normal_form.h) and these shared owners; its `units` are units, whatever it was found
// in. `units_less` is by how many units best_of_one_less has less, 0 if that makes no difference.
template <typename Key>
InMoney ToMoney(const Auction& auction, const std::vector<size_t>& origin, Int128 key_scale,
                const std::vector<std::vector<size_t>>& shared, const Solution<Key>& solution,
                int64_t units_less);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_MPSP_IN_MONEY_H_
