// SPDX-License-Identifier: Apache-2.0
// The exact search of a shortlist: branch and bound. Inside policies/clearing/joint only.

#ifndef NOM_POLICIES_CLEARING_JOINT_SEARCH_H_
#define NOM_POLICIES_CLEARING_JOINT_SEARCH_H_

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "policies/clearing/joint/shortlist_prices.h"

namespace nom::policies::joint {

struct Found {
  int64_t gain = 0;
  // (bidder, cell), by their numbers in the problem, kLost among the cells; empty if not asked for.
  std::vector<std::pair<uint32_t, uint32_t>> choices;
};

// The best allocation of the shortlist, if it gains `target` or more; the search looks no further
// than that needs. Depth first: bound by prices, drop options that lose too much, and where what is
// left can be tried, or the box of open units is small enough to solve, do so, else branch. Check
// context.is_out_of_work() afterwards: if so, nothing found means nothing.
std::optional<Found> SearchShortlist(Context& context, Shortlist shortlist, const Prices& start,
                                     int64_t target, bool with_choices);

// A way to divide a shortlist in two: `bidder` takes at most `most` units of resource `r` in one
// part, more in the other.
struct Branch {
  size_t bidder = 0;
  int r = 0;
  int32_t most = 0;
  bool is_above_first = false;  // Search the second part first.
};

// Where the mixture of `columns` is furthest from taking one option of every bidder, by what the
// units are worth at the prices. Nothing if no bidder has two options that differ in units.
std::optional<Branch> ChooseBranch(const Shortlist& shortlist, const Prices& prices,
                                   const Columns& columns);

}  // namespace nom::policies::joint

#endif  // NOM_POLICIES_CLEARING_JOINT_SEARCH_H_
