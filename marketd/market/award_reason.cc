// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/award_reason.h"

#include <algorithm>

#include "marketd/market/bids.h"

namespace nom::market {
namespace {

// The least that a bid asks for of a kind.
int64_t LeastUnits(const std::vector<policies::Range>& ranges) {
  return std::max<int64_t>(1, ranges.front().min_units);
}

// Whether no bundle of a bid for several kinds fits what is sold.
bool NoBundleFits(const Valuation& valuation, const RoundSnapshot& snapshot) {
  const auto fits = [&snapshot](const policies::Bundle& bundle) {
    policies::Bundle left = bundle;
    for (const RoundSnapshot::OnSale& kind : snapshot.kinds) {
      int64_t& units = left.units[static_cast<size_t>(kind.resource.kind) - 1];
      units = std::max<int64_t>(0, units - kind.supply_units);
    }
    return std::all_of(left.units.begin(), left.units.end(), [](int64_t u) { return u == 0; });
  };
  return !valuation.bundles.empty() &&
         std::none_of(valuation.bundles.begin(), valuation.bundles.end(), fits);
}

// Whether the guest's bid asks for more than there is, whatever others bid.
bool IsLargerThanSupply(const RoundSnapshot& snapshot, const State& state, GuestId guest_id,
                        ResourceKind kind) {
  const auto several = state.bids.find({guest_id, kSeveralKinds});
  if (several != state.bids.end()) return NoBundleFits(*several->second.valuation, snapshot);
  const auto single = state.bids.find({guest_id, kind});
  if (single == state.bids.end() || single->second.ranges.empty()) return false;
  for (const RoundSnapshot::OnSale& sold : snapshot.kinds) {
    if (sold.resource.kind != kind) continue;
    return LeastUnits(single->second.ranges) > sold.supply_units;
  }
  return false;
}

}  // namespace

AwardReason ReasonOf(const RoundSnapshot& snapshot, const std::vector<ResourcePrice>& prices,
                     const State& state, const Guest& guest, const Outcome& outcome) {
  if (guest.state != GuestState::kRunning) return AwardReason::kNotRunning;
  const auto price = std::find_if(prices.begin(), prices.end(),
                                  [&](const ResourcePrice& p) { return p.kind == outcome.kind; });
  const bool by_bids = price != prices.end() && price->bound_by == policies::BoundBy::kBids;
  const bool is_too_large = IsLargerThanSupply(snapshot, state, guest.guest_id, outcome.kind);
  const AwardReason lost = is_too_large ? AwardReason::kLargerThanSupply
                           : by_bids    ? AwardReason::kOutbid
                                        : AwardReason::kBelowReserve;
  for (const RoundSnapshot::OnSale& kind : snapshot.kinds) {
    if (kind.resource.kind != outcome.kind) continue;
    const auto bid = std::lower_bound(
        kind.bids.begin(), kind.bids.end(), guest.guest_id,
        [](const policies::Bid& b, GuestId guest_id) { return b.guest_id < guest_id; });
    if (bid == kind.bids.end() || bid->guest_id != guest.guest_id) continue;
    // Nothing is left of a bid whose least is too dear, or is more than there is.
    if (bid->ranges.empty()) return is_too_large ? lost : AwardReason::kNoMeans;
    if (outcome.award_units >= UnitsMax(bid->ranges)) return AwardReason::kServed;
    return outcome.award_units > 0 ? AwardReason::kPartlyServed : lost;
  }
  const bool has_bid =
      !state.BidsOf(guest.guest_id).empty() || state.tiers.contains(guest.guest_id);
  if (!snapshot.is_joint || !has_bid) return AwardReason::kNoBid;
  // Of several kinds at once, one bundle of those that were asked for, or none.
  return outcome.award_units > 0 ? AwardReason::kServed : lost;
}

}  // namespace nom::market
