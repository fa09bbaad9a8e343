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
};

// Money is drawn from few values, so that ties are common, or now and then from large ones.
JointAuction RandomJointAuction(const JointShape& shape, uint64_t seed);

}  // namespace nom::policies

#endif  // NOM_TESTS_REFEREE_RANDOM_JOINT_AUCTION_H_
