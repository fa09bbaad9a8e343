// SPDX-License-Identifier: Apache-2.0
#include "policies/bidding/supply.h"

#include "policies/bidding/sort.h"

namespace nom::policies {
namespace {

__extension__ using Wide = __int128;  // Only multiplied, added and compared.

int64_t Hold(int64_t number, int64_t low, int64_t high) {
  return number < low ? low : number > high ? high : number;
}

Wide Charge(const SupplyCurve& supply, ChargeRule rule, int64_t units) {
  Wide charge = 0;
  for (int i = 0; i < supply.count && supply.steps[i].above_units < units; ++i) {
    const SupplyStep& step = supply.steps[i];
    if (rule == ChargeRule::kOnePrice) {
      charge = Wide{units} * step.unit_price_microcredits;
      continue;
    }
    const bool last = i + 1 == supply.count || supply.steps[i + 1].above_units >= units;
    const int64_t end = last ? units : supply.steps[i + 1].above_units;
    charge += Wide{end - step.above_units} * step.unit_price_microcredits;
  }
  return charge;
}

}  // namespace

PriceHistory::PriceHistory(RoundSeen* room, int rounds)
    : room_(room), capacity_(static_cast<int>(Hold(rounds, 1, kHistoryRoundsMax))) {}

void PriceHistory::Note(const RoundSeen& round) {
  RoundSeen& kept = room_[noted_++ % capacity_];
  kept.free_units = Hold(round.free_units, 0, kUnitsMax);
  kept.reserve_unit_price_microcredits =
      Hold(round.reserve_unit_price_microcredits, 0, kValueMaxMicrocredits);
  kept.next_unit_price_microcredits =
      Hold(round.next_unit_price_microcredits, kept.reserve_unit_price_microcredits,
           kValueMaxMicrocredits);
}

bool PriceHistory::Predict(int percent, SupplyCurve& supply) const {
  supply.count = 0;
  const int n = rounds();
  if (n == 0) return false;
  const int rank = static_cast<int>((Hold(percent, 1, 100) * n + 99) / 100) - 1;
  // What some round still had for the reserve ends there: only there can the percentile change.
  int64_t ends[kHistoryRoundsMax + 1] = {0};
  for (int i = 0; i < n; ++i) ends[i + 1] = room_[i].free_units;
  Sort(ends, n + 1, [](int64_t a, int64_t b) { return a < b; });
  for (int i = 0; i <= n; ++i) {
    if (i > 0 && ends[i] == ends[i - 1]) continue;
    Microcredits prices[kHistoryRoundsMax];
    for (int k = 0; k < n; ++k) {
      prices[k] = room_[k].free_units > ends[i] ? room_[k].reserve_unit_price_microcredits
                                                : room_[k].next_unit_price_microcredits;
    }
    Sort(prices, n, [](Microcredits a, Microcredits b) { return a < b; });
    const Microcredits price = prices[rank];
    if (supply.count > 0 && supply.steps[supply.count - 1].unit_price_microcredits == price) {
      continue;
    }
    supply.steps[supply.count++] = {ends[i], price};
  }
  return true;
}

Microcredits ExpectedCharge(const SupplyCurve& supply, ChargeRule rule, int64_t units) {
  const Wide charge = Charge(supply, rule, units);
  return charge > INT64_MAX ? INT64_MAX : static_cast<Microcredits>(charge);
}

int64_t BestUnitsAgainst(const RangeList& bid, const SupplyCurve& supply, ChargeRule rule) {
  if (supply.count == 0) return 0;
  int64_t best_units = 0;
  Wide best = 0;
  const auto consider = [&](int64_t units) {
    Microcredits value = 0;
    if (!ValueAt(bid, units, value)) return;
    const Wide surplus = value - Charge(supply, rule, units);
    if (surplus > best || (surplus == best && units < best_units)) {
      best = surplus;
      best_units = units;
    }
  };
  // Between these the surplus is a straight line, and where the price steps up it never rises.
  for (int i = 0; i < bid.count; ++i) {
    consider(bid.ranges[i].min_units);
    consider(bid.ranges[i].max_units);
  }
  for (int i = 0; i < supply.count; ++i) consider(supply.steps[i].above_units);
  return best_units;
}

}  // namespace nom::policies
