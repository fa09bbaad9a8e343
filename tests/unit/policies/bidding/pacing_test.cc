// SPDX-License-Identifier: Apache-2.0
#include "policies/bidding/pacing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "tests/referee/random_auction.h"

namespace nom::policies {
namespace {

TEST(BudgetPacer, EachRoundHasItsShareAndWhatIsLeftOver) {
  BudgetPacer pacer({.period_budget_microcredits = 100, .period_rounds = 10});
  EXPECT_EQ(pacer.Cap(10), 10);
  pacer.Placed(10, 10);
  pacer.Told(10, 4);
  EXPECT_EQ(pacer.Cap(11), 16);
  pacer.Placed(11, 16);
  pacer.Told(11, 16);
  EXPECT_EQ(pacer.Cap(12), 10);
  pacer.Told(12, 0);
  // Nothing was bid for until the last round, which is rich.
  EXPECT_EQ(pacer.Cap(19), 80);
  pacer.Placed(19, 80);
  EXPECT_EQ(pacer.outstanding_microcredits(), 80);
  pacer.Told(19, 80);
  EXPECT_EQ(pacer.spent_microcredits(), 100);
  EXPECT_EQ(pacer.outstanding_microcredits(), 0);
  EXPECT_EQ(pacer.Cap(20), 10) << "a new period";
  EXPECT_EQ(pacer.spent_microcredits(), 0);
}

TEST(BudgetPacer, ABidCountsInFullUntilItsChargeIsTold) {
  BudgetPacer pacer({.period_budget_microcredits = 100, .period_rounds = 10});
  EXPECT_EQ(pacer.Cap(10), 10);
  pacer.Placed(10, 10);
  EXPECT_EQ(pacer.Cap(11), 10);
  pacer.Told(10, 0);
  pacer.Told(10, 9);  // Told again: not heard.
  EXPECT_EQ(pacer.Cap(11), 20);
  EXPECT_EQ(pacer.Cap(10), 0) << "a round that is over";
}

TEST(BudgetPacer, ABidThatMayStandForSeveralRoundsCountsInEach) {
  BudgetPacer pacer(
      {.period_budget_microcredits = 90, .period_rounds = 10, .bid_lifetime_rounds = 3});
  // The last round of a period: 90 are left, but the bid may stand in two rounds of the next.
  EXPECT_EQ(pacer.Cap(9), 45);
  pacer.Placed(9, 45);
  // That is all that the new period has. Only once it is sure that nothing of it stands any more is
  // there something to bid with.
  EXPECT_EQ(pacer.Cap(10), 0);
  pacer.Placed(10, 0);
  EXPECT_EQ(pacer.Cap(10), 9);
}

TEST(BudgetPacer, WhatIsUnsureCountsUntilItHasLapsed) {
  BudgetPacer pacer(
      {.period_budget_microcredits = 100, .period_rounds = 4, .bid_lifetime_rounds = 2});
  EXPECT_EQ(pacer.Cap(4), 25);
  pacer.Unsure(4, 25);
  EXPECT_EQ(pacer.outstanding_microcredits(), 50);
  pacer.Told(4, 0);
  EXPECT_EQ(pacer.Cap(5), 50);
  pacer.Placed(5, 0);  // Withdrawn, and answered.
  EXPECT_EQ(pacer.outstanding_microcredits(), 0);
}

TEST(BudgetPacer, WhatIsNeverToldCountsAsCharged) {
  BudgetPacer pacer({.period_budget_microcredits = 10'000, .period_rounds = 1'000});
  constexpr uint64_t kLast = 1'000 + kUntoldRoundsMax;
  for (uint64_t round = 1'000; round <= kLast; ++round) {
    ASSERT_EQ(pacer.Cap(round), 10) << round;
    pacer.Placed(round, 10);
  }
  pacer.Told(1'000, 0);  // Too late.
  EXPECT_EQ(pacer.Cap(kLast + 1), 10);
  EXPECT_EQ(pacer.spent_microcredits() + pacer.outstanding_microcredits(),
            10 * (kUntoldRoundsMax + 1));
}

TEST(BudgetPacer, WhatIsToldLateCountsAsTold) {
  BudgetPacer pacer({.period_budget_microcredits = 10'000,
                     .period_rounds = 1'000,
                     .bid_lifetime_rounds = kLifetimeRoundsMax});
  for (uint64_t round = 1'000; round < 1'240; ++round) {
    pacer.Placed(round, 1);
    if (round >= 1'100) pacer.Told(round - 100, 0);
  }
  for (uint64_t round = 1'140; round < 1'240; ++round) pacer.Told(round, 0);
  EXPECT_EQ(pacer.spent_microcredits(), 0);
  EXPECT_EQ(pacer.outstanding_microcredits(), kLifetimeRoundsMax - 1) << "in rounds to come";
}

// What the header says is left over.
TEST(BudgetPacer, WhatALateDemandLeavesOver) {
  const auto left = [](int lifetime_rounds, int stands_rounds) {
    BudgetPacer pacer({.period_budget_microcredits = 840,
                       .period_rounds = 20,
                       .bid_lifetime_rounds = lifetime_rounds});
    for (uint64_t round = 20; round < 39; ++round) {
      (void)pacer.Cap(round);
      pacer.Told(round, 0);
    }
    return 840 - pacer.Cap(39, stands_rounds);
  };
  EXPECT_EQ(left(1, 0), 0);
  EXPECT_EQ(left(2, 0), 0);
  EXPECT_EQ(left(3, 0), 420);
  EXPECT_EQ(left(8, 0), 720);
  for (int lifetime_rounds = 1; lifetime_rounds <= kLifetimeRoundsMax; ++lifetime_rounds) {
    EXPECT_EQ(left(lifetime_rounds, 1), 0) << "a bid that says until when";
    EXPECT_EQ(left(lifetime_rounds, 2), 0);
  }
}

TEST(BudgetPacer, ABidForFewerRoundsThanTheLastStillLeavesWhatMayStand) {
  BudgetPacer pacer(
      {.period_budget_microcredits = 100, .period_rounds = 10, .bid_lifetime_rounds = 4});
  pacer.Placed(10, 10);
  pacer.Unsure(10, 10, 1);
  EXPECT_EQ(pacer.outstanding_microcredits(), 40) << "it may not have come";
  pacer.Placed(10, 10, 1);
  EXPECT_EQ(pacer.outstanding_microcredits(), 10) << "it has, and nothing else stands";
}

TEST(BudgetPacer, ABudgetThatDoesNotDivideIsSpentToTheLast) {
  BudgetPacer pacer({.period_budget_microcredits = 11, .period_rounds = 4});
  Microcredits spent = 0;
  for (uint64_t round = 4; round < 8; ++round) {
    const Microcredits cap = pacer.Cap(round);
    pacer.Placed(round, cap);
    pacer.Told(round, cap);
    spent += cap;
  }
  EXPECT_EQ(spent, 11);
}

TEST(BudgetPacer, WrongLimitsAreNamedAndAllowNothing) {
  EXPECT_EQ(WrongField(PacingLimits{}), nullptr);
  EXPECT_STREQ(WrongField(PacingLimits{.period_budget_microcredits = -1}),
               "period_budget_microcredits");
  EXPECT_STREQ(WrongField(PacingLimits{.period_budget_microcredits = kValueMaxMicrocredits + 1}),
               "period_budget_microcredits");
  EXPECT_STREQ(WrongField(PacingLimits{.period_rounds = 0}), "period_rounds");
  EXPECT_STREQ(WrongField(PacingLimits{.bid_lifetime_rounds = kLifetimeRoundsMax + 1}),
               "bid_lifetime_rounds");
  BudgetPacer pacer({.period_budget_microcredits = 5, .period_rounds = -1});
  EXPECT_EQ(pacer.Cap(1), 0);
}

// A market that is as bad as it may be: of all bids that may stand it picks any, and charges up to
// all of it, tells late or never, and lets rounds go by. No period is ever overspent.
TEST(BudgetPacer, NoPeriodIsOverspentWhateverIsAwarded) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(3'000); seed < end; ++seed) {
    TestRandom random(seed);
    SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1");
    const PacingLimits limits{.period_budget_microcredits = random.Between(0, 1'000),
                              .period_rounds = random.Between(1, random.OneIn(3) ? 60 : 12),
                              .bid_lifetime_rounds = static_cast<int>(random.Between(1, 5))};
    BudgetPacer pacer(limits);
    const auto period_of = [&](uint64_t round) {
      return round / static_cast<uint64_t>(limits.period_rounds);
    };
    struct Bid {
      uint64_t last_round;
      Microcredits cap;
    };
    std::vector<Bid> standing;  // Any of them may be the one that the market has.
    std::map<uint64_t, Microcredits> spent;
    std::map<uint64_t, Microcredits> untold;
    const bool greedy = random.OneIn(2);
    for (uint64_t round = 1; round < 150; ++round) {
      if (!random.OneIn(6)) {
        const auto stands = static_cast<int>(random.Between(0, limits.bid_lifetime_rounds));
        Microcredits cap = pacer.Cap(round, stands);
        ASSERT_GE(cap, 0);
        if (random.OneIn(4)) cap = random.Between(0, cap);
        const int rounds = stands == 0 ? limits.bid_lifetime_rounds : stands;
        const Bid bid{round + static_cast<uint64_t>(rounds) - 1, cap};
        if (random.OneIn(3)) {
          pacer.Unsure(round, cap, stands);
        } else {
          pacer.Placed(round, cap, stands);
          standing.clear();
        }
        standing.push_back(bid);
      }
      std::erase_if(standing, [&](const Bid& bid) { return bid.last_round < round; });
      Microcredits charge = 0;
      for (const Bid& bid : standing) charge = std::max(charge, bid.cap);
      if (!greedy) charge = random.Between(0, charge);
      spent[period_of(round)] += charge;
      ASSERT_LE(spent[period_of(round)], limits.period_budget_microcredits) << round;
      untold[round] = charge;
      if (random.OneIn(3)) continue;
      for (auto it = untold.begin(); it != untold.end();) {
        if (random.OneIn(5)) {
          ++it;
          continue;
        }
        pacer.Told(it->first, it->second);
        it = untold.erase(it);
      }
    }
  }
}

// What is not spent is not lost within its period: told at once, with bids for one round, the last
// round has all that is left.
TEST(BudgetPacer, TheLastRoundHasAllThatIsLeft) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(1'000); seed < end; ++seed) {
    TestRandom random(seed);
    SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1");
    const Microcredits budget = random.Between(0, 1'000'000);
    const int64_t rounds = random.Between(1, 20);
    BudgetPacer pacer({.period_budget_microcredits = budget, .period_rounds = rounds});
    Microcredits left = budget;
    for (int64_t i = 0; i < rounds; ++i) {
      const auto round = static_cast<uint64_t>(rounds + i);
      const Microcredits cap = pacer.Cap(round);
      ASSERT_LE(cap, left);
      if (i + 1 == rounds) {
        ASSERT_EQ(cap, left);
      }
      const Microcredits charge = random.Between(0, cap);
      pacer.Placed(round, cap);
      pacer.Told(round, charge);
      left -= charge;
    }
  }
}

TEST(BudgetPacer, TheLargestBudgetIsNoOverflow) {
  BudgetPacer pacer({.period_budget_microcredits = kValueMaxMicrocredits,
                     .period_rounds = kPeriodRoundsMax,
                     .bid_lifetime_rounds = kLifetimeRoundsMax});
  const auto rounds = static_cast<uint64_t>(kPeriodRoundsMax);
  EXPECT_EQ(pacer.Cap(rounds), kValueMaxMicrocredits / kPeriodRoundsMax);
  pacer.Told(rounds, INT64_MAX);
  pacer.Told(rounds + 1, INT64_MAX);
  EXPECT_EQ(pacer.Cap(rounds + 2), 0);
}

}  // namespace
}  // namespace nom::policies
