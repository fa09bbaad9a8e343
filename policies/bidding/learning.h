// SPDX-License-Identifier: Apache-2.0
// Learning while running what each setting of the knobs performs and takes, in a world that
// changes.
//
// A bandit: a round at a setting tells about that setting only. What is kept of each are its last
// measurements, with the load and the round of each. What is believed is their median, in which a
// measurement weighs half as much half_life_rounds later: lies and outliers are outvoted while they
// are the fewer half, and what was long ago gives way to the first measurement of today.
//
// Choosing follows discounted UCB (Garivier and Moulines, "On upper-confidence bound policies for
// switching bandit problems", ALT 2011): a setting could leave what is believed of it, and more by
//
//   noise * best value * sqrt(2 ln(n) / N)        N: its measurements, by their weights of today;
//                                                 n: those that a memory of this length can hold
//
// at most what serving all that is offered with no latency would be worth. As weights fade the
// bound rises, so everything that could be best is tried again, the sooner the less it lost by:
// what was measured as worthless once, or everywhere for an hour, too. After 16 half-lives a
// setting counts as never tried. At most one choice in explore_one_in is not the best by what is
// believed, at intervals that no rhythm of the world keeps step with; but what surprises by being
// better than all is tried again at once. Three measurements in a row that are far from what was
// believed, on the same side, are a change: what was before is forgotten. No chance is involved:
// the same measurements, the same choices.
//
// The paper's bound on regret, O(sqrt(rounds * changes) * log(rounds)), is for means, and for a
// width by the whole range of rewards instead of their noise, which explores so much that nobody
// would want to pay for it. Here medians of the last few stand for means and noise_percent for the
// range, so the bound does not carry over; what is lost in which worlds is measured
// (tests/unit/policies/bidding/learning_worlds.h) and shown in policies/README.md.
//
// Loads: a measurement counts where the load is within load_moved_percent of its own. A setting
// that served all that was offered might serve more of a higher load: that is a lower bound, and
// the setting is tried there. One that did not will serve no more of it, and counts there too.
// Measurements at other loads are kept for when these come back, and until a setting was tried at
// today's the nearest of them stand for it.
//
//   KnobEstimate room[8];
//   KnobLearner learner(room, 8, {});
//   learner.Add(knob, units);                                  // each setting, once
//   const int now = learner.Choose(utility, unit_prices, offered_kbps, round_us, held_units);
//   ... run a round at learner.knob(now) ...
//   learner.Measured(now, offered_kbps, performance, units);
//
// No allocation, no exceptions, no floating point, no C++ library. A learner belongs to one thread.

#ifndef NOM_POLICIES_BIDDING_LEARNING_H_
#define NOM_POLICIES_BIDDING_LEARNING_H_

#include "policies/bidding/profile.h"
#include "policies/bidding/utility.h"
#include "policies/bidding/working_points.h"

namespace nom::policies {

inline constexpr int kSamplesMax = 16;        // Of one setting at one load.
inline constexpr int kSamplesKept = 32;       // Of one setting, at all loads.
inline constexpr int kHalfLifeMax = 1 << 20;  // Rounds.

struct LearningOptions {
  int explore_one_in = 8;         // At most one choice in so many tries something: 2 or more.
  int load_moved_percent = 25;    // Of the larger of two loads; 0 to 100.
  int samples_max = kSamplesMax;  // The last so many at one load count: 1 to kSamplesMax.
  // How soon what was measured fades: 1 to kHalfLifeMax rounds; 0: 32 for each setting, so that
  // trying them all again costs the same share of the rounds however many there are.
  int half_life_rounds = 0;
  // How far measurements of one setting lie apart, as a share of the best value: their standard
  // deviation. 1 to 100. More explores more.
  int noise_percent = 10;
};

// The name of the first option that is out of its range; null if none is.
const char* WrongField(const LearningOptions& options);

// One measurement, in place.
struct KnobSample {
  int64_t round = 0;  // In choices of the learner.
  int64_t latency_ns = 0;
  int64_t jitter_ns = 0;
  uint32_t load_kbps = 0;
  uint32_t throughput_kbps = 0;
  uint32_t units[kPointResourcesMax] = {};
};

// What is known of one setting, in place.
struct KnobEstimate {
  int64_t knob = 0;
  int64_t units_enough[kPointResourcesMax] = {};  // As it was added.
  int count = 0;
  KnobSample samples[kSamplesKept] = {};  // The latest last.
  // Of the choice under way.
  bool fits = false;
  int64_t weight = 0;  // Of the samples that count at this load.
  Microcredits cost = 0;
  Microcredits surplus = 0;
};

class KnobLearner {
 public:
  // `room` outlives the learner and is nobody else's; at most kWorkingPointsMax knobs.
  // In place of wrong options it takes the default ones.
  KnobLearner(KnobEstimate* room, int capacity, const LearningOptions& options);

  // A setting of which only its needs are known: all that is asked of `units` is that they are
  // enough. -1 if there is no room, else its index.
  int Add(int64_t knob, const int64_t* units);
  // A setting with a measurement to start from.
  int Add(const ProfilePoint& profiled);

  // What came of a round at this setting. Numbers outside their ranges count as the nearest within.
  // Nothing happens if there is no such index.
  void Measured(int index, int64_t offered_kbps, const Performance& performance,
                const int64_t* units);

  // The setting to run next: see above. "Best" leaves the most at these prices, as in
  // WorkingPointTable; among equals the first. Settings that need more than `held_units` are left
  // out (null: none is), and those that need what is not on sale. -1 if none is left, or if all
  // that is known leaves nothing and it is nothing's turn to be tried: then it is best to use the
  // seed alone.
  int Choose(const Utility& utility, const Microcredits* unit_prices_microcredits,
             int64_t offered_kbps, int64_t round_us, const int64_t* held_units);

  int count() const { return count_; }
  int64_t knob(int index) const { return room_[index].knob; }
  // False if it has never been measured.
  bool Known(int index) const { return room_[index].count != 0; }
  // False too if nothing that was measured says what it does at this load.
  bool KnownAt(int index, int64_t offered_kbps) const;
  // What was offered when it was last measured; 0: never.
  int64_t LastLoadKbps(int index) const;
  // What is believed of it at this load: medians. What it served of a load near that one is scaled
  // to it if that was all. Of a setting that was never measured: the units that are enough.
  ProfilePoint Estimate(int index, int64_t offered_kbps) const;

 private:
  struct Belief;

  bool Counts(const KnobSample& sample, int64_t offered_kbps) const;
  bool IsNear(int64_t load_kbps, int64_t other_kbps) const;
  int64_t HalfLife() const;
  int64_t WeightOf(const KnobSample& sample) const;
  Belief BeliefOf(const KnobEstimate& known, int samples, int64_t offered_kbps) const;
  void ForgetWhatWasBeforeAChange(const Utility& utility, int64_t load_kbps, int64_t round_us);
  Microcredits Apart(Microcredits scale) const;
  int64_t LastRound(int index) const;
  Microcredits ScaleOf(Microcredits best_value, int64_t load_kbps);
  Microcredits UpperBound(const KnobEstimate& setting, Microcredits value_most,
                          Microcredits scale) const;
  int ToExplore(int best, Microcredits best_surplus, Microcredits value_most,
                Microcredits scale) const;
  int64_t NextInterval() const;

  KnobEstimate* room_;
  int capacity_;
  LearningOptions options_;
  int count_ = 0;
  int64_t round_ = 0;            // Choices so far.
  int64_t since_exploring_ = 0;  // Choices.
  int latest_ = -1;              // Measured since the last choice.
  int64_t interval_;             // Of those, before the next may try something.
  // The best value seen for each kbit/s that was offered, in 1/1024; fades.
  int64_t best_per_kbps_ = 0;
};

// Fills the table from all settings that have ever been measured, for the load of today.
PointError FillTable(const KnobLearner& learner, const Utility& utility, int64_t offered_kbps,
                     int64_t round_us, WorkingPointTable& table);

}  // namespace nom::policies

#endif  // NOM_POLICIES_BIDDING_LEARNING_H_
