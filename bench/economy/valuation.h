// SPDX-License-Identifier: Apache-2.0
// What quantities of one resource are worth to one guest for one round.

#ifndef NOM_BENCH_ECONOMY_VALUATION_H_
#define NOM_BENCH_ECONOMY_VALUATION_H_

#include <cstdint>
#include <vector>

#include "policies/bidding/curve.h"
#include "policies/bidding/range.h"

namespace nom::economy {

using policies::CurvePoint;
using policies::Microcredits;
using Int128 = __int128;  // For products and sums of money.

// Never falling: what a guest can't use it leaves idle. `ranges` is the truthful bid and the
// definition of the value at once, so that no rounding stands between a bid and the truth.
struct Valuation {
  std::vector<CurvePoint> points;       // Rising units from above 0, never falling values.
  bool steps = false;                   // Between two points worth what the lower one is.
  std::vector<policies::Range> ranges;  // At most kRangesMax. Empty: nothing is worth anything.

  int64_t most_units() const { return ranges.empty() ? 0 : ranges.back().max_units; }
  Microcredits most_value() const;
};

// Points whose value does not rise are left out.
Valuation MakeValuation(const std::vector<CurvePoint>& points, bool steps);

// The best of what can be done with at most `units`. O(ranges).
Microcredits ValueAt(const Valuation& valuation, int64_t units);

// The bid that says `valuation` to a rule: itself, or, where the rule takes only marginal values
// that never rise, the smallest such curve above it. The latter offers too much for what lies under
// a filled-in part: a guest that bids so can lose money, and does in the tables.
std::vector<policies::Range> BidRanges(const Valuation& valuation, bool takes_gaps);

}  // namespace nom::economy

#endif  // NOM_BENCH_ECONOMY_VALUATION_H_
