// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/greedy.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <optional>
#include <span>
#include <vector>

#include "policies/clearing/concave/hull.h"
#include "policies/clearing/concave/selection.h"
#include "policies/clearing/int128.h"
#include "policies/clearing/outcome.h"

namespace nom::policies {
namespace {

// Steps of counted work (work.h), as measured by bench/policies/concave_goals.cc.
constexpr int64_t kStepsABid = 4;
constexpr int64_t kStepsARange = 5;
constexpr int64_t kStepsAPart = 1;        // Summed up.
constexpr int64_t kStepsAnOpenPart = 32;  // Put on the heap and taken off.
// For the price, the charges and the awards.
constexpr int64_t kStepsAnOutcomesBid = 24;
constexpr int64_t kStepsAnOutcomesRange = 4;

int64_t Count(size_t n) { return static_cast<int64_t>(n); }

// Where the capacity ends among all parts, steepest first.
struct Margin {
  // Parts with a larger slope are served whole. -1 if all are.
  Microcredits slope = -1;
  // The parts of this slope, of which not all fit: slopes are rounded down, so they differ still.
  std::vector<uint32_t> parts;
  int64_t left_units = 0;  // For them.
};

// Nothing if the work is used up.
std::optional<Margin> FindMargin(const Auction& auction, const Hull& hull, Work& work) {
  Margin margin;
  const int64_t all_units = std::accumulate(hull.units.begin(), hull.units.end(), int64_t{0});
  margin.left_units = auction.capacity_units - all_units;
  if (margin.left_units >= 0) return margin;
  const std::optional<Window> window =
      FindWindow({hull.slope, hull.units, auction.seed}, auction.capacity_units - 1,
                 auction.capacity_units, all_units, work);
  if (!window.has_value()) return std::nullopt;
  margin.left_units = auction.capacity_units - window->units_above;
  const std::vector<Offer>& offers = window->offers;
  for (size_t begin = 0, end = 0;; begin = end) {
    int64_t group_units = 0;
    for (; end < offers.size() && offers[end].gain == offers[begin].gain; ++end) {
      group_units += offers[end].units;
    }
    if (group_units >= margin.left_units) {
      margin.slope = offers[begin].gain;
      for (size_t i = begin; i < end; ++i) margin.parts.push_back(offers[i].run);
      return margin;
    }
    margin.left_units -= group_units;
  }
}

absl::Status UsedUp() { return absl::ResourceExhaustedError("work: used up"); }

int64_t RangesOf(const Auction& auction) {
  int64_t ranges = 0;
  for (const Bid& bid : auction.bids) ranges += Count(bid.ranges.size());
  return ranges;
}

bool TakeForHull(const Auction& auction, Work& work) {
  return work.Take(kStepsABid * Count(auction.bids.size()) + kStepsARange * RangesOf(auction));
}

bool TakeForOutcome(const Auction& auction, Work& work) {
  return work.Take(kStepsAnOutcomesBid * Count(auction.bids.size()) +
                   kStepsAnOutcomesRange * RangesOf(auction));
}

// Of parts with the same slope, what the slope left out decides. rest / units < 1, so products stay
// below 2^48.
bool HasLargerRest(const Hull& hull, uint32_t a, uint32_t b) {
  return int64_t{hull.rest[a]} * hull.units[b] > int64_t{hull.rest[b]} * hull.units[a];
}

bool HasEqualRest(const Hull& hull, uint32_t a, uint32_t b) {
  return int64_t{hull.rest[a]} * hull.units[b] == int64_t{hull.rest[b]} * hull.units[a];
}

// The gain of all that is served, the last part by a fraction. Which one of equally steep parts is
// cut does not matter: whole ones have a whole gain.
std::optional<Int128> BoundOf(const Auction& auction, const Hull& hull, Margin& margin,
                              Work& work) {
  if (!work.Take(kStepsAPart * Count(hull.slope.size()) +
                 kStepsAnOpenPart * Count(margin.parts.size()))) {
    return std::nullopt;
  }
  // W of keeping everything, with every holder losing everything.
  Int128 bound = Int128{auction.capacity_units} * auction.reserve_unit_price_microcredits;
  for (const Bid& bid : auction.bids) {
    bound -= Int128{bid.held_units} * auction.reclaim_penalty_microcredits;
  }
  for (size_t part = 0; part < hull.slope.size(); ++part) {
    const int32_t is_served = -static_cast<int32_t>(hull.slope[part] > margin.slope);
    bound +=
        Int128{hull.slope[part]} * (hull.units[part] & is_served) + (hull.rest[part] & is_served);
  }
  int64_t left_units = margin.left_units;
  const size_t wholly = PartitionAtUnits(
      std::span(margin.parts), left_units,
      [&](uint32_t a, uint32_t b) { return HasLargerRest(hull, a, b); },
      [&](uint32_t part) { return hull.units[part]; });
  for (size_t i = 0; i < wholly; ++i) bound += hull.GainOf(margin.parts[i]);
  if (wholly < margin.parts.size()) {
    const uint32_t cut = margin.parts[wholly];
    const int64_t units = hull.units[cut];
    bound += Int128{hull.slope[cut]} * left_units +
             (int64_t{hull.rest[cut]} * left_units + units - 1) / units;  // Rounded up.
  }
  return bound;
}

// Serves parts from the margin down, as long as there is something left of the capacity.
class Filler {
 public:
  Filler(const Auction& auction, const Hull& hull, std::vector<int64_t>& units, int64_t left_units)
      : auction_(auction),
        hull_(hull),
        units_(units),
        left_units_(left_units),
        is_done_(auction.bids.size(), false) {}

  int64_t left_units() const { return left_units_; }

  // `parts` are all those that are equally steep or steeper than what is to come. False if the work
  // is used up.
  bool Fill(std::span<const uint32_t> parts, Work& work) {
    if (!work.Take(kStepsAnOpenPart * Count(parts.size()))) return false;
    heap_.clear();
    size_t bid = 0;
    for (uint32_t part : parts) {  // Rising, so the bids are met on the way.
      while (hull_.first_part[bid + 1] <= part) ++bid;
      heap_.push_back(
          {part, static_cast<uint32_t>(bid), TieOrder(auction_.seed, auction_.bids[bid].guest_id)});
    }
    const auto is_later = [&](const Open& a, const Open& b) { return IsSteeper(b, a); };
    std::make_heap(heap_.begin(), heap_.end(), is_later);
    while (left_units_ > 0 && !heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end(), is_later);
      Serve(heap_.back());
      heap_.pop_back();
    }
    return true;
  }

 private:
  struct Open {
    uint32_t part;
    uint32_t bid;
    uint64_t tie_order;
  };

  bool IsSteeper(const Open& a, const Open& b) const {
    if (hull_.slope[a.part] != hull_.slope[b.part]) {
      return hull_.slope[a.part] > hull_.slope[b.part];
    }
    if (!HasEqualRest(hull_, a.part, b.part)) return HasLargerRest(hull_, a.part, b.part);
    return a.tie_order != b.tie_order ? a.tie_order < b.tie_order : a.part < b.part;
  }

  void Serve(const Open& open) {
    if (is_done_[open.bid]) return;
    int64_t& awarded = units_[open.bid];
    const int64_t before = awarded;
    if (hull_.units[open.part] <= left_units_) {
      awarded += hull_.units[open.part];
    } else {
      // Not all of it: as much as the bid allows, and then no more of this bid.
      awarded = std::max(awarded,
                         BestGainWithin(auction_, auction_.bids[open.bid], awarded + left_units_));
      is_done_[open.bid] = true;
    }
    left_units_ -= awarded - before;
  }

  const Auction& auction_;
  const Hull& hull_;
  std::vector<int64_t>& units_;
  int64_t left_units_;
  std::vector<bool> is_done_;
  std::vector<Open> heap_;
};

}  // namespace

absl::StatusOr<Microcredits> WelfareBound(const Auction& auction, Work& work) {
  if (!TakeForHull(auction, work)) return UsedUp();
  const Hull hull = MakeHull(auction);
  std::optional<Margin> margin = FindMargin(auction, hull, work);
  if (!margin.has_value()) return UsedUp();
  const std::optional<Int128> bound = BoundOf(auction, hull, *margin, work);
  if (!bound.has_value()) return UsedUp();
  return ToMicrocredits(*bound, "welfare bound");
}

absl::StatusOr<Microcredits> WelfareBound(const Auction& auction) {
  Work work = Work::Unlimited();
  return WelfareBound(auction, work);
}

absl::StatusOr<Clearing> ClearGreedy(const Auction& auction, Work& work) {
  if (auto s = ValidateAuction(auction); !s.ok()) return s;
  if (!TakeForHull(auction, work)) return UsedUp();
  const Hull hull = MakeHull(auction);
  std::optional<Margin> margin = FindMargin(auction, hull, work);
  if (!margin.has_value()) return UsedUp();
  std::vector<int64_t> units(auction.bids.size(), 0);
  std::vector<uint32_t> open;
  for (size_t bid = 0; bid < units.size(); ++bid) {
    for (uint32_t part = hull.first_part[bid]; part < hull.first_part[bid + 1]; ++part) {
      if (hull.slope[part] > margin->slope) {
        units[bid] += hull.units[part];
      } else if (hull.slope[part] < margin->slope) {
        open.push_back(part);
      }
    }
  }
  Filler filler(auction, hull, units, margin->left_units);
  if (!filler.Fill(margin->parts, work)) return UsedUp();
  if (filler.left_units() > 0 && !filler.Fill(open, work)) return UsedUp();
  const std::optional<Int128> sum = BoundOf(auction, hull, *margin, work);
  if (!sum.has_value() || !TakeForOutcome(auction, work)) return UsedUp();
  const absl::StatusOr<Microcredits> bound = ToMicrocredits(*sum, "welfare bound");
  if (!bound.ok()) return bound.status();
  absl::StatusOr<Clearing> clearing = AtOnePrice(auction, units);
  if (!clearing.ok()) return clearing;
  clearing->welfare_bound_microcredits = *bound;
  clearing->method = Method::kGreedy;
  return clearing;
}

absl::StatusOr<Clearing> ClearGreedy(const Auction& auction) {
  Work work = Work::Unlimited();
  return ClearGreedy(auction, work);
}

}  // namespace nom::policies
