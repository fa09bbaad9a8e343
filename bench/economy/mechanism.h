// SPDX-License-Identifier: Apache-2.0
// Ways to divide one resource between guests: every clearing rule of policies/, and what clouds do
// without a market.

#ifndef NOM_BENCH_ECONOMY_MECHANISM_H_
#define NOM_BENCH_ECONOMY_MECHANISM_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/economy/workload.h"
#include "policies/clearing/auction.h"

namespace nom::economy {

// What the host sells, and how.
struct Host {
  int64_t capacity_units = 0;
  Microcredits reserve_unit_price_microcredits = 0;  // What a unit is worth to the operator itself.
  uint64_t seed = 0;                                 // Of the round: orders ties.
};

// Parallel to the guests that asked.
struct Allocation {
  std::vector<int64_t> units;
  std::vector<Microcredits> charges;
  Microcredits unit_price_microcredits = 0;
  // The best offer that was not served; 0 where nobody offers.
  Microcredits rejected_unit_price_microcredits = 0;
};

struct Mechanism {
  std::string name;
  bool market = true;  // False: looks at no bid and earns nothing but rent.
  // `held` is what each guest got in the round before, parallel to `guests`.
  std::function<absl::StatusOr<Allocation>(const Host& host, const std::vector<Guest>& guests,
                                           const std::vector<int64_t>& held)>
      allocate;
};

struct RuleOptions {
  Microcredits reclaim_penalty_microcredits = 0;
  // Sell at no less than this, if it is above the host's reserve: the price of a posted price.
  Microcredits lowest_unit_price_microcredits = 0;
};

// One of policies::Rules(). Guests bid what they believe, all of it (BidRanges): the best they can
// do under mpsp and a posted price; under uniform_price nearly, and where its language can't say
// their curve they say the smallest concave one above it; under proportional_share a simple-minded
// thing to do, as it rewards exaggeration.
Mechanism Rule(const std::string& rule, const RuleOptions& options = {},
               const std::string& name = "");

// Everybody has the same, for ever, used or not: capacity / guests. Its rent is the reserve.
Mechanism StaticSplit();

// Host-side hinting, after the baseline of Ginseng: the host knows how much memory each guest
// touches (its working set, measured in the round before) and nothing of what it is worth. If all
// of it fits everybody gets its working set; if not, shares in proportion to it. The balloons
// follow within the round, which flatters the baseline.
Mechanism Hinting();

// A stronger host: it knows every guest's whole hit curve (a miss-ratio curve times the request
// rate) and maximises all hits together, exactly; still blind to what a hit is worth.
Mechanism MostHits();

// The allocation of largest welfare if everybody's `now` were known: the clairvoyant optimum that
// welfare is measured against. Charges are 0.
absl::StatusOr<std::vector<int64_t>> Optimum(const Host& host, const std::vector<Guest>& guests);

// Clears bids that somebody may have tampered with; units and charges are parallel to `bids`.
absl::StatusOr<Allocation> ClearBids(const std::string& rule, const Host& host,
                                     const RuleOptions& options,
                                     const std::vector<policies::Bid>& bids);
// The truthful bids of Rule, parallel to `guests`.
std::vector<policies::Bid> TruthfulBids(const std::string& rule, const std::vector<Guest>& guests,
                                        const std::vector<int64_t>& held);

}  // namespace nom::economy

#endif  // NOM_BENCH_ECONOMY_MECHANISM_H_
