// SPDX-License-Identifier: Apache-2.0
// What joint_auction.h promises of every clearing, whatever the work budget: needs no referee.

#ifndef NOM_TESTS_REFEREE_JOINT_PROMISES_H_
#define NOM_TESTS_REFEREE_JOINT_PROMISES_H_

#include <string>
#include <vector>

#include "policies/clearing/joint/joint_auction.h"
#include "policies/clearing/joint/joint_vcg.h"

namespace nom::policies {

// The first promise that `clearing` breaks, in words; empty if it keeps them all: winners by rising
// guest_id, each a bidder once; bundles that can be sold and fit; reserve <= the least charge <=
// the charge <= its bound <= value; W is W of the awards, and not above its bound; prices not below
// the reserves; exact charges only with an exact W.
std::string BrokenPromise(const JointAuction& auction, const JointClearing& clearing);

// The first difference between `clearing`, which must be exact, and exhaustive search, in words:
// W, its bound, what every owner is charged, and how it is divided. Empty if there is none. The
// auction must be small enough for LargestJointWelfare.
std::string DifferenceFromExhaustive(const JointAuction& auction, const JointClearing& clearing);

// What the units are worth at the reserves, or the limit of 64 bits.
Microcredits AtReserve(const JointAuction& auction, const UnitVector& units);

// The award of a guest; no units and no charge for a loser.
JointAward AwardOf(const JointClearing& clearing, GuestId guest_id);

// The index of the guest's bid in auction.bids, or their number if it has none.
size_t BidOf(const JointAuction& auction, GuestId guest_id);

// The indices of all bids that are charged together with `bid`, itself among them.
std::vector<size_t> BidsOfOwner(const JointAuction& auction, size_t bid);

// For failure messages: the auction as a person can read it, and how to run it again.
std::string Replay(uint64_t seed, const JointAuction& auction);

}  // namespace nom::policies

#endif  // NOM_TESTS_REFEREE_JOINT_PROMISES_H_
