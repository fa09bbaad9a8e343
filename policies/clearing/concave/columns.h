// SPDX-License-Identifier: Apache-2.0
// Concave bids as columns: the awards and charges of auction.h for any number of bids, without
// looking at most of them twice. Inside policies/clearing, and for the benches.
//
// All units that are for sale to anybody are put in a row by falling gain (selection.h); the first
// ones up to the capacity are served, and the last of these is the margin.
//
// Charges. Without owner o, the best that can be sold of the others and of what o would keep:
//
//   - The others' served units stay served, and the a units that o had go to the best ones of
//     others that were not. That is all without a reclaim penalty.
//   - With one, o still saves the penalty on each unit that it holds and that could be sold to it,
//     at most h = sum min(held_i, most that can be sold to i): a block of h units at gain
//     `penalty`. It stands in the row behind everything of others that is dearer; so o keeps
//
//       g = min(h, capacity - units of others with a gain above the penalty), at least 0
//
//     and the others get the first capacity - g of their own units. If g < a, that is a - g units
//     from below the margin. If g > a, o keeps more at no value than it was awarded with one (it
//     bids less than the reserve for those units), and the g - a cheapest served units of others
//     are displaced: units from above the margin.
//
// So charges need the row from h units above the margin to (all units of one owner) below it, for
// the owner with the most of each: an owner's own units in there are passed over.

#ifndef NOM_POLICIES_CLEARING_CONCAVE_COLUMNS_H_
#define NOM_POLICIES_CLEARING_CONCAVE_COLUMNS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "policies/clearing/auction.h"
#include "policies/clearing/work.h"

namespace nom::policies {

// A run: units of one bid of which each adds the same. All bids together: below 2^62 units, and no
// bid is worth more than 2^62. With a penalty a run is held wholly or not at all.
struct ConcaveColumns {
  int64_t capacity_units = 0;
  Microcredits reserve_unit_price_microcredits = 0;
  uint64_t seed = 0;                    // Orders ties, as does the next.
  std::span<const GuestId> guest_ids;   // By bid, like the next.
  std::span<const int64_t> held_units;  // The first units of a bid's runs are those it holds.
  std::span<const uint32_t> first_run;  // Bid i has runs [first_run[i], first_run[i + 1]).
  std::span<const Microcredits> gain;   // By run: what a unit adds to W: its value above the
                                        // reserve, and the penalty if it is held. At least 0; never
                                        // rises within a bid.
  std::span<const int32_t> units;       // By run: at least 1.
  // Empty if no penalty counts. By bid: of the units it holds, how many could be sold to it.
  std::span<const int64_t> keepable_units = {};
  Microcredits penalty_microcredits = 0;
  // The bids of owners that have several (owners.h).
  std::span<const std::vector<size_t>> shared_owners = {};
};

// Fills `units` with the awards and `charges`, unless it is empty, with what they cost; both by
// bid. Returns W(capacity) - W(capacity - 1), see mpsp.h; or nothing if the work is used up, and
// then what was filled in says nothing. Expected time: linear in the runs, whatever they are.
std::optional<Microcredits> ClearConcaveColumns(const ConcaveColumns& columns,
                                                std::span<int64_t> units,
                                                std::span<Microcredits> charges, Work& work);

// The same where nobody counts.
Microcredits ClearConcaveColumns(const ConcaveColumns& columns, std::span<int64_t> units,
                                 std::span<Microcredits> charges);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_CONCAVE_COLUMNS_H_
