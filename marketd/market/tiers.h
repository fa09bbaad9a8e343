// SPDX-License-Identifier: Apache-2.0
// Tiers: what the market bids for guests that do not want to bid, out of the operator's table
// (policies/tiers), and what the floor of a tier gives them.
//
// A guest has a tier, the most units of each kind that it can use beyond its seed, and a ceiling:
// no round costs it more, all kinds and the floor together. Nothing here is written: a bid is made
// of that, of the last prices and of the reserves as the round closes, so that nothing durable is
// behind when a price or the table changes.

#ifndef MARKETD_MARKET_TIERS_H_
#define MARKETD_MARKET_TIERS_H_

#include <cstdint>
#include <map>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "marketd/market/config.h"
#include "marketd/market/state.h"
#include "marketd/market/types.h"

namespace nom::market {

// By kind, for a unit and a round.
using UnitPrices = std::map<ResourceKind, Microcredits>;

// That of the name, or null.
const Tier* FindTier(absl::Span<const Tier> tiers, absl::string_view name);

// The bids of one guest for a round, by rising kind: together they are worth no more than its
// ceiling less `spent_microcredits`, and each is what its tier bids for a unit. Where that is more
// than the ceiling, each kind has the part of it that it would have of the whole, so that it asks
// for fewer units at the same price. None of a tier that is not in the table, of a kind that is not
// in `prices` (the higher of the last round's price and the reserve), and of nothing.
std::vector<StandingBid> TierBids(absl::Span<const Tier> tiers, const GuestTier& wish,
                                  const UnitPrices& prices, Microcredits spent_microcredits);

// What the guest is given of its tier's floor in the round, before anybody bids: at the reserves,
// and nothing of a kind that would bring the sum above its ceiling, or of which `free` has less
// than the floor or the guest wants less. By rising kind; empty in all rounds but one of so many.
std::vector<Lot> FloorOf(absl::Span<const Tier> tiers, const GuestTier& wish,
                         const UnitPrices& reserves, const std::map<ResourceKind, int64_t>& free,
                         RoundId round_id);

// The slot for one guest more of the tier on the host: see policies::LeastUsedSlot.
int64_t SlotFor(const State& state, const HostId& host_id, const Tier& tier, GuestId guest_id);

}  // namespace nom::market

#endif  // MARKETD_MARKET_TIERS_H_
