// SPDX-License-Identifier: Apache-2.0
// A row of units in the order in which they would be bought or given up, with sums. Inside
// policies/clearing/concave only.
//
// Without one owner, the units that it had go to the best offers of others that were not served
// (the excluded tail), or units that it would keep displace the cheapest ones of others that were
// (the same row, upwards from the margin). Both ask: what are the first n units of this row worth
// that are not the owner's own?

#ifndef NOM_POLICIES_CLEARING_CONCAVE_RANKED_UNITS_H_
#define NOM_POLICIES_CLEARING_CONCAVE_RANKED_UNITS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "policies/bidding/range.h"
#include "policies/clearing/int128.h"

namespace nom::policies {

class RankedUnits {
 public:
  // `units` more, each worth `gain`: at most what the ones before them are worth.
  void Add(Microcredits gain, int64_t units) {
    if (units == 0) return;
    if (!steps_.empty() && steps_.back().gain == gain) {
      steps_.back().end_units += units;
    } else {
      steps_.push_back({gain, end_units_ + units, end_units_, gain_before_});
    }
    end_units_ += units;
    gain_before_ += Int128{gain} * units;
  }

  // To be called once, before any question. Behind the last unit nothing is offered, without end.
  void Finish() {
    steps_.push_back({0, std::numeric_limits<int64_t>::max(), end_units_, gain_before_});
    while ((end_units_ >> shift_) > kBuckets) ++shift_;
    size_t step = 0;
    for (int64_t bucket = 0; bucket <= end_units_ >> shift_; ++bucket) {
      step = StepOf(bucket << shift_, step);
      step_of_bucket_.push_back(static_cast<uint32_t>(step));
    }
  }

  // What the last of the first `units` units is worth.
  Microcredits GainAt(int64_t units) const { return steps_[FirstStepOf(units)].gain; }

  // What the first `units` units are worth that are not `own`. The own units of this row come as
  // runs in the order of the row: next_own(gain, units) sets the next one and is false if there is
  // none.
  template <typename NextOwn>
  Int128 GainOfOthers(int64_t units, const NextOwn& next_own) const {
    size_t step = FirstStepOf(units);
    Int128 own_gain = 0;
    Microcredits gain = 0;
    int64_t own_units = 0;
    // Own units among the first `units` are passed over. Where gains are equal the order is ours.
    while (next_own(gain, own_units) && gain >= steps_[step].gain) {
      units += own_units;
      own_gain += Int128{gain} * own_units;
      step = StepOf(units, step);
    }
    const Step& last = steps_[step];
    return last.gain_before + Int128{last.gain} * (units - last.begin_units) - own_gain;
  }

 private:
  static constexpr int64_t kBuckets = 4'096;
  // So many steps are walked before the rest is searched.
  static constexpr size_t kWalk = 16;

  struct Step {
    Microcredits gain = 0;
    int64_t end_units = 0;
    int64_t begin_units = 0;
    Int128 gain_before = 0;
  };

  size_t FirstStepOf(int64_t units) const {
    const auto bucket = static_cast<size_t>(std::min(units, end_units_) >> shift_);
    return StepOf(units, step_of_bucket_[bucket]);
  }

  // The step in which the first `units` units end, which is not before `step`. Mostly it is one of
  // the next ones; but many small steps may lie beside a large one, in the same bucket.
  size_t StepOf(int64_t units, size_t step) const {
    for (const size_t end = step + kWalk; step < end; ++step) {
      if (steps_[step].end_units >= units) return step;
    }
    return static_cast<size_t>(
        std::partition_point(steps_.begin() + static_cast<ptrdiff_t>(step), steps_.end(),
                             [&](const Step& s) { return s.end_units < units; }) -
        steps_.begin());
  }

  std::vector<Step> steps_;
  int64_t end_units_ = 0;
  Int128 gain_before_ = 0;
  int shift_ = 0;
  std::vector<uint32_t> step_of_bucket_;
};

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_CONCAVE_RANKED_UNITS_H_
