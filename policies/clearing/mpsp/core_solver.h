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
#include <optional>

#include "policies/clearing/mpsp/max_plus.h"
#include "policies/clearing/mpsp/price_window.h"
#include "policies/clearing/mpsp/solver.h"

namespace nom::policies {

// As SolveByTables, with one unit to sell at least. `window` is where to look first, if there is
// one, and is left where the solution was. False if so much is left to decide that tables over
// everything are no worse; `result` is then as it was.
bool SolveByCore(const KeyBids<int64_t>& bids, int64_t capacity_units, const TableOptions& options,
                 const PiecesWithout<int64_t>& pieces_without, std::optional<PriceWindow>& window,
                 TableResult<int64_t>& result);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_MPSP_CORE_SOLVER_H_
