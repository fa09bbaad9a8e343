// SPDX-License-Identifier: Apache-2.0
// A good allocation out of prices, without a search. Inside policies/clearing/joint only.

#ifndef NOM_POLICIES_CLEARING_JOINT_REPAIR_H_
#define NOM_POLICIES_CLEARING_JOINT_REPAIR_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "policies/clearing/joint/problem_prices.h"

namespace nom::policies::joint {

// What an allocation gains that fits, made of cells that were best at some prices; below 0 if none
// was found. `choices` becomes (bidder, cell), kLost among the cells. A lower bound for the search,
// and the answer where work runs out first.
int64_t Repair(Context& context, const Problem& problem, const ProblemPrices& prices,
               std::vector<std::pair<uint32_t, uint32_t>>& choices);

}  // namespace nom::policies::joint

#endif  // NOM_POLICIES_CLEARING_JOINT_REPAIR_H_
