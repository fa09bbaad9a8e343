// From keys back to money: what tables found, as awards, charges and a price. Inside
// policies/clearing only.

#ifndef NOM_POLICIES_CLEARING_MPSP_IN_MONEY_H_
#define NOM_POLICIES_CLEARING_MPSP_IN_MONEY_H_

#include <algorithm>
#include <vector>

#include "policies/clearing/auction.h"
#include "policies/clearing/int128.h"
#include "policies/clearing/mpsp/solver.h"

namespace nom::policies {

struct InMoney {
  // Parallel to auction.bids; charges of losers are 0, and all are if none were asked for.
  std::vector<int64_t> units;
  std::vector<Microcredits> charges;
  Microcredits next_unit_price_microcredits = 0;  // W(capacity) - W(capacity - 1), see mpsp.h.
};

// `origin` gives the index in auction.bids of a bid of the result, which was found for
// `capacity_units` and keys of this scale (normal_form.h).
template <typename Key>
InMoney ToMoney(const Auction& auction, const std::vector<size_t>& origin, Int128 key_scale,
                int64_t capacity_units, const TableResult<Key>& result) {
  const auto gain = [key_scale](Key key) {
    return key_scale == 1 ? Int128{key} : FloorDivide(key, key_scale);
  };
  const Microcredits reserve = auction.reserve_unit_price_microcredits;
  InMoney money;
  money.units.resize(auction.bids.size(), 0);
  money.charges.resize(auction.bids.size(), 0);
  const Int128 best_gain = gain(result.best);
  for (size_t place = 0; place < origin.size(); ++place) {
    const int64_t units = result.units[place];
    if (units == 0) continue;
    const size_t index = origin[place];
    money.units[index] = units;
    if (result.without.empty()) continue;
    const Int128 at_reserve = Int128{units} * reserve;
    const Int128 net_value = ValueOf(auction.bids[index], units) - at_reserve;
    money.charges[index] = static_cast<Microcredits>(at_reserve + gain(result.without[place]) -
                                                     (best_gain - net_value));
  }
  money.next_unit_price_microcredits = reserve;
  // If less was enough for everybody, one unit less makes no difference.
  if (capacity_units == auction.capacity_units && capacity_units > 0) {
    money.next_unit_price_microcredits +=
        static_cast<Microcredits>(best_gain - gain(result.best_of_one_less));
  }
  return money;
}

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_MPSP_IN_MONEY_H_
