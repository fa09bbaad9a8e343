// SPDX-License-Identifier: Apache-2.0
#include "policies/bidding/pacing.h"

namespace nom::policies {
namespace {

int64_t Min(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t Max(int64_t a, int64_t b) { return a > b ? a : b; }

Microcredits Hold(Microcredits amount) { return Max(0, Min(amount, kValueMaxMicrocredits)); }

}  // namespace

const char* WrongField(const PacingLimits& limits) {
  if (limits.period_budget_microcredits != Hold(limits.period_budget_microcredits)) {
    return "period_budget_microcredits";
  }
  if (limits.period_rounds < 1 || limits.period_rounds > kPeriodRoundsMax) return "period_rounds";
  if (limits.bid_lifetime_rounds < 1 || limits.bid_lifetime_rounds > kLifetimeRoundsMax) {
    return "bid_lifetime_rounds";
  }
  return nullptr;
}

BudgetPacer::BudgetPacer(const PacingLimits& limits) : limits_(limits) {
  if (WrongField(limits) != nullptr) limits_ = {};
}

uint64_t BudgetPacer::PeriodOf(uint64_t round_id) const {
  return round_id / static_cast<uint64_t>(limits_.period_rounds);
}

void BudgetPacer::MoveTo(uint64_t round_id) {
  if (round_id <= round_) return;
  if (PeriodOf(round_id) != PeriodOf(round_)) spent_ = 0;
  round_ = round_id;
}

void BudgetPacer::Spend(Microcredits charge) { spent_ = Hold(spent_ + Hold(charge)); }

// The place of a round; null if a later round has taken it.
BudgetPacer::Round* BudgetPacer::Find(uint64_t round_id) {
  Round& round = rounds_[round_id % kUntoldRoundsMax];
  if (round.id > round_id) return nullptr;
  if (round.id < round_id) {
    if (!round.told && PeriodOf(round.id) == PeriodOf(round_)) Spend(round.cap);
    round = {.id = round_id, .cap = 0, .told = false};
  }
  return &round;
}

// What may still be charged in rounds of a period before the one given.
Microcredits BudgetPacer::UntoldOf(uint64_t period, uint64_t before_round_id) const {
  Microcredits sum = 0;
  for (const Round& round : rounds_) {
    if (!round.told && round.id < before_round_id && PeriodOf(round.id) == period) sum += round.cap;
  }
  return sum;
}

Microcredits BudgetPacer::outstanding_microcredits() const {
  return UntoldOf(PeriodOf(round_), UINT64_MAX);
}

// The largest cap at which what one period may come to be charged stays within its budget. What
// stands now for a round counts there if it is more: it is not sure to be replaced.
Microcredits BudgetPacer::CapIn(uint64_t period, uint64_t round_id, int stands_rounds) const {
  Microcredits left = limits_.period_budget_microcredits - UntoldOf(period, round_id);
  if (period == PeriodOf(round_)) left -= spent_;
  Microcredits standing[kLifetimeRoundsMax];
  int count = 0;
  for (int i = 0; i < limits_.bid_lifetime_rounds; ++i) {
    const uint64_t id = round_id + static_cast<uint64_t>(i);
    if (PeriodOf(id) != period) continue;
    const Round& round = rounds_[id % kUntoldRoundsMax];
    const Microcredits stands = round.id == id && !round.told ? round.cap : 0;
    if (i < stands_rounds) {
      standing[count++] = stands;
    } else {
      left -= stands;
    }
  }
  // Spread evenly over the rounds that stand at less. Leaving one out only lowers what the others
  // get, so that it stays left out.
  for (;;) {
    // At least one of the rounds is in the period, or nobody would ask.
    const Microcredits cap = left <= 0 || count == 0 ? 0 : left / count;
    int still = 0;
    for (int i = 0; i < count; ++i) {
      if (standing[i] > cap) {
        left -= standing[i];
      } else {
        standing[still++] = standing[i];
      }
    }
    if (still == count || still == 0) return cap;
    count = still;
  }
}

int BudgetPacer::RoundsOf(int stands_rounds) const {
  const bool is_shorter = stands_rounds > 0 && stands_rounds < limits_.bid_lifetime_rounds;
  return is_shorter ? stands_rounds : limits_.bid_lifetime_rounds;
}

Microcredits BudgetPacer::Cap(uint64_t round_id, int stands_rounds) {
  if (round_id < round_ || round_id == 0) return 0;
  MoveTo(round_id);
  const auto rounds = static_cast<uint64_t>(limits_.period_rounds);
  const auto shares = static_cast<int64_t>(round_id % rounds) + 1;
  const Microcredits budget = limits_.period_budget_microcredits;
  const Microcredits share = budget / limits_.period_rounds;
  const Microcredits rest = budget % limits_.period_rounds;  // Both factors below 2^20.
  Microcredits cap = share * shares + rest * shares / limits_.period_rounds - spent_ -
                     UntoldOf(PeriodOf(round_id), round_id);
  const int stands = RoundsOf(stands_rounds);
  const uint64_t last = round_id + static_cast<uint64_t>(stands) - 1;
  for (uint64_t period = PeriodOf(round_id); period <= PeriodOf(last); ++period) {
    cap = Min(cap, CapIn(period, round_id, stands));
  }
  return Hold(cap);
}

void BudgetPacer::Stand(uint64_t round_id, Microcredits cap, int stands_rounds, bool replaces) {
  MoveTo(round_id);
  const int stands = RoundsOf(stands_rounds);
  for (int i = 0; i < limits_.bid_lifetime_rounds; ++i) {
    Round* round = Find(round_id + static_cast<uint64_t>(i));
    if (round == nullptr || round->told) continue;
    const Microcredits here = i < stands ? Hold(cap) : 0;
    round->cap = replaces ? here : Max(round->cap, here);
  }
}

void BudgetPacer::Placed(uint64_t round_id, Microcredits cap, int stands_rounds) {
  Stand(round_id, cap, stands_rounds, true);
}

void BudgetPacer::Unsure(uint64_t round_id, Microcredits cap, int stands_rounds) {
  Stand(round_id, cap, stands_rounds, false);
}

void BudgetPacer::Told(uint64_t round_id, Microcredits charge) {
  MoveTo(round_id);
  Round* round = Find(round_id);
  if (round == nullptr || round->told) return;
  round->told = true;
  if (PeriodOf(round_id) == PeriodOf(round_)) Spend(charge);
}

}  // namespace nom::policies
