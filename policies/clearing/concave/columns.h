// Concave bids as columns: the awards and charges of concave.h for any number of bids, without
// looking at most of them twice. Inside policies/clearing, and for the benches.
//
// Only the unit at which the capacity ends has to be found, so nothing is sorted but what lies
// around it: a sorted sample of the runs gives two gains with that unit in between, one pass keeps
// the runs between the two, and so on with those until few are left. A sample can mislead only
// about time: whether the unit lies in between is checked. Charges need no more than the largest
// bid's units below the margin.

#ifndef NOM_POLICIES_CLEARING_CONCAVE_COLUMNS_H_
#define NOM_POLICIES_CLEARING_CONCAVE_COLUMNS_H_

#include <cstdint>
#include <span>

#include "policies/clearing/auction.h"

namespace nom::policies {

// A run: units of one bid of which each adds the same. All bids together: below 2^62 units, and no
// bid is worth more than 2^62.
struct ConcaveColumns {
  int64_t capacity_units = 0;
  Microcredits reserve_unit_price_microcredits = 0;
  uint64_t seed = 0;                    // Orders ties, as does the next.
  std::span<const GuestId> guest_ids;   // By bid, like the next.
  std::span<const int64_t> held_units;  // Counts in ties only.
  std::span<const uint32_t> first_run;  // Bid i has runs [first_run[i], first_run[i + 1]).
  std::span<const Microcredits> gain;   // By run: value of a unit above the reserve. At least 0;
                                        // never rises within a bid.
  std::span<const int32_t> units;       // By run: at least 1.
};

// Fills `units` with the awards and `charges`, unless it is empty, with what they cost; both by
// bid. Returns W(capacity) - W(capacity - 1), see mpsp.h. Expected time: linear in the runs if no
// bid is large beside all others; at worst that of sorting them.
Microcredits ClearConcaveColumns(const ConcaveColumns& columns, std::span<int64_t> units,
                                 std::span<Microcredits> charges);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_CONCAVE_COLUMNS_H_
