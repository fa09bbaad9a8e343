// SPDX-License-Identifier: Apache-2.0
// What the winners of a joint auction pay. Inside policies/clearing/joint only.

#ifndef NOM_POLICIES_CLEARING_JOINT_CHARGES_H_
#define NOM_POLICIES_CLEARING_JOINT_CHARGES_H_

#include <cstdint>
#include <vector>

#include "policies/clearing/joint/maximise.h"

namespace nom::policies::joint {

// A whole auction that has been cleared but for its charges. All must outlive what uses it.
struct Cleared {
  const JointAuction& auction;
  const std::vector<size_t>& bids;  // By bidder of the problem: an index into auction.bids.
  const Problem& problem;
  const ProblemPrices& prices;  // Of the problem.
  const Maximum& best;          // With its awards.
};

// The awards of all winners, by rising guest_id, with their charges as joint_auction.h defines
// them. Spends what work is left, and no more but for a look at every bid of a winner's owner:
// owner by owner, each with an equal share of what is left when its turn comes; whose charge is
// open then has another turn, if that is at least twice as much.
std::vector<JointAward> ChargeWinners(Context& context, const Cleared& cleared);

}  // namespace nom::policies::joint

#endif  // NOM_POLICIES_CLEARING_JOINT_CHARGES_H_
