// SPDX-License-Identifier: Apache-2.0
// A shortlist solved by dynamic programming over the units that are still to be given away. Inside
// policies/clearing/joint only.

#ifndef NOM_POLICIES_CLEARING_JOINT_BOX_H_
#define NOM_POLICIES_CLEARING_JOINT_BOX_H_

#include <cstdint>
#include <vector>

#include "policies/clearing/joint/shortlist.h"

namespace nom::policies::joint {

// Whatever is chosen, every bidder takes at least the fewest units that one of its options needs,
// in each resource by itself. Those are given out beforehand. What is left of the capacity is
// *open*, though never more than what all bidders could take beyond their fewest: in a shortlist
// that is mostly a small box of units, even on a large machine. The table has an entry for each
// point of the box, and is made anew for each bidder:
//
//   best_i(u) = max over options a of i, with a <= u, of best_(i-1)(u - a) + gain(a)
//
// where u and a are counted beyond the fewest.
class Box {
 public:
  explicit Box(const Shortlist& shortlist);

  // False: not even the fewest units of every bidder fit.
  bool is_feasible() const { return is_feasible_; }
  // Entries of a table; kStatesMax + 1 if there are more than kStatesMax.
  int64_t states() const { return states_; }
  // Entries times options: what Solve looks at.
  int64_t work() const { return work_; }
  // Counted work of one Solve: four entries at once, and every table is filled first.
  int64_t steps() const {
    return work_ / 4 + states_ * static_cast<int64_t>(shortlist_.bidder_count()) / 2;
  }

  static constexpr int64_t kStatesMax = int64_t{1} << 24;
  static constexpr int64_t kTableBytesMax = int64_t{256} << 20;

  // True if the tables of all bidders can be kept in memory, which it takes to find the options.
  bool can_choose() const;

  // The most that all bidders together gain; below 0 if nothing fits. Requires is_feasible(), at
  // most kStatesMax states and Context::is_exact_sum. `choices`, if not null, becomes the option of
  // every bidder with which they gain as much; requires can_choose().
  double Solve(std::vector<uint32_t>* choices) const;

 private:
  using Table = std::vector<double>;
  void Extend(const Table& in, size_t bidder, Table& out) const;
  Units Shifted(size_t bidder, uint32_t option) const;

  const Shortlist& shortlist_;
  bool is_feasible_ = true;
  std::vector<Units> least_;  // By bidder: the fewest units, in each resource by itself.
  Units size_ = {};           // By resource: units open. A table has one entry more.
  std::array<size_t, kJointResourcesMax> strides_ = {};
  int64_t states_ = 1;
  int64_t work_ = 0;
};

}  // namespace nom::policies::joint

#endif  // NOM_POLICIES_CLEARING_JOINT_BOX_H_
