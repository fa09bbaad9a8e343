// SPDX-License-Identifier: Apache-2.0
// A whole joint problem: the cells of every bidder. Inside policies/clearing/joint only.

#ifndef NOM_POLICIES_CLEARING_JOINT_PROBLEM_H_
#define NOM_POLICIES_CLEARING_JOINT_PROBLEM_H_

#include <memory>
#include <vector>

#include "policies/clearing/joint/cells.h"

namespace nom::policies::joint {

// Lists are shared: a problem without a bidder's values, or with one bidder restricted, differs
// from another in one pointer.
struct Problem {
  UnitVector capacity_units = {};
  std::vector<std::shared_ptr<const CellList>> lists;  // By bidder.
};

}  // namespace nom::policies::joint

#endif  // NOM_POLICIES_CLEARING_JOINT_PROBLEM_H_
