// SPDX-License-Identifier: Apache-2.0
// What all parts of one clearing share: the work that is left, and the grid on which prices lie.
// Inside policies/clearing/joint only.

#ifndef NOM_POLICIES_CLEARING_JOINT_CONTEXT_H_
#define NOM_POLICIES_CLEARING_JOINT_CONTEXT_H_

#include <cstddef>
#include <cstdint>

#include "policies/clearing/int128.h"
#include "policies/clearing/joint/master.h"

namespace nom::policies::joint {

// Prices are doubles, because they come out of a linear program, but every bound made of them must
// be exact. So a price is always a whole multiple of `step`, a power of two that is small enough
// for good prices and large enough for every sum of gains and prices of one bid to fit in the 53
// bits of a double. Bounds on whole auctions are sums of many such numbers, and are formed in
// 128-bit integers that count steps.
//
// Where gains are so large that even a step of one micro-credit does not fit, double arithmetic
// does round: then `rounding` is what one bid's sum can be off by, and whoever compares adds it on
// the side on which nothing is lost (bounds are raised, options kept).
struct Context {
  int resource_count = 1;
  double step = 1;              // Micro-credits, at most 1.
  double steps_a_unit = 1;      // 1 / step: how many steps make a micro-credit.
  Prices prices_max = {};       // Twice what all bids together gain, for the whole capacity.
  double rounding = 0;          // Micro-credits, for one bid; 0 where all is exact.
  bool is_exact_sum = true;     // All gains together are below 2^53.
  int64_t work_left = 0;        // Counted steps, see JointVcgOptions::work_max; may fall below 0.
  int64_t shortlist_cells = 0;  // JointVcgOptions.
  int64_t box_work = 0;         // JointVcgOptions.

  // `gain_sum`: the sum over all bids of the most that each can gain.
  static Context Make(const JointAuction& auction, Int128 gain_sum, int64_t work_max);

  bool is_out_of_work() const { return work_left <= 0; }
  // Counts `count` things at `steps_each`. A step is about a nanosecond on a processor of 2.6 GHz
  // on every route: each loop is counted at what it was measured to cost, with what it allocates,
  // and ./nom bench policies_joint prints what a step costs on auctions that go different ways.
  void Spend(size_t count, int64_t steps_each) {
    work_left -= static_cast<int64_t>(count) * steps_each;
  }
  // The nearest prices that are multiples of `step` and within [0, prices_max].
  Prices Round(const Prices& prices) const;
  // `amount` must be a multiple of step.
  int64_t ToSteps(double amount) const { return static_cast<int64_t>(amount * steps_a_unit); }
  // Micro-credits, rounded down: a bound in steps is a bound in whole micro-credits too, as gains
  // are whole.
  int64_t FromSteps(Int128 steps) const {
    return static_cast<int64_t>(FloorDivide(steps, static_cast<Int128>(steps_a_unit)));
  }
  // sum of prices * units, exactly; `prices` must be rounded.
  Int128 CostInSteps(const Prices& prices, const UnitVector& units) const;
  // If all bids together may lose `steps`, no option that loses more than this can be taken.
  double LossWithin(Int128 steps) const;
};

}  // namespace nom::policies::joint

#endif  // NOM_POLICIES_CLEARING_JOINT_CONTEXT_H_
