// SPDX-License-Identifier: Apache-2.0
// Bids for several resources together: from ways in which a program can run straight to bundles.
// For hosts that clear all resources in one auction (ResourceState::rule is "joint_vcg/1").
//
//   session->Bid({.valuation = nom::BundlesOf(points, session->prices())});
//
// One auction for all resources is what working points need: who bids for each resource by itself
// has to guess what the others will cost, and may win one without the other. Here every point is
// bid for at what it is really worth, one of them is won whole, or none, and the rule finds the one
// that leaves the most. What its owner pays is what its presence costs others, so the truth is the
// best bid (policies/clearing/joint/joint_auction.h).

#ifndef NOM_JOINT_H_
#define NOM_JOINT_H_

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "nom/adviser.h"
#include "nom/types.h"

namespace nom {

struct BundleOptions {
  // No bundle is said to be worth more than this, so none is charged more.
  std::optional<int64_t> budget_microcredits = std::nullopt;
  // Nor more than its units at these prices; a resource that is not named has no ceiling, and then
  // the bundle that needs any of it has none.
  std::map<Resource, int64_t> ceiling_unit_prices_microcredits = {};
};

// Points as bundles, by rising value: each is worth what running so is worth beyond the best point
// that needs nothing but the seed. Left out: what is worth nothing then, what needs a resource that
// is not on sale or more of one than a bid may ask for, and what another point beats or equals
// (needs no more of anything, is worth no less). Empty if nothing is left, which as a bid
// withdraws. Time in the square of the points that are left, at most: a few milliseconds for a
// thousand.
Valuation BundlesOf(const std::vector<WorkingPoint>& points, const Prices& prices,
                    const BundleOptions& options = {});

}  // namespace nom

#endif  // NOM_JOINT_H_
