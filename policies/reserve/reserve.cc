// SPDX-License-Identifier: Apache-2.0
#include "policies/reserve/reserve.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "policies/clearing/int128.h"
#include "policies/mix.h"
#include "policies/within.h"

namespace nom::policies {
namespace {

constexpr int64_t kMillion = 1'000'000;

Microcredits ByUtilisation(const ReservePolicy& policy, const ReserveInput& input) {
  const Int128 floor = policy.floor_unit_price_microcredits;
  const Int128 band = policy.ceiling_unit_price_microcredits - floor;
  if (input.capacity_units == 0) return static_cast<Microcredits>(floor);
  const Int128 used_ppm = Int128{input.sold_units} * kMillion / input.capacity_units;
  const Int128 above_knee_ppm = std::max<Int128>(0, used_ppm - policy.knee_ppm);
  return static_cast<Microcredits>(floor + band * above_knee_ppm / (kMillion - policy.knee_ppm));
}

ReserveOutput Ar1Band(const ReservePolicy& policy, const ReserveInput& input) {
  const Microcredits floor = policy.floor_unit_price_microcredits;
  const Microcredits ceiling = policy.ceiling_unit_price_microcredits;
  if (input.last_reserve_unit_price_microcredits < 0) return {floor, 0};
  // A band that was moved under the walk takes it along.
  const Microcredits last = std::clamp(input.last_reserve_unit_price_microcredits, floor, ceiling);
  const Int128 pull = -Int128{input.last_change_microcredits} * 7 / 10;
  const Int128 deviation = Int128{ceiling - floor} * 39 / 100;
  for (uint64_t draw = 0; draw < kAr1DrawsMax; ++draw) {
    const Int128 change =
        pull + deviation * NormalMillionths(policy.seed, input.round, draw) / kMillion;
    const Int128 price = last + change;
    if (change != 0 && price >= floor && price <= ceiling) {
      return {static_cast<Microcredits>(price), static_cast<Microcredits>(change)};
    }
  }
  return {last, 0};
}

Microcredits Learnt(const ReservePolicy& policy, const ReserveInput& input) {
  const auto known = static_cast<int64_t>(input.best_unit_prices.size());
  if (known < kLearntRoundsMin) return policy.floor_unit_price_microcredits;
  const auto last =
      input.best_unit_prices.last(static_cast<size_t>(std::min(known, policy.look_back_rounds)));
  std::vector<Microcredits> prices(last.begin(), last.end());
  const auto middle = prices.begin() + static_cast<std::ptrdiff_t>((prices.size() - 1) / 2);
  std::nth_element(prices.begin(), middle, prices.end());
  return std::clamp(*middle, policy.floor_unit_price_microcredits,
                    policy.ceiling_unit_price_microcredits);
}

}  // namespace

std::string_view ReserveName(ReserveKind kind) {
  switch (kind) {
    case ReserveKind::kNone:
      return "none/1";
    case ReserveKind::kFixed:
      return "fixed/1";
    case ReserveKind::kUtilisation:
      return "utilisation/1";
    case ReserveKind::kAr1Band:
      return "ar1_band/1";
    case ReserveKind::kLearnt:
      return "learnt/1";
  }
  return "";
}

absl::Status ValidateReserve(const ReservePolicy& policy) {
  if (ReserveName(policy.kind).empty()) return absl::InvalidArgumentError("kind: no such policy");
  if (policy.kind == ReserveKind::kNone) return absl::OkStatus();
  const Microcredits floor = policy.floor_unit_price_microcredits;
  if (auto s = Within("floor_unit_price_microcredits", floor, 0, kValueMaxMicrocredits); !s.ok()) {
    return s;
  }
  if (policy.kind == ReserveKind::kFixed) return absl::OkStatus();
  const Microcredits ceiling = policy.ceiling_unit_price_microcredits;
  const Microcredits width_min = policy.kind == ReserveKind::kAr1Band  ? kAr1BandWidthMin
                                 : policy.kind == ReserveKind::kLearnt ? 0
                                                                       : 1;
  if (auto s = Within("ceiling_unit_price_microcredits", ceiling, floor + width_min,
                      kValueMaxMicrocredits);
      !s.ok()) {
    return s;
  }
  if (policy.kind == ReserveKind::kLearnt) {
    return Within("look_back_rounds", policy.look_back_rounds, kLearntRoundsMin, kLearntRoundsMax);
  }
  if (policy.kind != ReserveKind::kUtilisation) return absl::OkStatus();
  return Within("knee_ppm", policy.knee_ppm, 0, kMillion - 1);
}

absl::StatusOr<ReserveOutput> NextReserve(const ReservePolicy& policy, const ReserveInput& input) {
  if (auto s = ValidateReserve(policy); !s.ok()) return s;
  if (auto s = Within("capacity_units", input.capacity_units, 0, kUnitsMax); !s.ok()) return s;
  if (auto s = Within("sold_units", input.sold_units, 0, input.capacity_units); !s.ok()) return s;
  switch (policy.kind) {
    case ReserveKind::kNone:
      return ReserveOutput{};
    case ReserveKind::kFixed:
      return ReserveOutput{policy.floor_unit_price_microcredits, 0};
    case ReserveKind::kUtilisation:
      return ReserveOutput{ByUtilisation(policy, input), 0};
    case ReserveKind::kAr1Band:
      return Ar1Band(policy, input);
    case ReserveKind::kLearnt:
      return ReserveOutput{Learnt(policy, input), 0};
  }
  return absl::InternalError("kind: no such policy");
}

int64_t NormalMillionths(uint64_t seed, uint64_t round, uint64_t draw) {
  constexpr int64_t kWords = 12;
  constexpr int64_t kNumbersAWord = 4;
  const uint64_t stream = Mix(Mix(Mix(seed + 0x9e3779b97f4a7c15) ^ round) + draw);
  int64_t sum = 0;
  for (uint64_t word = 1; word <= uint64_t{kWords}; ++word) {
    const uint64_t bits = Mix(stream + word * 0x9e3779b97f4a7c15);
    for (int64_t i = 0; i < kNumbersAWord; ++i)
      sum += static_cast<int64_t>(bits >> (16 * i) & 0xffff);
  }
  // The sum of 48 uniform numbers has a deviation of 2 (times 65536).
  constexpr int64_t kMeanTimes2 = kWords * kNumbersAWord * 0xffff;
  return (2 * sum - kMeanTimes2) * kMillion / (int64_t{4} * 65'536);
}

}  // namespace nom::policies
