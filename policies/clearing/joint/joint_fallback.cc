// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/joint/joint_fallback.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "policies/clearing/int128.h"
#include "policies/clearing/joint/axis.h"
#include "policies/clearing/joint/cells.h"
#include "policies/clearing/joint/joint_vcg.h"

namespace nom::policies {
namespace {

// For one bundle, at the most: reading, checking and comparing it.
constexpr int64_t kStepsAListed = 250;  // In a list.
constexpr int64_t kStepsAlong = 45;     // Along one curve.
constexpr int64_t kStepsInGrid = 6;     // Of all combinations of several curves.

// What the bid may keep in each resource.
UnitVector Kept(const JointAuction& auction, const JointBid& bid, const UnitVector& held) {
  UnitVector kept = bid.held_units;
  for (size_t r = 0; r < kept.size(); ++r) {
    if (held[r] > auction.capacity_units[r]) {
      kept[r] = static_cast<int64_t>(Int128{kept[r]} * auction.capacity_units[r] / held[r]);
    }
    kept[r] = std::min(kept[r], auction.capacity_units[r]);
  }
  return kept;
}

// The bundle within `most` that leaves the most at the reserves; among equals the first of the list
// of cells.
UnitVector BestWithin(const JointAuction& auction, const JointBid& bid, const UnitVector& most) {
  JointAuction alone = auction;
  alone.bids.clear();
  alone.capacity_units = most;
  alone.reclaim_penalties_microcredits = {};
  // A bid whose values do not fit keeps nothing.
  const auto cells = joint::MakeCells(alone, bid, joint::Values::kAsBid);
  UnitVector units = {};
  if (!cells.ok() || cells->size() == 0) return units;
  const auto best = std::max_element(cells->gain.begin(), cells->gain.end());
  const joint::Units of_cell = cells->UnitsOf(static_cast<size_t>(best - cells->gain.begin()));
  std::copy(of_cell.begin(), of_cell.end(), units.begin());
  return units;
}

// All capacity at the reserves and everybody's highest value: nothing gains more.
absl::StatusOr<Microcredits> RoughBound(const JointAuction& auction) {
  Int128 bound = 0;
  for (size_t r = 0; r < auction.capacity_units.size(); ++r) {
    bound += Int128{auction.capacity_units[r]} * auction.reserve_unit_prices_microcredits[r];
  }
  for (const JointBid& bid : auction.bids) bound += ValueMax(bid);
  return ToMicrocredits(bound, "welfare_bound");
}

}  // namespace

int64_t ReadingSteps(const JointAuction& auction, const JointBid& bid) {
  const int64_t bundles = CountBundles(auction, bid);
  if (!bid.curves) return bundles * kStepsAListed;
  const auto curves =
      std::count_if(bid.curves->curves.begin(), bid.curves->curves.end(),
                    [](const std::vector<Range>& ranges) { return !ranges.empty(); });
  const bool is_along = curves <= 1 || IsFrontierOnly(auction, bid);
  return bundles * (is_along ? kStepsAlong : kStepsInGrid);
}

int64_t ReadingStepsWithin(int64_t work_max) { return std::max<int64_t>(1, work_max / 2); }

absl::StatusOr<JointClearing> RepeatLastJoint(const JointAuction& auction) {
  if (auto s = ValidateJointAuction(auction); !s.ok()) return s;
  UnitVector held = {};
  for (const JointBid& bid : auction.bids) {
    for (size_t r = 0; r < held.size(); ++r) held[r] += bid.held_units[r];
  }
  JointClearing clearing;
  std::vector<UnitVector> units;
  for (const JointBid& bid : auction.bids) {
    units.push_back(BestWithin(auction, bid, Kept(auction, bid, held)));
    if (units.back() == UnitVector{}) continue;
    JointAward award{.guest_id = bid.guest_id, .units = units.back()};
    for (size_t r = 0; r < award.units.size(); ++r) {
      award.charge_microcredits += award.units[r] * auction.reserve_unit_prices_microcredits[r];
    }
    award.charge_bound_microcredits = award.charge_microcredits;
    award.charge_least_microcredits = award.charge_microcredits;
    clearing.awards.push_back(award);
  }
  std::sort(clearing.awards.begin(), clearing.awards.end(),
            [](const JointAward& a, const JointAward& b) { return a.guest_id < b.guest_id; });
  const auto welfare = JointWelfare(auction, units);
  if (!welfare.ok()) return welfare.status();
  const auto bound = RoughBound(auction);
  if (!bound.ok()) return bound.status();
  clearing.welfare_microcredits = *welfare;
  clearing.welfare_bound_microcredits = std::max(*welfare, *bound);
  clearing.charges_are_exact = false;
  clearing.clearing_unit_prices_microcredits = auction.reserve_unit_prices_microcredits;
  return clearing;
}

absl::StatusOr<JointCleared> ClearJointWithin(const JointAuction& auction, int64_t work_max) {
  if (auto s = ValidateJointAuction(auction); !s.ok()) return s;
  int64_t steps = 0;
  for (const JointBid& bid : auction.bids) steps += ReadingSteps(auction, bid);
  if (steps <= ReadingStepsWithin(work_max)) {
    const int64_t joint_work =
        std::min(work_max, kJointWorkMaxDefault / kJointStepsAStep) * kJointStepsAStep;
    absl::StatusOr<JointClearing> clearing = ClearJointVcg(auction, {.work_max = joint_work});
    if (clearing.ok()) {
      const Method method = clearing->charges_are_exact ? Method::kExact : Method::kBounded;
      return JointCleared{*std::move(clearing), method};
    }
    if (!absl::IsOutOfRange(clearing.status())) return clearing.status();
  }
  absl::StatusOr<JointClearing> repeated = RepeatLastJoint(auction);
  if (!repeated.ok()) return repeated.status();
  return JointCleared{*std::move(repeated), Method::kRepeatLast};
}

}  // namespace nom::policies
