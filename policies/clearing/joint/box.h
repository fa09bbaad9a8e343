// The dynamic program at the leaves of the search: units still free, option by option. Inside
// policies/clearing/joint only.

#ifndef NOM_POLICIES_CLEARING_JOINT_BOX_H_
#define NOM_POLICIES_CLEARING_JOINT_BOX_H_

#include <cstdint>
#include <vector>

#include "policies/clearing/joint/shortlist.h"

namespace nom::policies::joint {

// The units that are open: every bidder takes at least the least of its options, and all together
// take no more than the most.
class Box {
 public:
  explicit Box(const Shortlist& shortlist);

  // False: not even the least of every bidder fits.
  bool is_feasible() const { return is_feasible_; }
  // Tables entries; kStatesMax + 1 if there are more than kStatesMax.
  int64_t states() const { return states_; }
  // Entries times options: what Solve looks at.
  int64_t work() const { return work_; }
  // Counted work of one Solve: four entries at once, and every table is filled first.
  int64_t steps() const {
    return work_ / 4 + states_ * static_cast<int64_t>(shortlist_.bidder_count()) / 2;
  }

  static constexpr int64_t kStatesMax = int64_t{1} << 24;
  static constexpr int64_t kTableBytesMax = int64_t{256} << 20;

  // True if the tables of all bidders can be kept, which finding the options needs.
  bool can_choose() const;

  // The most that all bidders together gain; below 0 if nothing fits. Requires is_feasible(), at
  // most kStatesMax states and an exact sum of gains (Context). `choices`, if not null, becomes an
  // option of every bidder that reach it; requires can_choose().
  double Solve(std::vector<uint32_t>* choices) const;

 private:
  using Table = std::vector<double>;
  void Extend(const Table& in, size_t bidder, Table& out) const;
  Units Shifted(size_t bidder, uint32_t option) const;

  const Shortlist& shortlist_;
  bool is_feasible_ = true;
  std::vector<Units> least_;  // By bidder.
  Units size_ = {};           // Units open, by resource: table entries but one.
  std::array<size_t, kJointResourcesMax> strides_ = {};
  int64_t states_ = 1;
  int64_t work_ = 0;
};

}  // namespace nom::policies::joint

#endif  // NOM_POLICIES_CLEARING_JOINT_BOX_H_
