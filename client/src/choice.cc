// SPDX-License-Identifier: Apache-2.0
#include "nom/choice.h"

#include <algorithm>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "policies/bidding/choice.h"

namespace nom {
namespace {

static_assert(kNeedRoundsMax == policies::kChoiceRoundsMax);
static_assert(kBidValueMaxMicrocredits == policies::kValueMaxMicrocredits);

absl::Status OutOfRange(absl::string_view field) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": out of range"));
}

// What the units of the need would have cost in a round.
int64_t ChargeIn(const PricedRound& round, const Need& need) {
  for (const PastPrice& past : round.prices) {
    if (past.resource != need.resource) continue;
    if (!past.price.offered || past.supply_units < need.units) return policies::kNotToBeHad;
    int64_t charge = 0;
    if (__builtin_mul_overflow(past.price.unit_price_microcredits, need.units, &charge)) {
      return policies::kNotToBeHad;
    }
    return charge;
  }
  return policies::kNotToBeHad;
}

struct History {
  std::vector<int64_t> charges;  // The oldest first.
  uint64_t next_round_id = 1;
};

// The latest rounds that follow on one another, each once.
History HistoryOf(const std::vector<PricedRound>& past, const Need& need) {
  std::vector<const PricedRound*> rounds;
  rounds.reserve(past.size());
  for (const PricedRound& round : past) rounds.push_back(&round);
  std::sort(rounds.begin(), rounds.end(),
            [](const PricedRound* a, const PricedRound* b) { return a->round_id > b->round_id; });
  History history;
  if (rounds.empty()) return history;
  history.next_round_id = rounds[0]->round_id + 1;
  uint64_t expected = rounds[0]->round_id;
  for (const PricedRound* round : rounds) {
    if (round->round_id == expected + 1) continue;  // The page before had it, too.
    if (round->round_id != expected ||
        history.charges.size() == static_cast<size_t>(kNeedRoundsMax)) {
      break;
    }
    history.charges.push_back(ChargeIn(*round, need));
    --expected;
  }
  std::reverse(history.charges.begin(), history.charges.end());
  return history;
}

Prospect FromPolicies(const policies::Prospect& prospect) {
  return {.possible = prospect.possible,
          .utility_microcredits = prospect.utility_microcredits,
          .mean_gain_microcredits = prospect.mean_gain_microcredits,
          .tail_gain_microcredits = prospect.tail_gain_microcredits,
          .mean_charge_microcredits = prospect.mean_charge_microcredits,
          .met_ppm = prospect.met_ppm,
          .slack_limit_microcredits = prospect.slack_limit_microcredits,
          .limit_microcredits = prospect.limit_microcredits};
}

Way FromPolicies(policies::Way way) {
  switch (way) {
    case policies::Way::kUnknown:
      return Way::kUnknown;
    case policies::Way::kNothing:
      return Way::kNothing;
    case policies::Way::kSpot:
      return Way::kSpot;
    case policies::Way::kContract:
      return Way::kContract;
    case policies::Way::kWait:
      return Way::kWait;
  }
  return Way::kUnknown;
}

policies::Need ToPolicies(const Need& need) {
  return {.rounds = need.rounds,
          .within_rounds = need.within_rounds == 0 ? need.rounds : need.within_rounds,
          .worth_microcredits = need.worth_microcredits};
}

// Whether the offer has what is needed at all; its terms, if so.
std::optional<policies::ContractTerms> TermsOf(const Offer& offer, const Need& need,
                                               uint64_t next_round_id) {
  const bool has_units = std::any_of(offer.lots.begin(), offer.lots.end(), [&](const Lot& lot) {
    return lot.resource == need.resource && lot.units >= need.units;
  });
  if (!has_units) return std::nullopt;
  const uint64_t begins =
      offer.from_round_id > next_round_id ? offer.from_round_id - next_round_id : 0;
  // One that begins after the last deadline that there can be is not in time for this one either.
  if (begins > static_cast<uint64_t>(kNeedRoundsMax)) return std::nullopt;
  return policies::ContractTerms{.charge_microcredits = ChargeOf(offer),
                                 .rounds = offer.rounds,
                                 .begins_in_rounds = static_cast<int64_t>(begins),
                                 .end_fee_ppm = offer.end_fee_ppm};
}

}  // namespace

int64_t RoundsUntil(const MarketStatus& market, absl::Time deadline) {
  if (market.round_id == 0 || market.period <= absl::ZeroDuration()) return 0;
  const absl::Duration left = deadline - market.effective_time;
  if (left < market.period) return 0;
  if (left >= market.period * kNeedRoundsMax) return kNeedRoundsMax;
  absl::Duration rest;
  return absl::IDivDuration(left, market.period, &rest);
}

absl::string_view WayName(Way way) {
  switch (way) {
    case Way::kUnknown:
      return "unknown";
    case Way::kNothing:
      return "nothing";
    case Way::kSpot:
      return "spot";
    case Way::kContract:
      return "contract";
    case Way::kWait:
      return "wait";
  }
  return "unknown";
}

const Prospect& Choice::chosen() const {
  static const Prospect kNone;
  switch (way) {
    case Way::kSpot:
      return spot;
    case Way::kContract:
      return contract;
    case Way::kWait:
      return wait;
    case Way::kUnknown:
    case Way::kNothing:
      break;
  }
  return kNone;
}

absl::StatusOr<Choice> Choose(const Need& need, const std::vector<PricedRound>& past,
                              const std::optional<Offer>& quote, const ChooseOptions& options) {
  if (need.units < 1 || need.units > kBidUnitsMax) return OutOfRange("need.units");
  if (options.dislike_percent < 0 || options.dislike_percent > 100) {
    return OutOfRange("dislike_percent");
  }
  const History history = HistoryOf(past, need);
  std::optional<policies::ContractTerms> terms;
  if (quote) terms = TermsOf(*quote, need, history.next_round_id);
  const policies::ChoiceInput input{
      .charges_microcredits = history.charges.data(),
      .rounds = static_cast<int>(history.charges.size()),
      .need = ToPolicies(need),
      .contract = terms ? &*terms : nullptr,
      .dislike_ppm = int64_t{options.dislike_percent} * (policies::kDislikeMaxPpm / 100),
      .cycle_rounds = options.cycle_rounds};
  if (const char* field = policies::WrongField(input); field != nullptr) return OutOfRange(field);
  std::vector<policies::ChoiceCell> cells(history.charges.size() + 1);
  const policies::Choice choice = policies::Choose(input, cells.data());
  return Choice{.way = FromPolicies(choice.way),
                .spot = FromPolicies(choice.spot),
                .contract = FromPolicies(choice.contract),
                .wait = FromPolicies(choice.wait),
                .blocks = choice.blocks,
                .block_rounds = choice.block_rounds};
}

int64_t UnitLimitNow(const Prospect& prospect, const Need& need, int64_t held_rounds,
                     int64_t left_rounds) {
  if (need.units < 1) return 0;
  return policies::LimitNow({.slack_limit_microcredits = prospect.slack_limit_microcredits,
                             .limit_microcredits = prospect.limit_microcredits},
                            ToPolicies(need), held_rounds, left_rounds) /
         need.units;
}

}  // namespace nom
