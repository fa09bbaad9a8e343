// SPDX-License-Identifier: Apache-2.0
// The auctions that the benches clear: made from a seed, the same on every machine.

#ifndef NOM_BENCH_POLICIES_AUCTIONS_H_
#define NOM_BENCH_POLICIES_AUCTIONS_H_

#include <cstdint>

#include "policies/clearing/auction.h"

namespace nom::policies {

// Every bid is a falling curve of `pieces` touching ranges; all together want about four times the
// capacity. Prices are of the order of a million micro-credits.
Auction ConcaveAuction(int64_t bids, int64_t capacity_units, int pieces, uint64_t seed = 1);

// Every bid offers one unit price for `ranges` ranges with gaps between them, as in Ginseng: each
// guest can use up to about a quarter of the capacity.
Auction RangesAuction(int64_t bids, int64_t capacity_units, int ranges, uint64_t seed = 1);

// The same, but what all bids want together is `demand_tenths` tenths of the capacity: many small
// winners. `is_alike`: unit prices within a thousandth of each other, so that little can be told
// about who wins before all is known.
Auction SmallRangesAuction(int64_t bids, int64_t capacity_units, int ranges, int demand_tenths,
                           bool is_alike, uint64_t seed = 1);

}  // namespace nom::policies

#endif  // NOM_BENCH_POLICIES_AUCTIONS_H_
