// SPDX-License-Identifier: Apache-2.0
// The quantities of one curve that can matter in a bundle. Inside policies/clearing/joint only.

#ifndef NOM_POLICIES_CLEARING_JOINT_AXIS_H_
#define NOM_POLICIES_CLEARING_JOINT_AXIS_H_

#include <vector>

#include "policies/clearing/joint/joint_auction.h"

namespace nom::policies {

struct AxisPoint {
  int64_t units = 0;
  Microcredits value_microcredits = 0;  // kProduct: the level.
};

// Rising in units, from (0, 0) on, up to `capacity_units`: the quantities below `keep_units`, each
// of which saves a reclaim penalty, and those from there on at which the curve reaches a new high,
// as no other can be in an undominated bundle. Stops after `points_max` points. `ranges` must be
// valid.
std::vector<AxisPoint> AxisPoints(const std::vector<Range>& ranges, int64_t capacity_units,
                                  int64_t keep_units, int64_t points_max);

// The same for resource `r` of a bid with curves.
std::vector<AxisPoint> AxisPoints(const JointAuction& auction, const JointBid& bid, int r);

// True if some reclaim penalty counts for what this bid holds.
bool HasPenalty(const JointAuction& auction, const JointBid& bid);

// kMin and kMax without a penalty need no table: only bundles along the axes are undominated.
bool IsFrontierOnly(const JointAuction& auction, const JointBid& bid);

// The step of kProduct.
constexpr Microcredits ScaleByLevel(Microcredits value, int64_t level) {
  return static_cast<Microcredits>((__int128{value} * level) / kLevelOne);
}

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_JOINT_AXIS_H_
