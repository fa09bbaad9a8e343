// SPDX-License-Identifier: Apache-2.0
#include "policies/bidding/choice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "policies/forward/forward.h"
#include "tests/referee/random_auction.h"

namespace nom::policies {
namespace {

__extension__ using Wide = __int128;

struct Case {
  std::vector<Microcredits> history = {};
  Need need = {};
  ContractTerms terms = {};
  bool has_contract = true;
  int64_t dislike_ppm = 0;
  int64_t cycle_rounds = 1;

  ChoiceInput Input() const {
    return {.charges_microcredits = history.data(),
            .rounds = static_cast<int>(history.size()),
            .need = need,
            .contract = has_contract ? &terms : nullptr,
            .dislike_ppm = dislike_ppm,
            .cycle_rounds = cycle_rounds};
  }
};

Choice Chosen(const Case& of) {
  const ChoiceInput input = of.Input();
  EXPECT_EQ(WrongField(input), nullptr);
  std::vector<ChoiceCell> cells(of.history.size() + 1);
  for (ChoiceCell& cell : cells) cell.cheap_at = -7;  // In any state.
  return Choose(input, cells.data());
}

// --- The same worked out in the plainest way: each block is played, round by round, by what
// LimitNow says, as a program would. ---

struct Played {
  bool is_met = false;
  Wide paid = 0;
  int64_t held = 0;
};

Played Play(const Case& of, const Prospect& prospect, size_t first, int64_t block_rounds) {
  Played played;
  for (int64_t r = 0; r < block_rounds; ++r) {
    const Microcredits charge = of.history[first + static_cast<size_t>(r)];
    const int64_t left = block_rounds - r;
    if (played.held == of.need.rounds || left < of.need.rounds - played.held) break;
    if (std::max<Microcredits>(charge, 0) > LimitNow(prospect, of.need, played.held, left)) {
      continue;
    }
    played.paid += std::max<Microcredits>(charge, 0);
    ++played.held;
  }
  played.is_met = played.held == of.need.rounds;
  return played;
}

std::vector<size_t> BlocksOf(const Case& of, int64_t block_rounds) {
  std::vector<size_t> firsts;
  const auto n = static_cast<int64_t>(of.history.size());
  for (int64_t first = 0; first + block_rounds <= n; ++first) {
    if ((n - first) % of.cycle_rounds == 0) firsts.push_back(static_cast<size_t>(first));
  }
  return firsts;
}

Wide FloorOf(Wide dividend, Wide divisor) {
  const Wide quotient = dividend / divisor;
  return quotient * divisor > dividend ? quotient - 1 : quotient;
}

// The utility by the measure as it is written, and that the prospect says what the blocks do.
void ExpectWorkedOut(const Case& of, const Choice& choice, const Prospect& prospect) {
  const std::vector<size_t> firsts = BlocksOf(of, choice.block_rounds);
  ASSERT_EQ(static_cast<size_t>(choice.blocks), firsts.size());
  std::vector<Wide> gains;
  Wide sum = 0;
  Wide paid = 0;
  int64_t met = 0;
  for (const size_t first : firsts) {
    const Played played = Play(of, prospect, first, choice.block_rounds);
    ASSERT_LE(played.paid, of.need.worth_microcredits) << "never above worth";
    gains.push_back((played.is_met ? of.need.worth_microcredits : 0) - played.paid);
    sum += gains.back();
    paid += played.paid;
    met += played.is_met ? 1 : 0;
  }
  std::sort(gains.begin(), gains.end());
  const auto count = static_cast<Wide>(gains.size());
  Wide tail = 0;  // Over count: the worst tenth, the last of them perhaps in part.
  for (Wide part = 0; part < count; ++part) tail += gains[static_cast<size_t>(part / 10)];
  EXPECT_EQ(Wide{prospect.mean_gain_microcredits}, FloorOf(sum, count));
  EXPECT_EQ(Wide{prospect.tail_gain_microcredits}, FloorOf(tail, count));
  EXPECT_EQ(Wide{prospect.mean_charge_microcredits}, FloorOf(paid, count));
  EXPECT_EQ(Wide{prospect.met_ppm}, met * Wide{1'000'000} / count);
  EXPECT_EQ(
      Wide{prospect.utility_microcredits},
      FloorOf((1'000'000 - of.dislike_ppm) * sum + of.dislike_ppm * tail, count * Wide{1'000'000}));
}

Case RandomCase(uint64_t seed) {
  TestRandom random(seed);
  Case out;
  const int64_t n = random.Between(0, 70);
  const int64_t shape = random.Between(0, 3);
  Microcredits price = random.Between(1, 20);
  for (int64_t i = 0; i < n; ++i) {
    switch (shape) {
      case 0:  // Like one another.
        price = random.Between(9, 11);
        break;
      case 1:  // In runs.
        if (random.OneIn(6)) price = random.Between(1, 30);
        break;
      case 2:  // By a cycle of 7.
        price = 5 + 3 * (i % 7) + random.Between(0, 2);
        break;
      default:
        price = random.Between(-1, 40);
    }
    out.history.push_back(random.OneIn(40) ? kNotToBeHad : price);
  }
  out.need.rounds = random.Between(1, 9);
  out.need.within_rounds = out.need.rounds + (random.OneIn(3) ? 0 : random.Between(0, 12));
  out.need.worth_microcredits = random.Between(0, 30) * out.need.rounds + random.Between(0, 5);
  out.has_contract = !random.OneIn(5);
  out.terms.charge_microcredits = random.Between(0, 25);
  out.terms.rounds = std::max<int64_t>(1, out.need.rounds + random.Between(-2, 10));
  out.terms.begins_in_rounds = random.OneIn(3) ? random.Between(0, 14) : 0;
  out.terms.end_fee_ppm = random.Between(0, 4) * 250'000;
  out.dislike_ppm = random.Between(0, 4) * 250'000;
  out.cycle_rounds = random.OneIn(3) ? random.Between(1, 8) : 1;
  return out;
}

std::string Told(uint64_t seed) { return "NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1"; }

constexpr uint64_t kCases = 10'000;

TEST(Choice, EveryFigureIsWhatTheBlocksPlayedRoundByRoundComeTo) {
  int waits = 0;
  int spots = 0;
  int contracts = 0;
  int unknown = 0;
  for (uint64_t i = 0; i < CountOr(kCases); ++i) {
    const uint64_t seed = FirstSeed() + i;
    SCOPED_TRACE(Told(seed));
    const Case of = RandomCase(seed);
    const Choice choice = Chosen(of);
    if (choice.blocks == 0) {
      ++unknown;
      EXPECT_EQ(choice.way, Way::kUnknown);
      EXPECT_FALSE(choice.spot.possible || choice.wait.possible);
      continue;
    }
    ASSERT_TRUE(choice.spot.possible);
    ExpectWorkedOut(of, choice, choice.spot);
    if (choice.wait.possible) {
      EXPECT_LT(choice.wait.slack_limit_microcredits, choice.wait.limit_microcredits);
      ExpectWorkedOut(of, choice, choice.wait);
    }
    waits += choice.way == Way::kWait ? 1 : 0;
    spots += choice.way == Way::kSpot ? 1 : 0;
    contracts += choice.way == Way::kContract ? 1 : 0;
    if (HasFailure()) return;
  }
  if (CountOr(kCases) < kCases) return;
  // Otherwise these cases show nothing.
  EXPECT_GT(waits, 50);
  EXPECT_GT(spots, 50);
  EXPECT_GT(contracts, 50);
  EXPECT_GT(unknown, 50);
}

TEST(Choice, NoOtherWayWouldHaveALargerUtility) {
  for (uint64_t i = 0; i < CountOr(kCases); ++i) {
    const uint64_t seed = FirstSeed() + i;
    SCOPED_TRACE(Told(seed));
    const Case of = RandomCase(seed);
    const Choice choice = Chosen(of);
    if (choice.way == Way::kUnknown) continue;
    Microcredits utility = 0;
    if (choice.way == Way::kContract) utility = choice.contract.utility_microcredits;
    if (choice.way == Way::kSpot) utility = choice.spot.utility_microcredits;
    if (choice.way == Way::kWait) utility = choice.wait.utility_microcredits;
    if (choice.way != Way::kNothing) {
      EXPECT_GT(utility, 0) << "nothing is always a way";
    }
    for (const Prospect* other : {&choice.contract, &choice.spot, &choice.wait}) {
      if (other->possible) {
        EXPECT_LE(other->utility_microcredits, utility);
      }
    }
    if (choice.way == Way::kContract) {
      EXPECT_LT(ContractCost(of.terms, of.need.rounds), of.need.worth_microcredits);
    }
    // Nor any limit to wait with that is a decile of what was paid.
    std::vector<Microcredits> payable;
    for (const Microcredits charge : of.history) {
      if (charge <= choice.spot.limit_microcredits) {
        payable.push_back(std::max<Microcredits>(charge, 0));
      }
    }
    std::sort(payable.begin(), payable.end());
    for (size_t tenth = 1; tenth <= 9 && !payable.empty(); ++tenth) {
      Prospect prospect{.possible = true,
                        .slack_limit_microcredits = payable[payable.size() * tenth / 10],
                        .limit_microcredits = choice.spot.limit_microcredits};
      Wide sum = 0;
      std::vector<Wide> gains;
      for (const size_t first : BlocksOf(of, choice.block_rounds)) {
        const Played played = Play(of, prospect, first, choice.block_rounds);
        gains.push_back((played.is_met ? of.need.worth_microcredits : 0) - played.paid);
        sum += gains.back();
      }
      std::sort(gains.begin(), gains.end());
      const auto count = static_cast<Wide>(gains.size());
      Wide tail = 0;
      for (Wide part = 0; part < count; ++part) tail += gains[static_cast<size_t>(part / 10)];
      EXPECT_LE(FloorOf((1'000'000 - of.dislike_ppm) * sum + of.dislike_ppm * tail,
                        count * Wide{1'000'000}),
                Wide{std::max(utility, choice.spot.utility_microcredits)});
    }
    if (HasFailure()) return;
  }
}

TEST(Choice, MoreDislikeNeverLeavesTheContract) {
  int left_spot = 0;
  for (uint64_t i = 0; i < CountOr(kCases); ++i) {
    const uint64_t seed = FirstSeed() + i;
    SCOPED_TRACE(Told(seed));
    Case of = RandomCase(seed);
    Way before = Way::kUnknown;
    Microcredits spot = std::numeric_limits<Microcredits>::max();
    Microcredits wait = spot;
    for (const int64_t dislike : {0, 1, 100'000, 400'000, 999'999, 1'000'000}) {
      of.dislike_ppm = dislike;
      const Choice choice = Chosen(of);
      if (before == Way::kContract) {
        EXPECT_EQ(choice.way, Way::kContract) << dislike;
      }
      if (before == Way::kNothing) {
        EXPECT_EQ(choice.way, Way::kNothing) << dislike;
      }
      EXPECT_LE(choice.spot.utility_microcredits, spot);
      EXPECT_LE(choice.wait.utility_microcredits, wait);
      left_spot += before == Way::kSpot && choice.way == Way::kContract ? 1 : 0;
      before = choice.way;
      spot = choice.spot.utility_microcredits;
      wait = choice.wait.utility_microcredits;
    }
    if (HasFailure()) return;
  }
  if (CountOr(kCases) == kCases) {
    EXPECT_GT(left_spot, 10) << "dislike moves somebody";
  }
}

TEST(Choice, ADearerQuoteNeverWinsTheContract) {
  int moved = 0;
  for (uint64_t i = 0; i < CountOr(kCases); ++i) {
    const uint64_t seed = FirstSeed() + i;
    SCOPED_TRACE(Told(seed));
    Case of = RandomCase(seed);
    bool was_contract = true;
    bool is_first = true;
    for (Microcredits charge = 0; charge < 40; charge += 3) {
      of.terms.charge_microcredits = charge;
      const bool is_contract = Chosen(of).way == Way::kContract;
      if (!is_first && is_contract) {
        EXPECT_TRUE(was_contract) << charge;
      }
      moved += !is_first && was_contract && !is_contract ? 1 : 0;
      was_contract = is_contract;
      is_first = false;
    }
    if (HasFailure()) return;
  }
  if (CountOr(kCases) == kCases) {
    EXPECT_GT(moved, 100) << "the quote matters";
  }
}

// --- By hand. ---

// Twelve rounds at 10, of which two are needed, worth 50; a contract costs 12 a round.
TEST(Choice, WhereNothingVariesTheCheapestWayIsTaken) {
  Case of{.history = std::vector<Microcredits>(12, 10),
          .need = {.rounds = 2, .within_rounds = 3, .worth_microcredits = 50},
          .terms = {.charge_microcredits = 12, .rounds = 2}};
  Choice choice = Chosen(of);
  EXPECT_EQ(choice.way, Way::kSpot);
  EXPECT_EQ(choice.blocks, 10);
  EXPECT_EQ(choice.block_rounds, 3);
  EXPECT_EQ(choice.spot.utility_microcredits, 30);
  EXPECT_EQ(choice.spot.met_ppm, 1'000'000);
  EXPECT_EQ(choice.spot.limit_microcredits, 25);
  EXPECT_EQ(choice.contract.utility_microcredits, 26);
  of.terms.charge_microcredits = 10;
  EXPECT_EQ(Chosen(of).way, Way::kContract) << "what is certain, of equals";
  of.need.worth_microcredits = 20;
  EXPECT_EQ(Chosen(of).way, Way::kNothing) << "it is worth what it costs, and no more";
}

// One round in five is dear. Who needs three on end loses what it paid in three of five blocks;
// with two rounds of slack in none.
TEST(Choice, DislikeOfLossBuysTheContractAndSlackMakesUpForIt) {
  Case of{.need = {.rounds = 3, .within_rounds = 3, .worth_microcredits = 90},
          .terms = {.charge_microcredits = 22, .rounds = 3}};
  for (int i = 0; i < 52; ++i) of.history.push_back(i % 5 == 4 ? 1'000 : 5);
  Choice choice = Chosen(of);
  EXPECT_EQ(choice.blocks, 50);
  EXPECT_EQ(choice.spot.met_ppm, 400'000);
  // Of five blocks two gain 75; the others pay 10, 5 and 0, and get nothing.
  EXPECT_EQ(choice.spot.mean_gain_microcredits, (2 * 75 - 10 - 5) / 5);
  EXPECT_EQ(choice.spot.tail_gain_microcredits, -10);
  EXPECT_EQ(choice.way, Way::kSpot) << "27 on average against 24 for sure";
  of.dislike_ppm = 100'000;
  choice = Chosen(of);
  EXPECT_EQ(choice.spot.utility_microcredits, 23) << "27 - 0.1 * 37, rounded down";
  EXPECT_EQ(choice.way, Way::kContract);
  of.need.within_rounds = 4;
  of.dislike_ppm = 1'000'000;
  choice = Chosen(of);
  EXPECT_EQ(choice.spot.met_ppm, 1'000'000) << "one dear round in five may pass";
  EXPECT_EQ(choice.way, Way::kSpot);
}

// The same prices in another order: two in ten are dear. In runs they hurt few, apart many.
TEST(Choice, BlocksKnowThatADearRoundIsFollowedByOthers) {
  Case apart{.need = {.rounds = 4, .within_rounds = 4, .worth_microcredits = 100},
             .has_contract = false};
  Case in_runs = apart;
  for (int i = 0; i < 103; ++i) apart.history.push_back(i % 5 == 4 ? 1'000 : 5);
  for (int i = 0; i < 103; ++i) in_runs.history.push_back(i % 20 >= 16 ? 1'000 : 5);
  EXPECT_EQ(Chosen(apart).spot.met_ppm, 200'000);
  EXPECT_EQ(Chosen(in_runs).spot.met_ppm, 650'000);
}

TEST(Choice, WaitingTakesCheapRoundsUntilTheDeadlinePresses) {
  // Nights at 2, days at 20, five rounds each; a contract costs 9.
  Case of{.need = {.rounds = 3, .within_rounds = 12, .worth_microcredits = 75},
          .terms = {.charge_microcredits = 9, .rounds = 3}};
  for (int i = 0; i < 120; ++i) of.history.push_back(i / 5 % 2 == 0 ? 20 : 2);
  const Choice choice = Chosen(of);
  EXPECT_EQ(choice.way, Way::kWait);
  EXPECT_EQ(choice.wait.slack_limit_microcredits, 2);
  EXPECT_EQ(choice.wait.met_ppm, 1'000'000);
  EXPECT_EQ(choice.wait.mean_charge_microcredits, 6) << "there is a night in every twelve rounds";
  EXPECT_EQ(LimitNow(choice.wait, of.need, 0, 12), 2);
  EXPECT_EQ(LimitNow(choice.wait, of.need, 0, 3), 25);
  EXPECT_EQ(LimitNow(choice.wait, of.need, 1, 3), 2);
  EXPECT_EQ(LimitNow(choice.wait, of.need, 0, 2), 0) << "too late";
  EXPECT_EQ(LimitNow(choice.wait, of.need, 3, 9), 0) << "met";
  of.need.within_rounds = 3;
  EXPECT_FALSE(Chosen(of).wait.possible) << "without slack there is no waiting";
}

TEST(Choice, OfPricesWithACycleOnlyBlocksOfTheSameHourCount) {
  Case of{.need = {.rounds = 3, .within_rounds = 3, .worth_microcredits = 75},
          .has_contract = false};
  for (int i = 0; i < 120; ++i) of.history.push_back(i / 5 % 2 == 0 ? 20 : 2);
  of.cycle_rounds = 10;
  Choice choice = Chosen(of);  // The next round is the first of a day.
  EXPECT_EQ(choice.blocks, 12);
  EXPECT_EQ(choice.spot.mean_charge_microcredits, 60);
  of.history.resize(115);  // The next is the first of a night.
  choice = Chosen(of);
  EXPECT_EQ(choice.blocks, 11);
  EXPECT_EQ(choice.spot.mean_charge_microcredits, 6);
  of.history.resize(95);
  EXPECT_EQ(Chosen(of).way, Way::kUnknown) << "nine nights are too few";
}

TEST(Choice, OfAContractThatIsTooLongTheRestIsGivenUpForTheFee) {
  Case of{.history = std::vector<Microcredits>(40, 10),
          .need = {.rounds = 4, .within_rounds = 6, .worth_microcredits = 1'000},
          .terms = {.charge_microcredits = 7, .rounds = 10, .end_fee_ppm = 100'000}};
  EXPECT_EQ(Chosen(of).contract.mean_charge_microcredits, 28 + 5) << "4.2, rounded up";
  of.terms.rounds = 3;
  EXPECT_FALSE(Chosen(of).contract.possible) << "too short";
  of.terms.rounds = 4;
  of.terms.begins_in_rounds = 2;
  EXPECT_TRUE(Chosen(of).contract.possible);
  of.terms.begins_in_rounds = 3;
  EXPECT_FALSE(Chosen(of).contract.possible) << "too late";
}

TEST(Choice, TheFeeIsTheMarketsOwn) {
  for (uint64_t i = 0; i < 2'000; ++i) {
    SCOPED_TRACE(Told(FirstSeed() + i));
    TestRandom random(FirstSeed() + i);
    ContractTerms terms{.charge_microcredits = random.Between(0, kValueMaxMicrocredits / 100'000),
                        .rounds = random.Between(1, 1'440),
                        .end_fee_ppm = random.Between(0, 1'000'000)};
    const int64_t used = random.Between(0, terms.rounds);
    EXPECT_EQ(
        ContractCost(terms, used),
        terms.charge_microcredits * used + EndFee({.end_fee_ppm = terms.end_fee_ppm},
                                                  terms.charge_microcredits, terms.rounds - used));
  }
}

TEST(Choice, OfLittleHistoryNothingIsConcluded) {
  Case of{.need = {.rounds = 1, .within_rounds = 1, .worth_microcredits = 50},
          .terms = {.charge_microcredits = 12, .rounds = 1}};
  Choice choice = Chosen(of);
  EXPECT_EQ(choice.way, Way::kUnknown) << "of none";
  EXPECT_TRUE(choice.contract.possible);
  EXPECT_EQ(choice.contract.utility_microcredits, 38) << "that is known all the same";
  of.history.assign(9, 10);
  EXPECT_EQ(Chosen(of).way, Way::kUnknown);
  of.history.assign(10, 10);
  EXPECT_EQ(Chosen(of).way, Way::kSpot);
  // A deadline beyond half of what is known is held to that half.
  of.need = {.rounds = 10, .within_rounds = 1'000, .worth_microcredits = 500};
  of.terms.rounds = 10;
  of.history.assign(40, 10);
  EXPECT_EQ(Chosen(of).block_rounds, 20);
  of.history.assign(19, 10);
  EXPECT_EQ(Chosen(of).way, Way::kUnknown) << "it does not even have the rounds twice";
}

TEST(Choice, TheLargestNumbersDoNotOverflow) {
  Case of{.history = std::vector<Microcredits>(kChoiceRoundsMax, kValueMaxMicrocredits),
          .need = {.rounds = 1, .within_rounds = 2, .worth_microcredits = kValueMaxMicrocredits},
          .terms = {.charge_microcredits = kValueMaxMicrocredits,
                    .rounds = kChoiceRoundsMax,
                    .end_fee_ppm = 1'000'000},
          .dislike_ppm = 500'000};
  for (size_t i = 0; i < of.history.size(); i += 3) of.history[i] = 0;
  Choice choice = Chosen(of);
  EXPECT_EQ(choice.way, Way::kWait);
  EXPECT_EQ(choice.spot.met_ppm, 1'000'000);
  EXPECT_LE(choice.spot.mean_charge_microcredits, kValueMaxMicrocredits * 2 / 3 + 1);
  EXPECT_LT(choice.contract.utility_microcredits, 0);
  EXPECT_EQ(choice.contract.mean_charge_microcredits, INT64_MAX / 2) << "more than 64 bits hold";
  // Two rounds, of which the first costs all and the second is not to be had.
  for (size_t i = 0; i < of.history.size(); ++i) {
    of.history[i] = i % 2 == 0 ? kValueMaxMicrocredits / 2 : INT64_MAX;
  }
  of.need = {.rounds = 2, .within_rounds = 2, .worth_microcredits = kValueMaxMicrocredits};
  of.dislike_ppm = 1'000'000;
  choice = Chosen(of);
  EXPECT_EQ(choice.spot.met_ppm, 0);
  EXPECT_EQ(choice.spot.utility_microcredits, -kValueMaxMicrocredits / 2);
  EXPECT_EQ(choice.way, Way::kNothing);
}

TEST(Choice, WhatIsOutOfRangeIsNamed) {
  const Case good{.history = {1, 2},
                  .need = {.rounds = 2, .within_rounds = 3, .worth_microcredits = 5}};
  const auto wrong = [&](auto change) {
    Case bad = good;
    change(bad);
    const ChoiceInput input = bad.Input();
    const char* const field = WrongField(input);
    return std::string(field == nullptr ? "" : field);
  };
  EXPECT_EQ(wrong([](Case&) {}), "");
  EXPECT_EQ(wrong([](Case& c) { c.need.rounds = 0; }), "need.rounds");
  EXPECT_EQ(wrong([](Case& c) { c.need.within_rounds = 1; }), "need.within_rounds");
  EXPECT_EQ(wrong([](Case& c) { c.need.within_rounds = kChoiceRoundsMax + 1; }),
            "need.within_rounds");
  EXPECT_EQ(wrong([](Case& c) { c.need.worth_microcredits = -1; }), "need.worth_microcredits");
  EXPECT_EQ(wrong([](Case& c) { c.terms.charge_microcredits = -1; }),
            "contract.charge_microcredits");
  EXPECT_EQ(wrong([](Case& c) { c.terms.rounds = 0; }), "contract.rounds");
  EXPECT_EQ(wrong([](Case& c) { c.terms.begins_in_rounds = -1; }), "contract.begins_in_rounds");
  EXPECT_EQ(wrong([](Case& c) { c.terms.end_fee_ppm = 1'000'001; }), "contract.end_fee_ppm");
  EXPECT_EQ(wrong([](Case& c) { c.dislike_ppm = 1'000'001; }), "dislike_ppm");
  EXPECT_EQ(wrong([](Case& c) { c.cycle_rounds = 0; }), "cycle_rounds");
  ChoiceInput input = good.Input();
  input.charges_microcredits = nullptr;
  EXPECT_STREQ(WrongField(input), "charges_microcredits");
  input.rounds = -1;
  EXPECT_STREQ(WrongField(input), "rounds");
}

}  // namespace
}  // namespace nom::policies
