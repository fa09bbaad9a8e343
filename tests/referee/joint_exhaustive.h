// SPDX-License-Identifier: Apache-2.0
// The tests' referee of the joint rule: every allocation is looked at. Shares no code with it but
// the types and ValueOf.

#ifndef NOM_TESTS_REFEREE_JOINT_EXHAUSTIVE_H_
#define NOM_TESTS_REFEREE_JOINT_EXHAUSTIVE_H_

#include <cstdint>
#include <vector>

#include "policies/clearing/joint/joint_auction.h"

namespace nom::policies {

inline constexpr int64_t kJointExhaustiveMax = int64_t{1} << 22;  // Allocations.

// The largest W. The bundles of the bids at the indices `without` are each worth exactly the
// reserves. Errors: those of ValidateJointAuction; RESOURCE_EXHAUSTED above kJointExhaustiveMax.
absl::StatusOr<Microcredits> LargestJointWelfare(const JointAuction& auction,
                                                 const std::vector<size_t>& without = {});

}  // namespace nom::policies

#endif  // NOM_TESTS_REFEREE_JOINT_EXHAUSTIVE_H_
