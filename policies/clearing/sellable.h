// SPDX-License-Identifier: Apache-2.0
// The part of a range that can be sold: what the bid allows and values at the reserve or more
// (Sellable). Inside policies/clearing only.

#ifndef NOM_POLICIES_CLEARING_SELLABLE_H_
#define NOM_POLICIES_CLEARING_SELLABLE_H_

#include <algorithm>
#include <cstdint>

#include "policies/bidding/range.h"
#include "policies/clearing/int128.h"

namespace nom::policies {

// Quantities and what they are worth above the reserve, which is never below 0 and never above
// kValueMaxMicrocredits. Empty if max_units < min_units.
struct NetRange {
  int64_t min_units = 1;
  int64_t max_units = 0;
  Microcredits net_at_min = 0;
  Microcredits net_slope = 0;  // 0 for a single quantity of a step.

  Microcredits NetAt(int64_t units) const { return net_at_min + (units - min_units) * net_slope; }
};

// The quantities of a valid range from `low` to `high` that are worth the reserve: what is worth
// less stands at one end, as the net value is a straight line. `low` is at most one above the
// range's first quantity, which is where a range goes on that touches the one before it.
inline NetRange CutToSellable(const Range& range, int64_t low, int64_t high,
                              Microcredits reserve_unit_price_microcredits) {
  const int64_t min_units = std::max(range.min_units, low);
  const int64_t max_units = std::min(range.max_units, high);
  if (max_units < min_units) return {};
  const Microcredits slope = range.min_units == range.max_units
                                 ? 0
                                 : range.unit_price_microcredits - reserve_unit_price_microcredits;
  // The reserve of all units may not fit in 64 bits; what is left above it does.
  const Int128 net = Int128{range.value_at_min_microcredits} -
                     Int128{range.min_units} * reserve_unit_price_microcredits +
                     Int128{min_units - range.min_units} * slope;
  const Int128 net_at_max = net + Int128{max_units - min_units} * slope;
  if (net >= 0 && net_at_max >= 0) {
    return {min_units, max_units, static_cast<Microcredits>(net), slope};
  }
  if (net < 0 && net_at_max < 0) return {};
  if (net < 0) {
    const auto skip = static_cast<int64_t>(-FloorDivide(net, slope));
    return {min_units + skip, max_units, static_cast<Microcredits>(net + skip * Int128{slope}),
            slope};
  }
  const auto reach = static_cast<int64_t>(net / -slope);
  return {min_units, min_units + reach, static_cast<Microcredits>(net), slope};
}

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_SELLABLE_H_
