// SPDX-License-Identifier: Apache-2.0
// A budget spread over a period of rounds, that no award can break. See policies/bidding/pacing.h
// for how it is spread: an even share for each round, and what was left before.
//
//   auto pacer = nom::BudgetPacer::Create({.period_budget_microcredits = 60'000'000,
//                                          .period_rounds = 60});
//   // Each round:
//   const uint64_t round_id = session->market().round_id;
//   const int64_t cap = pacer->Cap(round_id, 1);
//   auto advice = nom::Advise(curve, {.budget_microcredits = cap});
//   auto round = session->Bid({.ranges = advice->ranges, .budget_microcredits = cap, .rounds = 1});
//   if (!round.ok()) {
//     pacer->Unsure(round_id, cap);
//   } else if (!advice->ranges.empty()) {
//     pacer->Placed(*round, cap, 1);
//   }
//   // Once a round is decided:
//   pacer->Told(round_id, charge);
//
// The bids are for one round each: what a program has no more work for lapses by itself. A bid that
// the session renews stands until it is withdrawn, by a bid without ranges.

#ifndef NOM_PACING_H_
#define NOM_PACING_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"

namespace nom {

struct PacingOptions {
  int64_t period_budget_microcredits = 0;  // For all bids together.
  // A period begins at each round id that this divides. 1 to 2^20.
  int64_t period_rounds = 1;
  // As SessionOptions::bid_lifetime_rounds: in so many rounds a bid may be charged unless it is
  // replaced. 1 to 8.
  int bid_lifetime_rounds = 3;
};

// Moves, but is not copied. One thread.
class BudgetPacer {
 public:
  // Errors: INVALID_ARGUMENT names the option.
  static absl::StatusOr<BudgetPacer> Create(const PacingOptions& options);
  BudgetPacer(BudgetPacer&&) noexcept;
  BudgetPacer& operator=(BudgetPacer&&) noexcept;
  ~BudgetPacer();

  // Returns the most that bids which first take part in round `round_id` may be charged in each
  // round; 0 if that round is before one that the pacer has already heard of.
  // `stands_rounds`: the bids stand for at most so many rounds; 0 means bid_lifetime_rounds. A bid
  // that may stand for more than two rounds is also paid out of the next period's budget. So part
  // of a budget may be left over if all demand comes in a period's last round;
  // policies/bidding/pacing.h says how much.
  int64_t Cap(uint64_t round_id, int stands_rounds = 0);
  // Tells the pacer that, from `round_id` on, the standing bids together may be charged at most
  // `cap_microcredits`. Replaces what earlier calls said. 0: no bid stands.
  void Placed(uint64_t round_id, int64_t cap_microcredits, int stands_rounds = 0);
  // The same where the market did not answer: these bids may stand, or those of before may.
  void Unsure(uint64_t round_id, int64_t cap_microcredits, int stands_rounds = 0);
  // Tells the pacer what all bids under its caps were charged in the round. A second call for a
  // round is ignored. A round that is never told, or told more than 240 rounds late, counts as
  // charged in full.
  void Told(uint64_t round_id, int64_t charge_microcredits);

  // In the period of the latest round.
  int64_t spent_microcredits() const;
  int64_t outstanding_microcredits() const;

 private:
  class Impl;
  explicit BudgetPacer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace nom

#endif  // NOM_PACING_H_
