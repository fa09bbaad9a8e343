// SPDX-License-Identifier: Apache-2.0
#include "bench/economy/choice_study.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "bench/economy/contract_study.h"
#include "bench/economy/random.h"
#include "policies/bidding/choice.h"
#include "policies/forward/forward.h"

namespace nom::economy {
namespace {

using policies::ChoiceInput;
using policies::ContractTerms;
using policies::Microcredits;
using policies::Need;
using policies::Prospect;
using policies::Way;

constexpr Microcredits kReserve = 10'000;
constexpr int64_t kKnownRounds = 20 * kRoundsADay;  // Before the first need.
constexpr int64_t kCapacity = 96;
constexpr int64_t kShare = kCapacity / 2;

// One need, with what is quoted for it and the rounds in which it is to be met.
struct Task {
  Need need;
  int64_t units = 0;
  ContractTerms terms;
  absl::Span<const Microcredits> past;    // Unit prices.
  absl::Span<const Microcredits> future;  // As many as the deadline has rounds.
};

struct Outcome {
  bool is_met = false;
  Microcredits paid = 0;
  Microcredits GainOf(const Need& need) const {
    return (is_met ? need.worth_microcredits : 0) - paid;
  }
};

Outcome BuyContract(const Task& task) {
  return {true, policies::ContractCost(task.terms, task.need.rounds)};
}

// Round by round, as a program does: it knows the price when the round is over.
Outcome BidAsToldBy(const Prospect& prospect, const Task& task) {
  Outcome outcome;
  int64_t held = 0;
  for (size_t r = 0; r < task.future.size(); ++r) {
    const auto left = static_cast<int64_t>(task.future.size() - r);
    const Microcredits limit = policies::LimitNow(prospect, task.need, held, left);
    const Microcredits charge = task.future[r] * task.units;
    if (limit == 0 || charge > limit) continue;
    outcome.paid += charge;
    ++held;
  }
  outcome.is_met = held == task.need.rounds;
  return outcome;
}

// Whoever had known all prices: the cheapest rounds, the contract, or nothing.
Outcome BestInHindsight(const Task& task) {
  std::vector<Microcredits> prices(task.future.begin(), task.future.end());
  std::sort(prices.begin(), prices.end());
  const Microcredits cheapest =
      task.units *
      std::accumulate(prices.begin(), prices.begin() + task.need.rounds, Microcredits{0});
  const Outcome best{true, std::min(cheapest, BuyContract(task).paid)};
  return best.GainOf(task.need) > 0 ? best : Outcome{};
}

struct Chosen {
  Way way = Way::kNothing;
  Prospect prospect;
};

Chosen ChooseFor(const ChoiceStudyOptions& options, const Task& task) {
  const Microcredits limit = task.need.worth_microcredits / task.need.rounds;
  switch (options.chooser) {
    case Chooser::kAlwaysSpot:
      return {Way::kSpot, {.slack_limit_microcredits = limit, .limit_microcredits = limit}};
    case Chooser::kAlwaysContract:
      return {
          BuyContract(task).paid < task.need.worth_microcredits ? Way::kContract : Way::kNothing,
          {}};
    case Chooser::kAdviser:
      break;
  }
  std::vector<Microcredits> charges;
  charges.reserve(task.past.size());
  for (const Microcredits price : task.past) charges.push_back(price * task.units);
  std::vector<policies::ChoiceCell> cells(charges.size() + 1);
  const policies::Choice choice = policies::Choose({.charges_microcredits = charges.data(),
                                                    .rounds = static_cast<int>(charges.size()),
                                                    .need = task.need,
                                                    .contract = &task.terms,
                                                    .dislike_ppm = options.dislike_ppm,
                                                    .cycle_rounds = options.cycle_rounds},
                                                   cells.data());
  return {choice.way, choice.way == Way::kWait ? choice.wait : choice.spot};
}

// A need of its own for each number: the same whoever chooses.
absl::StatusOr<Task> DrawTask(const ChoiceStudyOptions& options,
                              absl::Span<const Microcredits> prices, int number) {
  constexpr int64_t kLengths[] = {6, 12, 24, 48};
  constexpr int64_t kSlacks[] = {100, 150, 200, 400};  // The deadline in percent of the rounds.
  Random draw(options.seed, static_cast<uint64_t>(number) + 1'000);
  Task task;
  task.units = draw.Between(1, 8);
  task.need.rounds = kLengths[draw.Between(0, 3)];
  task.need.within_rounds = task.need.rounds * kSlacks[draw.Between(0, 3)] / 100;
  const auto latest = static_cast<int64_t>(prices.size()) - task.need.within_rounds;
  const auto now = static_cast<size_t>(draw.Between(kKnownRounds, latest));
  task.past = prices.first(now);
  task.future = prices.subspan(now, static_cast<size_t>(task.need.within_rounds));
  // Worth 80 to 400 % of what such rounds cost in the mean.
  const Microcredits mean = std::accumulate(task.past.begin(), task.past.end(), Microcredits{0}) /
                            static_cast<int64_t>(now);
  task.need.worth_microcredits = mean * task.units * task.need.rounds * draw.Between(80, 400) / 100;
  const policies::ForwardPolicy policy;
  const auto quote =
      policies::PriceForward(policy, {.past_unit_prices_microcredits = task.past.last(kRoundsADay),
                                      .reserve_unit_price_microcredits = kReserve,
                                      .share_units = kShare,
                                      .sold_units = draw.Between(0, kShare - task.units),
                                      .units = task.units,
                                      .rounds = task.need.rounds});
  if (!quote.ok()) return quote.status();
  task.terms = {.charge_microcredits = quote->charge_microcredits,
                .rounds = task.need.rounds,
                .end_fee_ppm = policy.end_fee_ppm};
  return task;
}

}  // namespace

std::vector<Microcredits> DrawPrices(PriceShape shape, int64_t rounds, uint64_t seed) {
  Random draw(seed, 7);
  std::vector<Microcredits> prices;
  bool is_burst = false;
  for (int64_t round = 0; round < rounds; ++round) {
    int64_t level = 60'000;
    switch (shape) {
      case PriceShape::kSteady:
        break;
      case PriceShape::kDaily: {
        // 30,000 at midnight, 90,000 at noon.
        const int64_t hour = round % kRoundsADay;
        level = 90'000 - std::abs(2 * hour - kRoundsADay) * 60'000 / kRoundsADay;
        break;
      }
      case PriceShape::kBursty:
        is_burst = is_burst ? !draw.OneIn(12) : draw.OneIn(60);
        level = is_burst ? 160'000 : 40'000;
        break;
    }
    prices.push_back(std::max(kReserve, level * draw.Between(90, 110) / 100));
  }
  return prices;
}

absl::StatusOr<ChoiceStudyResult> RunChoices(const ChoiceStudyOptions& options) {
  const std::vector<Microcredits> prices =
      DrawPrices(options.shape, kKnownRounds + 40 * kRoundsADay, options.seed);
  ChoiceStudyResult result;
  const double share = 1.0 / std::max(options.needs, 1);
  std::vector<Microcredits> gains;
  for (int i = 0; i < options.needs; ++i) {
    const auto task = DrawTask(options, prices, i);
    if (!task.ok()) return task.status();
    const Chosen chosen = ChooseFor(options, *task);
    Outcome outcome;
    switch (chosen.way) {
      case Way::kSpot:
        result.spot += share;
        outcome = BidAsToldBy(chosen.prospect, *task);
        break;
      case Way::kContract:
        result.contract += share;
        outcome = BuyContract(*task);
        break;
      case Way::kWait:
        result.wait += share;
        outcome = BidAsToldBy(chosen.prospect, *task);
        break;
      case Way::kNothing:
        result.nothing += share;
        break;
      case Way::kUnknown:
        result.unknown += share;
        break;
    }
    const Outcome best = BestInHindsight(*task);
    const Microcredits gain = outcome.GainOf(task->need);
    if (outcome.paid > task->need.worth_microcredits || gain > best.GainOf(task->need)) {
      return absl::InternalError(absl::StrCat("need ", i, ": gained ", gain, " of ",
                                              best.GainOf(task->need), ", paid ", outcome.paid));
    }
    result.met += outcome.is_met ? share : 0;
    result.paid += share * static_cast<double>(outcome.paid);
    result.best_paid += share * static_cast<double>(best.paid);
    result.gain += share * static_cast<double>(gain);
    result.best_gain += share * static_cast<double>(best.GainOf(task->need));
    gains.push_back(gain);
  }
  std::sort(gains.begin(), gains.end());
  const size_t worst = std::max<size_t>(1, gains.size() / 10);
  for (size_t i = 0; i < worst && i < gains.size(); ++i) {
    result.tail_gain += static_cast<double>(gains[i]) / static_cast<double>(worst);
  }
  return result;
}

}  // namespace nom::economy
