#include "policies/bidding/learning.h"

namespace nom::policies {
namespace {

__extension__ using Wide = __int128;  // Only multiplied, added and compared.

constexpr int64_t kAlmostOne = (int64_t{1} << kEstimateBits) - 1;

int64_t Hold(int64_t number, int64_t low, int64_t high) {
  return number < low ? low : number > high ? high : number;
}

int64_t Up(int64_t mean) { return (mean + kAlmostOne) >> kEstimateBits; }

// `mean` moves one part in `samples` towards the number: the running mean. Of the first it is made
// anew.
void Follow(int64_t& mean, int64_t number, int64_t samples) {
  const int64_t scaled = number * (int64_t{1} << kEstimateBits);
  mean = samples <= 1 ? scaled : mean + (scaled - mean) / samples;
}

bool Fits(const KnobEstimate& known, const int64_t* held_units) {
  if (held_units == nullptr) return true;
  for (int r = 0; r < kPointResourcesMax; ++r) {
    if (Up(known.units_mean[r]) > held_units[r]) return false;
  }
  return true;
}

}  // namespace

const char* WrongField(const LearningOptions& options) {
  if (options.explore_one_in < 2) return "explore_one_in";
  if (options.load_moved_percent < 0 || options.load_moved_percent > 100) {
    return "load_moved_percent";
  }
  if (options.samples_max < 1) return "samples_max";
  return nullptr;
}

KnobLearner::KnobLearner(KnobEstimate* room, int capacity, const LearningOptions& options)
    : room_(room), capacity_(static_cast<int>(Hold(capacity, 0, kWorkingPointsMax))) {
  if (WrongField(options) == nullptr) options_ = options;
}

int KnobLearner::Add(int64_t knob, const int64_t* units) {
  if (count_ == capacity_) return -1;
  KnobEstimate& added = room_[count_];
  added = KnobEstimate{};
  added.knob = knob;
  for (int r = 0; r < kPointResourcesMax; ++r) {
    Follow(added.units_mean[r], Hold(units[r], 0, kUnitsMax), 1);
  }
  return count_++;
}

int KnobLearner::Add(const ProfilePoint& profiled) {
  const int index = Add(profiled.knob, profiled.units);
  if (index < 0) return index;
  Measured(index, profiled.load_kbps, profiled.performance, profiled.units);
  return index;
}

void KnobLearner::Measured(int index, int64_t offered_kbps, const Performance& performance,
                           const int64_t* units) {
  if (index < 0 || index >= count_) return;
  KnobEstimate& known = room_[index];
  if (!UpToDate(index, offered_kbps)) known.samples = 0;
  if (known.samples < options_.samples_max) ++known.samples;
  const int64_t n = known.samples;
  Follow(known.mean.throughput_kbps, Hold(performance.throughput_kbps, 0, kThroughputMaxKbps), n);
  Follow(known.mean.latency_ns, Hold(performance.latency_ns, 0, kLatencyMaxNs), n);
  Follow(known.mean.jitter_ns, Hold(performance.jitter_ns, 0, kLatencyMaxNs), n);
  for (int r = 0; r < kPointResourcesMax; ++r) {
    Follow(known.units_mean[r], Hold(units[r], 0, kUnitsMax), n);
  }
  known.load_kbps = Hold(offered_kbps, 0, kThroughputMaxKbps);
  known.measured = ++measurements_;
}

bool KnobLearner::UpToDate(int index, int64_t offered_kbps) const {
  const KnobEstimate& known = room_[index];
  if (!Known(index)) return false;
  const int64_t now = Hold(offered_kbps, 0, kThroughputMaxKbps);
  const int64_t larger = known.load_kbps > now ? known.load_kbps : now;
  const int64_t smaller = known.load_kbps > now ? now : known.load_kbps;
  return (larger - smaller) * 100 <= larger * options_.load_moved_percent;
}

ProfilePoint KnobLearner::Estimate(int index) const {
  const KnobEstimate& known = room_[index];
  ProfilePoint point{.knob = known.knob,
                     .load_kbps = known.load_kbps,
                     .performance = {.throughput_kbps = known.mean.throughput_kbps >> kEstimateBits,
                                     .latency_ns = Up(known.mean.latency_ns),
                                     .jitter_ns = Up(known.mean.jitter_ns)}};
  for (int r = 0; r < kPointResourcesMax; ++r) point.units[r] = Up(known.units_mean[r]);
  return point;
}

// The one not measured for longest; never is longest of all.
int KnobLearner::ToExplore(int64_t offered_kbps, const int64_t* held_units) const {
  int oldest = -1;
  for (int i = 0; i < count_; ++i) {
    if (UpToDate(i, offered_kbps) || !Fits(room_[i], held_units)) continue;
    if (oldest < 0 || room_[i].measured < room_[oldest].measured) oldest = i;
  }
  return oldest;
}

int KnobLearner::Choose(const Utility& utility, const Microcredits* unit_prices_microcredits,
                        int64_t offered_kbps, int64_t round_us, const int64_t* held_units) {
  int best = -1;
  bool any_known = false;
  Wide best_surplus = 0;
  for (int i = 0; i < count_; ++i) {
    if (!Known(i) || !Fits(room_[i], held_units)) continue;
    any_known = true;
    const ProfilePoint known = Estimate(i);
    Wide surplus = ValueOf(known.performance, utility, offered_kbps, round_us);
    for (int r = 0; r < kPointResourcesMax; ++r) {
      surplus -= Wide{known.units[r]} * unit_prices_microcredits[r];
    }
    if (surplus > best_surplus) {
      best_surplus = surplus;
      best = i;
    }
  }
  // Nothing to go by is the one reason not to wait for the turn.
  if (++since_exploring_ < options_.explore_one_in && any_known) return best;
  const int explored = ToExplore(offered_kbps, held_units);
  if (explored < 0) return best;
  since_exploring_ = 0;
  return explored;
}

PointError FillTable(const KnobLearner& learner, const Utility& utility, int64_t offered_kbps,
                     int64_t round_us, WorkingPointTable& table) {
  table.Clear();
  for (int i = 0; i < learner.count(); ++i) {
    if (!learner.Known(i)) continue;
    if (const PointError error =
            AddPoint(learner.Estimate(i), utility, offered_kbps, round_us, table);
        error != PointError::kOk) {
      return error;
    }
  }
  return PointError::kOk;
}

}  // namespace nom::policies
