// SPDX-License-Identifier: Apache-2.0
// A shortlist solved by trying all allocations that are good enough. Inside policies/clearing/joint
// only.

#ifndef NOM_POLICIES_CLEARING_JOINT_ENUMERATE_H_
#define NOM_POLICIES_CLEARING_JOINT_ENUMERATE_H_

#include <cstdint>
#include <vector>

#include "policies/clearing/joint/shortlist_prices.h"

namespace nom::policies::joint {

// At given prices an option's *loss* is what it leaves less than its bidder's best. An allocation
// gains the bound less the losses of its options (and less the price of unused units): to gain the
// target its losses together must stay below the distance from bound to target. So options are
// tried bidder by bidder, those that lose least first, and a branch ends when the losses are used
// up. That is quick where little may be lost, however large the box of open units is, which is
// where the dynamic program (Box) is no help.
class Enumeration {
 public:
  // `pricing` is of `shortlist`; both must outlive this. `target`: what must be gained, at least.
  Enumeration(const Context& context, const Shortlist& shortlist, const Pricing& pricing,
              int64_t target);

  // Tries at most `steps_max` options; false if that was not enough, and what was found then is
  // only the best so far. Steps taken are in steps().
  bool Run(int64_t steps_max);

  int64_t steps() const { return steps_; }
  // The most that was found to be gained; below the target if nothing was.
  int64_t best() const { return best_; }
  // An option of every bidder that gain best(); empty if nothing was found.
  const std::vector<uint32_t>& choices() const { return best_choices_; }

 private:
  struct Option {
    Int128 loss_steps = 0;  // In Context's steps.
    uint32_t option = 0;    // Its position in the shortlist.
  };

  void Try(size_t place);

  const Shortlist& shortlist_;
  const Int128 step_;  // Of a micro-credit, in steps.
  Int128 spare_steps_;
  std::vector<std::vector<Option>>
      options_;                          // By place: of one bidder, those that lose least first.
  std::vector<size_t> bidders_;          // By place.
  std::vector<UnitVector> least_after_;  // By place: what this bidder and all after it need.
  int64_t steps_left_ = 0;
  int64_t steps_ = 0;
  UnitVector open_;
  int64_t gain_ = 0;
  Int128 lost_ = 0;
  std::vector<uint32_t> choices_;
  int64_t best_;
  std::vector<uint32_t> best_choices_;
};

}  // namespace nom::policies::joint

#endif  // NOM_POLICIES_CLEARING_JOINT_ENUMERATE_H_
