// SPDX-License-Identifier: Apache-2.0
// The least satisfied first: weights for auctions (clearing/weights.h) out of what owners asked for
// and got in the rounds before.
//
// An owner's share is what it was awarded of what it asked for, over the last rounds; of who asked
// for nothing it is whole, as nothing was refused to it. Among the owners that ask for something in
// this round the one whose share is least has the whole weight, and any other
//
//   weight = (least share / own share) ^ steepness
//
// with shares below kShareLeastPpm counted as that. So one who had half as much of what it asked
// for comes first against bids worth up to 2^steepness times its own above the reserve, and one who
// had nothing against bids worth up to 32^steepness times its own: with a steepness of 2, 1,024.
// Never first whatever was bid: a weight of 0 would leave what the first does not take to chance
// rather than to who needs it most.
//
// What it does to the truth. In a round a bid does not move its own weight, and the truth is the
// best bid, under a truthful rule (clearing/weights.h). Over rounds it does: to be refused now is
// worth something later. So it pays
//
//  - to ask for more than is wanted, at the reserve or a little above, where that is likely to be
//    refused: the share falls. Where it is not refused it is paid for. What is asked for counts
//    only where it is worth the reserve, and up to the supply, so a reserve above 0 is the price of
//    this game;
//  - to hold demand back in rounds that are dear, and to ask in those that are not.
//
// It does not pay to come under another name: who never asked begins with a whole share, behind all
// others. What was won under one name and what was refused under another is two names' to play; so
// names are the operator's to give.

#ifndef NOM_POLICIES_OBJECTIVE_LEAST_SATISFIED_H_
#define NOM_POLICIES_OBJECTIVE_LEAST_SATISFIED_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "policies/clearing/auction.h"

namespace nom::policies {

// Name and version, as it is recorded with each round: other weights are a new version.
inline constexpr std::string_view kLeastSatisfied = "least_satisfied/1";

inline constexpr int64_t kSteepnessMax = 3;        // And 1 at the least.
inline constexpr int64_t kShareLeastPpm = 31'250;  // One 32nd.

// What an owner asked for and was awarded of one kind in the rounds that count.
struct OwnerAsks {
  OwnerId owner_id = 0;
  int64_t asked_units = 0;    // From 0 on.
  int64_t awarded_units = 0;  // From 0 on; more than what was asked for counts as that.
  bool asks_now = false;      // In the round whose weights these are.
};

// Rounded down; whole (1,000,000) if nothing was asked for.
int64_t SharePpm(int64_t asked_units, int64_t awarded_units);

// What a bid asks for: the quantity of at most `supply_units` that leaves the most at the reserve.
// The bid must be valid.
int64_t AskedUnits(const Bid& bid, int64_t supply_units, Microcredits reserve_unit_price);

// One weight for each of `owners`, in parts per million, at least 1; whole for those that do not
// ask. `steepness` is from 1 to kSteepnessMax.
std::vector<int64_t> LeastSatisfiedWeights(std::span<const OwnerAsks> owners, int64_t steepness);

}  // namespace nom::policies

#endif  // NOM_POLICIES_OBJECTIVE_LEAST_SATISFIED_H_
