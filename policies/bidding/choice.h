// SPDX-License-Identifier: Apache-2.0
// Spot, contract, or wait: how a program that states a need and a dislike of loss has it met.
//
// The need: certain units for k rounds in all, within the next D rounds, worth V micro-credits once
// it is met and nothing before. There are three ways to meet it.
//
//  - Spot: bid in every auction from now on, up to V / k a round, until k rounds were won. As no
//    round is paid more, all of them together never cost more than V.
//  - Wait: bid less as long as there is slack, that is, while more rounds are left than are needed;
//    from then on as on spot. So it takes cheap rounds only, until the deadline presses.
//  - Contract: k rounds at a price that is fixed today.
//
// The first two are risky: some rounds cost more than the limit, others have the units then, and
// once more such rounds have passed than there was slack the need is not met and what was paid is
// lost. How likely that is, and what the rounds cost that are won, is read off the past: every
// block of D consecutive rounds in the history is a future that may come, and each is as likely as
// another (the blocks of the moving-blocks bootstrap: Künsch, The jackknife and the bootstrap for
// general stationary observations, Annals of Statistics 17, 1989). Blocks keep what single draws
// would lose: that a dear round is followed by dear rounds. Where prices have a cycle, a day say,
// only the blocks count that begin where in the cycle the next round is.
//
// The measure. Let X be the gain, V if the need is met and 0 otherwise, less what was paid. Let
// tail(X) be the mean of its worst tenth: the conditional value at risk, or expected shortfall, at
// one tenth (Rockafellar and Uryasev, Optimization of conditional value-at-risk, Journal of Risk 2,
// 2000). With the dislike of loss lambda, from 0 to 1,
//
//   utility = E(X) - lambda * (E(X) - tail(X)).
//
// Without dislike the mean alone counts, with all of it the worst tenth alone. What is certain has
// its gain as its utility, however large the dislike; of what is risky the utility never rises with
// it. Doing nothing has utility 0. The way with the largest utility is chosen; of equals the
// contract, then spot.
//
// What the history cannot say: what the program's own demand does to prices. The past is taken as
// it was, at the price of each round, so who needs a large part of a host pays more than this says.
//
// No allocation, no exceptions, no floating point, no C++ library. O(n log n) for n rounds.

#ifndef NOM_POLICIES_BIDDING_CHOICE_H_
#define NOM_POLICIES_BIDDING_CHOICE_H_

#include "policies/bidding/range.h"

namespace nom::policies {

inline constexpr int kChoiceRoundsMax = 1 << 17;  // Of a history, and of a need's deadline.
// Of fewer blocks nothing is concluded: the worst tenth of them would be less than one.
inline constexpr int kChoiceBlocksMin = 10;
inline constexpr int64_t kDislikeMaxPpm = 1'000'000;
// The limits that waiting is tried with: so many percentiles of the past charges, evenly spread.
inline constexpr int kWaitLimits = 9;

// Of a round in which the units could not have been had for any money.
inline constexpr Microcredits kNotToBeHad = INT64_MAX;

struct Need {
  int64_t rounds = 1;         // k: from 1 to kChoiceRoundsMax.
  int64_t within_rounds = 1;  // D, counted from the next round: from k to kChoiceRoundsMax.
  Microcredits worth_microcredits = 0;  // V: from 0 to kValueMaxMicrocredits.
};

// What is quoted for the units.
struct ContractTerms {
  Microcredits charge_microcredits = 0;  // A round, of all units: 0 to kValueMaxMicrocredits.
  int64_t rounds = 1;            // 1 to kChoiceRoundsMax. What the need leaves of them is given up.
  int64_t begins_in_rounds = 0;  // 0: with the next round; up to kChoiceRoundsMax.
  int64_t end_fee_ppm = 0;       // Of what the rounds given up would cost: 0 to 1,000,000.
};

struct ChoiceInput {
  // What the units would have cost in each past round, the oldest first and without gaps. Below 0
  // counts as 0; kNotToBeHad is one of those that are above whatever a need is worth. May be null
  // if there are none.
  const Microcredits* charges_microcredits = nullptr;
  int rounds = 0;  // 0 to kChoiceRoundsMax.
  Need need;
  const ContractTerms* contract = nullptr;  // Null: none is on offer.
  int64_t dislike_ppm = 0;                  // lambda: 0 to kDislikeMaxPpm.
  int64_t cycle_rounds = 1;                 // 1: prices have no cycle that is known. Up to
                                            // kChoiceRoundsMax.
};

// The name of the first field that is out of its range; null if none is.
const char* WrongField(const ChoiceInput& input);

enum class Way : uint8_t {
  kUnknown,  // The history is too short to compare: not enough known.
  kNothing,  // No way has a utility above 0: the need is not worth what it would cost.
  kSpot,
  kContract,
  kWait,
};

// What is to be expected of a way.
struct Prospect {
  // False: nothing is known of it, or it cannot meet the need (a contract that is too short or
  // begins too late; waiting without slack). The rest is 0 then.
  bool possible = false;
  // In micro-credits, rounded down.
  Microcredits utility_microcredits = 0;
  Microcredits mean_gain_microcredits = 0;
  Microcredits tail_gain_microcredits = 0;    // Mean of the worst tenth.
  Microcredits mean_charge_microcredits = 0;  // Also where the need is not met.
  int64_t met_ppm = 0;                        // The chance that the need is met.
  // The most to bid for a round of all units while there is slack, and once there is none. 0 for
  // the contract.
  Microcredits slack_limit_microcredits = 0;
  Microcredits limit_microcredits = 0;
};

struct Choice {
  Way way = Way::kUnknown;
  Prospect spot;
  Prospect contract;
  Prospect wait;
  // The futures that were looked at; 0 if there were too few to say anything.
  int blocks = 0;
  // The deadline that they were held to: the need's, or half of the history if that is shorter.
  // The slack beyond it is not counted upon.
  int64_t block_rounds = 0;
};

// The work space of Choose: one cell more than there are rounds.
struct ChoiceCell {
  // In the rounds before this one: what those below the limit cost, and those that may be paid at
  // all. Modulo 2^64: differences over a need's rounds fit, as they are at most its worth.
  uint64_t cheap_sum = 0;
  uint64_t paid_sum = 0;
  Microcredits outcome = 0;  // Of a block; at first, a past charge.
  int32_t cheap_count = 0;   // In the rounds before this one.
  int32_t dear_count = 0;
  int32_t cheap_at =
      0;  // The round of the so-manieth cheap one, of one that is not, of a dear one.
  int32_t other_at = 0;
  int32_t dear_at = 0;
};

// `cells` has input.rounds + 1 of them, in any state. Requires WrongField(input) == nullptr. Where
// too little is known the contract's prospect is there all the same, for the caller to judge.
Choice Choose(const ChoiceInput& input, ChoiceCell* cells);

// The most to bid for a round of all units, for who follows a prospect: `held_rounds` were won so
// far, and so many rounds are left of the deadline, this one included. 0: bid nothing, as the need
// is met, or cannot be met any more.
Microcredits LimitNow(const Prospect& prospect, const Need& need, int64_t held_rounds,
                      int64_t left_rounds);

// What a contract costs that is used for so many rounds and given up then, fee included (rounded up
// as the market does: policies/forward EndFee). Stays at INT64_MAX / 2 where it would be more.
// Requires terms in range and 0 <= used_rounds <= terms.rounds.
Microcredits ContractCost(const ContractTerms& terms, int64_t used_rounds);

}  // namespace nom::policies

#endif  // NOM_POLICIES_BIDDING_CHOICE_H_
