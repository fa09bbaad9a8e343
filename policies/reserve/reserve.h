// SPDX-License-Identifier: Apache-2.0
// Reserve prices: the operator's lowest price a unit, round by round.
//
// When supply exceeds demand the reserve is the price, so whoever watches a price must be able to
// tell whose it is: every price is published with the policy's name and version, and a clearing
// says whether bids or the reserve bound it.
//
// A policy is a function of its parameters and of what the last round left (ReserveInput); the
// AR(1) band also draws a number, from the seed and the round alone. Integers only: the same
// reserve to the micro-credit on every machine, in every replay.

#ifndef NOM_POLICIES_RESERVE_RESERVE_H_
#define NOM_POLICIES_RESERVE_RESERVE_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "policies/bidding/range.h"

namespace nom::policies {

enum class ReserveKind {
  kNone,         // "none/1": 0. Idle units are free.
  kFixed,        // "fixed/1": floor_unit_price.
  kUtilisation,  // "utilisation/1": from the floor, when nothing is sold, to the ceiling, when all
                 // is.
  kAr1Band,      // "ar1_band/1": wanders between floor and ceiling whatever the bids.
  kLearnt,       // "learnt/1": between them, the price that would have earned the most lately.
};

// What a host's configuration says.
struct ReservePolicy {
  ReserveKind kind = ReserveKind::kNone;
  Microcredits floor_unit_price_microcredits = 0;  // Not for kNone.
  // kUtilisation: above the floor. kAr1Band: by kAr1BandWidthMin or more. kLearnt: not below the
  // floor.
  Microcredits ceiling_unit_price_microcredits = 0;
  // kUtilisation: the rise is spread over utilisations above this, in parts per million of the
  // capacity, below 1,000,000; up to it the floor holds.
  int64_t knee_ppm = 0;
  // kLearnt: of so many rounds, from kLearntRoundsMin to kLearntRoundsMax.
  int64_t look_back_rounds = 0;
  // kAr1Band: where the walk's numbers come from. A host's own; recorded with the policy.
  uint64_t seed = 0;

  friend bool operator==(const ReservePolicy&, const ReservePolicy&) = default;
};

struct ReserveInput {
  uint64_t round = 0;                                      // This round; draws differ by it.
  Microcredits last_reserve_unit_price_microcredits = -1;  // Of the last round; -1 on the first.
  // kAr1Band: the last change d_(t-1), as it was returned; 0 on the first.
  Microcredits last_change_microcredits = 0;
  int64_t capacity_units = 0;
  int64_t sold_units = 0;  // In the last round; 0 on the first.
  // kLearnt: BestUnitPrice (best_price.h) of the rounds before in which it is known, oldest first;
  // those of more than look_back_rounds do no harm. Not copied.
  std::span<const Microcredits> best_unit_prices = {};
};

struct ReserveOutput {
  Microcredits reserve_unit_price_microcredits = 0;
  Microcredits change_microcredits = 0;  // To be handed in again next time.

  friend bool operator==(const ReserveOutput&, const ReserveOutput&) = default;
};

// Name and version, as it is published: "ar1_band/1".
std::string_view ReserveName(ReserveKind kind);

// INVALID_ARGUMENT that names the parameter, or OK.
absl::Status ValidateReserve(const ReservePolicy& policy);

// Errors: those of ValidateReserve; INVALID_ARGUMENT for units below 0 or sold above capacity.
//
// kAr1Band is what Agmon Ben-Yehuda et al. (Deconstructing Amazon EC2 spot instance pricing, 2011)
// found in 98 % of the early spot prices: d_t = -0.7 d_(t-1) + e, e normal with deviation
// 0.39 (ceiling - floor), starting at the floor, drawn again while the new price leaves the band
// or does not differ. After kAr1DrawsMax draws in vain the price stays, so that no parameters can
// hold up a round.
//
// kLearnt is the median (the lower of two) of the best prices of the last look_back_rounds rounds,
// within floor and ceiling; the floor where fewer than kLearntRoundsMin are known. A round in which
// nobody bid counts as a best price of 0: where demand leaves, the reserve comes down after it. A
// single round, or a single bidder in less than half of them, cannot move it beyond what the other
// rounds said. That it is learnt from bids means that bids have a price: who bids its worth now
// pays for it in rounds to come (README.md, and the operators' handbook).
absl::StatusOr<ReserveOutput> NextReserve(const ReservePolicy& policy, const ReserveInput& input);

inline constexpr int kAr1DrawsMax = 1'000;
inline constexpr int64_t kLearntRoundsMin = 8;
inline constexpr int64_t kLearntRoundsMax = 2'880;
// In a band of a few micro-credits rounding is no smaller than the changes, and the walk another
// one. From here on its deviation and its correlation from change to change are within 1 % of those
// of wide bands.
inline constexpr Microcredits kAr1BandWidthMin = 100;

// A number of mean 0 and deviation 1, in millionths, close to normal: the sum of 48 uniform 16-bit
// numbers out of (seed, round, draw), scaled. Within 12 deviations; its kurtosis is 0.025 below the
// normal one's.
int64_t NormalMillionths(uint64_t seed, uint64_t round, uint64_t draw);

}  // namespace nom::policies

#endif  // NOM_POLICIES_RESERVE_RESERVE_H_
