// SPDX-License-Identifier: Apache-2.0
#include "policies/objective/least_satisfied.h"

#include <algorithm>

#include "policies/clearing/int128.h"

namespace nom::policies {
namespace {

constexpr int64_t kMillion = 1'000'000;

int64_t CountedShare(const OwnerAsks& owner) {
  return std::max(kShareLeastPpm, SharePpm(owner.asked_units, owner.awarded_units));
}

}  // namespace

int64_t SharePpm(int64_t asked_units, int64_t awarded_units) {
  if (asked_units <= 0) return kMillion;
  return static_cast<int64_t>(Int128{std::clamp<int64_t>(awarded_units, 0, asked_units)} *
                              kMillion / asked_units);
}

int64_t AskedUnits(const Bid& bid, int64_t supply_units, Microcredits reserve_unit_price) {
  return BestUnits(bid, supply_units, reserve_unit_price);
}

std::vector<int64_t> LeastSatisfiedWeights(std::span<const OwnerAsks> owners, int64_t steepness) {
  int64_t least = kMillion;
  for (const OwnerAsks& owner : owners) {
    if (owner.asks_now) least = std::min(least, CountedShare(owner));
  }
  std::vector<int64_t> weights;
  weights.reserve(owners.size());
  for (const OwnerAsks& owner : owners) {
    int64_t weight = kWholeWeightPpm;
    const int64_t share = CountedShare(owner);
    for (int64_t i = 0; owner.asks_now && i < steepness; ++i) {
      weight = weight * least / share;  // Below 2^40.
    }
    weights.push_back(std::max<int64_t>(1, weight));
  }
  return weights;
}

}  // namespace nom::policies
