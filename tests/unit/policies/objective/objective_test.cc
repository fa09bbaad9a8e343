// SPDX-License-Identifier: Apache-2.0
// Which owner comes first, how even the shares are, and a reserve that is learnt.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "policies/clearing/rules.h"
#include "policies/objective/jain.h"
#include "policies/objective/least_satisfied.h"
#include "policies/reserve/best_price.h"
#include "policies/reserve/reserve.h"
#include "tests/referee/random_auction.h"

namespace nom::policies {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kMillion = 1'000'000;

Bid Flat(GuestId guest_id, int64_t units, Microcredits price) {
  return {.guest_id = guest_id,
          .ranges = {{.min_units = 1,
                      .max_units = units,
                      .value_at_min_microcredits = price,
                      .unit_price_microcredits = price}},
          .owner_id = guest_id};
}

TEST(JainIndex, IsThatOfTheLiterature) {
  EXPECT_EQ(JainIndexPpm({}), std::nullopt);
  EXPECT_EQ(JainIndexPpm(std::vector<int64_t>{0, 0}), std::nullopt) << "nobody got anything";
  EXPECT_EQ(JainIndexPpm(std::vector<int64_t>{400'000}), kMillion);
  EXPECT_EQ(JainIndexPpm(std::vector<int64_t>{70, 70, 70}), kMillion);
  EXPECT_EQ(JainIndexPpm(std::vector<int64_t>{kMillion, 0, 0, 0}), 250'000) << "one of four";
  EXPECT_EQ(JainIndexPpm(std::vector<int64_t>{kMillion, kMillion, 0}), 666'666);
  // (1 + 1/2)^2 / (2 (1 + 1/4)) = 0.9.
  EXPECT_EQ(JainIndexPpm(std::vector<int64_t>{kMillion, 500'000}), 900'000);
  const std::vector<int64_t> most(kBidsMax, kMillion);
  EXPECT_EQ(JainIndexPpm(most), kMillion) << "nothing wraps";
}

TEST(JainIndex, LiesBetweenOneOfAllAndOne) {
  TestRandom random(FirstSeed());
  for (uint64_t i = 0; i < CountOr(2'000); ++i) {
    std::vector<int64_t> shares(static_cast<size_t>(random.Between(1, 9)));
    for (int64_t& share : shares) share = random.Between(0, kMillion);
    const auto index = JainIndexPpm(shares);
    if (!index) continue;
    EXPECT_GE(*index, kMillion / static_cast<int64_t>(shares.size()));
    EXPECT_LE(*index, kMillion);
    std::reverse(shares.begin(), shares.end());
    EXPECT_EQ(JainIndexPpm(shares), index) << "whoever is named first";
  }
}

TEST(LeastSatisfied, WeightsGoByTheSharesOfWhatWasAskedFor) {
  const std::vector<OwnerAsks> owners = {
      {.owner_id = 1, .asked_units = 10, .awarded_units = 5, .asks_now = true},
      {.owner_id = 2, .asked_units = 10, .awarded_units = 10, .asks_now = true},
      {.owner_id = 3, .asks_now = true},  // Never asked: behind, like who got all.
      {.owner_id = 4, .asked_units = 1'000, .asks_now = false}};
  EXPECT_THAT(LeastSatisfiedWeights(owners, 1), ElementsAre(kMillion, 500'000, 500'000, kMillion));
  EXPECT_THAT(LeastSatisfiedWeights(owners, 2), ElementsAre(kMillion, 250'000, 250'000, kMillion));
}

TEST(LeastSatisfied, WhoHadNothingComesFirstButNotAtAnyPrice) {
  const std::vector<OwnerAsks> owners = {
      {.owner_id = 1, .asked_units = 10, .awarded_units = 0, .asks_now = true},
      {.owner_id = 2, .asked_units = 10, .awarded_units = 10, .asks_now = true}};
  EXPECT_THAT(LeastSatisfiedWeights(owners, 1), ElementsAre(kMillion, 31'250));
  EXPECT_THAT(LeastSatisfiedWeights(owners, 2), ElementsAre(kMillion, 976)) << "one 1,024th";
  EXPECT_THAT(LeastSatisfiedWeights(owners, 3), ElementsAre(kMillion, 30));
}

TEST(LeastSatisfied, SharesAreWithinTheirRange) {
  EXPECT_EQ(SharePpm(0, 0), kMillion);
  EXPECT_EQ(SharePpm(3, 1), 333'333);
  EXPECT_EQ(SharePpm(3, 9), kMillion) << "more than was asked for is all of it";
  EXPECT_EQ(SharePpm(int64_t{1} << 60, int64_t{1} << 60), kMillion);
  TestRandom random(FirstSeed());
  for (uint64_t i = 0; i < CountOr(2'000); ++i) {
    std::vector<OwnerAsks> owners(static_cast<size_t>(random.Between(1, 6)));
    for (OwnerAsks& owner : owners) {
      owner.asked_units = random.Between(0, 50);
      owner.awarded_units = random.Between(0, owner.asked_units);
      owner.asks_now = !random.OneIn(4);
    }
    const auto steepness = random.Between(1, kSteepnessMax);
    const std::vector<int64_t> weights = LeastSatisfiedWeights(owners, steepness);
    ASSERT_EQ(weights.size(), owners.size());
    bool any = false;
    for (size_t a = 0; a < owners.size(); ++a) {
      EXPECT_GE(weights[a], 1);
      EXPECT_LE(weights[a], kMillion);
      any = any || weights[a] == kMillion;
      for (size_t b = 0; b < owners.size(); ++b) {
        if (!owners[a].asks_now || !owners[b].asks_now) continue;
        if (SharePpm(owners[a].asked_units, owners[a].awarded_units) <=
            SharePpm(owners[b].asked_units, owners[b].awarded_units)) {
          EXPECT_GE(weights[a], weights[b]) << "who had less never comes after who had more";
        }
      }
    }
    EXPECT_TRUE(any);
  }
}

TEST(LeastSatisfied, WhatIsAskedForIsWhatTheReserveWouldSell) {
  const Bid bid{.guest_id = 1,
                .ranges = {{1, 4, 10, 10}, {4, 9, 40, 3}}};  // Four for 10 each, then five for 3.
  EXPECT_EQ(AskedUnits(bid, 100, 0), 9);
  EXPECT_EQ(AskedUnits(bid, 100, 3), 9);
  EXPECT_EQ(AskedUnits(bid, 100, 4), 4) << "what is below the reserve asks for nothing";
  EXPECT_EQ(AskedUnits(bid, 3, 0), 3) << "nor does what is not there";
  EXPECT_EQ(AskedUnits(bid, 100, 11), 0);
}

// One unit a round, and the shares of the last rounds as marketd keeps them.
struct Rounds {
  std::map<OwnerId, std::deque<std::pair<int64_t, int64_t>>> past;
  std::map<OwnerId, int64_t> won;

  void Run(const std::vector<Bid>& bids, Microcredits reserve, int64_t steepness,
           size_t look_back) {
    Auction auction{.capacity_units = 1, .reserve_unit_price_microcredits = reserve, .bids = bids};
    std::vector<OwnerAsks> owners;
    for (const Bid& bid : bids) {
      OwnerAsks& owner = owners.emplace_back(OwnerAsks{.owner_id = bid.owner_id, .asks_now = true});
      for (const auto& [asked, awarded] : past[bid.owner_id]) {
        owner.asked_units += asked;
        owner.awarded_units += awarded;
      }
    }
    const std::vector<int64_t> weights = LeastSatisfiedWeights(owners, steepness);
    for (size_t i = 0; i < bids.size(); ++i) auction.bids[i].weight_ppm = weights[i];
    const auto clearing = Clear("mpsp/1", auction);
    ASSERT_TRUE(clearing.ok()) << clearing.status();
    for (const Bid& bid : bids) {
      int64_t awarded = 0;
      for (const Award& award : clearing->awards) {
        if (award.guest_id == bid.guest_id) awarded = award.units;
      }
      won[bid.owner_id] += awarded;
      auto& rounds = past[bid.owner_id];
      rounds.emplace_back(1, awarded);
      if (rounds.size() > look_back) rounds.pop_front();
    }
  }
};

TEST(LeastSatisfied, TheWeakAreServedOverManyRounds) {
  // For one unit, 1,000 rounds: the strong bid ten times as much as the weak.
  const std::vector<Bid> bids = {Flat(1, 1, 1'000'000), Flat(2, 1, 100'000)};
  Rounds by_welfare;
  Rounds by_share;
  for (int i = 0; i < 1'000; ++i) {
    by_welfare.Run(bids, 0, 0, 60);
    by_share.Run(bids, 0, 2, 60);
  }
  EXPECT_EQ(by_welfare.won[2], 0) << "welfare never serves it";
  // The shares settle where (weak / strong)^2 is the bids' ratio, 1 to 10: near 0.24 and 0.76.
  EXPECT_GE(by_share.won[2], 200);
  EXPECT_LE(by_share.won[2], 280);
  EXPECT_EQ(by_share.won[1] + by_share.won[2], 1'000) << "and nothing is left unsold";
}

TEST(LeastSatisfied, ABidOfNextToNothingIsServedRarelyAndOneOfLessNever) {
  Rounds rare;
  Rounds never;
  for (int i = 0; i < 1'000; ++i) {
    rare.Run({Flat(1, 1, 1'000'000), Flat(2, 1, 2'000)}, 0, 2, 60);  // One 500th.
    never.Run({Flat(1, 1, 1'000'000), Flat(2, 1, 500)}, 0, 2, 60);   // One 2,000th.
  }
  EXPECT_GT(rare.won[2], 0);
  EXPECT_LT(rare.won[2], 80);
  EXPECT_EQ(never.won[2], 0);
}

TEST(LeastSatisfied, AsManyAreServedInTurn) {
  std::vector<Bid> bids;
  for (GuestId id = 1; id <= 8; ++id) bids.push_back(Flat(id, 1, 100'000 + 10'000 * int64_t(id)));
  Rounds rounds;
  for (int i = 0; i < 800; ++i) rounds.Run(bids, 0, 3, 60);
  std::vector<int64_t> shares;
  for (const auto& [owner, won] : rounds.won) {
    EXPECT_GT(won, 70) << "owner " << owner;
    shares.push_back(won * kMillion / 800);
  }
  EXPECT_GT(*JainIndexPpm(shares), 980'000);
}

// What the header says of playing it, so that nobody has to take it on trust.
TEST(LeastSatisfied, AskingForMoreThanIsWantedGetsItMore) {
  // Two alike for one unit a round; then the second also asks under a second guest for a unit that
  // it does not need, a little above the reserve, where it is mostly refused.
  const Microcredits reserve = 10'000;
  Rounds honest;
  Rounds played;
  for (int i = 0; i < 600; ++i) {
    honest.Run({Flat(1, 1, 100'000), Flat(2, 1, 100'000)}, reserve, 2, 60);
    played.Run({Flat(1, 1, 100'000), Flat(2, 1, 100'000)}, reserve, 2, 60);
    played.past[2].back().first = 2;  // What it says that it asked for.
  }
  EXPECT_NEAR(static_cast<double>(honest.won[2]), 300, 10);
  EXPECT_GT(played.won[2], 350);
}

TEST(BestPrice, IsTheOneThatEarnsTheMost) {
  Auction auction{.capacity_units = 3};
  EXPECT_EQ(BestUnitPrice(auction), 0);
  auction.bids = {Flat(1, 1, 100), Flat(2, 1, 60), Flat(3, 1, 50), Flat(4, 1, 49)};
  EXPECT_EQ(BestUnitPrice(auction), 50) << "three at 50, rather than two at 60 or one at 100";
  auction.capacity_units = 2;
  EXPECT_EQ(BestUnitPrice(auction), 60);
  auction.capacity_units = 0;
  EXPECT_EQ(BestUnitPrice(auction), 0);
  auction.capacity_units = 3;
  auction.bids = {Flat(1, 1, 100), Flat(2, 1, 50)};
  EXPECT_EQ(BestUnitPrice(auction), 50) << "the lowest of equals";
  auction.bids[0].weight_ppm = 1'000;
  auction.reserve_unit_price_microcredits = 70;
  EXPECT_EQ(BestUnitPrice(auction), 50) << "whatever the auction was";
}

TEST(BestPrice, NoOtherPriceEarnsMore) {
  for (uint64_t seed = FirstSeed(); seed < FirstSeed() + CountOr(2'000); ++seed) {
    const Auction auction = SmallRandomAuction(Shape::kConcave, seed);
    const auto earned = [&auction](Microcredits price) {
      int64_t asked = 0;
      for (const Bid& bid : auction.bids) asked += BestUnits(bid, auction.capacity_units, price);
      return static_cast<__int128>(price) * std::min(asked, auction.capacity_units);
    };
    const auto best = earned(BestUnitPrice(auction));
    for (const Bid& bid : auction.bids) {
      for (const Range& range : bid.ranges) {
        for (const int64_t units : {range.min_units, range.max_units}) {
          if (units == 0) continue;
          for (const Microcredits price :
               {ValueOf(bid, units) / units,
                std::max<Microcredits>(0, range.unit_price_microcredits)}) {
            EXPECT_LE(earned(price), best) << price << Describe(seed, auction);
          }
        }
      }
    }
  }
}

ReservePolicy Learnt(Microcredits floor, Microcredits ceiling, int64_t look_back) {
  return {.kind = ReserveKind::kLearnt,
          .floor_unit_price_microcredits = floor,
          .ceiling_unit_price_microcredits = ceiling,
          .look_back_rounds = look_back};
}

Microcredits Next(const ReservePolicy& policy, const std::vector<Microcredits>& best) {
  const auto next = NextReserve(policy, {.best_unit_prices = best});
  EXPECT_TRUE(next.ok()) << next.status();
  return next.ok() ? next->reserve_unit_price_microcredits : -1;
}

TEST(LearntReserve, IsTheMedianWithinFloorAndCeiling) {
  const ReservePolicy policy = Learnt(10, 90, 9);
  EXPECT_EQ(ReserveName(policy.kind), "learnt/1");
  EXPECT_EQ(Next(policy, {}), 10);
  EXPECT_EQ(Next(policy, std::vector<Microcredits>(7, 50)), 10) << "seven rounds are too few";
  EXPECT_EQ(Next(policy, std::vector<Microcredits>(8, 50)), 50);
  EXPECT_EQ(Next(policy, std::vector<Microcredits>(8, 5)), 10);
  EXPECT_EQ(Next(policy, std::vector<Microcredits>(8, kValueMaxMicrocredits)), 90);
  EXPECT_EQ(Next(policy, {99, 99, 99, 99, 99, 1, 2, 30, 40, 50, 60, 70, 80, 90}), 50)
      << "of the last nine alone";
  EXPECT_EQ(Next(policy, {1, 2, 30, 40, 50, 60, 70, 80}), 40) << "the lower of two";
  EXPECT_EQ(Next(policy, {40, 40, 40, 40, 40, kValueMaxMicrocredits, 40, 40, 40}), 40)
      << "one round moves nothing";
}

TEST(LearntReserve, BadParametersAreNamed) {
  EXPECT_TRUE(ValidateReserve(Learnt(10, 10, 8)).ok());
  EXPECT_THAT(std::string(ValidateReserve(Learnt(10, 9, 8)).message()), HasSubstr("ceiling"));
  EXPECT_THAT(std::string(ValidateReserve(Learnt(-1, 9, 8)).message()), HasSubstr("floor"));
  for (const int64_t bad : {int64_t{0}, kLearntRoundsMin - 1, kLearntRoundsMax + 1}) {
    EXPECT_THAT(std::string(ValidateReserve(Learnt(1, 9, bad)).message()),
                HasSubstr("look_back_rounds"));
  }
}

// Rounds of a market with a learnt reserve: what the operator earns, and what is left of welfare.
struct LearntMarket {
  ReservePolicy policy;
  std::vector<Microcredits> best = {};
  Microcredits reserve = 0;
  Microcredits revenue = 0;
  int64_t sold = 0;

  void Round(Auction auction) {
    const auto next = NextReserve(policy, {.best_unit_prices = best});
    ASSERT_TRUE(next.ok()) << next.status();
    reserve = next->reserve_unit_price_microcredits;
    ASSERT_GE(reserve, policy.floor_unit_price_microcredits);
    ASSERT_LE(reserve, policy.ceiling_unit_price_microcredits);
    auction.reserve_unit_price_microcredits = reserve;
    const auto clearing = Clear("mpsp/1", auction);
    ASSERT_TRUE(clearing.ok()) << clearing.status();
    revenue = 0;
    sold = 0;
    for (const Award& award : clearing->awards) {
      revenue += award.charge_microcredits;
      sold += award.units;
    }
    best.push_back(BestUnitPrice(auction));
  }
};

TEST(LearntReserve, ConvergesAndEarnsMoreWhereSupplyExceedsDemand) {
  // Ten units, four bidders for one each: without a reserve the price is 0.
  Auction auction{.capacity_units = 10, .seed = 1};
  auction.bids = {Flat(1, 1, 100'000), Flat(2, 1, 90'000), Flat(3, 1, 80'000), Flat(4, 1, 10'000)};
  LearntMarket none{.policy = Learnt(0, 0, 20)};
  LearntMarket learnt{.policy = Learnt(0, 1'000'000, 20)};
  for (int i = 0; i < 40; ++i) {
    none.Round(auction);
    learnt.Round(auction);
    EXPECT_EQ(learnt.reserve, i < 8 ? 0 : 80'000) << i << ": and stays there";
  }
  EXPECT_EQ(none.revenue, 0);
  EXPECT_EQ(learnt.revenue, 240'000);
  EXPECT_EQ(learnt.sold, 3) << "the fourth, who was worth 10,000, is not served any more";
  // It leaves, and the reserve stays: it does not climb after those who are left.
  auction.bids.pop_back();
  for (int i = 0; i < 40; ++i) learnt.Round(auction);
  EXPECT_EQ(learnt.reserve, 80'000);
  // All leave, and the reserve comes down to the floor.
  auction.bids.clear();
  for (int i = 0; i < 40; ++i) learnt.Round(auction);
  EXPECT_EQ(learnt.reserve, 0);
}

// The warning of the handbook, with its numbers.
TEST(LearntReserve, PunishesTheTruthInTheLongRun) {
  const auto bids = [](Microcredits first, Microcredits second) {
    Auction auction{.capacity_units = 10, .seed = 1};
    auction.bids = {Flat(1, 1, first), Flat(2, 1, second)};
    return auction;
  };
  LearntMarket honest{.policy = Learnt(10'000, 1'000'000, 20)};
  LearntMarket shaded{.policy = Learnt(10'000, 1'000'000, 20)};
  for (int i = 0; i < 60; ++i) {
    honest.Round(bids(100'000, 100'000));  // What the units are worth to both.
    shaded.Round(bids(20'000, 20'000));    // A fifth of it.
  }
  EXPECT_EQ(honest.sold, 2);
  EXPECT_EQ(shaded.sold, 2) << "served all the same,";
  EXPECT_EQ(honest.revenue, 200'000);
  EXPECT_EQ(shaded.revenue, 40'000) << "for a fifth";
}

}  // namespace
}  // namespace nom::policies
