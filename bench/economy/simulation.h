// SPDX-License-Identifier: Apache-2.0
// One workload, many mechanisms side by side: the same guests, the same rounds, round by round.

#ifndef NOM_BENCH_ECONOMY_SIMULATION_H_
#define NOM_BENCH_ECONOMY_SIMULATION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/economy/mechanism.h"
#include "bench/economy/workload.h"

namespace nom::economy {

struct SimulationOptions {
  WorkloadOptions workload;
  int64_t rounds = 2'000;
  Microcredits reserve_unit_price_microcredits = 10'000;
  // Envy compares every guest with every other: measured in one round of so many.
  int64_t envy_every_rounds = 16;
};

// What one mechanism did in one round. Exact.
struct RoundFigures {
  // Values as they turned out, plus the reserve for every unit that was left over.
  Microcredits welfare_microcredits = 0;
  // The same by what guests believed when they bid: what a rule can know.
  Microcredits believed_welfare_microcredits = 0;
  Microcredits revenue_microcredits = 0;  // All charges.
  Microcredits surplus_microcredits = 0;  // Guests' values less charges; may be below 0.
  Microcredits unit_price_microcredits = 0;
  int64_t sold_units = 0;
  int64_t moved_units = 0;       // Taken from guests that held them and are still there.
  int64_t satisfaction_ppm = 0;  // Mean share of what each guest could have at most.
  int64_t jain_ppm = 0;    // Jain's index of those shares: 1 if all are alike, 1/n if one has all.
  int64_t envy_pairs = 0;  // Ordered pairs in which one would rather have the other's
  int64_t envy_pairs_checked = 0;  // units at the other's charge, by what it believed; and pairs.
};

struct MechanismRun {
  std::string name;
  bool market = true;
  std::vector<RoundFigures> rounds;
};

struct SimulationRun {
  std::vector<MechanismRun> mechanisms;            // As they were given.
  std::vector<Microcredits> optimum_microcredits;  // The clairvoyant's welfare, by round.
};

// Errors: those of the rules; INTERNAL if a mechanism gives away more than there is, or a charge
// is above what was bid or below 0.
absl::StatusOr<SimulationRun> Simulate(const SimulationOptions& options,
                                       const std::vector<Mechanism>& mechanisms);

// One run as a line of a table. Shares are of sums over all rounds, so that rich rounds count.
struct Summary {
  double welfare_share = 0;    // Of the optimum, over all rounds.
  double worst_share = 0;      // The 5th percentile of rounds.
  double revenue_a_round = 0;  // Credits.
  double revenue_share = 0;    // Of the optimum: how much of what there is the operator gets.
  double mean_unit_price = 0;  // Credits.
  double price_change = 0;     // Mean |change from round to round| / mean price.
  double price_deviation = 0;  // Standard deviation / mean.
  double satisfaction = 0;     // Mean over guests and rounds.
  double jain = 0;             // Mean over rounds.
  double envy_free = 0;        // Share of pairs without envy.
  double moved_share = 0;      // Units moved a round / capacity.
  double sold_share = 0;       // Units given to guests / capacity.
};
Summary Summarise(const SimulationOptions& options, const SimulationRun& run, size_t mechanism);

// The posted price, out of `candidates`, with the largest welfare over the whole run: an operator
// that had known what was coming. 0 if there is no candidate.
absl::StatusOr<Microcredits> BestPostedPrice(const SimulationOptions& options,
                                             const std::vector<Microcredits>& candidates);

}  // namespace nom::economy

#endif  // NOM_BENCH_ECONOMY_SIMULATION_H_
