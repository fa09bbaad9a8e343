// SPDX-License-Identifier: Apache-2.0
// What the adviser's choice between spot, contract and waiting (policies/bidding/choice.h) is worth
// to programs that follow it: many needs, each chosen for by the history up to then and carried out
// in the rounds that come, against the best that could have been done had they been known.
//
// Prices are given, not made by the programs: each is small. A day has kRoundsADay rounds.
// Contracts are quoted by forward/1 with its defaults, out of the last day's prices.

#ifndef NOM_BENCH_ECONOMY_CHOICE_STUDY_H_
#define NOM_BENCH_ECONOMY_CHOICE_STUDY_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "policies/bidding/range.h"

namespace nom::economy {

enum class PriceShape {
  kSteady,  // About the same, a tenth up and down.
  kDaily,   // By day three times what they are by night.
  kBursty,  // Low, and now and then four times that, for a dozen rounds or so.
};

// Who chooses.
enum class Chooser {
  kAdviser,
  kAlwaysSpot,
  kAlwaysContract,  // Unless it costs more than the need is worth; then it does nothing.
};

struct ChoiceStudyOptions {
  uint64_t seed = 1;
  PriceShape shape = PriceShape::kSteady;
  Chooser chooser = Chooser::kAdviser;
  int64_t dislike_ppm = 0;
  int64_t cycle_rounds = 1;  // As the adviser is told.
  int needs = 400;
};

// Of all needs; credits are means a need, in micro-credits.
struct ChoiceStudyResult {
  // Shares of the needs, of what was chosen: they add up to 1.
  double spot = 0;
  double contract = 0;
  double wait = 0;
  double nothing = 0;
  double unknown = 0;  // Not enough known; done nothing about.
  double met = 0;
  double paid = 0;
  double best_paid = 0;  // By who does the best in hindsight.
  double gain = 0;       // Worth of what was met, less what was paid.
  double best_gain = 0;
  double tail_gain = 0;  // Of the worst tenth of the needs.
};

// Prices of so many rounds.
std::vector<policies::Microcredits> DrawPrices(PriceShape shape, int64_t rounds, uint64_t seed);

// Errors: those of the forward policy; INTERNAL if somebody did better than the best in hindsight
// or paid more than a need is worth.
absl::StatusOr<ChoiceStudyResult> RunChoices(const ChoiceStudyOptions& options);

}  // namespace nom::economy

#endif  // NOM_BENCH_ECONOMY_CHOICE_STUDY_H_
