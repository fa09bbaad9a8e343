// SPDX-License-Identifier: Apache-2.0
// What it does to a market that a share of it is sold forward, by contracts of many rounds at a
// price fixed at purchase (policies/forward), and what can be done to it by who buys such contracts
// to no use of their own.
//
// A day has 96 rounds. A third of the guests need the same all day, a third more by day than by
// night, a third in bursts. A unit that a guest did not hold in the round before is worth half in
// its first one (a cold cache, a build that starts anew), so that what is taken and given again
// costs something. Every round: contracts hold what they hold, the rest is auctioned; then whoever
// needs units all day compares the quote with what the last day cost and buys, or does not.

#ifndef NOM_BENCH_ECONOMY_CONTRACT_STUDY_H_
#define NOM_BENCH_ECONOMY_CONTRACT_STUDY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "policies/forward/forward.h"

namespace nom::economy {

inline constexpr int64_t kRoundsADay = 96;

// Who buys contracts to no need of its own, and passes them on; but the last two, which need units
// by day.
enum class Trader {
  kNone,
  kCorner,  // Takes all of the share that is left, always, and asks what the auction last cost.
  kSniper,  // Takes a quote each round and buys on its last, if the auction costs more by then.
  kValley,  // Buys when the auction is cheap against the day's mean, and passes on when it is dear.
  kSpotOnly,  // Bids in the auction alone: what kEnder is compared with.
  kEnder,     // Buys for long, and ends the contract as soon as the auction is cheaper.
};

struct ContractOptions {
  uint64_t seed = 1;
  int64_t rounds = 20 * kRoundsADay;  // The first two days are not counted.
  int64_t capacity_units = 96;
  int guests = 24;
  int64_t share_ppm = 500'000;  // Of the capacity, that may be sold forward.
  int64_t contract_rounds = kRoundsADay / 2;
  int64_t history_rounds = kRoundsADay;  // That a quote looks back upon.
  policies::ForwardPolicy policy;
  Trader trader = Trader::kNone;
  int64_t quote_rounds = 1;  // That a quote binds the host for.
  int trader_names = 1;      // Its purchases are divided among so many,
  // which are quoted side by side, before one of them takes what it was quoted; or one after the
  // other, each once the one before has bought.
  bool quoted_side_by_side = false;
};

// Means over the rounds that count, in micro-credits a round; exact sums, divided in the end.
struct ContractResult {
  double welfare = 0;           // Values as they turned out; what nobody wanted counts nothing.
  double revenue = 0;           // The operator's: auctions, contracts and fees.
  double spot_price = 0;        // Of a unit in the auction.
  double spot_deviation = 0;    // Standard deviation / mean.
  double contracted_share = 0;  // Of the capacity.
  double lost_units = 0;        // Taken from guests that still needed them,
  double evicted = 0;           // and of how many guests: the chance that one of them loses some.
  double steady_surplus = 0;    // Values less payments of the guests with steady needs,
  double other_surplus = 0;     // and of the others but the trader.
  double trader_gain = 0;       // The trader's values and takings less payments.
};

// Errors: those of the rules and of the forward policy; INTERNAL if money or units do not add up.
absl::StatusOr<ContractResult> RunContracts(const ContractOptions& options);

}  // namespace nom::economy

#endif  // NOM_BENCH_ECONOMY_CONTRACT_STUDY_H_
