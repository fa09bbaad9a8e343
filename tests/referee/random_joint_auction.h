// SPDX-License-Identifier: Apache-2.0
// Random joint auctions for the referees: the same on every machine for one seed.

#ifndef NOM_TESTS_REFEREE_RANDOM_JOINT_AUCTION_H_
#define NOM_TESTS_REFEREE_RANDOM_JOINT_AUCTION_H_

#include <cstdint>

#include "policies/clearing/joint/joint_auction.h"
#include "tests/referee/random_auction.h"

namespace nom::policies {

struct JointShape {
  int resources_min = 1;
  int resources_max = kJointResourcesMax;
  int64_t bids_max = 4;
  int64_t grid_max = 16;     // Capacities so that this many bundles fit the machine, about.
  bool with_penalty = true;  // Now and then.
  bool with_bundles = true;  // Lists of bundles beside curves.
  bool with_owners = true;   // Now and then, of several guests.
};

// Money is drawn from few values, so that ties are common, or now and then from large ones.
JointAuction RandomJointAuction(const JointShape& shape, uint64_t seed);

// What RandomJointAuction never makes. Small enough for the exhaustive referee.
enum class OddJointShape {
  kTies,        // All money is one of two amounts, all bundles of few kinds.
  kLimits,      // Values, reserves and penalties next to their limits, units too.
  kDominated,   // One bid is worth far more than all others together.
  kTiny,        // Capacities of 0 and 1.
  kReserves,    // Reserves above nearly all bids.
  kHoldings,    // Everybody holds something, all resources have penalties.
  kInfeasible,  // Most bids want more than there is.
  kFewOwners,   // Up to five guests, most of them of two owners.
};
inline constexpr int kOddJointShapes = 8;

JointAuction OddJointAuction(OddJointShape shape, uint64_t seed);

}  // namespace nom::policies

#endif  // NOM_TESTS_REFEREE_RANDOM_JOINT_AUCTION_H_
