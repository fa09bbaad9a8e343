// SPDX-License-Identifier: Apache-2.0
// Spending a budget over a period: so much in all, spread over the period's rounds.
//
// Each round may spend an even share of the period's budget, and what earlier rounds left: round i
// of n has i shares of n to itself and its predecessors. So what is saved in dear rounds can be
// spent in a rich late one. In no period are charges above its budget, whatever is awarded, as long
// as bids are placed at the cap given here or below: a bid counts with its cap in each round in
// which it may still stand, until that round's charge is told. A period begins at each round id
// that period_rounds divides; what is left of one is not carried into the next.
//
// What is left over when all demand comes in the last round of a period: nothing, if the bid stands
// for that round only (stands_rounds 1) or for two. One that may stand for k rounds must be paid by
// the next period, too, in k - 1 of them, so it gets at most one part in k - 1 of a budget: half is
// left over at k = 3, six sevenths at 8. A bid that says until when it stands leaves nothing.
//
//   BudgetPacer pacer({.period_budget_microcredits = 60'000'000, .period_rounds = 60,
//                      .bid_lifetime_rounds = 3});
//   const Microcredits cap = pacer.Cap(round_id);                        // each round
//   ... bid Cap(curve, {cap, ceiling}) ...
//   pacer.Placed(round_id, cap);
//   pacer.Told(round_id, charge);                                        // once decided
//
// Several resources share one cap, in whatever parts. marketd holds the same by escrow, but only
// to the balance of the account. No allocation, no exceptions, no floating point, no C++ library.
// A pacer belongs to one thread. It is plain data: copy it to keep it. Round ids begin at 1.

#ifndef NOM_POLICIES_BIDDING_PACING_H_
#define NOM_POLICIES_BIDDING_PACING_H_

#include "policies/bidding/range.h"

namespace nom::policies {

inline constexpr int64_t kPeriodRoundsMax = int64_t{1} << 20;
inline constexpr int kLifetimeRoundsMax = 8;
// Rounds whose charges can be told, the latest ones and those in which bids may still stand. What
// is told of a round before them comes too late: it counts as charged at its cap.
inline constexpr int kUntoldRoundsMax = 256;

struct PacingLimits {
  Microcredits period_budget_microcredits = 0;  // 0 to kValueMaxMicrocredits
  int64_t period_rounds = 1;                    // 1 to kPeriodRoundsMax
  int bid_lifetime_rounds = 1;                  // 1 to kLifetimeRoundsMax
};

// The name of the first field that is out of its range; null if none is.
const char* WrongField(const PacingLimits& limits);

class BudgetPacer {
 public:
  // Wrong limits allow nothing.
  explicit BudgetPacer(const PacingLimits& limits);

  // Returns the most that bids which first take part in round `round_id` may be charged in each
  // round, whether or not they replace those that stand now; 0 if that round is before one that the
  // pacer has already heard of. `stands_rounds`: the bids stand for at most so many rounds, because
  // they say so or are sure to be withdrawn; 0, or more than bid_lifetime_rounds, means
  // bid_lifetime_rounds.
  Microcredits Cap(uint64_t round_id, int stands_rounds = 0);

  // From this round on, bids of `cap` in all stand in place of all others, for so many rounds as
  // Cap was told; 0: withdrawn.
  void Placed(uint64_t round_id, Microcredits cap, int stands_rounds = 0);
  // Perhaps: nobody answered. What stood before may still stand.
  void Unsure(uint64_t round_id, Microcredits cap, int stands_rounds = 0);

  // What the round cost. Of what is told twice, the first counts.
  void Told(uint64_t round_id, Microcredits charge);

  // Of the period of the latest round: told, and what may still come.
  Microcredits spent_microcredits() const { return spent_; }
  Microcredits outstanding_microcredits() const;

 private:
  struct Round {
    uint64_t id = 0;
    Microcredits cap = 0;
    bool told = true;
  };

  uint64_t PeriodOf(uint64_t round_id) const;
  void MoveTo(uint64_t round_id);
  Round* Find(uint64_t round_id);
  void Spend(Microcredits charge);
  int RoundsOf(int stands_rounds) const;
  void Stand(uint64_t round_id, Microcredits cap, int stands_rounds, bool replaces);
  Microcredits UntoldOf(uint64_t period, uint64_t before_round_id) const;
  Microcredits CapIn(uint64_t period, uint64_t round_id, int stands_rounds) const;

  PacingLimits limits_;
  uint64_t round_ = 0;      // The latest.
  Microcredits spent_ = 0;  // In its period.
  Round rounds_[kUntoldRoundsMax] = {};
};

}  // namespace nom::policies

#endif  // NOM_POLICIES_BIDDING_PACING_H_
