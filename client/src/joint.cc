// SPDX-License-Identifier: Apache-2.0
#include "nom/joint.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace nom {
namespace {

// Wide enough for any sum of products of quantities and prices.
__extension__ using Wide = __int128;

bool NeedsNothing(const WorkingPoint& point) {
  return std::all_of(point.units.begin(), point.units.end(),
                     [](const auto& need) { return need.second == 0; });
}

// All of it is on sale, and no more than a bid may ask for.
bool CanBeHad(const WorkingPoint& point, const Prices& prices) {
  return std::all_of(point.units.begin(), point.units.end(), [&prices](const auto& need) {
    return need.second == 0 || (prices[need.first].offered && need.second <= kBidUnitsMax);
  });
}

// What a bundle needs, by place: bundles are compared by the million.
using Needs = std::array<int64_t, kResourceCount>;

Needs NeedsOf(const Bundle& bundle) {
  Needs needs = {};
  for (const auto& [resource, units] : bundle.units) {
    needs[static_cast<size_t>(resource) - 1] = units;
  }
  return needs;
}

bool NeedsNoMore(const Needs& a, const Needs& b) {
  for (size_t i = 0; i < kResourceCount; ++i) {
    if (a[i] > b[i]) return false;
  }
  return true;
}

int64_t WorthAtMost(const Bundle& bundle, const BundleOptions& options) {
  int64_t most = options.budget_microcredits.value_or(std::numeric_limits<int64_t>::max());
  Wide at_ceilings = 0;
  for (const auto& [resource, units] : bundle.units) {
    const auto ceiling = options.ceiling_unit_prices_microcredits.find(resource);
    if (ceiling == options.ceiling_unit_prices_microcredits.end()) return most;
    at_ceilings += Wide{units} * std::max<int64_t>(0, ceiling->second);
  }
  return static_cast<int64_t>(std::min(Wide{most}, at_ceilings));
}

}  // namespace

Valuation BundlesOf(const std::vector<WorkingPoint>& points, const Prices& prices,
                    const BundleOptions& options) {
  int64_t base = 0;  // What running on the seed is worth.
  for (const WorkingPoint& point : points) {
    if (NeedsNothing(point)) base = std::max(base, point.value_microcredits);
  }
  std::vector<Bundle> bundles;
  for (const WorkingPoint& point : points) {
    if (point.value_microcredits <= base || NeedsNothing(point) || !CanBeHad(point, prices)) {
      continue;
    }
    Bundle bundle;
    for (const auto& [resource, units] : point.units) {
      if (units > 0) bundle.units[resource] = units;
    }
    bundle.value_microcredits = std::min(
        {point.value_microcredits - base, kBidValueMaxMicrocredits, WorthAtMost(bundle, options)});
    if (bundle.value_microcredits > 0) bundles.push_back(std::move(bundle));
  }
  // Those that are worth the most first, and of equal ones those that need less: whatever beats
  // another comes before it.
  std::sort(bundles.begin(), bundles.end(), [](const Bundle& a, const Bundle& b) {
    return a.value_microcredits != b.value_microcredits
               ? a.value_microcredits > b.value_microcredits
               : a.units < b.units;
  });
  Valuation valuation;
  std::vector<Needs> needs;  // Of those, in order.
  for (Bundle& bundle : bundles) {
    const Needs of_it = NeedsOf(bundle);
    const bool is_beaten = std::any_of(needs.begin(), needs.end(), [&of_it](const Needs& kept) {
      return NeedsNoMore(kept, of_it);
    });
    if (is_beaten) continue;
    valuation.bundles.push_back(std::move(bundle));
    needs.push_back(of_it);
  }
  // Equal values are not in the order of needs where maps are compared: a later one may need less.
  std::vector<Bundle> kept;
  for (size_t i = 0; i < valuation.bundles.size(); ++i) {
    const Bundle& bundle = valuation.bundles[i];
    bool is_beaten = false;
    for (size_t j = i + 1; j < valuation.bundles.size(); ++j) {
      const Bundle& other = valuation.bundles[j];
      if (other.value_microcredits != bundle.value_microcredits) break;
      is_beaten = is_beaten || NeedsNoMore(needs[j], needs[i]);
    }
    if (!is_beaten) kept.push_back(bundle);
  }
  std::reverse(kept.begin(), kept.end());
  if (kept.size() > kBundlesMax) kept.erase(kept.begin(), kept.end() - kBundlesMax);
  valuation.bundles = std::move(kept);
  return valuation;
}

}  // namespace nom
