// SPDX-License-Identifier: Apache-2.0
// The tests' referee: the definitions of auction.h and nothing else.
//
// Tries every allocation. Shares with the other rules only ValidateAuction, Sellable, ValueOf and
// TieOrder; never their tables, sorts or normal form.

#ifndef NOM_TESTS_REFEREE_EXHAUSTIVE_H_
#define NOM_TESTS_REFEREE_EXHAUSTIVE_H_

#include "policies/clearing/auction.h"

namespace nom::policies {

inline constexpr int64_t kExhaustiveAllocationsMax = 50'000'000;

// Awards, VCG charges and the price W(capacity) - W(capacity - 1), as mpsp promises them. Errors:
// those of ValidateAuction; RESOURCE_EXHAUSTED if the bids accept more than
// kExhaustiveAllocationsMax combinations; OUT_OF_RANGE if the welfare does not fit in 64 bits.
absl::StatusOr<Clearing> ClearExhaustive(const Auction& auction);

// The same among the allocations that whole lots can hold, each winner in lots of its own:
// sum of ceil(a_i / lot) <= floor(capacity / lot). The awards have the largest W of those, with
// ties as ever; charges are by the same definition over the same allocations, so under it the truth
// is the best bid wherever it is under mpsp. The price is floor((W(capacity) - W(capacity - lot)) /
// lot), and the bound on W is W. `lot` is at least 1; 1 is the auction itself.
absl::StatusOr<Clearing> ClearExhaustiveInLots(const Auction& auction, int64_t lot);

}  // namespace nom::policies

#endif  // NOM_TESTS_REFEREE_EXHAUSTIVE_H_
