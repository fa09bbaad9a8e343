// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/joint/axis.h"

#include <algorithm>

namespace nom::policies {

std::vector<AxisPoint> AxisPoints(const std::vector<Range>& ranges, int64_t capacity_units,
                                  int64_t keep_units, int64_t points_max) {
  std::vector<AxisPoint> points = {{0, 0}};
  // Below keep_units every quantity saves another penalty; from there on only new highs count.
  Microcredits high = keep_units > 0 ? -1 : 0;
  for (const Range& range : ranges) {
    const bool is_step = range.min_units == range.max_units;
    const Microcredits slope = is_step ? 0 : range.unit_price_microcredits;
    const int64_t last = std::min(range.max_units, capacity_units);
    for (int64_t units = std::max(range.min_units, points.back().units + 1); units <= last;
         ++units) {
      const Microcredits value =
          range.value_at_min_microcredits + (units - range.min_units) * slope;
      if (units < keep_units || value > high) {
        points.push_back({units, value});
        if (units >= keep_units) high = value;
        if (static_cast<int64_t>(points.size()) >= points_max) return points;
      } else if (slope <= 0) {
        break;  // It only falls from here.
      } else {
        units += (high - value) / slope;  // The next one is a new high.
      }
    }
  }
  return points;
}

std::vector<AxisPoint> AxisPoints(const JointAuction& auction, const JointBid& bid, int r) {
  const auto at = static_cast<size_t>(r);
  const int64_t keep_units =
      auction.reclaim_penalties_microcredits[at] > 0 ? bid.held_units[at] : 0;
  return AxisPoints(bid.curves->curves[at], auction.capacity_units[at], keep_units,
                    kCurveBundlesMax + 1);
}

bool HasPenalty(const JointAuction& auction, const JointBid& bid) {
  for (size_t r = 0; r < bid.held_units.size(); ++r) {
    if (bid.held_units[r] > 0 && auction.reclaim_penalties_microcredits[r] > 0) return true;
  }
  return false;
}

bool IsFrontierOnly(const JointAuction& auction, const JointBid& bid) {
  return (bid.curves->combination == Combination::kMin ||
          bid.curves->combination == Combination::kMax) &&
         !HasPenalty(auction, bid);
}

}  // namespace nom::policies
