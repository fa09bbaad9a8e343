// SPDX-License-Identifier: Apache-2.0
#include "bench/economy/valuation.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace nom::economy {
namespace {

std::vector<policies::Range> ToVector(policies::CurveError error, const policies::RangeList& list) {
  if (error != policies::CurveError::kOk) {
    std::fprintf(stderr, "economy: a valuation is no curve: %s\n", CurveErrorName(error));
    std::abort();  // The workload made it: our own mistake.
  }
  return {list.ranges, list.ranges + list.count};
}

Microcredits RangeValue(const policies::Range& range, int64_t units) {
  return range.value_at_min_microcredits +
         (units - range.min_units) * range.unit_price_microcredits;
}

}  // namespace

Microcredits Valuation::most_value() const {
  return ranges.empty() ? 0 : RangeValue(ranges.back(), ranges.back().max_units);
}

Valuation MakeValuation(const std::vector<CurvePoint>& points, bool steps) {
  Valuation valuation;
  valuation.steps = steps;
  for (const CurvePoint& point : points) {
    const CurvePoint last = valuation.points.empty() ? CurvePoint{} : valuation.points.back();
    if (point.value_microcredits <= last.value_microcredits) continue;
    if (point.units == last.units) valuation.points.pop_back();
    valuation.points.push_back(point);
  }
  policies::RangeList list;
  const auto count = static_cast<int>(valuation.points.size());
  valuation.ranges = ToVector(steps ? StepRanges(valuation.points.data(), count, list)
                                    : ExactRanges(valuation.points.data(), count, list),
                              list);
  return valuation;
}

Microcredits ValueAt(const Valuation& valuation, int64_t units) {
  Microcredits value = 0;
  for (const policies::Range& range : valuation.ranges) {
    if (range.min_units > units) break;
    value = RangeValue(range, std::min(units, range.max_units));
  }
  return value;
}

std::vector<policies::Range> BidRanges(const Valuation& valuation, bool takes_gaps) {
  if (takes_gaps) return valuation.ranges;
  policies::RangeList list;
  return ToVector(
      ConcaveRanges(valuation.points.data(), static_cast<int>(valuation.points.size()), list),
      list);
}

}  // namespace nom::economy
