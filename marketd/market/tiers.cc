// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/tiers.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "marketd/base/money.h"
#include "marketd/base/status.h"
#include "marketd/market/bids.h"
#include "policies/tiers/tiers.h"

namespace nom::market {
namespace {

// The table's row as the policy has it, for one kind.
policies::Tier RowOf(const Tier& tier, ResourceKind kind) {
  policies::Tier row{.name = tier.name, .price_multiple_ppm = tier.price_multiple_ppm};
  const auto floor = tier.floor_units.find(kind);
  if (floor == tier.floor_units.end()) return row;
  row.floor_units = floor->second;
  row.floor_every_rounds = tier.floor_every_rounds;
  return row;
}

bool HasFloor(const Tier& tier) { return tier.floor_every_rounds > 0; }

// The table may have been changed since the slot was given out.
int64_t SlotIn(const Tier& tier, int64_t slot) { return slot % tier.floor_every_rounds; }

}  // namespace

const Tier* FindTier(absl::Span<const Tier> tiers, absl::string_view name) {
  const auto it =
      std::find_if(tiers.begin(), tiers.end(), [name](const Tier& t) { return t.name == name; });
  return it == tiers.end() ? nullptr : &*it;
}

std::vector<StandingBid> TierBids(absl::Span<const Tier> tiers, const GuestTier& wish,
                                  const UnitPrices& prices, Microcredits spent_microcredits) {
  std::vector<StandingBid> bids;
  const Tier* const tier = FindTier(tiers, wish.tier);
  const Microcredits most = wish.ceiling_microcredits - spent_microcredits;
  if (tier == nullptr || most <= 0) return bids;
  Microcredits worth = 0;
  for (const UnitsOfKind& kind : wish.most) {
    const auto price = prices.find(kind.kind);
    if (price == prices.end()) continue;
    const absl::StatusOr<std::optional<policies::Range>> range = policies::TierBid(
        RowOf(*tier, kind.kind), {.units_max = kind.units, .ceiling_unit_price_microcredits = most},
        std::min(price->second, policies::kValueMaxMicrocredits));
    NOM_CHECK(range.ok(), range.status().ToString());  // It was checked when it was asked for.
    if (!*range) continue;
    StandingBid& bid = bids.emplace_back();
    bid.guest_id = wish.guest_id;
    bid.kind = kind.kind;
    bid.ranges = {**range};
    worth = SaturatingAdd(worth, ValueMax(bid.ranges));
  }
  for (StandingBid& bid : bids) {
    bid.budget_microcredits =
        worth <= most ? ValueMax(bid.ranges) : ShareRoundedDown(most, ValueMax(bid.ranges), worth);
  }
  return bids;
}

std::vector<Lot> FloorOf(absl::Span<const Tier> tiers, const GuestTier& wish,
                         const UnitPrices& reserves, const std::map<ResourceKind, int64_t>& free,
                         RoundId round_id) {
  std::vector<Lot> lots;
  const Tier* const tier = FindTier(tiers, wish.tier);
  if (tier == nullptr || !HasFloor(*tier)) return lots;
  Microcredits sum = 0;
  for (const UnitsOfKind& kind : wish.most) {
    const policies::Tier row = RowOf(*tier, kind.kind);
    const auto reserve = reserves.find(kind.kind);
    const auto left = free.find(kind.kind);
    if (reserve == reserves.end() || left == free.end() || row.floor_every_rounds == 0 ||
        !policies::IsFloorRound(row, SlotIn(*tier, wish.slot), round_id)) {
      continue;
    }
    const int64_t units = std::min({row.floor_units, kind.units, left->second});
    if (units <= 0) continue;
    const Microcredits charge = SaturatingMultiply(units, reserve->second);
    if (charge > wish.ceiling_microcredits - sum) continue;
    sum += charge;
    lots.push_back({kind.kind, units, charge});
  }
  return lots;
}

int64_t SlotFor(const State& state, const HostId& host_id, const Tier& tier, GuestId guest_id) {
  if (!HasFloor(tier)) return 0;
  std::vector<int64_t> used;
  for (const GuestId other : state.GuestsOf(host_id)) {
    const auto wish = state.tiers.find(other);
    if (other == guest_id || wish == state.tiers.end() || wish->second.tier != tier.name) continue;
    used.push_back(SlotIn(tier, wish->second.slot));
  }
  return policies::LeastUsedSlot({.floor_every_rounds = tier.floor_every_rounds}, used);
}

}  // namespace nom::market
