// SPDX-License-Identifier: Apache-2.0
// The general rule: any bid, gaps and steps included; awards exactly efficient, charges VCG.
//
// In the style of Ginseng's MPSP auction (VEE 2014): a bidder names ranges and pays what its
// presence costs the others (the exclusion payment). Under it a truthful curve is the best bid,
// whatever the others do, for an owner and all its guests; with a reclaim penalty the truth of
// values still is, given the quantities that the bids accept (rules.h).
//
// Awards and ties are those of auction.h; charges as defined there, an owner's guests together.
// Method: where all bids are concave, the answer comes from selection (concave/concave_bids.h);
// where not, from the few bids that a price does not decide, by tables over units or by branch and
// bound, whichever is quicker (mpsp/solver.h). README.md in this folder walks one auction through
// the files.
//
// The clearing price watchers see is W(capacity) - W(capacity - 1): what a newcomer who wants one
// unit would have had to pay. At least the reserve, and the reserve itself while units are left
// over; with nothing for sale it is the highest rejected offer, if that is more. No winner is
// billed by it.

#ifndef NOM_POLICIES_CLEARING_MPSP_H_
#define NOM_POLICIES_CLEARING_MPSP_H_

#include <cstdint>
#include <optional>

#include "policies/clearing/auction.h"
#include "policies/clearing/work.h"

namespace nom::policies {

struct MpspOptions {
  // For the tables kept between the two sweeps. If one table for every bid does not fit, the
  // evenly spaced ones that do are kept and the rest made again, for up to half as much time more.
  // No less than two tables and twice the square root of the number of bids are ever used. The
  // answer does not depend on it.
  int64_t table_bytes_max = int64_t{256} << 20;
  // Take the dynamic program over all bids, also where sorting would do or bids can be left out.
  // The answer does not depend on it: it is there to show that.
  bool always_tables = false;
  // Branch and bound, also where tables are quicker. The same holds.
  bool always_branches = false;
  // False: all charges are 0. For questions about awards only; about half the time.
  bool with_charges = true;
  // As on a processor without the vector instructions that are used where there are some. The
  // answer does not depend on it.
  bool portable = false;
};

// O(bids * units * ranges) time at worst; O(p) expected for p ranges in all if the bids are
// concave. Errors: INVALID_ARGUMENT for an auction that is not valid, OUT_OF_RANGE if the welfare
// does not fit in 64 bits.
absl::StatusOr<Clearing> ClearMpsp(const Auction& auction, const MpspOptions& options = {});

// The same within a budget of work (work.h): nothing if that is used up first.
absl::StatusOr<std::optional<Clearing>> ClearMpspWithin(const Auction& auction,
                                                        const MpspOptions& options, Work& work);

// What fallback.h calls coarser: quantities are counted in lots of `lot_units`, at least 1. The
// awards are the best, by auction.h and its ties, of all in which the guests together need no more
// than floor(capacity / lot_units) whole lots; charges are worked out among the same allocations,
// so the truth is the best bid here as far as it is in the rule itself. A price of a unit is that
// of a lot, shared out and rounded down. Errors and nothing as above.
absl::StatusOr<std::optional<Clearing>> ClearMpspInLots(const Auction& auction, int64_t lot_units,
                                                        Work& work);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_MPSP_H_
