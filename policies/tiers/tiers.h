// SPDX-License-Identifier: Apache-2.0
// Tiers: bids for guests that do not want to bid.
//
// A guest names a tier, the most units that it can use and the most that it would pay for one. Each
// round the operator's table turns that into an ordinary bid out of the last price: a guest of a
// higher tier bids more above it and so is outbid later. Tiers are for headroom alone, what is
// above the seed, and may be changed each round.
//
// A tier may have a floor, so that the lowest does not starve: in one of every `floor_every_rounds`
// rounds each of its guests is given `floor_units` before the auction. Whose turn it is depends on
// the guest's slot and the round's number alone, so that no guest's coming or going takes a turn
// from another.

#ifndef NOM_POLICIES_TIERS_TIERS_H_
#define NOM_POLICIES_TIERS_TIERS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "policies/bidding/range.h"

namespace nom::policies {

// Name and version, as it is recorded with every bid that it makes.
inline constexpr std::string_view kTierBids = "tiers/1";

inline constexpr int64_t kTierMultipleMaxPpm = 1'000'000'000;
inline constexpr int64_t kTierFloorEveryRoundsMax = 10'000;

// A row of the operator's table.
struct Tier {
  std::string name;  // [a-z0-9-]{1,32}; unique in its table.
  // Of the last round's price; from 0 to kTierMultipleMaxPpm.
  int64_t price_multiple_ppm = 1'000'000;
  // 0: no floor. Otherwise both are above 0.
  int64_t floor_units = 0;         // At most kUnitsMax.
  int64_t floor_every_rounds = 0;  // At most kTierFloorEveryRoundsMax.

  friend bool operator==(const Tier&, const Tier&) = default;
};

// What a guest asks of its tier.
struct TierWish {
  int64_t units_max = 0;                             // From 1 to kUnitsMax.
  Microcredits ceiling_unit_price_microcredits = 0;  // From 0 to kValueMaxMicrocredits.
  int64_t slot = 0;  // In [0, floor_every_rounds), of a tier with a floor; see LeastUsedSlot.

  friend bool operator==(const TierWish&, const TierWish&) = default;
};

// The whole table: lowest tier first. INVALID_ARGUMENT naming the row and the field, "[1].name:
// ...", or OK. A higher tier's multiple is not below a lower one's.
absl::Status ValidateTiers(absl::Span<const Tier> tiers);

// The bid for a round: up to units_max units, each worth the multiple of the last price (rounded
// up, so that a price above 0 never gives a bid of 0 but by a multiple of 0), at most the ceiling.
// `last_unit_price_microcredits`: the higher of the last round's price and this round's reserve, so
// that a market without demand sells at its reserve. Fewer units where all would be worth more than
// a bid may be. Nothing if the ceiling, or the multiple, is 0. Errors: INVALID_ARGUMENT naming the
// field of the wish, or the price, that is out of range.
absl::StatusOr<std::optional<Range>> TierBid(const Tier& tier, const TierWish& wish,
                                             Microcredits last_unit_price_microcredits);

// Whether the guest with this slot is given the tier's floor in this round: in exactly one of any
// floor_every_rounds rounds on end. Never without a floor.
bool IsFloorRound(const Tier& tier, int64_t slot, uint64_t round_id);

// The slot that the fewest guests have, the lowest of equals: what a floor takes out of supply is
// spread over rounds as evenly as can be. `used_slots`: those of the tier's guests, in any order.
// Requires a tier with a floor and slots of it.
int64_t LeastUsedSlot(const Tier& tier, absl::Span<const int64_t> used_slots);

}  // namespace nom::policies

#endif  // NOM_POLICIES_TIERS_TIERS_H_
