// SPDX-License-Identifier: Apache-2.0
// The reserve of a round: what the operator's policy makes of the round before.

#ifndef MARKETD_MARKET_RESERVES_H_
#define MARKETD_MARKET_RESERVES_H_

#include <cstdint>
#include <map>

#include "absl/types/span.h"
#include "marketd/market/state.h"
#include "marketd/market/types.h"
#include "policies/reserve/reserve.h"

namespace nom::market {

// The policy that a resource's configuration asks for. `market_seed` and the host make the numbers
// of ar1_band/1 this market's own.
policies::ReservePolicy ReservePolicyOf(const Resource& resource, uint64_t market_seed,
                                        const HostId& host_id);

// The reserve of round `round_id`. `last` is the price of the round decided before it, null on the
// first; one that another policy made counts for how much was sold, not for its price. `past` is
// the prices of the rounds before, of which a policy that learns takes the last ones in which it
// knows what would have earned the most. The policy must be valid, which CheckConfig sees to.
policies::ReserveOutput ReserveOfRound(const policies::ReservePolicy& policy, RoundId round_id,
                                       const ResourcePrice* last,
                                       absl::Span<const PastPrice> past = {});

// The reserves of a host's round. `book` is what it remembers of the rounds before.
std::map<ResourceKind, policies::ReserveOutput> ReservesOfRound(
    absl::Span<const Resource> resources, uint64_t market_seed, const HostId& host_id,
    RoundId round_id, const HostBook& book);

}  // namespace nom::market

#endif  // MARKETD_MARKET_RESERVES_H_
