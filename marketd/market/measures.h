// SPDX-License-Identifier: Apache-2.0
// What a round's auction came to: how much it was worth, what it earned, how much moved, how even
// it was; and what objectives other than welfare make of it for the rounds to come.
//
// All but what moved follows from the auction's record, and an audit works it out again from there.

#ifndef MARKETD_MARKET_MEASURES_H_
#define MARKETD_MARKET_MEASURES_H_

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "marketd/market/config.h"
#include "marketd/market/joint_round.h"
#include "marketd/market/state.h"
#include "policies/clearing/auction.h"
#include "policies/clearing/joint/joint_auction.h"

namespace nom::market {

// Units by guest, of one kind.
using GuestUnits = std::map<GuestId, int64_t>;

// What each bid of a kind's auction asks for: policies::AskedUnits at its reserve and supply.
GuestUnits AskedUnits(const policies::Auction& auction);
// The same in one auction for all kinds, of its resource `r`: the units of the bundle that leaves
// the most at the reserves; of curves of several kinds, which no reserve judges one by one, the
// most that they ask for.
GuestUnits AskedUnits(const policies::JointAuction& auction, size_t r);

// Of a kind's auction as it was cleared, without what moved. `learns`: whether its best price is
// noted for the reserve.
RoundMeasures MeasuresOf(const policies::Auction& auction, const policies::Clearing& clearing,
                         bool learns);
// Of resource `r` of an auction for all kinds, whose welfare is its certificate's. `awards` are
// those of that kind.
RoundMeasures MeasuresOf(const policies::JointAuction& auction, size_t r,
                         absl::Span<const KindAward> awards);

// The units that change hands from the one to the other, the operator's hands being hands like
// others': what all guests gain, or what all lose, whichever is more.
int64_t MovedUnits(const GuestUnits& before, const GuestUnits& after);

// What each tenant asked for and was awarded in a round that was decided: by rising kind, then
// tenant, those that asked for something. Of all guests of a tenant together no more is asked for
// than there was.
std::vector<TenantAsk> AsksOf(const Round& round);

// The weights of the owners of one kind's bids in a round of a host that serves the least satisfied
// first: of each owner of `bids`. `tenants` says who the owners are.
std::map<policies::OwnerId, int64_t> WeightsOf(const HostBook& book, const Objective& objective,
                                               RoundId round_id, ResourceKind kind,
                                               const std::map<policies::OwnerId, TenantId>& tenants,
                                               const std::vector<policies::Bid>& bids,
                                               int64_t supply_units,
                                               Microcredits reserve_unit_price);

}  // namespace nom::market

#endif  // MARKETD_MARKET_MEASURES_H_
