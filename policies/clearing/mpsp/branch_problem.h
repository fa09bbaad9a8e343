// SPDX-License-Identifier: Apache-2.0
// A problem of branch and bound: all bids, but for the few that were restricted on the way to it,
// and what its relaxation says. Inside policies/clearing/mpsp only.

#ifndef NOM_POLICIES_CLEARING_MPSP_BRANCH_PROBLEM_H_
#define NOM_POLICIES_CLEARING_MPSP_BRANCH_PROBLEM_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <span>
#include <vector>

#include "policies/clearing/mpsp/key_bids.h"
#include "policies/clearing/mpsp/relaxation.h"

namespace nom::policies::branches {

// Stands for a set of bids where a bid is asked for.
inline constexpr size_t kManyBids = std::numeric_limits<size_t>::max();

// What a set of bids adds to the sums over the first parts of all: sums over the deltas up to and
// including this one, for everybody who looks behind `position`.
template <typename Key>
struct Delta {
  size_t position = 0;
  int64_t units = 0;
  Key key = 0;
};

template <typename Key>
const Delta<Key>* LastBefore(const std::vector<Delta<Key>>& deltas, size_t position) {
  const auto behind = std::partition_point(
      deltas.begin(), deltas.end(),
      [position](const Delta<Key>& delta) { return delta.position < position; });
  return behind == deltas.begin() ? nullptr : &*std::prev(behind);
}

// A bid that may have fewer quantities than it accepts, or others; or several bids as one. Its
// parts among those of all bids do not count: what it can add stands here.
template <typename Key>
struct Restriction {
  size_t bid = kManyBids;
  std::span<const KeyPiece<Key>> pieces;  // Of one bid: what it accepts, and from where to where.
  int64_t low_units = 0;
  int64_t high_units = 0;
  int64_t base_units = 0;  // What it has at least, and the key of that.
  Key base_key = 0;
  std::vector<Part<Key>> parts;      // What it may have beyond, steepest first,
  std::vector<Delta<Key>> added;     // each with its position among those of all bids.
  std::vector<Delta<Key>> left_out;  // Its parts among those of all bids.
};

// A problem of the search, relaxed.
template <typename Key>
struct Relaxed {
  bool is_possible = false;
  Key bound = 0;      // No allocation of the problem adds up to more.
  Key whole_key = 0;  // Of all parts that fit whole.
  // The part that does not fit, its position, and the units that are left for it. `has_part` is
  // false if all parts fit.
  bool has_part = false;
  Part<Key> part;
  size_t position = 0;
  int64_t left_units = 0;
};

}  // namespace nom::policies::branches

#endif  // NOM_POLICIES_CLEARING_MPSP_BRANCH_PROBLEM_H_
