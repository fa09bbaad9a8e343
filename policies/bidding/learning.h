// Learning while running what each setting of the knobs performs and takes.
//
// For each knob a running mean is kept: of the first samples_max measurements the plain mean, then
// each new one counts one part in samples_max, so that what was long ago fades. When the load has
// moved by more than load_moved_percent since a knob was last measured, what is known of it is out
// of date: it is still the best guess, but the next measurement replaces it.
//
// Choosing: at most one choice in explore_one_in tries a setting that is unknown or out of date,
// the unknown first and then the one not measured for longest; all other choices take the best of
// what is known. No chance is involved: the same measurements, the same choices.
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

struct LearningOptions {
  int explore_one_in = 8;       // 2 or more.
  int load_moved_percent = 25;  // Of the larger of two loads; 0 to 100.
  int samples_max = 8;          // 1 or more.
};

// The name of the first option that is out of its range; null if none is.
const char* WrongField(const LearningOptions& options);

// What is known of one setting, in place. The means carry kEstimateBits of fraction.
inline constexpr int kEstimateBits = 10;

struct KnobEstimate {
  int64_t knob = 0;
  int64_t load_kbps = 0;  // When last measured.
  int64_t measured = 0;   // The number of that measurement; 0: never.
  int64_t samples = 0;
  Performance mean;
  int64_t units_mean[kPointResourcesMax] = {};
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
  // out; null: none is. -1 if none is left, or if all that is known leaves nothing and there is
  // nothing to try: then it is best to use the seed alone.
  int Choose(const Utility& utility, const Microcredits* unit_prices_microcredits,
             int64_t offered_kbps, int64_t round_us, const int64_t* held_units);

  int count() const { return count_; }
  int64_t knob(int index) const { return room_[index].knob; }
  // False if it has never been measured.
  bool Known(int index) const { return room_[index].measured != 0; }
  // False too if the load was too different when it was.
  bool UpToDate(int index, int64_t offered_kbps) const;
  // The means, rounded so that they never promise too much: throughput down, the rest up.
  ProfilePoint Estimate(int index) const;

 private:
  int ToExplore(int64_t offered_kbps, const int64_t* held_units) const;

  KnobEstimate* room_;
  int capacity_;
  LearningOptions options_;
  int count_ = 0;
  int64_t measurements_ = 0;
  int64_t since_exploring_ = 0;  // Choices.
};

// Fills the table from all settings that have ever been measured, for the load of today.
PointError FillTable(const KnobLearner& learner, const Utility& utility, int64_t offered_kbps,
                     int64_t round_us, WorkingPointTable& table);

}  // namespace nom::policies

#endif  // NOM_POLICIES_BIDDING_LEARNING_H_
