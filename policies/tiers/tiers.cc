// SPDX-License-Identifier: Apache-2.0
#include "policies/tiers/tiers.h"

#include <algorithm>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "policies/clearing/int128.h"
#include "policies/within.h"

namespace nom::policies {
namespace {

constexpr int64_t kMillion = 1'000'000;
constexpr size_t kNameBytesMax = 32;

bool IsTierName(const std::string& name) {
  return !name.empty() && name.size() <= kNameBytesMax &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

absl::Status ValidateRow(absl::string_view row, const Tier& tier) {
  if (!IsTierName(tier.name)) {
    return absl::InvalidArgumentError(
        absl::StrCat(row, ".name: '", tier.name, "' is not [a-z0-9-]{1,32}"));
  }
  if (auto s = Within(absl::StrCat(row, ".price_multiple_ppm"), tier.price_multiple_ppm, 0,
                      kTierMultipleMaxPpm);
      !s.ok()) {
    return s;
  }
  if (tier.floor_units == 0 && tier.floor_every_rounds == 0) return absl::OkStatus();
  if (auto s = Within(absl::StrCat(row, ".floor_units"), tier.floor_units, 1, kUnitsMax); !s.ok()) {
    return s;
  }
  return Within(absl::StrCat(row, ".floor_every_rounds"), tier.floor_every_rounds, 1,
                kTierFloorEveryRoundsMax);
}

}  // namespace

absl::Status ValidateTiers(absl::Span<const Tier> tiers) {
  std::set<std::string> names;
  for (size_t i = 0; i < tiers.size(); ++i) {
    const std::string row = absl::StrCat("[", i, "]");
    if (auto s = ValidateRow(row, tiers[i]); !s.ok()) return s;
    if (!names.insert(tiers[i].name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(row, ".name: '", tiers[i].name, "' is there twice"));
    }
    if (i > 0 && tiers[i].price_multiple_ppm < tiers[i - 1].price_multiple_ppm) {
      return absl::InvalidArgumentError(absl::StrCat(
          row, ".price_multiple_ppm: ", tiers[i].price_multiple_ppm, " is below the ",
          tiers[i - 1].price_multiple_ppm, " of '", tiers[i - 1].name, "', a lower tier"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Range>> TierBid(const Tier& tier, const TierWish& wish,
                                             Microcredits last_unit_price_microcredits) {
  if (auto s = Within("units_max", wish.units_max, 1, kUnitsMax); !s.ok()) return s;
  if (auto s = Within("ceiling_unit_price_microcredits", wish.ceiling_unit_price_microcredits, 0,
                      kValueMaxMicrocredits);
      !s.ok()) {
    return s;
  }
  if (auto s = Within("last_unit_price_microcredits", last_unit_price_microcredits, 0,
                      kValueMaxMicrocredits);
      !s.ok()) {
    return s;
  }
  const Int128 multiple =
      (Int128{last_unit_price_microcredits} * tier.price_multiple_ppm + kMillion - 1) / kMillion;
  const auto unit_price =
      static_cast<Microcredits>(std::min<Int128>(multiple, wish.ceiling_unit_price_microcredits));
  if (unit_price == 0) return std::optional<Range>();
  const int64_t units = std::min(wish.units_max, kValueMaxMicrocredits / unit_price);
  return std::optional<Range>({.min_units = 1,
                               .max_units = units,
                               .value_at_min_microcredits = unit_price,
                               .unit_price_microcredits = unit_price});
}

bool IsFloorRound(const Tier& tier, int64_t slot, uint64_t round_id) {
  if (tier.floor_every_rounds == 0) return false;
  return static_cast<int64_t>(round_id % static_cast<uint64_t>(tier.floor_every_rounds)) == slot;
}

int64_t LeastUsedSlot(const Tier& tier, absl::Span<const int64_t> used_slots) {
  std::vector<int64_t> uses(static_cast<size_t>(tier.floor_every_rounds), 0);
  for (const int64_t slot : used_slots) ++uses[static_cast<size_t>(slot)];
  return std::min_element(uses.begin(), uses.end()) - uses.begin();
}

}  // namespace nom::policies
