// SPDX-License-Identifier: Apache-2.0
// The exact answer without a table: branch and bound on the concave relaxation. Inside
// policies/clearing/mpsp only.
//
// The relaxation (relaxation.h) takes the parts of all bids' smallest concave curves from the
// steepest down until the capacity ends, mostly in the middle of one part. If the bid whose part
// that is accepts the quantity at which it ends, and adds there what its curve says, the relaxation
// is an allocation and no other is better. If not, every allocation gives that bid either at most
// the next quantity below that it accepts or at least the next one above: two smaller problems,
// each relaxed again. What a relaxation reaches is a bound on everything below it, so a problem
// whose bound is no better than an allocation that is known is done with (Land and Doig 1960; the
// relaxation of a multiple-choice knapsack is Sinha and Zoltners 1979).
//
// No step depends on how many units there are, so this is for few bids over many units: 32 guests
// and a machine's memory in frames of 4 KiB. It can take exponential time, where many bids are
// nearly alike and none of them fits: its work is counted, and tables (table_solver.h) are what is
// left then.
//
// A problem of the search differs from the whole one in the few bids that were branched on. So the
// parts of all bids are sorted once, with sums over them, and each relaxation is a binary search in
// these sums, corrected by the restricted bids.

#ifndef NOM_POLICIES_CLEARING_MPSP_BRANCH_AND_BOUND_H_
#define NOM_POLICIES_CLEARING_MPSP_BRANCH_AND_BOUND_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "policies/clearing/int128.h"
#include "policies/clearing/mpsp/key_bids.h"
#include "policies/clearing/mpsp/relaxation.h"
#include "policies/clearing/mpsp/solution.h"
#include "policies/clearing/work.h"

namespace nom::policies {

// The same as the tables would say (solution.h); `parts` are PartsOf(bids). Nothing if the work was
// used up first. Keys of all bids together must be below 2^59 in 64 bits and below 2^116 in 128, as
// must a key of one bid times the capacity in 128.
template <typename Key>
std::optional<Solution<Key>> SolveByBranchAndBound(const KeyBids<Key>& bids,
                                                   const std::vector<Part<Key>>& parts,
                                                   int64_t capacity_units,
                                                   const Absences<Key>& absences, Work& work);

// Solution::units alone.
template <typename Key>
std::optional<std::vector<int64_t>> AwardsByBranchAndBound(const KeyBids<Key>& bids,
                                                           int64_t capacity_units, Work& work);

// Fills in Solution::without_shared for as many owners as there is work for, and returns how many
// these are. The rest of `solution` is known.
template <typename Key>
size_t WithoutSharedByBranchAndBound(const KeyBids<Key>& bids, int64_t capacity_units,
                                     const Absences<Key>& absences, Solution<Key>& solution,
                                     Work& work);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_MPSP_BRANCH_AND_BOUND_H_
