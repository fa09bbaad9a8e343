// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/joint/context.h"

#include <algorithm>
#include <cmath>

namespace nom::policies::joint {
namespace {

constexpr int kStepsLog2Max = 20;  // Finer prices would not bound better.

}  // namespace

Context Context::Make(const JointAuction& auction, Int128 gain_sum, int64_t work_max) {
  Context context;
  context.resource_count = auction.resource_count;
  context.work_left = work_max;
  context.is_exact_sum = gain_sum < Int128{1} << 53;
  // As fine as possible, with room for four more bits than all gains take: prices go up to twice
  // the gains a resource (prices_max), there are at most four resources, and the sum of a bid's
  // gain and costs must still be below 2^52 steps.
  int log2 = 0;
  const auto fits = [&](int shift) { return ((gain_sum + 1) << (shift + 4)) <= Int128{1} << 52; };
  while (log2 < kStepsLog2Max && fits(log2 + 1)) ++log2;
  context.steps_a_unit = std::ldexp(1, log2);
  context.step = std::ldexp(1, -log2);
  const auto most = static_cast<double>(gain_sum + 1);
  for (size_t r = 0; r < context.prices_max.size(); ++r) {
    const auto capacity = static_cast<double>(std::max<int64_t>(1, auction.capacity_units[r]));
    context.prices_max[r] =
        std::max(context.step, std::floor(2 * most / capacity / context.step) * context.step);
  }
  if (!fits(log2)) {
    // Too large even for whole micro-credits. Each of the few operations on a bid's sum is off by
    // at most half a unit in the last place of a number below 16 gain sums: 2^-46 of one is ample.
    context.rounding = std::ceil(most * std::ldexp(1, -46)) + 1;
  }
  return context;
}

Prices Context::Round(const Prices& prices) const {
  Prices rounded = {};
  for (size_t r = 0; r < static_cast<size_t>(resource_count); ++r) {
    const double within = std::clamp(prices[r], 0.0, prices_max[r]);
    rounded[r] = std::floor(within * steps_a_unit + 0.5) * step;
  }
  return rounded;
}

Int128 Context::CostInSteps(const Prices& prices, const UnitVector& units) const {
  Int128 cost = 0;
  for (size_t r = 0; r < units.size(); ++r) cost += Int128{ToSteps(prices[r])} * units[r];
  return cost;
}

double Context::LossWithin(Int128 steps) const {
  const double loss = static_cast<double>(steps) * step;
  // A few bits more than double arithmetic can lose on cells that are far from the best.
  return loss + std::fabs(loss) * 0x1p-48 + rounding;
}

}  // namespace nom::policies::joint
