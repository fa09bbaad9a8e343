// SPDX-License-Identifier: Apache-2.0
#include "policies/bidding/utility.h"

#include "policies/bidding/normal_tail.h"

namespace nom::policies {
namespace {

__extension__ using Wide = __int128;  // Only multiplied, compared and shifted.

constexpr int64_t kKbitsPerGbit = 1'000'000;
constexpr int64_t kNsPerMs = 1'000'000;
constexpr int64_t kUsPerSecond = 1'000'000;
constexpr int64_t kFactorMin = 2;
constexpr int64_t kFactorMax = 1'000'000;

int64_t Min(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t Max(int64_t a, int64_t b) { return a > b ? a : b; }

bool Within(int64_t number, int64_t low, int64_t high) { return low <= number && number <= high; }
int64_t Hold(int64_t number, int64_t high) { return Max(0, Min(number, high)); }

Performance Hold(const Performance& performance) {
  return {Hold(performance.throughput_kbps, kThroughputMaxKbps),
          Hold(performance.latency_ns, kLatencyMaxNs), Hold(performance.jitter_ns, kLatencyMaxNs)};
}

// What is left of alpha when it is lost with this chance.
Microcredits AfterPenalty(const Utility& u, const Performance& p) {
  const int64_t late = ChanceAbove(u.limit_ns, p.latency_ns, p.jitter_ns);
  const int64_t kept = kCertain - Min(kCertain, u.factor * late);
  return static_cast<Microcredits>(Wide{u.alpha_microcredits} * kept >> kProbabilityBits);
}

Microcredits AfterRefund(const Utility& u, const Performance& p) {
  const Wide left =
      Wide{u.alpha_microcredits} * kNsPerMs - Wide{u.beta_microcredits} * p.latency_ns;
  // Fits: alpha * kNsPerMs is below 2^63.
  return left <= 0 ? 0 : static_cast<int64_t>(left) / kNsPerMs;
}

Microcredits Bonus(const Utility& u, const Performance& p) {
  if (p.latency_ns == 0) return u.gamma_microcredits == 0 ? 0 : u.delta_microcredits;
  return Min(u.delta_microcredits, u.gamma_microcredits * kNsPerMs / p.latency_ns);
}

Microcredits Worth(const Utility& u, const Performance& held) {
  if (WrongField(u) != nullptr) return 0;
  switch (u.kind) {
    case UtilityKind::kSimple:
      return held.latency_ns <= u.limit_ns ? u.alpha_microcredits : 0;
    case UtilityKind::kPenalty:
      return AfterPenalty(u, held);
    case UtilityKind::kRefund:
      return AfterRefund(u, held);
    case UtilityKind::kBonus:
      break;
  }
  return u.alpha_microcredits + Bonus(u, held);
}

// Rounded towards minus infinity. |per_gbit| <= 2 * kPerGbitMaxMicrocredits.
Microcredits PerSecond(int64_t throughput_kbps, Microcredits per_gbit) {
  const int64_t rest = throughput_kbps % kKbitsPerGbit * per_gbit;
  return throughput_kbps / kKbitsPerGbit * per_gbit + rest / kKbitsPerGbit -
         (rest % kKbitsPerGbit < 0 ? 1 : 0);
}

}  // namespace

const char* WrongField(const Utility& u) {
  if (!Within(static_cast<int64_t>(u.kind), 0, static_cast<int64_t>(UtilityKind::kBonus))) {
    return "kind";
  }
  if (!Within(u.alpha_microcredits, 0, kPerGbitMaxMicrocredits)) return "alpha_microcredits";
  if (!Within(u.limit_ns, 0, kLatencyMaxNs)) return "limit_ns";
  if (!Within(u.factor, kFactorMin, kFactorMax)) return "factor";
  if (!Within(u.beta_microcredits, 0, kPerGbitMaxMicrocredits)) return "beta_microcredits";
  if (!Within(u.gamma_microcredits, 0, kPerGbitMaxMicrocredits)) return "gamma_microcredits";
  if (!Within(u.delta_microcredits, 0, kPerGbitMaxMicrocredits)) return "delta_microcredits";
  return nullptr;
}

const char* WrongField(const Performance& p) {
  if (!Within(p.throughput_kbps, 0, kThroughputMaxKbps)) return "throughput_kbps";
  if (!Within(p.latency_ns, 0, kLatencyMaxNs)) return "latency_ns";
  if (!Within(p.jitter_ns, 0, kLatencyMaxNs)) return "jitter_ns";
  return nullptr;
}

Microcredits WorthPerGbit(const Utility& utility, const Performance& performance) {
  return Worth(utility, Hold(performance));
}

Microcredits UtilityPerSecond(const Utility& utility, const Performance& performance,
                              Microcredits gbit_price_microcredits) {
  const Performance held = Hold(performance);
  if (utility.kind == UtilityKind::kSimple && held.latency_ns > utility.limit_ns) return 0;
  return PerSecond(held.throughput_kbps,
                   Worth(utility, held) - Hold(gbit_price_microcredits, kPerGbitMaxMicrocredits));
}

Microcredits ProfitPerSecond(const Utility& utility, const Performance& performance,
                             Microcredits gbit_price_microcredits) {
  return Max(0, UtilityPerSecond(utility, performance, gbit_price_microcredits));
}

Microcredits ValuePerRound(const Utility& utility, const Performance& performance,
                           int64_t round_us) {
  const Performance held = Hold(performance);
  const Microcredits a_second = PerSecond(held.throughput_kbps, Worth(utility, held));
  const int64_t us = Hold(round_us, kRoundMaxUs);
  const int64_t rest = us % kUsPerSecond;
  const Microcredits value = us / kUsPerSecond * a_second + a_second / kUsPerSecond * rest +
                             a_second % kUsPerSecond * rest / kUsPerSecond;
  return Min(value, kValueMaxMicrocredits);
}

}  // namespace nom::policies
