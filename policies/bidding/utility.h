// SPDX-License-Identifier: Apache-2.0
// What a service is worth: the four utilities of nom (Ben-Yehuda, Agmon Ben-Yehuda, Tsafrir, "The
// nom profit-maximizing operating system", VEE 2016), in integers.
//
// A program delivers a throughput T at a mean latency L with jitter s, and pays a price P for what
// it sends. Each of the four has the form T * (worth(L, s) - P):
//
//   simple    worth = alpha if L <= limit. Above the limit there is no service, and nothing is
//   paid. penalty   worth = alpha * (1 - min(1, factor * N)), N = Pr[Normal(L, s) > limit] refund
//   worth = max(0, alpha - beta * L) bonus     worth = alpha + min(gamma / L, delta)
//
// Units: throughput in kbit/s; latency and jitter in nanoseconds; worth and price in micro-credits
// a Gbit, so that alpha = $20 a Gbit is 20'000'000; utility in micro-credits a second. A service
// that is sold by the operation may count any work as a kbit. The paper's alpha, limit and factor
// are the defaults; it does not say the units of beta and gamma: here latency counts in
// milliseconds in both, beta = $10 a Gbit and ms, gamma = $0.01 ms a Gbit.
//
// Everything is rounded down, and so never claims more than the formula; but penalty knows N only
// to 2^-32 and cuts L and s to 2^-20 deviations: its worth may be factor * alpha / 2^32 above the
// formula and factor * alpha / 2^21 + 1 below. Pure; any thread. No allocation, no
// exceptions, no floating point, no C++ library.

#ifndef NOM_POLICIES_BIDDING_UTILITY_H_
#define NOM_POLICIES_BIDDING_UTILITY_H_

#include "policies/bidding/range.h"

namespace nom::policies {

inline constexpr int64_t kThroughputMaxKbps = 1'000'000'000;              // 1 Tbit/s
inline constexpr int64_t kLatencyMaxNs = 1'000'000'000'000;               // 1,000 s; jitter too.
inline constexpr Microcredits kPerGbitMaxMicrocredits = 500'000'000'000;  // alpha, delta, P
inline constexpr int64_t kRoundMaxUs = 3'600'000'000;

// What a program delivers.
struct Performance {
  int64_t throughput_kbps = 0;  // 0 to kThroughputMaxKbps
  int64_t latency_ns = 0;       // The mean; 0 to kLatencyMaxNs
  int64_t jitter_ns = 0;        // The standard deviation of latency; 0 to kLatencyMaxNs

  friend bool operator==(const Performance&, const Performance&) = default;
};

enum class UtilityKind : uint8_t { kSimple, kPenalty, kRefund, kBonus };

struct Utility {
  UtilityKind kind = UtilityKind::kSimple;
  Microcredits alpha_microcredits = 20'000'000;  // 0 to kPerGbitMaxMicrocredits
  int64_t limit_ns = 750'000;                    // simple, penalty: 0 to kLatencyMaxNs
  // penalty: 2 to 10^6. Below 2 a program that is late in the mean would gain by more jitter.
  int64_t factor = 100;
  Microcredits beta_microcredits = 10'000'000;  // refund: 0 to kPerGbitMaxMicrocredits
  Microcredits gamma_microcredits = 10'000;     // bonus: 0 to kPerGbitMaxMicrocredits
  Microcredits delta_microcredits = kPerGbitMaxMicrocredits;  // bonus: the most, as gamma
};

// The name of the first field that is out of its range; null if none is.
const char* WrongField(const Utility& utility);
const char* WrongField(const Performance& performance);

// All of these are defined for every argument: a utility with a wrong field is worth nothing, and
// a number outside its range counts as the nearest within.

// worth(L, s): what a Gbit delivered so is worth. 0 to 2 * kPerGbitMaxMicrocredits.
Microcredits WorthPerGbit(const Utility& utility, const Performance& performance);

// The utility as published, per second: below 0 where the price is above the worth. There it falls
// when throughput rises: such a program does best to stop.
Microcredits UtilityPerSecond(const Utility& utility, const Performance& performance,
                              Microcredits gbit_price_microcredits);

// The utility of a program that stops rather than lose: max(0, UtilityPerSecond). It never falls
// when throughput rises and never rises with price, latency or jitter (axioms.h).
Microcredits ProfitPerSecond(const Utility& utility, const Performance& performance,
                             Microcredits gbit_price_microcredits);

// What a round of `round_us` (0 to kRoundMaxUs) at this performance is worth before anything is
// paid: the value of a working point. At most kValueMaxMicrocredits.
Microcredits ValuePerRound(const Utility& utility, const Performance& performance,
                           int64_t round_us);

}  // namespace nom::policies

#endif  // NOM_POLICIES_BIDDING_UTILITY_H_
