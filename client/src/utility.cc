// SPDX-License-Identifier: Apache-2.0
#include "nom/utility.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/src/measured.h"
#include "policies/bidding/axioms.h"

namespace nom {
namespace client {
namespace {

constexpr double kThousand = 1000;

// To thousandths. Not a number fails the comparison too.
absl::StatusOr<int64_t> Thousandths(double number, int64_t most, absl::string_view field) {
  const double thousandths = number * kThousand;
  if (!(thousandths >= 0 && thousandths <= static_cast<double>(most))) {
    return absl::InvalidArgumentError(absl::StrCat(field, ": ", number, " is not within 0 and ",
                                                   static_cast<double>(most) / kThousand));
  }
  return std::llround(thousandths);
}

}  // namespace

absl::StatusOr<int64_t> ToKbps(double mbps, absl::string_view field) {
  return Thousandths(mbps, policies::kThroughputMaxKbps, field);
}

absl::StatusOr<int64_t> ToNs(double us, absl::string_view field) {
  return Thousandths(us, policies::kLatencyMaxNs, field);
}

absl::StatusOr<int64_t> ToRoundUs(absl::Duration round) {
  const int64_t us = absl::ToInt64Microseconds(round);
  if (us < 0 || us > policies::kRoundMaxUs) {
    return absl::InvalidArgumentError(
        absl::StrCat("round: ", absl::FormatDuration(round), " is not within 0 and an hour"));
  }
  return us;
}

absl::StatusOr<policies::Utility> ToWhole(const Utility& utility) {
  const absl::StatusOr<int64_t> limit_ns = ToNs(utility.limit_us, "utility.limit_us");
  if (!limit_ns.ok()) return limit_ns.status();
  const policies::Utility whole{.kind = static_cast<policies::UtilityKind>(utility.kind),
                                .alpha_microcredits = utility.alpha_microcredits,
                                .limit_ns = *limit_ns,
                                .factor = utility.factor,
                                .beta_microcredits = utility.beta_microcredits,
                                .gamma_microcredits = utility.gamma_microcredits,
                                .delta_microcredits = utility.delta_microcredits};
  if (const char* field = policies::WrongField(whole); field != nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("utility.", field, ": out of range"));
  }
  return whole;
}

absl::StatusOr<policies::Performance> ToWhole(const Performance& performance,
                                              absl::string_view where) {
  const absl::StatusOr<int64_t> throughput =
      ToKbps(performance.throughput_mbps, absl::StrCat(where, "throughput_mbps"));
  if (!throughput.ok()) return throughput.status();
  const absl::StatusOr<int64_t> latency =
      ToNs(performance.latency_us, absl::StrCat(where, "latency_us"));
  if (!latency.ok()) return latency.status();
  const absl::StatusOr<int64_t> jitter =
      ToNs(performance.jitter_us, absl::StrCat(where, "jitter_us"));
  if (!jitter.ok()) return jitter.status();
  return policies::Performance{*throughput, *latency, *jitter};
}

Performance FromWhole(const policies::Performance& performance) {
  return {.throughput_mbps = static_cast<double>(performance.throughput_kbps) / kThousand,
          .latency_us = static_cast<double>(performance.latency_ns) / kThousand,
          .jitter_us = static_cast<double>(performance.jitter_ns) / kThousand};
}

}  // namespace client

namespace {

static_assert(
    static_cast<int>(UtilityKind::kSimple) == static_cast<int>(policies::UtilityKind::kSimple) &&
    static_cast<int>(UtilityKind::kPenalty) == static_cast<int>(policies::UtilityKind::kPenalty) &&
    static_cast<int>(UtilityKind::kRefund) == static_cast<int>(policies::UtilityKind::kRefund) &&
    static_cast<int>(UtilityKind::kBonus) == static_cast<int>(policies::UtilityKind::kBonus));
static_assert(Utility{}.delta_microcredits == policies::kPerGbitMaxMicrocredits);

struct Whole {
  policies::Utility utility;
  policies::Performance performance;
};

absl::StatusOr<Whole> BothWhole(const Utility& utility, const Performance& performance) {
  const absl::StatusOr<policies::Utility> u = client::ToWhole(utility);
  if (!u.ok()) return u.status();
  const absl::StatusOr<policies::Performance> p = client::ToWhole(performance, "performance.");
  if (!p.ok()) return p.status();
  return Whole{*u, *p};
}

using ToInteger = absl::StatusOr<int64_t> (*)(double number, absl::string_view field);

absl::StatusOr<std::vector<int64_t>> WholeAxis(const std::vector<double>& numbers,
                                               absl::string_view field, ToInteger convert) {
  std::vector<int64_t> whole;
  for (size_t i = 0; i < numbers.size(); ++i) {
    const absl::StatusOr<int64_t> number =
        convert(numbers[i], absl::StrCat("grid.", field, "[", i, "]"));
    if (!number.ok()) return number.status();
    whole.push_back(*number);
  }
  return whole;
}

absl::Status CheckRising(const std::vector<int64_t>& numbers, absl::string_view field) {
  const auto falls = std::adjacent_find(numbers.begin(), numbers.end(),
                                        [](int64_t a, int64_t b) { return b <= a; });
  if (falls == numbers.end()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("grid.", field, "[", falls + 1 - numbers.begin(),
                                                 "]: does not rise from the one before"));
}

policies::GridAxis Axis(const std::vector<int64_t>& numbers) {
  return {numbers.data(), static_cast<int>(numbers.size())};
}

std::string At(const policies::Performance& performance, int64_t price, double utility) {
  const Performance p = client::FromWhole(performance);
  return absl::StrCat(utility, " at ", p.throughput_mbps, " Mbit/s, ", p.latency_us, " us, ",
                      p.jitter_us, " us of jitter and a price of ", price);
}

}  // namespace

absl::StatusOr<int64_t> WorthPerGbit(const Utility& utility, const Performance& performance) {
  const absl::StatusOr<Whole> whole = BothWhole(utility, performance);
  if (!whole.ok()) return whole.status();
  return policies::WorthPerGbit(whole->utility, whole->performance);
}

absl::StatusOr<int64_t> ProfitPerSecond(const Utility& utility, const Performance& performance,
                                        int64_t gbit_price_microcredits) {
  if (gbit_price_microcredits < 0 || gbit_price_microcredits > policies::kPerGbitMaxMicrocredits) {
    return absl::InvalidArgumentError(
        absl::StrCat("gbit_price_microcredits: ", gbit_price_microcredits, " is not within 0 and ",
                     policies::kPerGbitMaxMicrocredits));
  }
  const absl::StatusOr<Whole> whole = BothWhole(utility, performance);
  if (!whole.ok()) return whole.status();
  return policies::ProfitPerSecond(whole->utility, whole->performance, gbit_price_microcredits);
}

absl::StatusOr<int64_t> ValuePerRound(const Utility& utility, const Performance& performance,
                                      absl::Duration round) {
  const absl::StatusOr<int64_t> round_us = client::ToRoundUs(round);
  if (!round_us.ok()) return round_us.status();
  const absl::StatusOr<Whole> whole = BothWhole(utility, performance);
  if (!whole.ok()) return whole.status();
  return policies::ValuePerRound(whole->utility, whole->performance, *round_us);
}

absl::Status CheckAxioms(const UtilityFunction& utility, const UtilityGrid& grid) {
  const absl::StatusOr<std::vector<int64_t>> throughputs =
      WholeAxis(grid.throughputs_mbps, "throughputs_mbps", &client::ToKbps);
  if (!throughputs.ok()) return throughputs.status();
  const absl::StatusOr<std::vector<int64_t>> latencies =
      WholeAxis(grid.latencies_us, "latencies_us", &client::ToNs);
  if (!latencies.ok()) return latencies.status();
  const absl::StatusOr<std::vector<int64_t>> jitters =
      WholeAxis(grid.jitters_us, "jitters_us", &client::ToNs);
  if (!jitters.ok()) return jitters.status();
  for (const auto& [field, numbers] :
       {std::pair("throughputs_mbps", &*throughputs),
        std::pair("gbit_prices_microcredits", &grid.gbit_prices_microcredits),
        std::pair("latencies_us", &*latencies), std::pair("jitters_us", &*jitters)}) {
    if (absl::Status status = CheckRising(*numbers, field); !status.ok()) return status;
  }
  const auto violation = policies::FindAxiomViolation(
      {Axis(*throughputs), Axis(grid.gbit_prices_microcredits), Axis(*latencies), Axis(*jitters)},
      [&](const policies::Performance& performance, int64_t price) {
        return utility(client::FromWhole(performance), price);
      });
  if (violation.axiom == policies::Axiom::kNone) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "utility is not ", policies::AxiomName(violation.axiom), ": ",
      At(violation.first, violation.first_price_microcredits, violation.first_utility), ", but ",
      At(violation.second, violation.second_price_microcredits, violation.second_utility)));
}

}  // namespace nom
