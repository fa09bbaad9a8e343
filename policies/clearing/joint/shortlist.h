// SPDX-License-Identifier: Apache-2.0
// What elimination leaves of a problem: for each bidder the few cells that an allocation good
// enough could still hold, copied together for fast searching. Inside policies/clearing/joint only.

#ifndef NOM_POLICIES_CLEARING_JOINT_SHORTLIST_H_
#define NOM_POLICIES_CLEARING_JOINT_SHORTLIST_H_

#include <cstdint>
#include <vector>

#include "policies/clearing/int128.h"
#include "policies/clearing/joint/cells.h"
#include "policies/clearing/joint/master.h"

namespace nom::policies::joint {

inline constexpr uint32_t kLost = ~uint32_t{0};  // In place of a cell: wins nothing.

// An *option* is what a bidder may take here: one of its cells, or, where it may lose, nothing,
// which is an option of no units and no gain (kLost). An allocation takes exactly one option of
// every bidder; a bidder that must win, as in a part of a divided problem, simply has no kLost.
//
// Options are kept as columns, those of one bidder next to each other: bidder i has the options
// from first[i] to first[i + 1]. Bidders and cells are known by their numbers in the problem that
// the shortlist was made from, as positions change when something is dropped.
struct Shortlist {
  UnitVector capacity_units = {};
  std::vector<uint32_t> bidders;      // By bidder: its number in the problem.
  std::vector<uint32_t> first = {0};  // By bidder: its first option; and one more, the end.
  std::vector<double> gain;           // By option; so are the next two.
  std::array<std::vector<int32_t>, kJointResourcesMax> units;
  std::vector<uint32_t> cells;  // The cell's number in its bidder's list, or kLost.

  // Counted work, an option.
  static constexpr int64_t kStepsToAdd = 12;
  static constexpr int64_t kStepsToFilter = 4;
  static constexpr int64_t kStepsToCopy = 3;

  size_t bidder_count() const { return bidders.size(); }
  size_t option_count() const { return gain.size(); }
  void AddOption(double option_gain, const Units& option_units, uint32_t cell);
  // Ends the options of one bidder: those added since the last call are those of `bidder`. Nothing
  // if there are none.
  void CloseBidder(uint32_t bidder);
  Units UnitsOf(size_t option) const {
    Units out;
    for (size_t r = 0; r < out.size(); ++r) out[r] = units[r][option];
    return out;
  }

  // Drops, in place, the options for which keep(bidder, option) is false, bidders that have none
  // left, and of the others those for which keep_bidder(bidder, first, count) is false, `first`
  // being the new position of its first option and `count` how many it still has. While this runs
  // the shortlist is half done: `keep` may read its own option, and keep_bidder the one at `first`.
  template <typename Keep, typename KeepBidder>
  void Filter(const Keep& keep, const KeepBidder& keep_bidder);
};

template <typename Keep, typename KeepBidder>
void Shortlist::Filter(const Keep& keep, const KeepBidder& keep_bidder) {
  // What is kept moves down over what is not; `option` is where it comes from, `to` where it goes.
  uint32_t to = 0;
  size_t bidder_to = 0;
  uint32_t option = 0;
  for (size_t i = 0; i < bidder_count(); ++i) {
    const uint32_t begin = to;
    const uint32_t end = first[i + 1];
    for (; option < end; ++option) {
      if (!keep(i, option)) continue;
      gain[to] = gain[option];
      for (std::vector<int32_t>& of_resource : units) of_resource[to] = of_resource[option];
      cells[to] = cells[option];
      ++to;
    }
    if (to == begin) continue;
    if (!keep_bidder(i, begin, to - begin)) {
      to = begin;
      continue;
    }
    bidders[bidder_to] = bidders[i];
    first[++bidder_to] = to;
  }
  bidders.resize(bidder_to);
  first.resize(bidder_to + 1);
  gain.resize(to);
  for (std::vector<int32_t>& of_resource : units) of_resource.resize(to);
  cells.resize(to);
}

}  // namespace nom::policies::joint

#endif  // NOM_POLICIES_CLEARING_JOINT_SHORTLIST_H_
