#include "policies/clearing/concave/columns.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include "policies/clearing/int128.h"

namespace nom::policies {
namespace {

constexpr Microcredits kGainMax = std::numeric_limits<Microcredits>::max();
// So few are sorted at once.
constexpr size_t kSortedAtOnceMax = 128;
constexpr size_t kSampleMin = 64;
constexpr size_t kSampleMax = 2'048;
// Runs that are looked at before those to be kept are copied.
constexpr size_t kBlock = 512;

struct Offer {
  Microcredits gain;
  uint32_t run;
  int32_t units;
};

bool IsDearer(const Offer& a, const Offer& b) { return a.gain > b.gain; }

// The runs around the margin, dearest first, and the units of all that are dearer.
struct Window {
  std::vector<Offer> offers;
  int64_t units_above = 0;
};

size_t RootOf(size_t n) { return static_cast<size_t>(std::sqrt(static_cast<double>(n))); }

struct FromColumns {
  Microcredits GainOf(size_t i) const { return columns.gain[i]; }
  int64_t UnitsOf(size_t i) const { return columns.units[i]; }
  Offer At(size_t i) const { return {columns.gain[i], static_cast<uint32_t>(i), columns.units[i]}; }
  const ConcaveColumns& columns;
};

struct FromWindow {
  Microcredits GainOf(size_t i) const { return offers[i].gain; }
  int64_t UnitsOf(size_t i) const { return offers[i].units; }
  Offer At(size_t i) const { return offers[i]; }
  const Offer* offers;
};

// Finds the window that holds every run that ends behind unit `first_unit` and begins at unit
// `last_unit` or before, when all are put in order of falling gain.
class WindowFinder {
 public:
  WindowFinder(const ConcaveColumns& columns, int64_t first_unit, int64_t last_unit,
               int64_t all_units)
      : columns_(columns), first_unit_(first_unit), last_unit_(last_unit), all_units_(all_units) {}

  Window Find() {
    Window window;
    Window next;
    Narrow(FromColumns{columns_}, columns_.gain.size(), 0, all_units_, window);
    size_t count = columns_.gain.size();
    while (window.offers.size() > kSortedAtOnceMax && window.offers.size() <= count / 2) {
      count = window.offers.size();
      Narrow(FromWindow{window.offers.data()}, count, window.units_above, inside_units_, next);
      std::swap(window, next);
    }
    std::sort(window.offers.begin(), window.offers.end(), IsDearer);
    return window;
  }

 private:
  struct Gains {
    Microcredits low;
    Microcredits high;
  };

  // Gains that the wanted units probably lie between.
  template <typename Source>
  Gains Guess(const Source& source, size_t count, int64_t units_above, int64_t units) {
    const size_t size = std::min(count, std::clamp(RootOf(count), kSampleMin, kSampleMax));
    sample_.clear();
    Int128 sampled_units = 0;
    for (size_t i = 0; i < size; ++i) {
      sample_.push_back(source.At((2 * i + 1) * count / (2 * size)));
      sampled_units += sample_.back().units;
    }
    std::sort(sample_.begin(), sample_.end(), IsDearer);
    const Int128 first = (first_unit_ - units_above) * sampled_units / units;
    const Int128 last = (last_unit_ - units_above) * sampled_units / units;
    // More than two standard deviations of a rank in the sample. Now and then it is too little, and
    // the runs have to be looked at once more.
    const size_t slack = 1 + RootOf(size);
    Gains gains{0, kGainMax};
    Int128 before = 0;
    size_t past = 0;
    for (size_t i = 0; i < size; ++i) {
      before += sample_[i].units;
      if (before < first && i + 1 > slack) gains.high = sample_[i + 1 - slack].gain;
      if (before > last && ++past == slack) {
        gains.low = sample_[i].gain;
        break;
      }
    }
    return gains;
  }

  template <typename Source>
  void Narrow(const Source& source, size_t count, int64_t units_above, int64_t units,
              Window& window) {
    if (count == 0) return;
    Gains gains = Guess(source, count, units_above, units);
    while (true) {
      Collect(source, count, gains, window);
      window.units_above += units_above;
      const bool is_too_low = gains.high < kGainMax && window.units_above > first_unit_;
      const bool is_too_high = gains.low > 0 && window.units_above + inside_units_ < last_unit_;
      if (!is_too_low && !is_too_high) return;
      if (is_too_low) gains.high = kGainMax;
      if (is_too_high) gains.low = 0;
    }
  }

  template <typename Source>
  void Collect(const Source& source, size_t count, Gains gains, Window& window) {
    window.offers.clear();
    int64_t above = 0;
    const auto width = static_cast<uint64_t>(gains.high - gains.low);
    std::array<uint32_t, kBlock> inside;
    for (size_t begin = 0; begin < count; begin += kBlock) {
      const size_t end = std::min(count, begin + kBlock);
      size_t kept = 0;
      for (size_t i = begin; i < end; ++i) {
        // Without branches: they would be taken at random.
        const Microcredits gain = source.GainOf(i);
        above += source.UnitsOf(i) & -static_cast<int64_t>(gain > gains.high);
        inside[kept] = static_cast<uint32_t>(i);
        kept += static_cast<size_t>(static_cast<uint64_t>(gain - gains.low) <= width);
      }
      for (size_t k = 0; k < kept; ++k) window.offers.push_back(source.At(inside[k]));
    }
    window.units_above = above;
    inside_units_ = 0;
    for (const Offer& offer : window.offers) inside_units_ += offer.units;
  }

  const ConcaveColumns& columns_;
  const int64_t first_unit_;
  const int64_t last_unit_;
  const int64_t all_units_;
  std::vector<Offer> sample_;
  int64_t inside_units_ = 0;
};

// What the units that were not served would have added, dearest first. Sums may wrap: only
// differences are used, and those are at most the value of a bid.
class ExcludedTail {
 public:
  ExcludedTail() : steps_(1) {}

  void Add(Microcredits gain, int64_t units) {
    steps_.back() = {gain, end_units_ + units, end_units_, gain_before_};
    end_units_ += units;
    gain_before_ += static_cast<uint64_t>(gain) * static_cast<uint64_t>(units);
    steps_.emplace_back();
  }

  // Behind the last unit nothing is offered, without end.
  void Finish() {
    steps_.back() = {0, std::numeric_limits<int64_t>::max(), end_units_, gain_before_};
    while ((end_units_ >> shift_) > kBuckets) ++shift_;
    size_t step = 0;
    for (int64_t bucket = 0; bucket <= end_units_ >> shift_; ++bucket) {
      step = StepOf(bucket << shift_, step);
      step_of_bucket_.push_back(static_cast<uint32_t>(step));
    }
  }

  // What the best `units` units add that are not `own`, which are runs of falling gain:
  // next_own(gain, units) sets the next one and is false if there is none.
  template <typename NextOwn>
  uint64_t GainOfOthers(int64_t units, const NextOwn& next_own) const {
    const auto bucket = static_cast<size_t>(std::min(units, end_units_) >> shift_);
    size_t step = StepOf(units, step_of_bucket_[bucket]);
    uint64_t own_gain = 0;
    Microcredits gain = 0;
    int64_t own_units = 0;
    // Own units among the first `units` are passed over. Where gains are equal the order is ours.
    while (next_own(gain, own_units) && gain >= steps_[step].gain) {
      units += own_units;
      own_gain += static_cast<uint64_t>(gain) * static_cast<uint64_t>(own_units);
      step = StepOf(units, step);
    }
    const Step& last = steps_[step];
    return last.gain_before +
           static_cast<uint64_t>(units - last.begin_units) * static_cast<uint64_t>(last.gain) -
           own_gain;
  }

 private:
  static constexpr int64_t kBuckets = 4'096;

  struct Step {
    Microcredits gain = 0;
    int64_t end_units = 0;
    int64_t begin_units = 0;
    uint64_t gain_before = 0;
  };

  // The step in which the first `units` units end, which is not before `step`.
  size_t StepOf(int64_t units, size_t step) const {
    while (steps_[step].end_units < units) ++step;
    return step;
  }

  std::vector<Step> steps_;
  int64_t end_units_ = 0;
  uint64_t gain_before_ = 0;
  int shift_ = 0;
  std::vector<uint32_t> step_of_bucket_;
};

// What a bid offers at the gain of the margin.
struct AtMargin {
  uint32_t bid;
  uint64_t tie_order;
  int64_t held_units;  // Of `units`, so many are held now.
  int64_t units;
  int64_t awarded_units;
};

class Clearer {
 public:
  Clearer(const ConcaveColumns& columns, std::span<int64_t> units, std::span<Microcredits> charges)
      : columns_(columns), units_(units), charges_(charges) {}

  Microcredits Clear() {
    int64_t all_units = 0;
    int64_t most_units = 0;  // Of one bid.
    for (size_t bid = 0; bid < units_.size(); ++bid) {
      int64_t bid_units = 0;
      for (uint32_t run = columns_.first_run[bid]; run < columns_.first_run[bid + 1]; ++run) {
        bid_units += columns_.units[run];
      }
      all_units += bid_units;
      most_units = std::max(most_units, bid_units);
    }
    const bool is_margin = columns_.capacity_units <= all_units && columns_.capacity_units > 0;
    // Everything is served, or nothing.
    margin_gain_ = columns_.capacity_units > 0 ? -1 : kGainMax;
    if (is_margin) {
      const int64_t depth = charges_.empty() ? 0 : most_units;
      const Window window =
          WindowFinder(columns_, columns_.capacity_units - 1,
                       std::min(all_units, columns_.capacity_units + depth), all_units)
              .Find();
      FindMargin(window);
    }
    at_margin_.push_back({std::numeric_limits<uint32_t>::max(), 0, 0, 0, 0});
    tail_.Finish();
    FillIn();
    return columns_.reserve_unit_price_microcredits + (is_margin ? margin_gain_ : 0);
  }

 private:
  void FindMargin(const Window& window) {
    const std::vector<Offer>& offers = window.offers;
    int64_t left_units = columns_.capacity_units - window.units_above;
    size_t begin = 0;
    size_t end = 0;
    int64_t group_units = 0;
    while (true) {
      group_units = 0;
      for (end = begin; end < offers.size() && offers[end].gain == offers[begin].gain; ++end) {
        group_units += offers[end].units;
      }
      if (group_units >= left_units) break;
      left_units -= group_units;
      begin = end;
    }
    margin_gain_ = offers[begin].gain;
    Share({offers.data() + begin, end - begin}, left_units);
    if (charges_.empty()) return;
    if (group_units > left_units) tail_.Add(margin_gain_, group_units - left_units);
    for (; end < offers.size(); ++end) tail_.Add(offers[end].gain, offers[end].units);
  }

  // Among offers of one gain: holders first, then in the order of ties.
  void Share(std::span<const Offer> group, int64_t left_units) {
    for (const Offer& offer : group) {
      const auto bid = static_cast<uint32_t>(
          std::upper_bound(columns_.first_run.begin(), columns_.first_run.end(), offer.run) -
          columns_.first_run.begin() - 1);
      int64_t units_before = 0;
      for (uint32_t run = columns_.first_run[bid]; run < offer.run; ++run) {
        units_before += columns_.units[run];
      }
      const int64_t held_units =
          std::clamp<int64_t>(columns_.held_units[bid] - units_before, 0, offer.units);
      at_margin_.push_back(
          {bid, TieOrder(columns_.seed, columns_.guest_ids[bid]), held_units, offer.units, 0});
    }
    std::sort(at_margin_.begin(), at_margin_.end(),
              [](const AtMargin& a, const AtMargin& b) { return a.tie_order < b.tie_order; });
    for (AtMargin& bid : at_margin_) {
      bid.awarded_units = std::min(left_units, bid.held_units);
      left_units -= bid.awarded_units;
    }
    for (AtMargin& bid : at_margin_) {
      const int64_t more_units = std::min(left_units, bid.units - bid.held_units);
      bid.awarded_units += more_units;
      left_units -= more_units;
    }
    std::sort(at_margin_.begin(), at_margin_.end(),
              [](const AtMargin& a, const AtMargin& b) { return a.bid < b.bid; });
  }

  void FillIn() {
    const AtMargin* margin = at_margin_.data();
    for (size_t bid = 0; bid < units_.size(); ++bid) {
      const uint32_t end = columns_.first_run[bid + 1];
      uint32_t next = columns_.first_run[bid];
      int64_t units = 0;
      for (uint32_t run = next; run < end; ++run) {
        const auto is_served = static_cast<uint32_t>(columns_.gain[run] > margin_gain_);
        units += columns_.units[run] & -static_cast<int64_t>(is_served);
        next += is_served;
      }
      int64_t rest_units = 0;  // At the gain of the margin.
      for (; margin->bid == bid; ++margin, ++next) {
        units += margin->awarded_units;
        rest_units += margin->units - margin->awarded_units;
      }
      units_[bid] = units;
      if (!charges_.empty()) charges_[bid] = units == 0 ? 0 : Charge(units, rest_units, next, end);
    }
  }

  Microcredits Charge(int64_t units, int64_t rest_units, uint32_t next, uint32_t end) const {
    const uint64_t gain_of_others =
        tail_.GainOfOthers(units, [&](Microcredits& own_gain, int64_t& own_units) {
          if (rest_units > 0) {
            own_gain = margin_gain_;
            own_units = std::exchange(rest_units, 0);
            return true;
          }
          if (next == end) return false;
          own_gain = columns_.gain[next];
          own_units = columns_.units[next++];
          return true;
        });
    return units * columns_.reserve_unit_price_microcredits +
           static_cast<Microcredits>(gain_of_others);
  }

  const ConcaveColumns& columns_;
  const std::span<int64_t> units_;
  const std::span<Microcredits> charges_;
  Microcredits margin_gain_ = 0;     // Dearer runs are served, cheaper ones are not.
  std::vector<AtMargin> at_margin_;  // By rising bid; the last one is nobody's.
  ExcludedTail tail_;
};

}  // namespace

Microcredits ClearConcaveColumns(const ConcaveColumns& columns, std::span<int64_t> units,
                                 std::span<Microcredits> charges) {
  return Clearer(columns, units, charges).Clear();
}

}  // namespace nom::policies
