// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/joint/cells.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "policies/clearing/int128.h"
#include "policies/clearing/joint/axis.h"

namespace nom::policies::joint {
namespace {

constexpr size_t kTileCells = 64;
constexpr size_t kTileCellsLeast = 32;  // A smaller one goes on in the next block of the grid.
constexpr int64_t kGridMax = int64_t{1} << 22;
// Counted work, what validation looks at included.
constexpr int64_t kStepsABundle = 220;
constexpr int64_t kStepsAHeight = 90;
constexpr int64_t kStepsAPoint = 20;
constexpr int64_t kStepsAnAxis = 200;
constexpr int64_t kStepsToKeep = 25;  // A cell, in KeepHighestPerBundle.
constexpr int64_t kStepsAGridCell = 5;

// Costs no bid can pay need no exact number.
constexpr Microcredits kTooMuch = kValueMaxMicrocredits + 1;

// What units of one resource cost at the reserve and save in penalties.
struct Terms {
  Microcredits cost = 0;  // At most kTooMuch.
  Microcredits saved = 0;
};

class TermsOf {
 public:
  TermsOf(const JointAuction& auction, const JointBid& bid) : auction_(auction), bid_(bid) {}

  Terms operator()(size_t r, int64_t units) const {
    const Int128 cost = Int128{units} * auction_.reserve_unit_prices_microcredits[r];
    return {static_cast<Microcredits>(std::min<Int128>(cost, kTooMuch)),
            std::min(units, bid_.held_units[r]) * auction_.reclaim_penalties_microcredits[r]};
  }

 private:
  const JointAuction& auction_;
  const JointBid& bid_;
};

// The gain of a bundle; negative if it can't be sold.
Microcredits GainOf(Microcredits value, Microcredits cost, Microcredits saved, Values values) {
  if (value < cost) return -1;
  return (values == Values::kAsBid ? value - cost : 0) + saved;
}

struct Candidate {
  Microcredits gain = 0;
  Units units = {};
};

bool IsWithin(const Units& a, const Units& b) {
  for (size_t r = 0; r < a.size(); ++r) {
    if (a[r] > b[r]) return false;
  }
  return true;
}

// From candidates in any order. The first kCompared kept ones are enough to drop nearly all.
CellList Undominated(std::vector<Candidate> candidates) {
  constexpr size_t kCompared = 512;
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return a.gain != b.gain ? a.gain > b.gain : a.units < b.units;
  });
  std::vector<Candidate> kept;
  int64_t compared = 0;
  for (const Candidate& candidate : candidates) {
    const auto end = kept.begin() + static_cast<std::ptrdiff_t>(std::min(kept.size(), kCompared));
    const auto dominating = std::find_if(kept.begin(), end, [&](const Candidate& other) {
      return IsWithin(other.units, candidate.units);
    });
    compared += dominating - kept.begin();
    if (dominating == end) kept.push_back(candidate);
  }
  std::sort(kept.begin(), kept.end(),
            [](const Candidate& a, const Candidate& b) { return a.units < b.units; });
  CellList list;
  for (const Candidate& candidate : kept) {
    list.Add(static_cast<double>(candidate.gain), candidate.units);
    if (list.size() % kTileCells == 0) list.CloseTile();
  }
  list.CloseTile();
  list.steps = compared;
  return list;
}

CellList FromBundles(const JointAuction& auction, const JointBid& bid, Values values) {
  const TermsOf terms_of(auction, bid);
  std::vector<Candidate> candidates;
  for (const Bundle& bundle : bid.bundles) {
    Candidate candidate;
    Microcredits cost = 0;
    Microcredits saved = 0;
    bool fits = true;
    for (size_t r = 0; r < bundle.units.size(); ++r) {
      const Terms terms = terms_of(r, bundle.units[r]);
      cost += terms.cost;
      saved += terms.saved;
      fits = fits && bundle.units[r] <= auction.capacity_units[r];
      candidate.units[r] = static_cast<int32_t>(bundle.units[r]);
    }
    candidate.gain = GainOf(bundle.value_microcredits, cost, saved, values);
    if (fits && candidate.gain > 0) candidates.push_back(candidate);
  }
  CellList list = Undominated(std::move(candidates));
  list.steps += static_cast<int64_t>(bid.bundles.size()) * kStepsABundle;
  return list;
}

// Bundles along the frontier of kMin: for every height that some curve reaches, the fewest units of
// each resource that reach it.
CellList FromLeast(const JointAuction& auction, const JointBid& bid, Values values) {
  const TermsOf terms_of(auction, bid);
  std::array<std::vector<AxisPoint>, kJointResourcesMax> axes;
  std::vector<Microcredits> heights;
  std::vector<size_t> wanted;
  for (size_t r = 0; r < axes.size(); ++r) {
    if (bid.curves->curves[r].empty()) continue;
    wanted.push_back(r);
    axes[r] = AxisPoints(auction, bid, static_cast<int>(r));
    for (const AxisPoint& point : axes[r]) heights.push_back(point.value_microcredits);
  }
  std::sort(heights.begin(), heights.end());
  heights.erase(std::unique(heights.begin(), heights.end()), heights.end());
  std::vector<Candidate> candidates;
  std::array<size_t, kJointResourcesMax> at = {};
  for (const Microcredits height : heights) {
    Candidate candidate;
    Microcredits value = kValueMaxMicrocredits;
    Microcredits cost = 0;
    bool is_reached = true;
    for (const size_t r : wanted) {
      while (at[r] < axes[r].size() && axes[r][at[r]].value_microcredits < height) ++at[r];
      is_reached = is_reached && at[r] < axes[r].size();
      if (!is_reached) break;
      const AxisPoint& point = axes[r][at[r]];
      value = std::min(value, point.value_microcredits);
      cost += terms_of(r, point.units).cost;
      candidate.units[r] = static_cast<int32_t>(point.units);
    }
    if (!is_reached) break;
    candidate.gain = GainOf(value, cost, 0, values);
    if (candidate.gain > 0) candidates.push_back(candidate);
  }
  // Rising in units and, but for the reserve, in gain: one pass finds what is dominated.
  CellList list;
  Microcredits high = 0;
  for (const Candidate& candidate : candidates) {
    if (candidate.gain <= high) continue;
    high = candidate.gain;
    list.Add(static_cast<double>(candidate.gain), candidate.units);
    if (list.size() % kTileCells == 0) list.CloseTile();
  }
  list.CloseTile();
  list.steps = static_cast<int64_t>(heights.size()) * kStepsAHeight;
  return list;
}

// Bundles of one resource alone: the frontier of kMax.
CellList FromLargest(const JointAuction& auction, const JointBid& bid, Values values) {
  const TermsOf terms_of(auction, bid);
  CellList list;
  for (size_t r = 0; r < kJointResourcesMax; ++r) {
    Microcredits high = 0;
    size_t in_tile = 0;
    for (const AxisPoint& point : AxisPoints(auction, bid, static_cast<int>(r))) {
      list.steps += kStepsAPoint;
      const Microcredits gain =
          GainOf(point.value_microcredits, terms_of(r, point.units).cost, 0, values);
      if (gain <= high) continue;
      high = gain;
      Units units = {};
      units[r] = static_cast<int32_t>(point.units);
      list.Add(static_cast<double>(gain), units);
      if (++in_tile % kTileCells == 0) list.CloseTile();
    }
    list.CloseTile();
  }
  return list;
}

// All combinations of the axes' points, block by block, so that the cells of a tile lie together.
class Grid {
 public:
  Grid(const JointAuction& auction, const JointBid& bid, Values values)
      : combination_(bid.curves->combination), values_(values) {
    const TermsOf terms_of(auction, bid);
    int dimensions = 0;
    for (size_t r = 0; r < kJointResourcesMax; ++r) {
      is_wanted_[r] = !bid.curves->curves[r].empty();
      axes_[r] = AxisPoints(auction, bid, static_cast<int>(r));
      dimensions += axes_[r].size() > 1;
      for (const AxisPoint& point : axes_[r]) terms_[r].push_back(terms_of(r, point.units));
    }
    for (size_t r = kJointResourcesMax; r-- > 0;) {
      strides_[r] = r + 1 == kJointResourcesMax ? 1 : strides_[r + 1] * axes_[r + 1].size();
      constexpr size_t kEdges[] = {kTileCells, kTileCells, 8, 4, 3, 2, 2};
      edges_[r] = axes_[r].size() > 1 ? kEdges[dimensions] : 1;
    }
    highest_.resize(strides_[0] * axes_[0].size());
    start_ = combination_ == Combination::kProduct ? bid.curves->whole_value_microcredits
             : combination_ == Combination::kMin   ? kValueMaxMicrocredits
                                                   : 0;
  }

  CellList Take() {
    At block = {};
    do {
      VisitBlock(block);
    } while (NextBlock(block));
    list_.CloseTile();
    list_.steps = static_cast<int64_t>(highest_.size()) * kStepsAGridCell;
    for (const std::vector<AxisPoint>& axis : axes_) {
      list_.steps += kStepsAnAxis + static_cast<int64_t>(axis.size()) * kStepsAPoint;
    }
    return std::move(list_);
  }

 private:
  using At = std::array<size_t, kJointResourcesMax>;  // By axis, a place on it.

  Microcredits Combine(Microcredits value, size_t r, size_t i) const {
    if (!is_wanted_[r]) return value;
    const Microcredits of_curve = axes_[r][i].value_microcredits;
    switch (combination_) {
      case Combination::kSum:
        return value + of_curve;
      case Combination::kMin:
        return std::min(value, of_curve);
      case Combination::kMax:
        return std::max(value, of_curve);
      case Combination::kProduct:
        return ScaleByLevel(value, of_curve);
    }
    return value;
  }

  bool NextBlock(At& block) const {
    for (size_t r = kJointResourcesMax; r-- > 0;) {
      block[r] += edges_[r];
      if (block[r] < axes_[r].size()) return true;
      block[r] = 0;
    }
    return false;
  }

  void VisitBlock(const At& block) {
    At end;
    for (size_t r = 0; r < end.size(); ++r)
      end[r] = std::min(block[r] + edges_[r], axes_[r].size());
    At at = block;
    VisitFrom<0>(block, end, at, start_, 0, 0, 0);
    if (list_.size() - (list_.tiles.empty() ? 0 : list_.tiles.back().end) >= kTileCellsLeast) {
      list_.CloseTile();
    }
  }

  // All cells of the block whose first `r` units are those of `at`: what these make of the value,
  // cost, save and add to the index.
  template <size_t r>
  void VisitFrom(const At& block, const At& end, At& at, Microcredits value, Microcredits cost,
                 Microcredits saved, size_t index) {
    if constexpr (r == kJointResourcesMax) {
      Visit(at, index, GainOf(value, cost, saved, values_));
    } else {
      for (at[r] = block[r]; at[r] < end[r]; ++at[r]) {
        const Terms& terms = terms_[r][at[r]];
        VisitFrom<r + 1>(block, end, at, Combine(value, r, at[r]), cost + terms.cost,
                         saved + terms.saved, index + at[r] * strides_[r]);
      }
    }
  }

  // Neighbours with fewer units are in this block, earlier, or in one before it.
  void Visit(const At& at, size_t index, Microcredits gain) {
    if (index == 0) return;  // Nothing is worth nothing.
    Microcredits high = 0;
    for (size_t r = 0; r < at.size(); ++r) {
      if (at[r] > 0) high = std::max(high, highest_[index - strides_[r]]);
    }
    highest_[index] = std::max(high, gain);
    if (gain <= high) return;
    Units units;
    for (size_t r = 0; r < at.size(); ++r) units[r] = static_cast<int32_t>(axes_[r][at[r]].units);
    list_.Add(static_cast<double>(gain), units);
  }

  const Combination combination_;
  const Values values_;
  Microcredits start_ = 0;
  std::array<bool, kJointResourcesMax> is_wanted_ = {};
  std::array<std::vector<AxisPoint>, kJointResourcesMax> axes_;
  std::array<std::vector<Terms>, kJointResourcesMax> terms_;
  std::array<size_t, kJointResourcesMax> strides_ = {};
  std::array<size_t, kJointResourcesMax> edges_ = {};
  std::vector<Microcredits> highest_;  // Of all cells that need no more; 0 where none gains.
  CellList list_;
};

}  // namespace

void CellList::Add(double cell_gain, const Units& cell_units) {
  gain.push_back(cell_gain);
  for (size_t r = 0; r < units.size(); ++r) units[r].push_back(cell_units[r]);
}

void CellList::CloseTile() {
  Tile tile;
  tile.begin = tiles.empty() ? 0 : tiles.back().end;
  tile.end = static_cast<uint32_t>(size());
  if (tile.begin == tile.end) return;
  const auto begin = static_cast<std::ptrdiff_t>(tile.begin);
  tile.max_gain = *std::max_element(gain.begin() + begin, gain.end());
  for (size_t r = 0; r < units.size(); ++r) {
    tile.min_units[r] = *std::min_element(units[r].begin() + begin, units[r].end());
  }
  tiles.push_back(tile);
}

absl::StatusOr<CellList> MakeCells(const JointAuction& auction, const JointBid& bid,
                                   Values values) {
  Int128 saved = kValueMaxMicrocredits;
  for (size_t r = 0; r < bid.held_units.size(); ++r) {
    saved += Int128{bid.held_units[r]} * auction.reclaim_penalties_microcredits[r];
  }
  if (saved > kJointGainMax) {
    return absl::OutOfRangeError(absl::StrCat("guest ", bid.guest_id,
                                              ": the penalties on what it holds and its value can "
                                              "be above ",
                                              kJointGainMax));
  }
  if (!bid.curves.has_value()) return FromBundles(auction, bid, values);
  if (!IsFrontierOnly(auction, bid)) return Grid(auction, bid, values).Take();
  return bid.curves->combination == Combination::kMin ? FromLeast(auction, bid, values)
                                                      : FromLargest(auction, bid, values);
}

int64_t KeepHighestPerBundle(const JointAuction& auction, int64_t changed_max,
                             std::vector<CellList>& lists) {
  int64_t winners_max = 0;
  int64_t grid = 1;
  for (const int64_t capacity : auction.capacity_units) {
    winners_max += capacity;
    if (capacity + 1 > kGridMax / grid) return 0;
    grid *= capacity + 1;
  }
  if (winners_max + changed_max + 1 >= static_cast<int64_t>(lists.size())) return 0;
  const auto limit = static_cast<size_t>(winners_max + changed_max);
  auto index_of = [&](const CellList& list, size_t cell) {
    int64_t index = 0;
    for (size_t r = 0; r < list.units.size(); ++r) {
      index = index * (auction.capacity_units[r] + 1) + list.units[r][cell];
    }
    return static_cast<size_t>(index);
  };
  // Gains sorted by bundle: a counting sort.
  std::vector<uint32_t> first(static_cast<size_t>(grid) + 1, 0);
  for (const CellList& list : lists) {
    for (size_t cell = 0; cell < list.size(); ++cell) ++first[index_of(list, cell) + 1];
  }
  if (*std::max_element(first.begin(), first.end()) <= limit) return grid;
  std::partial_sum(first.begin(), first.end(), first.begin());
  std::vector<double> gains(first.back());
  std::vector<uint32_t> next(first.begin(), first.end() - 1);
  for (const CellList& list : lists) {
    for (size_t cell = 0; cell < list.size(); ++cell) {
      gains[next[index_of(list, cell)]++] = list.gain[cell];
    }
  }
  std::vector<double> least(static_cast<size_t>(grid), 0);
  for (size_t index = 0; index < least.size(); ++index) {
    const auto begin = gains.begin() + first[index];
    const auto end = gains.begin() + first[index + 1];
    if (static_cast<size_t>(end - begin) <= limit) continue;
    const auto nth = begin + static_cast<std::ptrdiff_t>(limit) - 1;
    std::nth_element(begin, nth, end, [](double a, double b) { return a > b; });
    least[index] = *nth;
  }
  for (CellList& list : lists) {
    CellList kept;
    for (const Tile& tile : list.tiles) {
      for (size_t cell = tile.begin; cell < tile.end; ++cell) {
        if (list.gain[cell] >= least[index_of(list, cell)]) {
          kept.Add(list.gain[cell], list.UnitsOf(cell));
        }
      }
      if (kept.size() - (kept.tiles.empty() ? 0 : kept.tiles.back().end) >= kTileCellsLeast) {
        kept.CloseTile();
      }
    }
    kept.CloseTile();
    list = std::move(kept);
  }
  return grid + static_cast<int64_t>(gains.size()) * kStepsToKeep;
}

CellList Restrict(const CellList& list, int r, int32_t low, int32_t high) {
  CellList part;
  part.may_lose = list.may_lose && low <= 0;
  const std::vector<int32_t>& units = list.units[static_cast<size_t>(r)];
  for (const Tile& tile : list.tiles) {
    for (size_t cell = tile.begin; cell < tile.end; ++cell) {
      if (units[cell] >= low && units[cell] <= high) {
        part.Add(list.gain[cell], list.UnitsOf(cell));
      }
    }
    if (part.size() - (part.tiles.empty() ? 0 : part.tiles.back().end) >= kTileCellsLeast) {
      part.CloseTile();
    }
  }
  part.CloseTile();
  return part;
}

}  // namespace nom::policies::joint
