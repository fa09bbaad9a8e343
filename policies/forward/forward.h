// SPDX-License-Identifier: Apache-2.0
// Forward prices: what units cost that are sold for several rounds at once, outside the auction.
//
// A contract's price is fixed when it is bought, so it must be made out of what is known then: the
// prices at which the last rounds cleared. forward/1 takes a percentile of them, adds a premium
// that rises with the length of the contract (a price that holds insures its buyer against dear
// rounds) and with how much of what may be sold forward is sold already (the last units of it are
// the ones that keep the auction alive), and is never below the reserve.
//
// The percentile is published as the forecast, so that nobody is sold a secret: whoever waits and
// bids knows what the seller takes the next rounds to cost.
//
// Integers only: the same price to the micro-credit on every machine, in every replay.

#ifndef NOM_POLICIES_FORWARD_FORWARD_H_
#define NOM_POLICIES_FORWARD_FORWARD_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "policies/bidding/range.h"

namespace nom::policies {

// Name and version, as it is published with every price that it makes.
inline constexpr std::string_view kForward = "forward/1";

inline constexpr int64_t kForwardRoundsMax = 100'000;
inline constexpr int64_t kForwardPremiumMaxPpm = 10'000'000;

// What a host's configuration says of one resource. Parts per million throughout. The defaults are
// where most is sold forward without anybody making money of it who only passes it on, or who ends
// contracts early: `./nom bench economy`, section `contracts`.
struct ForwardPolicy {
  int64_t percentile_ppm = 600'000;  // In (0, 1,000,000].
  // The longest contract; from 1 to kForwardRoundsMax.
  int64_t rounds_max = 1'440;
  // On top of the percentile for a contract of rounds_max rounds, in proportion for shorter ones.
  int64_t term_premium_ppm = 100'000;  // From 0 to kForwardPremiumMaxPpm.
  // On top of the percentile for the last unit of the share, in proportion for those before it.
  int64_t scarcity_premium_ppm = 200'000;  // From 0 to kForwardPremiumMaxPpm.
  // Of what a contract would still have cost, if its holder ends it early.
  int64_t end_fee_ppm = 100'000;  // From 0 to 1,000,000.

  friend bool operator==(const ForwardPolicy&, const ForwardPolicy&) = default;
};

struct ForwardInput {
  // Of a unit, a round, in the rounds that are looked back upon; in any order. Empty: the host has
  // no history yet, and the reserve is all that is known.
  absl::Span<const Microcredits> past_unit_prices_microcredits;
  Microcredits reserve_unit_price_microcredits = 0;
  // The most units that may be sold forward, and how many are in the fullest of the rounds that the
  // contract would be alive in.
  int64_t share_units = 0;
  int64_t sold_units = 0;
  // What is asked for.
  int64_t units = 0;
  int64_t rounds = 0;
};

struct ForwardPrice {
  // The larger of percentile and reserve, of a unit, a round: without premiums.
  Microcredits base_unit_price_microcredits = 0;
  // Of all units together, a round. Buying in pieces costs the same to the micro-credit: the units
  // of a later piece are those further up in the share.
  Microcredits charge_microcredits = 0;

  friend bool operator==(const ForwardPrice&, const ForwardPrice&) = default;
};

// INVALID_ARGUMENT that names the parameter, or OK.
absl::Status ValidateForward(const ForwardPolicy& policy);

// Errors: those of ValidateForward; INVALID_ARGUMENT, naming the field, for units or rounds below 1
// or beyond rounds_max, and for prices, units or shares out of range; RESOURCE_EXHAUSTED, with what
// is left, if the share does not hold the units.
absl::StatusOr<ForwardPrice> PriceForward(const ForwardPolicy& policy, const ForwardInput& input);

// The smallest of the prices that at least `percentile_ppm` of them do not exceed (nearest rank).
// 0 if there are none. Requires 0 < percentile_ppm <= 1,000,000.
Microcredits PricePercentile(absl::Span<const Microcredits> unit_prices, int64_t percentile_ppm);

// What ending a contract costs, rounded up: never more than going on to its end would, and at most
// what 64 bits hold.
// Requires a valid policy, charge_microcredits from 0 to kValueMaxMicrocredits and rounds_left from
// 0 to kForwardRoundsMax.
Microcredits EndFee(const ForwardPolicy& policy, Microcredits charge_microcredits,
                    int64_t rounds_left);

}  // namespace nom::policies

#endif  // NOM_POLICIES_FORWARD_FORWARD_H_
