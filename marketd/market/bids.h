// SPDX-License-Identifier: Apache-2.0
// Bids at the door, and bids as they enter an auction.

#ifndef MARKETD_MARKET_BIDS_H_
#define MARKETD_MARKET_BIDS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "marketd/market/state.h"

namespace nom::market {

// What of a bid can be judged without knowing anyone's money: its form, and whether the resource's
// rule takes it. Errors: INVALID_ARGUMENT names the field.
absl::Status CheckBidForm(const Resource& resource, GuestId guest_id,
                          const std::vector<policies::Range>& ranges,
                          std::optional<Microcredits> budget);

// FAILED_PRECONDITION if the bid could never win: neither the budget nor all the tenant's money
// would pay the reserve for its least quantity.
absl::Status CheckBidMeans(const Resource& resource, const std::vector<policies::Range>& ranges,
                           std::optional<Microcredits> budget, const Purse& purse);

// The part of the curve up to `units_max`.
std::vector<policies::Range> CutToUnits(const std::vector<policies::Range>& ranges,
                                        int64_t units_max);

// The curve with every value capped at `means`: no rule can then charge more. From the first
// quantity that is worth `means` on, more units add nothing and are left out; the curve stays
// concave if it was.
std::vector<policies::Range> CutToMeans(const std::vector<policies::Range>& ranges,
                                        Microcredits means);

// The most that the curve is worth anywhere, and the most units that it asks for.
Microcredits ValueMax(const std::vector<policies::Range>& ranges);
int64_t UnitsMax(const std::vector<policies::Range>& ranges);

// The owners of a host's bids: each tenant with a guest there, by a number of its own (the lowest
// id of its guests), and what it can pay.
struct Owners {
  std::map<TenantId, policies::OwnerId> ids;
  std::map<policies::OwnerId, Microcredits> means;
};
Owners OwnersOf(const State& state, const HostId& host_id);

// Whether it takes part no more. One that a lease keeps never has, here: it is dropped by whoever
// knows when the lease was last renewed.
bool HasLapsed(const StandingBid& standing, RoundId round_id);

// Bids that the market makes for guests that do not bid themselves (tiers.h).
using MadeBids = std::map<BidKey, StandingBid>;
// A guest's own bids and those that are made for it, by rising kind.
std::vector<const StandingBid*> BidsOf(const State& state, const MadeBids& made, GuestId guest_id);

// All bids of a host's running guests as they enter the round's auctions, by kind, each cut to its
// own budget and to all that its tenant has available; how one tenant's bids together stay within
// its means is round_auctions.h's.
//
// `held` gives the award in force of each bid; `supply` the units auctioned of each kind.
std::map<ResourceKind, std::vector<policies::Bid>> BidsForRound(
    const State& state, const HostId& host_id, RoundId round_id,
    absl::Span<const Resource> resources, const std::map<ResourceKind, int64_t>& supply,
    const Owners& owners, const std::map<BidKey, int64_t>& held, const MadeBids& made = {});

}  // namespace nom::market

#endif  // MARKETD_MARKET_BIDS_H_
