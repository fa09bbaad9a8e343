// SPDX-License-Identifier: Apache-2.0
// A joint auction taken apart where no bid holds it together. Inside policies/clearing/joint only.
//
// If no bid wants both of two resources, nor are they connected over others, what is best for one
// does not depend on the other: W is a sum, and so is what anybody's presence costs. Where bids are
// for one resource each, an auction of six resources is six small ones.

#ifndef NOM_POLICIES_CLEARING_JOINT_PARTS_H_
#define NOM_POLICIES_CLEARING_JOINT_PARTS_H_

#include <cstddef>
#include <vector>

#include "policies/clearing/joint/joint_auction.h"

namespace nom::policies::joint {

struct Part {
  std::vector<size_t> resources;  // Of the whole auction, rising.
  JointAuction auction;           // Of those, with the bids that want any of them.
};

// Parts of resources that some bid wants, by their first resource. `auction` must be valid.
std::vector<Part> PartsOf(const JointAuction& auction);

// `clearings` are of `parts`. What an owner pays above the reserves in all of them is divided
// among its winners as joint_auction.h says, as if it had been found at once. Errors: those of
// JointWelfare, OUT_OF_RANGE if the bound does not fit in 64 bits.
absl::StatusOr<JointClearing> PutTogether(const JointAuction& auction,
                                          const std::vector<Part>& parts,
                                          const std::vector<JointClearing>& clearings);

}  // namespace nom::policies::joint

#endif  // NOM_POLICIES_CLEARING_JOINT_PARTS_H_
