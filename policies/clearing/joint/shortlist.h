// A small joint problem in one piece of memory, and the prices that bound it best. Inside
// policies/clearing/joint only.

#ifndef NOM_POLICIES_CLEARING_JOINT_SHORTLIST_H_
#define NOM_POLICIES_CLEARING_JOINT_SHORTLIST_H_

#include <cstdint>
#include <vector>

#include "policies/clearing/int128.h"
#include "policies/clearing/joint/cells.h"
#include "policies/clearing/joint/master.h"

namespace nom::policies::joint {

inline constexpr uint32_t kLost = ~uint32_t{0};  // The cell of a bid that wins nothing.

// Every bidder takes exactly one of its options; not winning is an option of no units.
struct Shortlist {
  UnitVector capacity_units = {};
  std::vector<uint32_t> bidders;      // Names, for the outside.
  std::vector<uint32_t> first = {0};  // Into the options, by bidder, and the end.
  std::vector<double> gain;
  std::array<std::vector<int32_t>, kJointResourcesMax> units;
  std::vector<uint32_t> cells;  // Names of options, for the outside.

  // Counted work, an option.
  static constexpr int64_t kStepsToAdd = 12;
  static constexpr int64_t kStepsToFilter = 4;
  static constexpr int64_t kStepsToCopy = 3;

  size_t bidder_count() const { return bidders.size(); }
  size_t option_count() const { return gain.size(); }
  void AddOption(double option_gain, const Units& option_units, uint32_t cell);
  // Names the bidder of the options added since the last call; nothing if there are none.
  void CloseBidder(uint32_t bidder);
  Units UnitsOf(size_t option) const {
    return {units[0][option], units[1][option], units[2][option], units[3][option]};
  }

  // Keeps the options, in place, for which keep(bidder, option) holds; of the bidders that have
  // some left, those for which keep_bidder(bidder, the first of them, how many) holds. Both see
  // this shortlist half done: `keep` may look at its own option only, keep_bidder at the first one.
  template <typename Keep, typename KeepBidder>
  void Filter(const Keep& keep, const KeepBidder& keep_bidder);
};

template <typename Keep, typename KeepBidder>
void Shortlist::Filter(const Keep& keep, const KeepBidder& keep_bidder) {
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
