// SPDX-License-Identifier: Apache-2.0
#include "client/guest/market.h"

#include <algorithm>
#include <limits>

namespace nom::guest {
namespace {

constexpr uint64_t kRoundUsMin = 1'000;
constexpr uint64_t kRoundUsMax = 3'600'000'000;
constexpr int64_t kUnitSizeMax = int64_t{1} << 40;

}  // namespace

Market::Market(const Clock* clock, const Pages& pages)
    : clock_(clock), pages_(pages), bids_(pages.bids), round_began_tsc_(clock->Tsc()) {}

void Market::Look() {
  const uint64_t last_round_id = machine_.round_id;
  const uint64_t now_tsc = clock_->Tsc();
  NomMachineBoard machine;
  if (CopyBoard(pages_.machine, &machine)) machine_ = machine;
  NomGuestBoard guest;
  if (CopyBoard(pages_.guest, &guest)) guest_ = guest;
  LookForPrices(now_tsc);
  if (safe_mode()) bids_.WithdrawAll();
  notice_ = notices_.Look(guest_);
  round_began_ = safe_mode() ? now_tsc - round_began_tsc_ >= clock_->ToTicks(round_us())
                             : machine_.round_id != last_round_id;
  if (round_began_) {
    round_began_tsc_ = now_tsc;
    ++rounds_seen_;
  }
}

void Market::LookForPrices(uint64_t now_tsc) {
  const auto ticks = [](uint64_t tsc) {
    return static_cast<int64_t>(std::min<uint64_t>(tsc, std::numeric_limits<int64_t>::max()));
  };
  if (Readable(machine_)) {
    const int64_t updated = ticks(machine_.updated_tsc);
    (void)safe_mode_.OnPrices(updated, ticks(machine_.valid_until_tsc) - updated,
                              ticks(clock_->ToTicks(round_us())));
  } else {
    (void)safe_mode_.OnLost();
  }
  (void)safe_mode_.OnTime(ticks(now_tsc));
}

uint64_t Market::round_us() const {
  if (machine_.magic != NOM_MACHINE_BOARD_MAGIC || machine_.period_us == 0) return kDefaultRoundUs;
  return std::clamp(machine_.period_us, kRoundUsMin, kRoundUsMax);
}

std::optional<int64_t> Market::Price(NomResource kind) const {
  const NomPrice* price = FindPrice(machine_, kind);
  if (safe_mode() || price == nullptr) return std::nullopt;
  return std::clamp<int64_t>(price->unit_price_microcredits, 0, policies::kValueMaxMicrocredits);
}

int64_t Market::UnitSize(NomResource kind) const {
  const NomPrice* price = FindPrice(machine_, kind);
  if (price != nullptr && price->unit_size > 0 && price->unit_size <= kUnitSizeMax) {
    return price->unit_size;
  }
  return kind == NOM_RESOURCE_MEMORY ? kDefaultMemoryUnitBytes : kDefaultCpuUnitMillicores;
}

int64_t Market::SeedMillicores() const {
  const NomHolding* cpu = FindHolding(guest_, NOM_RESOURCE_CPU);
  if (cpu == nullptr) return Millicores();
  return std::clamp<int64_t>(cpu->seed_units, 0, 1000) * UnitSize(NOM_RESOURCE_CPU);
}

int64_t Market::Millicores() const {
  return static_cast<int64_t>(std::min<uint64_t>(guest_.millicores_granted, 1000));
}

uint64_t Market::CyclesPerCpuUnit() const {
  const auto millicores = static_cast<uint64_t>(UnitSize(NOM_RESOURCE_CPU));
  return clock_->ToTicks(round_us()) / 1000 * std::min<uint64_t>(millicores, 1000);
}

bool Market::BidTogether(std::span<const NomBundle> bundles, int64_t budget_microcredits) {
  if (safe_mode()) return false;
  if (!bundles.empty()) return bids_.BidTogether(bundles, budget_microcredits);
  bids_.WithdrawAll();
  return true;
}

bool Market::Bid(NomResource kind, const policies::RangeList& ranges, int64_t budget_microcredits) {
  if (safe_mode()) return false;
  if (ranges.count == 0) {
    bids_.Withdraw(kind);
    return true;
  }
  NomRange out[NOM_RANGES_MAX];
  for (int i = 0; i < ranges.count; ++i) {
    const policies::Range& range = ranges.ranges[i];
    out[i] = {.min_units = range.min_units,
              .max_units = range.max_units,
              .value_at_min_microcredits = range.value_at_min_microcredits,
              .unit_price_microcredits = range.unit_price_microcredits};
  }
  return bids_.Bid(kind, std::span(out).first(static_cast<size_t>(ranges.count)),
                   budget_microcredits);
}

}  // namespace nom::guest
