// SPDX-License-Identifier: Apache-2.0
// Whose the units of a host are: arithmetic over what the ledger has and what the machine says.
//
// Supply is what can be sold: the capacity less the seeds, less what open contracts promise, less
// what guests hold that the ledger does not know. What a guest holds is its seed and what its
// contracts give it, in the ledger's words (in a round) or the machine's (now).

#ifndef MARKETD_MARKET_SHARES_H_
#define MARKETD_MARKET_SHARES_H_

#include <cstdint>
#include <map>
#include <vector>

#include "absl/types/span.h"
#include "marketd/market/holdings.h"
#include "marketd/market/host.h"
#include "marketd/market/state.h"
#include "marketd/market/types.h"

namespace nom::market {

// One host, as it is now. Refers to what must outlive it.
struct HostShares {
  const State& state;
  const HostId& host_id;
  absl::Span<const Resource> resources;   // With the capacities in use.
  absl::Span<const HostGuest> unmanaged;  // Guests that the ledger does not know.
  const HostHoldings& holdings;           // Of those that it knows, as the machine says.
};
using Units = std::map<ResourceKind, int64_t>;  // Of each resource of the host.

// The host's line of the ledger; an empty one of a host that was never attached.
const HostBook& BookOf(const State& state, const HostId& host_id);
// Null: seeds only.
const Round* RoundInForce(const HostBook& book);
// Null: none waits for its time.
const Round* RoundDecided(const HostBook& book);

// What can be auctioned for a round; never below zero.
Units SupplyOf(const HostShares& host, RoundId round_id);
// The least of that and all later rounds: what nobody was promised.
Units SupplyFrom(const HostShares& host, RoundId round_id);
// The least in any round from `from` on, before `until`, that is not promised and that nobody is to
// be asked first for: what may be sold forward.
Units FreeWithin(const HostShares& host, RoundId from, RoundId until);
// The first round from `from` on with so many rounds (kNoRound: and all later ones) in which, as
// things are, `units` of the kind are free so; 0: nobody knows of one.
RoundId FirstFree(const HostShares& host, ResourceKind kind, RoundId from, RoundId rounds,
                  int64_t units);
// The same for a seed, for which it is of no account who may renew what.
RoundId FirstSupply(const HostShares& host, ResourceKind kind, RoundId from, int64_t units);
// What guests hold by contracts that end with the round in force: it is in the auction again.
std::map<BidKey, int64_t> HeldByAwards(const HostShares& host, RoundId round_id);

// Seed and contracts of one guest in `round` (null: seed only), for each resource of the host.
std::vector<Holding> HoldingsIn(const HostShares& host, const Guest& guest, const Round* round);
// As in the round in force, but with the units that the host really holds for it.
std::vector<Holding> HoldingsNow(const HostShares& host, const Guest& guest);

// Of all running guests, from what they hold now to what they hold in `next`; null: nothing
// changes.
GrantSet GrantsUntil(const HostShares& host, const Round* next);
// The same once `round` is in force.
GrantSet GrantsIn(const HostShares& host, const Round& round);

}  // namespace nom::market

#endif  // MARKETD_MARKET_SHARES_H_
