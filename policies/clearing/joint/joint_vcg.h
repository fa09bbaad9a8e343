// SPDX-License-Identifier: Apache-2.0
// The joint rule: several resources at once, awards exactly efficient, charges VCG, with a proof.
//
// Method (joint_vcg.cc, with cells.h, master.h, maximise.h, search.h). A cell is one bundle of one
// bid and what it adds to W. For prices lambda of the resources no allocation adds more than
//
//   UB(lambda) = sum_i max(0, max over cells of gain - lambda * units) + lambda * capacity
//
// and one that takes a cell with `loss` below its bid's best no more than UB - loss. So with a
// good lambda nearly all cells are provably in no best allocation, and what is left is small: it is
// searched by branch and bound down to a dynamic program over the units still free. A search for
// at least UB - G looks only at cells with loss <= G; G grows until something is found, which then
// is the best there is. A charge is the same search without its winner, begun from the same prices.
// Prices are found in floating point and only proposed; every bound is formed from whole numbers.
//
// If the work budget runs out, what is returned is the best allocation found and its proven bound.
// At least a fourth of the budget is for the charges: each payer has an equal share of what is left
// when its turn comes, so no single one can use it up. Of every charge an interval is proven, at
// the least the one that the prices of the whole auction prove without a search; within it the
// charge is what those prices say (JointAward). So an auction that is too hard to prove, such as
// one of many bids nearly alike, is still paid for at about its prices; what is lost is the proof,
// and with it that the truth is the best bid.

#ifndef NOM_POLICIES_CLEARING_JOINT_JOINT_VCG_H_
#define NOM_POLICIES_CLEARING_JOINT_JOINT_VCG_H_

#include <cstdint>

#include "policies/clearing/joint/joint_auction.h"

namespace nom::policies {

// About what one processor of 2.6 GHz does in 20 seconds.
inline constexpr int64_t kJointWorkMaxDefault = int64_t{20} * 1'000'000'000;

struct JointVcgOptions {
  // Cells looked at and steps of dynamic programs, counted. A budget, not a clock: the same auction
  // with the same budget is cleared in the same way on every machine.
  int64_t work_max = kJointWorkMaxDefault;
  // When to divide a problem and when to solve it: cells that are searched at once, and steps of a
  // dynamic program, both before what searching has cost is added. W and the charges do not depend
  // on them: they are there to show that.
  int64_t shortlist_cells = 60'000;
  int64_t box_work = 1'000'000;
};

// Errors: INVALID_ARGUMENT for an auction that is not valid, OUT_OF_RANGE if the welfare does not
// fit in 64 bits or one bid can add more than kJointGainMax to it.
absl::StatusOr<JointClearing> ClearJointVcg(const JointAuction& auction,
                                            const JointVcgOptions& options = {});

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_JOINT_JOINT_VCG_H_
