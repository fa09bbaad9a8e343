// SPDX-License-Identifier: Apache-2.0
// A budget of work that is counted while it is done. Inside policies/clearing only.
//
// Work is counted, never measured by a clock, so the same auction with the same budget is cleared
// in the same way on every machine and a recorded round can be cleared again. A step is what one
// core of about 2.6 GHz does in 2 ns (kWorkASecond in fallback.h), whatever the route: each route
// counts its own loops and multiplies by what an iteration of them was measured to take
// (bench/policies/work_goals.cc).

#ifndef NOM_POLICIES_CLEARING_WORK_H_
#define NOM_POLICIES_CLEARING_WORK_H_

#include <cstdint>
#include <limits>

namespace nom::policies {

class Work {
 public:
  explicit Work(int64_t steps_max) : steps_max_(steps_max), left_steps_(steps_max) {}
  // So much that no auction within the limits of auction.h uses it up.
  static Work Unlimited() { return Work(std::numeric_limits<int64_t>::max()); }

  // To be called before the steps are done. False, and then always, if fewer were left: the caller
  // gives up what it was doing.
  [[nodiscard]] bool Take(int64_t steps) {
    left_steps_ = steps <= left_steps_ ? left_steps_ - steps : -1;
    return left_steps_ >= 0;
  }

  // Takes what `part`, which began with no more than is left here, has taken of its own.
  void TakeWhatWasTakenOf(const Work& part) {
    if (left_steps_ >= 0) left_steps_ -= part.taken_steps();
  }

  int64_t taken_steps() const { return steps_max_ - left_steps(); }

  bool is_used_up() const { return left_steps_ < 0; }
  int64_t left_steps() const { return left_steps_ < 0 ? 0 : left_steps_; }

 private:
  int64_t steps_max_;
  int64_t left_steps_;
};

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_WORK_H_
