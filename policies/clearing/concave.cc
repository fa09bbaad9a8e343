#include "policies/clearing/concave.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "policies/clearing/int128.h"

namespace nom::policies {
namespace {

// Units of one bid that add the same gain (value above the reserve), at least 0.
struct Run {
  Microcredits gain = 0;
  uint32_t rank = 0;  // Of the bid in the order of ties.
  bool is_held = false;
  int64_t units = 0;
};

// The order in which units are served: auction.h's order of ties among equal gains.
bool IsServedBefore(const Run& a, const Run& b) {
  if (a.gain != b.gain) return a.gain > b.gain;
  if (a.is_held != b.is_held) return a.is_held;
  return a.rank < b.rank;
}

// Calls visit(units, price, range index) for each run of units of equal price, in order; stops
// early if it returns false. False if a quantity is refused or visit stopped.
template <typename Visit>
bool VisitMarginalUnits(const Bid& bid, const Visit& visit) {
  int64_t end_units = 0;
  Microcredits end_value = 0;
  for (size_t i = 0; i < bid.ranges.size(); ++i) {
    const Range& range = bid.ranges[i];
    if (range.min_units > end_units + 1) return false;
    if (range.min_units == end_units + 1 &&
        !visit(1, range.value_at_min_microcredits - end_value, i)) {
      return false;
    }
    const int64_t width = range.max_units - range.min_units;
    if (width > 0 && !visit(width, range.unit_price_microcredits, i)) return false;
    end_units = range.max_units;
    end_value =
        range.value_at_min_microcredits + (width == 0 ? 0 : width * range.unit_price_microcredits);
  }
  return true;
}

class RunList {
 public:
  RunList(const Auction& auction, const std::vector<size_t>& order) {
    size_t ranges = 0;
    for (const Bid& bid : auction.bids) ranges += bid.ranges.size();
    runs_.reserve(2 * ranges);
    for (size_t rank = 0; rank < order.size(); ++rank) {
      Add(auction.bids[order[rank]], static_cast<uint32_t>(rank),
          auction.reserve_unit_price_microcredits);
    }
    std::sort(runs_.begin(), runs_.end(), IsServedBefore);
  }

  std::vector<Run> Take() { return std::move(runs_); }

 private:
  void Add(const Bid& bid, uint32_t rank, Microcredits reserve) {
    int64_t held_left = bid.held_units;
    VisitMarginalUnits(bid, [&](int64_t units, Microcredits price, size_t) {
      if (price < reserve) return false;
      const int64_t held = std::min(held_left, units);
      if (held > 0) Append({price - reserve, rank, true, held});
      if (units > held) Append({price - reserve, rank, false, units - held});
      held_left -= held;
      return true;
    });
  }

  // Units of one bid that nothing tells apart are one run, so that no order among them is needed.
  void Append(const Run& run) {
    if (!runs_.empty() && runs_.back().rank == run.rank && runs_.back().gain == run.gain &&
        runs_.back().is_held == run.is_held) {
      runs_.back().units += run.units;
    } else {
      runs_.push_back(run);
    }
  }

  std::vector<Run> runs_;
};

// Sums over the runs that were not served, for any number of units from their front, with the runs
// of one bid skipped.
class ExcludedTail {
 public:
  ExcludedTail(std::vector<Run> tail, size_t ranks)
      : tail_(std::move(tail)), first_own_(ranks + 1, 0) {
    units_before_.reserve(tail_.size() + 1);
    gain_before_.reserve(tail_.size() + 1);
    units_before_.push_back(0);
    gain_before_.push_back(0);
    for (const Run& run : tail_) {
      units_before_.push_back(units_before_.back() + run.units);
      gain_before_.push_back(gain_before_.back() + Int128{run.gain} * run.units);
      ++first_own_[run.rank + 1];
    }
    // Places in the tail, grouped by bid: a counting sort.
    for (size_t r = 1; r < first_own_.size(); ++r) first_own_[r] += first_own_[r - 1];
    own_.resize(tail_.size());
    std::vector<uint32_t> next(first_own_.begin(), first_own_.end() - 1);
    for (size_t i = 0; i < tail_.size(); ++i)
      own_[next[tail_[i].rank]++] = static_cast<uint32_t>(i);
  }

  // The most that others' units would add on `units` units that bid `rank` gives up.
  Int128 GainOfOthers(uint32_t rank, int64_t units) const {
    Int128 gain = 0;
    size_t at = 0;
    for (uint32_t k = first_own_[rank]; k <= first_own_[rank + 1] && units > 0; ++k) {
      const size_t end = k < first_own_[rank + 1] ? own_[k] : tail_.size();
      gain += TakeFrom(at, end, units);
      at = end + 1;
    }
    return gain;
  }

 private:
  // From the runs [begin, end), lowering `units` by what was taken.
  Int128 TakeFrom(size_t begin, size_t end, int64_t& units) const {
    const int64_t there = units_before_[end] - units_before_[begin];
    if (there <= units) {
      units -= there;
      return gain_before_[end] - gain_before_[begin];
    }
    // The last run that is reached, perhaps not to its end.
    const int64_t target = units_before_[begin] + units;
    const auto last = static_cast<size_t>(
        std::upper_bound(units_before_.begin() + static_cast<ptrdiff_t>(begin),
                         units_before_.begin() + static_cast<ptrdiff_t>(end), target) -
        units_before_.begin() - 1);
    units = 0;
    return gain_before_[last] - gain_before_[begin] +
           Int128{tail_[last].gain} * (target - units_before_[last]);
  }

  std::vector<Run> tail_;
  std::vector<int64_t> units_before_;
  std::vector<Int128> gain_before_;
  std::vector<uint32_t> first_own_;  // By rank, into own_.
  std::vector<uint32_t> own_;        // Places in tail_ of each bid's runs, rising.
};

}  // namespace

absl::Status CheckConcave(const Bid& bid) {
  int64_t end_units = 0;
  for (size_t i = 0; i < bid.ranges.size(); ++i) {
    if (bid.ranges[i].min_units > end_units + 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          "ranges[", i, "].min_units: refuses ", end_units + 1, " to ", bid.ranges[i].min_units - 1,
          " units; only a rule for gaps can take this bid"));
    }
    end_units = bid.ranges[i].max_units;
  }
  Microcredits last_price = kValueMaxMicrocredits;
  size_t wrong = bid.ranges.size();
  bool wrong_at_min = false;
  int64_t at_units = 0;
  VisitMarginalUnits(bid, [&](int64_t units, Microcredits price, size_t range) {
    if (price > last_price) {
      wrong = range;
      wrong_at_min = at_units < bid.ranges[range].min_units;
      return false;
    }
    last_price = price;
    at_units += units;
    return true;
  });
  if (wrong == bid.ranges.size()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("ranges[", wrong, "].",
                   wrong_at_min ? "value_at_min_microcredits" : "unit_price_microcredits",
                   ": a unit is worth more than the one before it; only a rule for gaps can take "
                   "this bid"));
}

bool IsConcave(const Bid& bid) {
  Microcredits last_price = kValueMaxMicrocredits;
  return VisitMarginalUnits(bid, [&](int64_t, Microcredits price, size_t) {
    if (price > last_price) return false;
    last_price = price;
    return true;
  });
}

std::optional<ConcaveAwards> ClearConcave(const Auction& auction, bool with_charges) {
  if (auction.reclaim_penalty_microcredits > 0 &&
      std::any_of(auction.bids.begin(), auction.bids.end(),
                  [](const Bid& bid) { return bid.held_units > 0; })) {
    return std::nullopt;
  }
  const std::vector<size_t> order = InTieOrder(auction);
  std::vector<Run> runs = RunList(auction, order).Take();
  ConcaveAwards awards;
  awards.units.resize(auction.bids.size(), 0);
  awards.next_unit_price_microcredits = auction.reserve_unit_price_microcredits;
  int64_t left_units = auction.capacity_units;
  size_t served = 0;
  for (; served < runs.size() && left_units > 0; ++served) {
    Run& run = runs[served];
    const int64_t taken = std::min(left_units, run.units);
    awards.units[order[run.rank]] += taken;
    left_units -= taken;
    if (left_units == 0) {
      awards.next_unit_price_microcredits += run.gain;
      run.units -= taken;
      if (run.units > 0) break;  // Its rest is the front of the tail.
    }
  }
  if (!with_charges) return awards;
  runs.erase(runs.begin(), runs.begin() + static_cast<ptrdiff_t>(served));
  const ExcludedTail tail(std::move(runs), order.size());
  awards.charges.resize(auction.bids.size(), 0);
  for (size_t rank = 0; rank < order.size(); ++rank) {
    const int64_t units = awards.units[order[rank]];
    if (units == 0) continue;
    awards.charges[order[rank]] =
        static_cast<Microcredits>(Int128{units} * auction.reserve_unit_price_microcredits +
                                  tail.GainOfOthers(static_cast<uint32_t>(rank), units));
  }
  return awards;
}

}  // namespace nom::policies
