// SPDX-License-Identifier: Apache-2.0
// Spot, contract, or wait: a program says what it needs and how it dislikes loss, and is told how
// to have it. Functions over policies/bidding/choice.h, which says how it is worked out and from
// which sources the measure is. Thread-safe.
//
//   const nom::Need need{.resource = nom::Resource::kCpu, .units = 20, .rounds = 30,
//                        .within_rounds = 120, .worth_microcredits = 9'000'000};
//   const auto past = session->ListPrices({.resources = {need.resource}});
//   const auto quote = session->GetQuote({.units = {{need.resource, need.units}},
//                                         .rounds = need.rounds}).Wait();
//   const auto choice = nom::Choose(need, past->rounds,
//                                   quote.ok() ? std::optional(*quote) : std::nullopt,
//                                   {.dislike_percent = 50});
//   if (choice->way == nom::Way::kContract) session->TakeOffer({.offer_id = quote->offer_id});
//
// client/examples/need.cc goes through with it.

#ifndef NOM_CHOICE_H_
#define NOM_CHOICE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "nom/contracts.h"
#include "nom/types.h"

namespace nom {

inline constexpr int64_t kNeedRoundsMax = 1 << 17;

// So many units, beyond the seed, for so many rounds in all (they need not be on end), by a
// deadline. It is worth what it is worth once it is met; a part of it is worth nothing.
struct Need {
  Resource resource = Resource::kMemory;
  int64_t units = 0;               // 1 to kBidUnitsMax.
  int64_t rounds = 1;              // 1 to kNeedRoundsMax.
  int64_t within_rounds = 0;       // From the next round on; 0: as many as `rounds`, at once.
  int64_t worth_microcredits = 0;  // 0 to kBidValueMaxMicrocredits.
};

// How many whole rounds from the next one on end by then, for Need::within_rounds: 0 if none does,
// or the market has said nothing yet; at most kNeedRoundsMax.
int64_t RoundsUntil(const MarketStatus& market, absl::Time deadline);

enum class Way : uint8_t {
  kUnknown,   // Not enough is known of the past to compare.
  kNothing,   // It is not worth what it would cost, in whatever way.
  kSpot,      // Bid in each round until it is met.
  kContract,  // Take the offer.
  kWait,      // Bid low while more rounds are left than are needed, then as on spot.
};
// "unknown", "nothing", "spot", "contract", "wait".
absl::string_view WayName(Way way);

// What is to be expected of a way: the mean over what would have come of it in the past.
struct Prospect {
  bool possible = false;  // False: not known, or it cannot meet the need. The rest is 0 then.
  // What ways are compared by: mean_gain - dislike * (mean_gain - tail_gain).
  int64_t utility_microcredits = 0;
  int64_t mean_gain_microcredits = 0;  // The worth where it is met, less what is paid anyhow.
  int64_t tail_gain_microcredits = 0;  // The same in the worst tenth.
  int64_t mean_charge_microcredits = 0;
  int64_t met_ppm = 0;  // The chance that the need is met, in millionths.
  // The most to bid for a round of all units, while there is slack and after; see UnitLimitNow().
  int64_t slack_limit_microcredits = 0;
  int64_t limit_microcredits = 0;
};

struct Choice {
  Way way = Way::kUnknown;
  Prospect spot;
  Prospect contract;
  Prospect wait;
  int64_t blocks = 0;        // So many pasts were compared; 0: too few.
  int64_t block_rounds = 0;  // Of so many rounds each: the deadline, or half of the past known.

  // Of `way`; an empty one for kUnknown and kNothing.
  const Prospect& chosen() const;
};

struct ChooseOptions {
  // How much loss is disliked: 0, the mean alone counts; 100, the worst tenth alone.
  // bench/economy has what each choice of it costs and what it keeps off.
  int dislike_percent = 50;
  // After so many rounds prices come round again (those of a day, say); 1: not that anybody knows.
  int64_t cycle_rounds = 1;
};

// `past`: as ListPrices() tells it, of a page or of several, in any order; the latest rounds that
// follow on one another without a gap are looked at, at most kNeedRoundsMax. Rounds in which fewer
// units were on sale than are needed count as rounds in which they were not to be had. `quote`: for
// at least the units and the rounds that are needed; what it has in excess is paid for. Its time is
// not looked at. Errors: INVALID_ARGUMENT names the field.
absl::StatusOr<Choice> Choose(const Need& need, const std::vector<PricedRound>& past,
                              const std::optional<Offer>& quote, const ChooseOptions& options = {});

// What a unit may cost in the next round, for who has chosen spot or to wait: bid
// {1, units, price, price} for it, for one round, or {units, units, price * units, 0} where the
// rule takes bids with gaps. So many rounds were won, and so many are left until the deadline, the
// next one included. 0: bid nothing.
int64_t UnitLimitNow(const Prospect& prospect, const Need& need, int64_t held_rounds,
                     int64_t left_rounds);

}  // namespace nom

#endif  // NOM_CHOICE_H_
