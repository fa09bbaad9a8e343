// SPDX-License-Identifier: Apache-2.0
// What a service is worth by what it delivers: the four utilities of nom. Pure functions over
// policies/bidding/utility.h, which has the formulas and their source; thread-safe.
//
//   nom::Utility utility{.kind = nom::UtilityKind::kPenalty, .limit_us = 750};
//   absl::StatusOr<int64_t> value = nom::ValuePerRound(
//       utility, {.throughput_mbps = 300, .latency_us = 500, .jitter_us = 80}, absl::Seconds(60));
//
// Measurements are floating point and are taken to the nearest kbit/s and nanosecond; from there on
// everything is whole numbers, the same on every machine. A number that is not one, or out of its
// range, is INVALID_ARGUMENT that names the field.

#ifndef NOM_UTILITY_H_
#define NOM_UTILITY_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace nom {

// What a program delivers. A service that is sold by the operation may count any work as a Mbit.
struct Performance {
  double throughput_mbps = 0;  // 0 to 10^6
  double latency_us = 0;       // The mean; 0 to 10^9
  double jitter_us = 0;        // The standard deviation of latency; 0 to 10^9
};

enum class UtilityKind : uint8_t {
  kSimple,   // alpha within the limit of latency, nothing above.
  kPenalty,  // Less by factor times the chance of being above the limit.
  kRefund,   // Less by beta for each ms of latency.
  kBonus,    // More by gamma / latency, up to delta.
};

// Money is for a Gbit: 0 to 5 * 10^11 micro-credits.
struct Utility {
  UtilityKind kind = UtilityKind::kSimple;
  int64_t alpha_microcredits = 20'000'000;
  double limit_us = 750;                         // simple, penalty
  int64_t factor = 100;                          // penalty: 2 to 10^6
  int64_t beta_microcredits = 10'000'000;        // refund: for each ms
  int64_t gamma_microcredits = 10'000;           // bonus: times ms
  int64_t delta_microcredits = 500'000'000'000;  // bonus: the most
};

// What a Gbit delivered so is worth.
absl::StatusOr<int64_t> WorthPerGbit(const Utility& utility, const Performance& performance);

// What a second leaves at this price of a Gbit to a program that stops rather than lose.
absl::StatusOr<int64_t> ProfitPerSecond(const Utility& utility, const Performance& performance,
                                        int64_t gbit_price_microcredits);

// What a round is worth before anything is paid: the value of a working point. `round` is within 0
// and an hour.
absl::StatusOr<int64_t> ValuePerRound(const Utility& utility, const Performance& performance,
                                      absl::Duration round);

// Any utility of a program's own, in any unit.
using UtilityFunction =
    std::function<double(const Performance& performance, int64_t gbit_price_microcredits)>;

// Where to try it: all combinations. Each list rises.
struct UtilityGrid {
  std::vector<double> throughputs_mbps;
  std::vector<int64_t> gbit_prices_microcredits;
  std::vector<double> latencies_us;
  std::vector<double> jitters_us;
};

// OK if more throughput is never worth less, and more price, latency or jitter never worth more,
// anywhere on the grid. FAILED_PRECONDITION tells the first two neighbours where that fails, and
// what the utility says of them; INVALID_ARGUMENT names what is wrong with the grid.
absl::Status CheckAxioms(const UtilityFunction& utility, const UtilityGrid& grid);

}  // namespace nom

#endif  // NOM_UTILITY_H_
