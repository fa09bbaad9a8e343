// SPDX-License-Identifier: Apache-2.0
// Chooses how an auction in normal form is solved. Inside policies/clearing only; mpsp.h says what
// it is for.
//
// Three methods say the same, each where it is quick, and each counts its work:
//
//   the core (core_solver.h)       tables over the few bids that a price does not decide.
//   branch and bound (branch_and_bound.h)
//                                  few bids over many units: no step depends on the units.
//   tables over everything (table_solver.h)
//                                  what is left where hundreds of bids are nearly alike.
//
// The core is looked at first, as that costs little. Where its tables would be large, branch and
// bound may take as much work as they would; only where that is not enough they are made.

#ifndef NOM_POLICIES_CLEARING_MPSP_SOLVER_H_
#define NOM_POLICIES_CLEARING_MPSP_SOLVER_H_

#include <cstdint>
#include <optional>
#include <span>

#include "policies/clearing/int128.h"
#include "policies/clearing/mpsp/key_bids.h"
#include "policies/clearing/mpsp/max_plus.h"
#include "policies/clearing/mpsp/solution.h"
#include "policies/clearing/work.h"

namespace nom::policies {

struct SolverOptions {
  int64_t table_bytes_max = int64_t{256} << 20;  // See mpsp.h, like the next two.
  bool always_tables = false;
  bool always_branches = false;
  Vectors vectors = Vectors::kBest;
};

// Nothing if the work is used up. Requires FitsIn64Bits.
std::optional<Solution<int64_t>> Solve(const KeyBids<int64_t>& bids, int64_t capacity_units,
                                       const SolverOptions& options,
                                       const Absences<int64_t>& absences, Work& work);
// The same for keys that do not fit in 64 bits. Its tables are some ten times slower.
std::optional<Solution<Int128>> Solve(const KeyBids<Int128>& bids, int64_t capacity_units,
                                      const SolverOptions& options,
                                      const Absences<Int128>& absences, Work& work);

// At least 0.
Int128 LargestKey(std::span<const KeyPiece<Int128>> pieces);
// True if no number formed with 64-bit keys can leave 64 bits: all keys together, and every slope
// and price times a quantity. Others than the bids' own slopes are at most `slope_max`.
bool FitsIn64Bits(const KeyBids<Int128>& bids, int64_t capacity_units, Int128 slope_max);
KeyBids<int64_t> Narrow(const KeyBids<Int128>& bids);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_MPSP_SOLVER_H_
