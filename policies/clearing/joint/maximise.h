// SPDX-License-Identifier: Apache-2.0
// The best allocation of a whole joint problem, with its proof. Inside policies/clearing/joint
// only.

#ifndef NOM_POLICIES_CLEARING_JOINT_MAXIMISE_H_
#define NOM_POLICIES_CLEARING_JOINT_MAXIMISE_H_

#include <cstdint>
#include <vector>

#include "policies/clearing/joint/problem_prices.h"

namespace nom::policies::joint {

struct Maximum {
  int64_t gain = 0;        // Of the best allocation found, or known beforehand.
  int64_t gain_bound = 0;  // Proven: no allocation gains more. Equal unless work ran out.
  // What every bidder wins that gains `gain`; nothing if it was known beforehand or was not asked
  // for.
  std::vector<Units> awards;
};

// The most that an allocation of the problem gains. `known_gain`: what one is known to gain.
Maximum Maximise(Context& context, const Problem& problem, const ProblemPrices& prices,
                 int64_t known_gain, bool with_choices);

}  // namespace nom::policies::joint

#endif  // NOM_POLICIES_CLEARING_JOINT_MAXIMISE_H_
