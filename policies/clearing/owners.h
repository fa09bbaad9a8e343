// SPDX-License-Identifier: Apache-2.0
// Owners with several guests: one bidder when charges are worked out. Inside policies/clearing
// only.
//
// auction.h defines what an owner pays; here is which guests belong together, and how what they pay
// is split among them.

#ifndef NOM_POLICIES_CLEARING_OWNERS_H_
#define NOM_POLICIES_CLEARING_OWNERS_H_

#include <cstddef>
#include <span>
#include <vector>

#include "policies/clearing/auction.h"
#include "policies/clearing/int128.h"

namespace nom::policies {

// For each owner of more than one bid, by rising owner, the indices of its bids in the order of
// ties. Empty if every guest speaks for itself, which is found without sorting.
std::vector<std::vector<size_t>> SharedOwners(const Auction& auction);

// What each guest of an owner pays of the owner's excess: its share in proportion to its surplus,
// rounded down, and the micro-credits that are left over go one each to the largest remainders, of
// equal ones to the first. `excess` is from 0 to the sum of the surpluses, none of which is
// negative or above kValueMaxMicrocredits; so no share is above its surplus.
std::vector<Microcredits> SplitExcess(Int128 excess, std::span<const Microcredits> surpluses);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_OWNERS_H_
