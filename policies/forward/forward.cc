// SPDX-License-Identifier: Apache-2.0
#include "policies/forward/forward.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "policies/clearing/int128.h"
#include "policies/within.h"

namespace nom::policies {
namespace {

constexpr int64_t kMillion = 1'000'000;

// Requires dividend >= 0 and divisor > 0.
Int128 CeilDivide(Int128 dividend, Int128 divisor) { return (dividend + divisor - 1) / divisor; }

// What the first `units` of a share cost on top of the base price. Both premiums are rounded up as
// sums from the share's beginning, not unit by unit: so the difference of two of them is what the
// units between cost, however they are divided. Below 2^122.
Int128 PremiumsUpTo(const ForwardPolicy& policy, const ForwardInput& input, Microcredits base,
                    int64_t units) {
  const Int128 term = CeilDivide(Int128{base} * units * policy.term_premium_ppm * input.rounds,
                                 Int128{policy.rounds_max} * kMillion);
  // Unit number x, counted from 0 to the share's end, pays x / share of the premium: the integral.
  const Int128 scarcity = CeilDivide(Int128{base} * units * units * policy.scarcity_premium_ppm,
                                     Int128{2} * input.share_units * kMillion);
  return term + scarcity;
}

absl::Status CheckInput(const ForwardPolicy& policy, const ForwardInput& input) {
  if (auto s = Within("reserve_unit_price_microcredits", input.reserve_unit_price_microcredits, 0,
                      kValueMaxMicrocredits);
      !s.ok()) {
    return s;
  }
  for (const Microcredits price : input.past_unit_prices_microcredits) {
    if (auto s = Within("past_unit_prices_microcredits", price, 0, kValueMaxMicrocredits);
        !s.ok()) {
      return s;
    }
  }
  if (auto s = Within("share_units", input.share_units, 0, kUnitsMax); !s.ok()) return s;
  if (auto s = Within("sold_units", input.sold_units, 0, input.share_units); !s.ok()) return s;
  if (auto s = Within("units", input.units, 1, kUnitsMax); !s.ok()) return s;
  if (auto s = Within("rounds", input.rounds, 1, policy.rounds_max); !s.ok()) return s;
  const int64_t left = input.share_units - input.sold_units;
  if (input.units > left) {
    return absl::ResourceExhaustedError(
        absl::StrCat("units: ", input.units, " are more than the ", left,
                     " that may still be sold forward in these rounds, of ", input.share_units));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateForward(const ForwardPolicy& policy) {
  if (auto s = Within("percentile_ppm", policy.percentile_ppm, 1, kMillion); !s.ok()) return s;
  if (auto s = Within("rounds_max", policy.rounds_max, 1, kForwardRoundsMax); !s.ok()) return s;
  if (auto s = Within("term_premium_ppm", policy.term_premium_ppm, 0, kForwardPremiumMaxPpm);
      !s.ok()) {
    return s;
  }
  if (auto s =
          Within("scarcity_premium_ppm", policy.scarcity_premium_ppm, 0, kForwardPremiumMaxPpm);
      !s.ok()) {
    return s;
  }
  return Within("end_fee_ppm", policy.end_fee_ppm, 0, kMillion);
}

absl::StatusOr<ForwardPrice> PriceForward(const ForwardPolicy& policy, const ForwardInput& input) {
  if (auto s = ValidateForward(policy); !s.ok()) return s;
  if (auto s = CheckInput(policy, input); !s.ok()) return s;
  const Microcredits base =
      std::max(input.reserve_unit_price_microcredits,
               PricePercentile(input.past_unit_prices_microcredits, policy.percentile_ppm));
  const Int128 charge = Int128{base} * input.units +
                        PremiumsUpTo(policy, input, base, input.sold_units + input.units) -
                        PremiumsUpTo(policy, input, base, input.sold_units);
  // Nobody can set aside more than a bid may be worth.
  if (charge > kValueMaxMicrocredits) {
    return absl::InvalidArgumentError(absl::StrCat("units: ", input.units, " cost more than ",
                                                   kValueMaxMicrocredits,
                                                   " micro-credits a round"));
  }
  return ForwardPrice{base, static_cast<Microcredits>(charge)};
}

Microcredits PricePercentile(absl::Span<const Microcredits> unit_prices, int64_t percentile_ppm) {
  if (unit_prices.empty()) return 0;
  std::vector<Microcredits> prices(unit_prices.begin(), unit_prices.end());
  const Int128 rank =
      CeilDivide(Int128{percentile_ppm} * static_cast<int64_t>(prices.size()), kMillion);
  const auto at = prices.begin() + (static_cast<int64_t>(rank) - 1);
  std::nth_element(prices.begin(), at, prices.end());
  return *at;
}

Microcredits EndFee(const ForwardPolicy& policy, Microcredits charge_microcredits,
                    int64_t rounds_left) {
  // Up to 10^20: the dearest and longest contracts cost more than 64 bits hold, and nobody has it.
  const Int128 fee =
      CeilDivide(Int128{charge_microcredits} * rounds_left * policy.end_fee_ppm, kMillion);
  return static_cast<Microcredits>(std::min<Int128>(fee, std::numeric_limits<Microcredits>::max()));
}

}  // namespace nom::policies
