// SPDX-License-Identifier: Apache-2.0
#include "bench/policies/auctions.h"

#include <algorithm>

#include "bench/policies/bench_random.h"

namespace nom::policies {
namespace {

Auction Empty(int64_t bids, int64_t capacity_units, uint64_t seed) {
  Auction auction;
  auction.capacity_units = capacity_units;
  auction.reserve_unit_price_microcredits = 100'000;
  auction.seed = seed;
  auction.bids.resize(static_cast<size_t>(bids));
  for (int64_t i = 0; i < bids; ++i) {
    auction.bids[static_cast<size_t>(i)].guest_id = static_cast<GuestId>(i) + 1;
  }
  return auction;
}

}  // namespace

Auction ConcaveAuction(int64_t bids, int64_t capacity_units, int pieces, uint64_t seed) {
  BenchRandom random(seed);
  Auction auction = Empty(bids, capacity_units, seed);
  const int64_t width_max = std::max<int64_t>(1, 8 * capacity_units / (bids * pieces));
  for (Bid& bid : auction.bids) {
    int64_t price = random.Between(500'000, 2'000'000);
    int64_t at_units = 0;
    int64_t value = 0;
    for (int i = 0; i < pieces; ++i) {
      const int64_t end_units = at_units + random.Between(1, width_max);
      bid.ranges.push_back({at_units, end_units, value, price});
      value += (end_units - at_units) * price;
      at_units = end_units;
      price = price * random.Between(50, 95) / 100;
    }
  }
  return auction;
}

Auction RangesAuction(int64_t bids, int64_t capacity_units, int ranges, uint64_t seed) {
  BenchRandom random(seed);
  Auction auction = Empty(bids, capacity_units, seed);
  const int64_t part = std::max<int64_t>(2, capacity_units / (4 * ranges));
  for (Bid& bid : auction.bids) {
    const int64_t price = random.Between(200'000, 2'000'000);
    int64_t at_units = 0;
    for (int i = 0; i < ranges; ++i) {
      const int64_t begin = at_units + random.Between(1, part / 2);
      const int64_t end = begin + random.Between(0, part / 2);
      bid.ranges.push_back({begin, end, begin * price, price});
      at_units = end;
    }
  }
  return auction;
}

Auction SmallRangesAuction(int64_t bids, int64_t capacity_units, int ranges, int demand_tenths,
                           bool is_alike, uint64_t seed) {
  BenchRandom random(seed);
  Auction auction = Empty(bids, capacity_units, seed);
  // A range and the gap before it are each half a part wide at most, a quarter on average.
  const int64_t part =
      std::max<int64_t>(2, 2 * demand_tenths * capacity_units / (10 * bids * ranges));
  for (Bid& bid : auction.bids) {
    const int64_t price =
        is_alike ? random.Between(1'000'000, 1'001'000) : random.Between(200'000, 2'000'000);
    int64_t at_units = 0;
    for (int i = 0; i < ranges; ++i) {
      // At least one unit is refused between ranges.
      const int64_t gap_min = i == 0 ? 1 : 2;
      const int64_t begin = at_units + random.Between(gap_min, std::max(gap_min, part / 2));
      const int64_t end = begin + random.Between(0, part / 2);
      bid.ranges.push_back({begin, end, begin * price, price});
      at_units = end;
    }
  }
  return auction;
}

}  // namespace nom::policies
