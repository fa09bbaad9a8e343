// SPDX-License-Identifier: Apache-2.0
// The joint auctions that the benches clear: made from a seed, the same on every machine.

#ifndef NOM_BENCH_POLICIES_JOINT_AUCTIONS_H_
#define NOM_BENCH_POLICIES_JOINT_AUCTIONS_H_

#include <cstdint>

#include "policies/clearing/joint/joint_auction.h"

namespace nom::policies {

// What one more unit of a single resource is worth to a guest.
enum class CurveKind {
  kConcave,  // Diminishing returns, saturating.
  kKnots,    // Rising straight lines, slopes in any order.
  kSteps,    // All or nothing, one to four times.
  kMaxima,   // Rises and falls: up to three maxima.
};

struct JointWorkload {
  int64_t bids = 256;
  int64_t cells = 65'536;  // Bundles that fit the machine: capacity^resources, about.
  int resources = 2;
  CurveKind kind = CurveKind::kConcave;
  Combination combination = Combination::kProduct;
  // Each guest wants up to a uniform part of this much of each capacity...
  double most_of_capacity = 0.25;
  // ...or, if loaded, up to a random part of about five times its even share, at most as much.
  bool loaded = false;
  uint64_t seed = 1;
};

// Wealth is Lomax-distributed with index log4 5, cut at 2,000 times its scale of 10,000 credits.
JointAuction CurveAuction(const JointWorkload& workload);

// Lists of `bundles` random bundles with falling worth a unit, on capacities of `capacity` units of
// every resource; wealth as above.
JointAuction BundleAuction(int64_t bids, int64_t bundles, int resources, int64_t capacity,
                           uint64_t seed);

// What guests of a machine with all six kinds ask for: each has so many points at which it can run,
// from idle to its peak, at random mixtures of the kinds; what a point is worth is what its
// scarcest kinds let it do, with falling returns. Two guests in three have an owner in common with
// another. Everybody's peaks together are about three machines.
JointAuction WorkingPointAuction(int64_t guests, int64_t points, uint64_t seed);

// Bids for 3 to 9 units of every resource or twice as many, combined, all at a credit a unit but
// for a fiftieth: what is hardest to prove.
JointAuction AlikeAuction(int64_t bids, int resources, int64_t capacity, Combination combination,
                          uint64_t seed);

}  // namespace nom::policies

#endif  // NOM_BENCH_POLICIES_JOINT_AUCTIONS_H_
