// SPDX-License-Identifier: Apache-2.0
#include "bench/policies/joint_auctions.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "bench/policies/bench_random.h"

namespace nom::policies {
namespace {

constexpr double kLomaxIndex = 1.160964;  // log4 5.
constexpr double kWealth = 1e10;          // 10,000 credits.

double Wealth(BenchRandom& random) {
  const double lomax = std::pow(1 - random.Uniform(), -1 / kLomaxIndex) - 1;
  return kWealth * std::min(lomax, 2'000.0);
}

// Corners of a curve from (0, 0) to x = 1, heights in [0, 1].
using Corners = std::vector<std::pair<double, double>>;

Corners ConcaveCorners(BenchRandom& random) {
  Corners corners;
  if (random.Between(0, 1) == 0) {
    const double power = 0.2 + 0.7 * random.Uniform();
    for (int i = 1; i <= 15; ++i) {
      const double x = std::pow(i / 15.0, 2);
      corners.emplace_back(x, std::pow(x, power));
    }
    return corners;
  }
  const int64_t slopes = random.Between(2, 6);
  double slope = 1;
  double height = 0;
  for (int64_t i = 1; i <= slopes; ++i) {
    height += slope;
    slope *= 0.3 + 0.6 * random.Uniform();
    corners.emplace_back(static_cast<double>(i) / static_cast<double>(slopes + 1), height);
  }
  corners.emplace_back(1, height);  // Saturated.
  for (auto& [x, y] : corners) y /= height;
  return corners;
}

Corners KnotCorners(BenchRandom& random) {
  const int64_t knots = random.Between(1, 4);
  std::vector<double> xs;
  std::vector<double> ys;
  for (int64_t i = 0; i < knots; ++i) {
    xs.push_back(random.Uniform());
    ys.push_back(random.Uniform());
  }
  std::sort(xs.begin(), xs.end());
  std::sort(ys.begin(), ys.end());
  Corners corners;
  for (size_t i = 0; i < xs.size(); ++i) corners.emplace_back(xs[i], ys[i]);
  corners.emplace_back(1, 1);
  return corners;
}

Corners MaximaCorners(BenchRandom& random) {
  const int64_t maxima = random.Between(1, 3);
  Corners corners;
  double height = 0;
  for (int64_t i = 0; i < maxima; ++i) {
    const double at = (static_cast<double>(i) + random.Uniform()) / static_cast<double>(maxima);
    height += (1 - height) * (0.3 + 0.7 * random.Uniform());
    corners.emplace_back(at, height);
    const double dip = at + (1.0 / static_cast<double>(maxima)) * 0.4 * random.Uniform();
    corners.emplace_back(dip, height * (0.6 + 0.3 * random.Uniform()));
  }
  return corners;
}

// Steps are their corners alone; other curves are straight lines between theirs.
std::vector<Range> CurveOf(BenchRandom& random, CurveKind kind, int64_t units_max, double scale) {
  Corners corners;
  switch (kind) {
    case CurveKind::kConcave:
      corners = ConcaveCorners(random);
      break;
    case CurveKind::kKnots:
    case CurveKind::kSteps:
      corners = KnotCorners(random);
      break;
    case CurveKind::kMaxima:
      corners = MaximaCorners(random);
      break;
  }
  std::vector<Range> ranges;
  int64_t at_units = 0;
  int64_t value = 0;
  for (const auto& [x, y] : corners) {
    const auto units = std::llround(std::min(1.0, x) * static_cast<double>(units_max));
    if (units <= at_units) continue;
    const auto goal = std::llround(y * scale);
    if (kind == CurveKind::kSteps) {
      ranges.push_back({units, units, goal, 0});
    } else {
      const int64_t slope = (goal - value) / (units - at_units);
      ranges.push_back({at_units, units, value, slope});
      value += slope * (units - at_units);
    }
    at_units = units;
  }
  return ranges;
}

}  // namespace

JointAuction CurveAuction(const JointWorkload& workload) {
  BenchRandom random(workload.seed);
  JointAuction auction;
  auction.resource_count = workload.resources;
  auction.seed = workload.seed;
  const int64_t capacity =
      std::llround(std::pow(static_cast<double>(workload.cells), 1.0 / workload.resources));
  for (size_t r = 0; r < static_cast<size_t>(workload.resources); ++r) {
    auction.capacity_units[r] = capacity;
  }
  const double share = 5.0 * static_cast<double>(capacity) / static_cast<double>(workload.bids);
  const double most = workload.most_of_capacity * static_cast<double>(capacity);
  for (int64_t i = 0; i < workload.bids; ++i) {
    JointBid bid;
    bid.guest_id = static_cast<GuestId>(i) + 1;
    CurveFamily& family = bid.curves.emplace();
    family.combination = workload.combination;
    const bool is_product = workload.combination == Combination::kProduct;
    const double wealth = Wealth(random);
    if (is_product) family.whole_value_microcredits = std::llround(wealth);
    const double scale = is_product ? static_cast<double>(kLevelOne)
                         : workload.combination == Combination::kSum ? wealth / workload.resources
                                                                     : wealth;
    for (size_t r = 0; r < static_cast<size_t>(workload.resources); ++r) {
      const double wanted =
          workload.loaded ? std::min(most, share * random.Uniform()) : most * random.Uniform();
      family.curves[r] =
          CurveOf(random, workload.kind, std::max<int64_t>(1, std::llround(wanted)), scale);
    }
    auction.bids.push_back(std::move(bid));
  }
  return auction;
}

JointAuction BundleAuction(int64_t bids, int64_t bundles, int resources, int64_t capacity,
                           uint64_t seed) {
  BenchRandom random(seed);
  JointAuction auction;
  auction.resource_count = resources;
  auction.seed = seed;
  for (size_t r = 0; r < static_cast<size_t>(resources); ++r) auction.capacity_units[r] = capacity;
  // Everybody's middle bundle together would take about three times the capacity.
  const int64_t units_max = std::max<int64_t>(2, 6 * capacity / bids);
  for (int64_t i = 0; i < bids; ++i) {
    JointBid bid;
    bid.guest_id = static_cast<GuestId>(i) + 1;
    const double wealth = Wealth(random);
    std::array<double, kJointResourcesMax> taste = {};
    for (double& t : taste) t = 0.2 + random.Uniform();
    std::set<UnitVector> seen;
    for (int64_t b = 0; b < bundles; ++b) {
      Bundle bundle;
      double worth = 0;
      for (size_t r = 0; r < static_cast<size_t>(resources); ++r) {
        bundle.units[r] = random.Between(0, units_max);
        worth += taste[r] *
                 std::sqrt(static_cast<double>(bundle.units[r]) / static_cast<double>(units_max));
      }
      if (bundle.units == UnitVector{} || !seen.insert(bundle.units).second) continue;
      worth *= 0.7 + 0.3 * random.Uniform();
      bundle.value_microcredits =
          std::min(kValueMaxMicrocredits, static_cast<Microcredits>(wealth * worth));
      bid.bundles.push_back(bundle);
    }
    auction.bids.push_back(std::move(bid));
  }
  return auction;
}

JointAuction WorkingPointAuction(int64_t guests, int64_t points, uint64_t seed) {
  // 16 processors in tens of millicores, 16 GiB in lots of 4 MiB, ways, Mbit/s in tens, IOPS in
  // hundreds, functions.
  constexpr UnitVector kMachine = {1'600, 4'096, 20, 1'000, 1'000, 8};
  constexpr PriceVector kReserves = {20'000, 10'000, 100'000, 5'000, 5'000, 300'000};
  BenchRandom random(seed);
  JointAuction auction;
  auction.resource_count = kJointResourcesMax;
  auction.capacity_units = kMachine;
  auction.reserve_unit_prices_microcredits = kReserves;
  auction.seed = seed;
  for (int64_t i = 0; i < guests; ++i) {
    JointBid& bid = auction.bids.emplace_back();
    bid.guest_id = static_cast<GuestId>(i) + 1;
    bid.owner_id = static_cast<uint64_t>(i % 3 == 2 ? 1'000'000 + i : 1 + i / 3);
    const double wealth = Wealth(random);
    std::array<double, kJointResourcesMax> peak = {};
    std::array<double, kJointResourcesMax> power = {};
    for (size_t r = 0; r < peak.size(); ++r) {
      const double share = static_cast<double>(kMachine[r]) / static_cast<double>(guests);
      // Not everybody needs a device, or a way of its own.
      peak[r] = random.Between(0, 3) == 0 ? 0 : 6 * share * random.Uniform();
      power[r] = 0.3 + 0.5 * random.Uniform();
    }
    std::set<UnitVector> seen;
    for (int64_t p = 0; p < points; ++p) {
      const double load = random.Uniform();
      Bundle bundle;
      double worth = 0;
      double terms = 0;
      for (size_t r = 0; r < peak.size(); ++r) {
        if (peak[r] < 0.5) continue;
        const double part = std::min(1.0, load * (0.6 + 0.8 * random.Uniform()));
        bundle.units[r] = std::min<int64_t>(kMachine[r], std::llround(part * peak[r]));
        const double has = static_cast<double>(bundle.units[r]) / peak[r];
        // A harmonic mean: the scarcest counts most.
        worth += 1 / std::max(0.001, std::pow(has, power[r]));
        ++terms;
      }
      if (bundle.units == UnitVector{} || !seen.insert(bundle.units).second) continue;
      bundle.value_microcredits = std::min(
          kValueMaxMicrocredits, static_cast<Microcredits>(wealth / 1'000 * terms / worth));
      bid.bundles.push_back(bundle);
    }
  }
  return auction;
}

JointAuction AlikeAuction(int64_t bids, int resources, int64_t capacity, Combination combination,
                          uint64_t seed) {
  BenchRandom random(seed);
  JointAuction auction;
  auction.resource_count = resources;
  auction.seed = seed;
  for (size_t r = 0; r < static_cast<size_t>(resources); ++r) auction.capacity_units[r] = capacity;
  for (int64_t i = 0; i < bids; ++i) {
    JointBid& bid = auction.bids.emplace_back();
    bid.guest_id = static_cast<GuestId>(i) + 1;
    CurveFamily& family = bid.curves.emplace();
    family.combination = combination;
    for (size_t r = 0; r < static_cast<size_t>(resources); ++r) {
      const int64_t units = random.Between(3, 9);
      for (const int64_t times : {1, 2}) {
        const int64_t value = times * units * 1'000'000 + random.Between(-20'000, 20'000);
        family.curves[r].push_back({times * units, times * units, value, 0});
      }
    }
  }
  return auction;
}

}  // namespace nom::policies
