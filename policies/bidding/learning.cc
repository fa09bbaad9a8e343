// SPDX-License-Identifier: Apache-2.0
#include "policies/bidding/learning.h"

#include "policies/mix.h"

namespace nom::policies {
namespace {

__extension__ using Wide = __int128;  // Only multiplied, added, shifted and compared.

constexpr int64_t kOne = 1 << 16;        // The weight of a measurement of this round.
constexpr int64_t kRoundsToForget = 16;  // Half-lives: then nothing is left of kOne.
constexpr int kChangedSamples = 3;       // So many in a row far from what was believed.
constexpr int64_t kChangeAges = 3;       // Half-lives, by which a change makes all else older.
constexpr int64_t kScaleBits = 10;       // Of best_per_kbps_.
constexpr int64_t kScaleHalfLives = 32;  // In about so many the best value seen is forgotten.

int64_t Hold(int64_t number, int64_t low, int64_t high) {
  return number < low ? low : number > high ? high : number;
}

// Served nine tenths of what was offered or more: all, give or take noise.
bool ServedAll(const KnobSample& sample) {
  return int64_t{sample.throughput_kbps} * 10 >= int64_t{sample.load_kbps} * 9;
}

Microcredits Max(Microcredits a, Microcredits b) { return a > b ? a : b; }

bool Fits(const int64_t* units, const int64_t* held_units) {
  if (held_units == nullptr) return true;
  for (int r = 0; r < kPointResourcesMax; ++r) {
    if (units[r] > held_units[r]) return false;
  }
  return true;
}

bool CanBeHad(const int64_t* units, const Microcredits* unit_prices) {
  for (int r = 0; r < kPointResourcesMax; ++r) {
    if (units[r] > 0 && unit_prices[r] >= kNotOnSale) return false;
  }
  return true;
}

// Of what is more than any value it does not matter how much.
Microcredits CostOf(const int64_t* units, const Microcredits* unit_prices) {
  Wide cost = 0;
  for (int r = 0; r < kPointResourcesMax; ++r) cost += Wide{units[r]} * unit_prices[r];
  constexpr Wide kMost = 2 * Wide{kValueMaxMicrocredits};
  return static_cast<Microcredits>(cost > kMost ? kMost : cost);
}

// The largest whole number whose square is not above `square`. Below 2^62.
int64_t Root(int64_t square) {
  int64_t root = 0;
  for (int64_t bit = int64_t{1} << 30; bit > 0; bit >>= 1) {
    if ((root + bit) * (root + bit) <= square) root += bit;
  }
  return root;
}

int BitsOf(int64_t number) {
  int bits = 0;
  for (; number > 0; number >>= 1) ++bits;
  return bits;
}

Performance PerformanceOf(const KnobSample& sample) {
  return {.throughput_kbps = sample.throughput_kbps,
          .latency_ns = sample.latency_ns,
          .jitter_ns = sample.jitter_ns};
}

struct Weighed {
  int64_t number;
  int64_t weight;
};

// The smallest number that half of all the weight is at or below.
int64_t MedianOf(Weighed* items, int count) {
  int64_t total = 0;
  bool all_equal = true;
  for (int i = 0; i < count; ++i) {
    total += items[i].weight;
    all_equal &= items[i].number == items[0].number;
  }
  if (all_equal) return count == 0 ? 0 : items[0].number;
  // Few: by insertion.
  for (int i = 1; i < count; ++i) {
    const Weighed item = items[i];
    int place = i;
    for (; place > 0 && items[place - 1].number > item.number; --place) {
      items[place] = items[place - 1];
    }
    items[place] = item;
  }
  int64_t below = 0;
  int i = 0;
  while (2 * (below += items[i].weight) < total) ++i;
  return items[i].number;
}

}  // namespace

const char* WrongField(const LearningOptions& options) {
  if (options.explore_one_in < 2 || options.explore_one_in > kHalfLifeMax) return "explore_one_in";
  if (options.load_moved_percent < 0 || options.load_moved_percent > 100) {
    return "load_moved_percent";
  }
  if (options.samples_max < 1 || options.samples_max > kSamplesMax) return "samples_max";
  if (options.half_life_rounds < 0 || options.half_life_rounds > kHalfLifeMax) {
    return "half_life_rounds";
  }
  if (options.noise_percent < 1 || options.noise_percent > 100) return "noise_percent";
  return nullptr;
}

// What is believed of a setting at a load, and how well that is known.
struct KnobLearner::Belief {
  ProfilePoint point;
  int64_t weight = 0;  // Of the measurements at that load.
};

KnobLearner::KnobLearner(KnobEstimate* room, int capacity, const LearningOptions& options)
    : room_(room), capacity_(static_cast<int>(Hold(capacity, 0, kWorkingPointsMax))) {
  if (WrongField(options) == nullptr) options_ = options;
  interval_ = options_.explore_one_in;
}

int KnobLearner::Add(int64_t knob, const int64_t* units) {
  if (count_ == capacity_) return -1;
  KnobEstimate& added = room_[count_];
  added = KnobEstimate{};
  added.knob = knob;
  for (int r = 0; r < kPointResourcesMax; ++r) {
    added.units_enough[r] = Hold(units[r], 0, kUnitsMax);
  }
  return count_++;
}

int KnobLearner::Add(const ProfilePoint& profiled) {
  const int index = Add(profiled.knob, profiled.units);
  if (index < 0) return index;
  Measured(index, profiled.load_kbps, profiled.performance, profiled.units);
  return index;
}

bool KnobLearner::IsNear(int64_t load_kbps, int64_t other_kbps) const {
  const int64_t larger = load_kbps > other_kbps ? load_kbps : other_kbps;
  const int64_t smaller = load_kbps > other_kbps ? other_kbps : load_kbps;
  return (larger - smaller) * 100 <= larger * options_.load_moved_percent;
}

// Whether it says what the setting does at this load.
bool KnobLearner::Counts(const KnobSample& sample, int64_t offered_kbps) const {
  return IsNear(sample.load_kbps, offered_kbps) ||
         (offered_kbps > sample.load_kbps && !ServedAll(sample));
}

void KnobLearner::Measured(int index, int64_t offered_kbps, const Performance& performance,
                           const int64_t* units) {
  if (index < 0 || index >= count_) return;
  KnobEstimate& known = room_[index];
  KnobSample sample{.round = round_,
                    .latency_ns = Hold(performance.latency_ns, 0, kLatencyMaxNs),
                    .jitter_ns = Hold(performance.jitter_ns, 0, kLatencyMaxNs),
                    .load_kbps = static_cast<uint32_t>(Hold(offered_kbps, 0, kThroughputMaxKbps)),
                    .throughput_kbps = static_cast<uint32_t>(
                        Hold(performance.throughput_kbps, 0, kThroughputMaxKbps))};
  for (int r = 0; r < kPointResourcesMax; ++r) {
    sample.units[r] = static_cast<uint32_t>(Hold(units[r], 0, kUnitsMax));
  }
  // The oldest at this load makes room if there are enough of them, so that one load does not push
  // out what is known of the others; else the oldest of all, if it must.
  int near = 0;
  int oldest_near = -1;
  for (int i = 0; i < known.count; ++i) {
    if (!IsNear(known.samples[i].load_kbps, sample.load_kbps)) continue;
    if (oldest_near < 0) oldest_near = i;
    ++near;
  }
  int gone = known.count;
  if (near >= options_.samples_max) {
    gone = oldest_near;
  } else if (known.count == kSamplesKept) {
    gone = 0;
  }
  if (gone < known.count) {
    for (int i = gone; i + 1 < known.count; ++i) known.samples[i] = known.samples[i + 1];
    --known.count;
  }
  known.samples[known.count++] = sample;
  latest_ = index;
}

int64_t KnobLearner::HalfLife() const {
  if (options_.half_life_rounds > 0) return options_.half_life_rounds;
  return 32 * int64_t{count_ > 0 ? count_ : 1};
}

// Halves with each half-life, along a straight line in between.
int64_t KnobLearner::WeightOf(const KnobSample& sample) const {
  const int64_t half_life = HalfLife();
  const int64_t age = round_ - sample.round;
  if (age >= kRoundsToForget * half_life) return 0;
  const int64_t weight = kOne >> (age / half_life);
  return weight - weight * (age % half_life) / (2 * half_life);
}

// By its first so many samples.
KnobLearner::Belief KnobLearner::BeliefOf(const KnobEstimate& known, int samples,
                                          int64_t offered_kbps) const {
  const int64_t load = Hold(offered_kbps, 0, kThroughputMaxKbps);
  Belief belief{.point = {.knob = known.knob, .load_kbps = load}};
  if (samples == 0) {
    for (int r = 0; r < kPointResourcesMax; ++r) belief.point.units[r] = known.units_enough[r];
    return belief;
  }
  // Those that count today; if none does, those at the load nearest to it.
  int64_t nearest = known.samples[0].load_kbps;
  bool any_counts = false;
  for (int i = 0; i < samples; ++i) {
    const KnobSample& sample = known.samples[i];
    any_counts |= Counts(sample, load);
    const int64_t apart =
        sample.load_kbps > load ? sample.load_kbps - load : load - sample.load_kbps;
    const int64_t least = nearest > load ? nearest - load : load - nearest;
    if (apart <= least) nearest = sample.load_kbps;
  }
  const KnobSample* counted[kSamplesKept];
  int64_t weights[kSamplesKept];
  int count = 0;
  for (int i = samples - 1; i >= 0 && count < options_.samples_max; --i) {
    const KnobSample& sample = known.samples[i];
    if (any_counts ? !Counts(sample, load) : !IsNear(sample.load_kbps, nearest)) continue;
    const int64_t weight = WeightOf(sample);
    if (any_counts) belief.weight += weight;
    weights[count] = weight > 0 ? weight : 1;
    counted[count++] = &sample;
  }
  Weighed items[kSamplesKept];
  const auto median = [&](const auto& number_of) {
    for (int i = 0; i < count; ++i) items[i] = {number_of(*counted[i]), weights[i]};
    return MedianOf(items, count);
  };
  belief.point.performance = {
      .throughput_kbps = median([&](const KnobSample& s) {
        const int64_t served = s.throughput_kbps;
        const bool scales =
            ServedAll(s) && s.load_kbps > 0 && (load < s.load_kbps || IsNear(s.load_kbps, load));
        return scales ? Hold(served * load / s.load_kbps, 0, kThroughputMaxKbps) : served;
      }),
      .latency_ns = median([](const KnobSample& s) { return s.latency_ns; }),
      .jitter_ns = median([](const KnobSample& s) { return s.jitter_ns; })};
  for (int r = 0; r < kPointResourcesMax; ++r) {
    belief.point.units[r] = median([r](const KnobSample& s) { return int64_t{s.units[r]}; });
  }
  return belief;
}

bool KnobLearner::KnownAt(int index, int64_t offered_kbps) const {
  const KnobEstimate& known = room_[index];
  for (int i = 0; i < known.count; ++i) {
    if (Counts(known.samples[i], Hold(offered_kbps, 0, kThroughputMaxKbps))) return true;
  }
  return false;
}

// The smallest number: never.
int64_t KnobLearner::LastRound(int index) const {
  const KnobEstimate& known = room_[index];
  return known.count == 0 ? INT64_MIN : known.samples[known.count - 1].round;
}

int64_t KnobLearner::LastLoadKbps(int index) const {
  const KnobEstimate& known = room_[index];
  return known.count == 0 ? 0 : known.samples[known.count - 1].load_kbps;
}

ProfilePoint KnobLearner::Estimate(int index, int64_t offered_kbps) const {
  return BeliefOf(room_[index], room_[index].count, offered_kbps).point;
}

// From explore_one_in to nearly twice as many.
int64_t KnobLearner::NextInterval() const {
  const auto one_in = static_cast<uint64_t>(options_.explore_one_in);
  return static_cast<int64_t>(one_in + Mix(static_cast<uint64_t>(round_)) % one_in);
}

int KnobLearner::Choose(const Utility& utility, const Microcredits* unit_prices_microcredits,
                        int64_t offered_kbps, int64_t round_us, const int64_t* held_units) {
  ++round_;
  const int64_t load = Hold(offered_kbps, 0, kThroughputMaxKbps);
  // What serving everything at once would be worth: no setting is worth more.
  const Microcredits value_most = ValueOf({.throughput_kbps = load}, utility, load, round_us);
  ForgetWhatWasBeforeAChange(utility, load, round_us);
  int best = -1;
  Microcredits best_surplus = 0;
  Microcredits best_value = 0;
  bool any_known = false;
  for (int i = 0; i < count_; ++i) {
    KnobEstimate& setting = room_[i];
    const Belief belief = BeliefOf(setting, setting.count, load);
    setting.fits = Fits(belief.point.units, held_units) &&
                   CanBeHad(belief.point.units, unit_prices_microcredits);
    if (!setting.fits) continue;
    setting.weight = belief.weight;
    setting.cost = CostOf(belief.point.units, unit_prices_microcredits);
    if (setting.count == 0) continue;
    any_known = true;
    const Microcredits value = ValueOf(belief.point.performance, utility, load, round_us);
    if (value > best_value) best_value = value;
    setting.surplus = value - setting.cost;
    if (setting.surplus > best_surplus) {
      best_surplus = setting.surplus;
      best = i;
    }
  }
  const Microcredits scale = ScaleOf(best_value, load);
  ++since_exploring_;
  // What did better than the best, and than was believed of it, is tried again at once: either it
  // was an outlier, or it has changed.
  if (const int latest = latest_; latest >= 0 && latest != best && room_[latest].fits) {
    latest_ = -1;
    const Microcredits value = ValueOf(
        PerformanceOf(room_[latest].samples[room_[latest].count - 1]), utility, load, round_us);
    const Microcredits leaves = value - room_[latest].cost;
    if (leaves > best_surplus && leaves > room_[latest].surplus + Apart(scale)) return latest;
  }
  // Nothing to go by is the one reason not to wait for the turn.
  if (since_exploring_ < interval_ && any_known) return best;
  const int explored = ToExplore(best, best_surplus, value_most, scale);
  if (explored < 0 || explored == best) return best;
  since_exploring_ = 0;
  interval_ = NextInterval();
  return explored;
}

// The last few measurements of what was measured last, all far from what was believed before them
// and on the same side: the world has changed, and what was before says nothing any more.
void KnobLearner::ForgetWhatWasBeforeAChange(const Utility& utility, int64_t load_kbps,
                                             int64_t round_us) {
  if (latest_ < 0) return;
  KnobEstimate& setting = room_[latest_];
  const int before = setting.count - kChangedSamples;
  if (before <= 0) return;
  const Belief belief = BeliefOf(setting, before, load_kbps);
  if (belief.weight == 0) return;
  const Microcredits believed = ValueOf(belief.point.performance, utility, load_kbps, round_us);
  const Microcredits apart = Apart(ScaleOf(believed, load_kbps));
  bool above = true;
  bool below = true;
  for (int i = before; i < setting.count; ++i) {
    const KnobSample& sample = setting.samples[i];
    const Microcredits value = ValueOf(PerformanceOf(sample), utility, load_kbps, round_us);
    const bool counts = Counts(sample, load_kbps);
    above &= counts && value > believed + apart;
    below &= counts && value < believed - apart;
  }
  if (!above && !below) return;
  int kept = 0;
  for (int i = 0; i < setting.count; ++i) {
    if (i < before && Counts(setting.samples[i], load_kbps)) continue;
    setting.samples[kept++] = setting.samples[i];
  }
  setting.count = kept;
  // Where one has changed others may have, too: what is known of them counts as older than it is.
  for (int i = 0; i < count_; ++i) {
    if (i == latest_) continue;
    for (int k = 0; k < room_[i].count; ++k) room_[i].samples[k].round -= kChangeAges * HalfLife();
  }
}

// What noise alone hardly ever does.
Microcredits KnobLearner::Apart(Microcredits scale) const {
  return scale / 100 * options_.noise_percent * 4;
}

// The best value of today, or what it would be at today's load going by the best of late: when all
// settings fail at once, that is what trying them is worth.
Microcredits KnobLearner::ScaleOf(Microcredits best_value, int64_t load_kbps) {
  if (load_kbps == 0) return best_value;
  best_per_kbps_ -= best_per_kbps_ / (kScaleHalfLives * HalfLife());
  const int64_t per_kbps = (best_value << kScaleBits) / load_kbps;
  if (per_kbps > best_per_kbps_) best_per_kbps_ = per_kbps;
  const Wide of_late = (Wide{best_per_kbps_} * load_kbps) >> kScaleBits;
  return of_late > kValueMaxMicrocredits ? kValueMaxMicrocredits
                                         : static_cast<Microcredits>(of_late);
}

// The upper bound of discounted UCB on what a setting leaves.
Microcredits KnobLearner::UpperBound(const KnobEstimate& setting, Microcredits value_most,
                                     Microcredits scale) const {
  // A setting of which nothing is expected is worth trying by what is paid for it.
  const Microcredits of = Max(Max(scale, setting.cost), 1);
  // 2 ln(n) is 1.386 log2(n); n is what a half-life of measurements and all before it weigh.
  const int64_t logs = 2 * BitsOf(HalfLife() + HalfLife() / 2) - 1;
  const int64_t root = Root((logs * 693 * kOne << 20) / (1'000 * setting.weight));
  const Wide more = (Wide{of} * (options_.noise_percent * 1'024 / 100) * root) >> 20;
  const Microcredits bound = value_most - setting.cost;
  return setting.surplus + more > bound ? bound : setting.surplus + static_cast<int64_t>(more);
}

// The setting to try: one that was never tried or is forgotten, else one that is unknown at this
// load and could be the best, always the one not measured for longest; else the one with the
// highest bound. -1 if that is nothing at all.
int KnobLearner::ToExplore(int best, Microcredits best_surplus, Microcredits value_most,
                           Microcredits scale) const {
  int forgotten = -1;
  int unknown = -1;
  int highest = -1;
  Microcredits highest_bound = 0;
  const auto older = [&](int i, int other) { return other < 0 || LastRound(i) < LastRound(other); };
  for (int i = 0; i < count_; ++i) {
    const KnobEstimate& setting = room_[i];
    if (!setting.fits) continue;
    if (setting.count == 0 || WeightOf(setting.samples[setting.count - 1]) == 0) {
      if (older(i, forgotten)) forgotten = i;
    } else if (setting.weight == 0) {
      if (value_most - setting.cost > best_surplus && older(i, unknown)) unknown = i;
    } else if (const Microcredits bound = UpperBound(setting, value_most, scale);
               bound > highest_bound || (bound == highest_bound && i == best)) {
      highest_bound = bound;
      highest = i;
    }
  }
  return forgotten >= 0 ? forgotten : unknown >= 0 ? unknown : highest;
}

PointError FillTable(const KnobLearner& learner, const Utility& utility, int64_t offered_kbps,
                     int64_t round_us, WorkingPointTable& table) {
  table.Clear();
  for (int i = 0; i < learner.count(); ++i) {
    if (!learner.Known(i)) continue;
    if (const PointError error =
            AddPoint(learner.Estimate(i, offered_kbps), utility, offered_kbps, round_us, table);
        error != PointError::kOk) {
      return error;
    }
  }
  return PointError::kOk;
}

}  // namespace nom::policies
