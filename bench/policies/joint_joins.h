// SPDX-License-Identifier: Apache-2.0
// The plain way to clear a joint auction exactly, as a peer: one dynamic program over the whole
// grid of capacities, bid by bid.

#ifndef NOM_BENCH_POLICIES_JOINT_JOINS_H_
#define NOM_BENCH_POLICIES_JOINT_JOINS_H_

#include "policies/clearing/joint/joint_auction.h"

namespace nom::policies {

struct Joins {
  Microcredits gain = 0;              // W less that of selling nothing.
  std::vector<Microcredits> without;  // By winner, by rising guest_id of `winners`: the gain.
};

// Tables of prefixes, one of suffixes, one split for each guest in `winners`. Vectors of four along
// the last resource, and only bundles that no other of the same bid beats: all that makes it fast
// without being another method. No reclaim penalties.
Joins ClearByJoins(const JointAuction& auction, const std::vector<GuestId>& winners);

}  // namespace nom::policies

#endif  // NOM_BENCH_POLICIES_JOINT_JOINS_H_
