// SPDX-License-Identifier: Apache-2.0
// Solves an auction by a small core that it proves to be enough. Inside policies/clearing only.
//
// A core of a few dozen bids around the price is solved by tables. What it reaches says which
// quantities could still be better: those that lose less than what is left to a bound, for the
// auction itself, for one unit less and without each single winner. Mostly the core holds them all,
// and the answer is proven. If not, they are added, once for the awards and once for the charges.
//
// Winners of about as many units leave behind prices that are alike: one price serves them all.

#ifndef NOM_POLICIES_CLEARING_MPSP_CORE_SOLVER_H_
#define NOM_POLICIES_CLEARING_MPSP_CORE_SOLVER_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <span>

#include "policies/clearing/mpsp/key_bids.h"
#include "policies/clearing/mpsp/relaxation.h"
#include "policies/clearing/mpsp/solution.h"
#include "policies/clearing/mpsp/solver.h"
#include "policies/clearing/work.h"

namespace nom::policies {

struct CoreResult {
  // Nothing if tables would take more steps than they may, or so much is left to decide that tables
  // over everything are no worse, or the work is used up.
  std::optional<Solution<int64_t>> solution;
  // In the first case: so many.
  int64_t steps_wanted = std::numeric_limits<int64_t>::max();
};

// `parts` are PartsOf(bids). As Solve, with one unit to sell at least; absences of shared owners
// are left out. No table takes more than `steps_max`.
CoreResult SolveByCore(const KeyBids<int64_t>& bids, std::span<const Part<int64_t>> parts,
                       int64_t capacity_units, const SolverOptions& options,
                       const Absences<int64_t>& absences, int64_t steps_max, Work& work);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_MPSP_CORE_SOLVER_H_
