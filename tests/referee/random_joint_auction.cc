// SPDX-License-Identifier: Apache-2.0
#include "tests/referee/random_joint_auction.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace nom::policies {
namespace {

// Steps, slopes and gaps up to `units_max`, values up to `value_max`.
std::vector<Range> RandomCurve(TestRandom& random, int64_t units_max, int64_t value_max) {
  std::vector<Range> ranges;
  const bool is_rising = !random.OneIn(3);
  int64_t at_units = random.Between(1, std::max<int64_t>(1, units_max / 2));
  Microcredits value = 0;
  const int64_t count = random.Between(1, 4);
  for (int64_t i = 0; i < count && at_units <= units_max; ++i) {
    value = random.Between(is_rising ? value : 0, value_max);
    Range range{at_units, at_units, value, 0};
    if (!random.OneIn(3) && at_units < units_max) {
      range.max_units = random.Between(at_units, units_max);
      const int64_t width = range.max_units - range.min_units;
      if (width > 0) {
        range.unit_price_microcredits =
            random.OneIn(4) ? -(value / width) : random.Between(0, (value_max - value) / width);
        value += width * range.unit_price_microcredits;
      }
    }
    ranges.push_back(range);
    at_units = range.max_units + random.Between(1, std::max<int64_t>(1, units_max / 3));
  }
  return ranges;
}

}  // namespace

JointAuction RandomJointAuction(const JointShape& shape, uint64_t seed) {
  TestRandom random(seed);
  JointAuction auction;
  auction.resource_count =
      static_cast<int>(random.Between(shape.resources_min, shape.resources_max));
  auction.seed = random.Next();
  Microcredits price_max = random.Between(1, 12);
  if (random.OneIn(4)) price_max *= random.Between(1, 1'000'000);
  const double edge = std::pow(static_cast<double>(shape.grid_max), 1.0 / auction.resource_count);
  const bool has_penalty = shape.with_penalty && random.OneIn(3);
  for (size_t r = 0; r < static_cast<size_t>(auction.resource_count); ++r) {
    auction.capacity_units[r] =
        random.OneIn(20) ? 0 : random.Between(1, std::max<int64_t>(1, std::lround(2 * edge) - 2));
    if (!random.OneIn(3)) {
      auction.reserve_unit_prices_microcredits[r] = random.Between(0, price_max);
    }
    if (has_penalty && !random.OneIn(3)) {
      auction.reclaim_penalties_microcredits[r] = random.Between(0, price_max);
    }
  }
  const int64_t bids = random.Between(0, shape.bids_max);
  for (int64_t i = 0; i < bids; ++i) {
    JointBid bid;
    bid.guest_id = static_cast<GuestId>(i * 7 + random.Between(1, 7));
    if (shape.with_bundles && random.OneIn(2)) {
      std::set<UnitVector> seen;
      const int64_t bundles = random.Between(0, 6);
      for (int64_t b = 0; b < bundles; ++b) {
        Bundle bundle;
        int64_t units = 0;
        for (size_t r = 0; r < static_cast<size_t>(auction.resource_count); ++r) {
          bundle.units[r] = random.OneIn(3) ? 0 : random.Between(0, auction.capacity_units[r] + 1);
          units += bundle.units[r];
        }
        bundle.value_microcredits = random.Between(0, 2 * price_max * std::max<int64_t>(1, units));
        if (units > 0 && seen.insert(bundle.units).second) bid.bundles.push_back(bundle);
      }
    } else {
      CurveFamily family;
      family.combination = static_cast<Combination>(random.Between(0, 3));
      const bool is_product = family.combination == Combination::kProduct;
      const int64_t value_max = 2 * price_max * std::lround(edge + 1);
      if (is_product) family.whole_value_microcredits = 2 * value_max;
      for (size_t r = 0; r < static_cast<size_t>(auction.resource_count); ++r) {
        if (auction.resource_count > 1 && random.OneIn(5)) continue;
        family.curves[r] = RandomCurve(random, std::max<int64_t>(1, auction.capacity_units[r]),
                                       is_product ? kLevelOne : value_max);
      }
      bid.curves = family;
    }
    for (size_t r = 0; r < static_cast<size_t>(auction.resource_count); ++r) {
      if (random.OneIn(2)) bid.held_units[r] = random.Between(0, auction.capacity_units[r] + 1);
    }
    auction.bids.push_back(std::move(bid));
  }
  // Guests must not come in the order of their names.
  for (size_t i = auction.bids.size(); i > 1; --i) {
    std::swap(auction.bids[i - 1],
              auction.bids[static_cast<size_t>(random.Between(0, static_cast<int64_t>(i) - 1))]);
  }
  if (shape.with_owners && random.OneIn(3)) {
    for (JointBid& bid : auction.bids) bid.owner_id = static_cast<uint64_t>(random.Between(0, 2));
  }
  return auction;
}

namespace {

// Draws the parts of an odd auction.
class OddMaker {
 public:
  OddMaker(OddJointShape shape, uint64_t seed)
      : shape_(shape), random_(seed * kOddJointShapes + static_cast<uint64_t>(shape) + 1) {}

  JointAuction Make() {
    JointAuction auction;
    auction.seed = random_.Next();
    auction.resource_count = static_cast<int>(random_.Between(1, Is(OddJointShape::kTiny) ? 4 : 3));
    const auto resources = static_cast<size_t>(auction.resource_count);
    const bool has_penalty = Is(OddJointShape::kHoldings) || random_.OneIn(4);
    for (size_t r = 0; r < resources; ++r) {
      auction.capacity_units[r] = Is(OddJointShape::kTiny) ? random_.Between(0, 1)
                                  : resources == 1         ? random_.Between(1, 7)
                                                           : random_.Between(1, 3);
      auction.reserve_unit_prices_microcredits[r] = Reserve();
      if (has_penalty) auction.reclaim_penalties_microcredits[r] = Penalty();
    }
    const int64_t bids = random_.Between(2, Is(OddJointShape::kTiny) ? 6 : 5);
    for (int64_t i = 0; i < bids; ++i) auction.bids.push_back(MakeBid(auction, i));
    return auction;
  }

 private:
  bool Is(OddJointShape shape) const { return shape_ == shape; }

  Microcredits Reserve() {
    switch (shape_) {
      case OddJointShape::kReserves:
        return random_.Between(15, 40);
      case OddJointShape::kLimits:
        return random_.OneIn(2) ? kValueMaxMicrocredits / random_.Between(1, 9) : 0;
      default:
        return random_.OneIn(2) ? 0 : random_.Between(0, 3);
    }
  }

  Microcredits Penalty() {
    if (!Is(OddJointShape::kLimits)) return random_.Between(0, 6);
    // All that one bid can gain is limited as well.
    return (kJointGainMax - kValueMaxMicrocredits) / random_.Between(20, 30);
  }

  Microcredits Value(int64_t bid, int64_t units) {
    switch (shape_) {
      case OddJointShape::kTies:
        return random_.OneIn(3) ? 10 : 5 * units;
      case OddJointShape::kLimits:
        return kValueMaxMicrocredits - (random_.OneIn(2) ? random_.Between(0, 3) : 0);
      case OddJointShape::kDominated:
        return bid == 0 ? 1'000'000'000 + random_.Between(0, 5) : random_.Between(0, 12);
      case OddJointShape::kReserves:
        return random_.Between(0, 25) * std::max<int64_t>(1, units - 1);
      default:
        return random_.Between(0, 12) * units;
    }
  }

  JointBid MakeBid(const JointAuction& auction, int64_t i) {
    const auto resources = static_cast<size_t>(auction.resource_count);
    JointBid bid;
    bid.guest_id = static_cast<GuestId>(i * 3 + random_.Between(1, 3));
    const bool is_owned = Is(OddJointShape::kFewOwners) ? !random_.OneIn(4) : random_.OneIn(5);
    if (is_owned) bid.owner_id = static_cast<uint64_t>(random_.Between(1, 2));
    for (size_t r = 0; r < resources; ++r) {
      const bool holds = Is(OddJointShape::kHoldings) || random_.OneIn(3);
      if (holds) bid.held_units[r] = random_.Between(0, auction.capacity_units[r] + 1);
    }
    std::set<UnitVector> seen;
    for (int64_t b = random_.Between(1, 4); b > 0; --b) {
      Bundle bundle;
      int64_t sum = 0;
      for (size_t r = 0; r < resources; ++r) {
        const int64_t high = auction.capacity_units[r];
        // Some more than there is, and by far.
        const bool is_too_much = Is(OddJointShape::kInfeasible) && random_.OneIn(2);
        bundle.units[r] = is_too_much ? high + random_.Between(1, kUnitsMax - high)
                          : Is(OddJointShape::kTies)
                              ? std::min<int64_t>(high, random_.Between(0, 1))
                              : random_.Between(0, high);
        sum += bundle.units[r];
      }
      bundle.value_microcredits = std::min(kValueMaxMicrocredits, Value(i, sum));
      if (sum > 0 && seen.insert(bundle.units).second) bid.bundles.push_back(bundle);
    }
    return bid;
  }

  const OddJointShape shape_;
  TestRandom random_;
};

}  // namespace

JointAuction OddJointAuction(OddJointShape shape, uint64_t seed) {
  return OddMaker(shape, seed).Make();
}

}  // namespace nom::policies
