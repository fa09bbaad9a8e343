// SPDX-License-Identifier: Apache-2.0
// The joint rule within a budget: the declared chain.
//
//   exact        joint_vcg/1, awards and charges proven.
//   bounded      the same, where the work ran out before all was proven: the best awards that were
//                found, the bound that is proven, and charges within proven intervals (JointAward).
//   repeat last  every bid keeps of what it holds what it still wants most, at the reserves.
//
// The budget is in the steps of fallback.h, counted and never measured, so the same auction with
// the same budget is cleared in the same way on every machine. The rule itself counts what it does,
// but it looks at every bundle once whatever the budget is. So where the bundles together would
// take more than half of the budget, the last link is taken at once; whoever accepts bids sees to
// it that they do not (ReadingSteps, ReadingStepsWithin).

#ifndef NOM_POLICIES_CLEARING_JOINT_JOINT_FALLBACK_H_
#define NOM_POLICIES_CLEARING_JOINT_JOINT_FALLBACK_H_

#include <cstdint>
#include <string_view>

#include "policies/clearing/joint/joint_auction.h"

namespace nom::policies {

inline constexpr std::string_view kJointVcg = "joint_vcg/1";

// A step of fallback.h is two of JointVcgOptions, which are nanoseconds.
inline constexpr int64_t kJointStepsAStep = 2;

struct JointCleared {
  JointClearing clearing;
  Method method = Method::kExact;  // kExact, kBounded or kRepeatLast.

  friend bool operator==(const JointCleared&, const JointCleared&) = default;
};

// Errors: INVALID_ARGUMENT for an auction that is not valid, OUT_OF_RANGE if the welfare does not
// fit in 64 bits.
absl::StatusOr<JointCleared> ClearJointWithin(const JointAuction& auction, int64_t work_max);

// Steps that looking at every bundle of a bid takes, at the most. The bid must be valid.
int64_t ReadingSteps(const JointAuction& auction, const JointBid& bid);

// How many steps all bids of an auction may take together so that the rule is used: at least 1.
int64_t ReadingStepsWithin(int64_t work_max);

// The last link. First, what bids hold is scaled down if together they hold more than the capacity.
// Of the bundles within that each has the one that leaves the most at the reserves, and pays these.
absl::StatusOr<JointClearing> RepeatLastJoint(const JointAuction& auction);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_JOINT_JOINT_FALLBACK_H_
