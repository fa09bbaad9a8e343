// SPDX-License-Identifier: Apache-2.0
// The SDK's choice: what it makes of price histories and offers. How choices are worked out is
// tested with policies/bidding.

#include "nom/choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace nom {
namespace {

using ::testing::HasSubstr;

PricedRound RoundAt(uint64_t round_id, int64_t unit_price, int64_t supply = 1'000) {
  return {.round_id = round_id,
          .close_time = {},
          .effective_time = {},
          .released = false,
          .prices = {{.resource = Resource::kCpu,
                      .price = {.offered = true,
                                .bound_by = BoundBy::kBids,
                                .unit_price_microcredits = unit_price,
                                .reserve_unit_price_microcredits = 1},
                      .supply_units = supply,
                      .demand_units = 0,
                      .sold_units = 0,
                      .rule = "",
                      .reserve_policy = ""}}};
}

// As they are listed: newest first.
std::vector<PricedRound> RoundsAt(int64_t unit_price, uint64_t first, uint64_t last) {
  std::vector<PricedRound> rounds;
  for (uint64_t id = last; id >= first; --id) rounds.push_back(RoundAt(id, unit_price));
  return rounds;
}

// 10 units for 5 rounds at once, worth 50 a unit and round.
Need Wanted() {
  return {.resource = Resource::kCpu,
          .units = 10,
          .rounds = 5,
          .within_rounds = 0,
          .worth_microcredits = 2'500};
}

Offer Quoted(int64_t charge, int64_t rounds = 5) {
  Offer offer;
  offer.offer_id = 7;
  offer.lots = {{Resource::kCpu, 10, charge}};
  offer.rounds = rounds;
  offer.end_fee_ppm = 100'000;
  return offer;
}

TEST(ChooseTest, TakesTheCheaperOfAPriceThatHoldsAndTheAuction) {
  const std::vector<PricedRound> past = RoundsAt(20, 1, 40);
  absl::StatusOr<Choice> choice = Choose(Wanted(), past, Quoted(190));
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_EQ(choice->way, Way::kContract);
  EXPECT_EQ(WayName(choice->way), "contract");
  EXPECT_EQ(choice->contract.mean_charge_microcredits, 950);
  EXPECT_EQ(choice->spot.mean_charge_microcredits, 1'000);
  EXPECT_EQ(choice->blocks, 36);
  EXPECT_EQ(&choice->chosen(), &choice->contract);
  choice = Choose(Wanted(), past, Quoted(210));
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_EQ(choice->way, Way::kSpot);
  EXPECT_EQ(UnitLimitNow(choice->spot, Wanted(), 0, 5), 50) << "what a unit is worth in a round";
  EXPECT_EQ(UnitLimitNow(choice->spot, Wanted(), 5, 5), 0) << "it is met";
  choice = Choose(Wanted(), past, std::nullopt);
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_EQ(choice->way, Way::kSpot);
  EXPECT_FALSE(choice->contract.possible);
  Need poor = Wanted();
  poor.worth_microcredits = 900;
  choice = Choose(poor, past, Quoted(190));
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_EQ(choice->way, Way::kNothing);
  EXPECT_FALSE(choice->chosen().possible);
}

TEST(ChooseTest, PagesInAnyOrderAreOneHistoryUpToTheFirstGap) {
  std::vector<PricedRound> past = RoundsAt(20, 31, 60);
  const std::vector<PricedRound> before = RoundsAt(99, 1, 29);  // 30 is missing.
  past.insert(past.begin(), before.begin(), before.end());
  past.push_back(RoundAt(60, 20));  // Twice.
  absl::StatusOr<Choice> choice = Choose(Wanted(), past, std::nullopt);
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_EQ(choice->blocks, 26) << "of thirty rounds";
  EXPECT_EQ(choice->spot.mean_charge_microcredits, 1'000);
  past.push_back(RoundAt(30, 20));
  choice = Choose(Wanted(), past, std::nullopt);
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_EQ(choice->blocks, 56);
  EXPECT_LT(choice->spot.met_ppm, 1'000'000);
}

TEST(ChooseTest, WhatWasNotOnSaleWasNotToBeHad) {
  std::vector<PricedRound> past = RoundsAt(20, 1, 40);
  for (PricedRound& round : past) {
    if (round.round_id % 5 == 0) round.prices.clear();
    if (round.round_id % 5 == 1) round.prices[0].supply_units = 9;
    if (round.round_id % 5 == 2) {
      round.prices[0].price.unit_price_microcredits = std::numeric_limits<int64_t>::max();
    }
  }
  Need need = Wanted();
  need.rounds = 2;
  need.within_rounds = 5;
  absl::StatusOr<Choice> choice = Choose(need, past, std::nullopt);
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_EQ(choice->spot.met_ppm, 1'000'000) << "two of five are left";
  need.rounds = 3;
  choice = Choose(need, past, std::nullopt);
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_EQ(choice->spot.met_ppm, 0);
  need.resource = Resource::kDisk;
  choice = Choose(need, past, std::nullopt);
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_EQ(choice->way, Way::kNothing) << "nobody ever sold any";
}

TEST(ChooseTest, AnOfferThatIsNotForTheNeedIsNone) {
  const std::vector<PricedRound> past = RoundsAt(20, 1, 40);
  const auto is_possible = [&](const Offer& offer, int64_t within = 0) {
    Need need = Wanted();
    need.within_rounds = within;
    const absl::StatusOr<Choice> choice = Choose(need, past, offer);
    EXPECT_TRUE(choice.ok()) << choice.status();
    return choice.ok() && choice->contract.possible;
  };
  EXPECT_TRUE(is_possible(Quoted(100)));
  EXPECT_FALSE(is_possible(Quoted(100, 4))) << "too short";
  Offer offer = Quoted(100);
  offer.lots[0].units = 9;
  EXPECT_FALSE(is_possible(offer));
  offer = Quoted(100);
  offer.lots[0].resource = Resource::kDisk;
  EXPECT_FALSE(is_possible(offer));
  offer = Quoted(100);
  offer.from_round_id = 41;
  EXPECT_TRUE(is_possible(offer)) << "the round after the last one known";
  offer.from_round_id = 43;
  EXPECT_FALSE(is_possible(offer));
  EXPECT_TRUE(is_possible(offer, 7));
  offer.from_round_id = std::numeric_limits<uint64_t>::max();
  EXPECT_FALSE(is_possible(offer, 7));
  // All of it is paid for, whatever is needed of it.
  offer = Quoted(100, 9);
  offer.lots.push_back({Resource::kMemory, 3, 40});
  const absl::StatusOr<Choice> choice = Choose(Wanted(), past, offer);
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_EQ(choice->contract.mean_charge_microcredits, 5 * 140 + 4 * 14);
}

TEST(ChooseTest, WhatIsOutOfRangeIsNamed) {
  const auto error = [](const Need& need, const Offer& offer, const ChooseOptions& options) {
    return std::string(Choose(need, RoundsAt(20, 1, 40), offer, options).status().message());
  };
  Need need = Wanted();
  need.units = 0;
  EXPECT_THAT(error(need, Quoted(1), {}), HasSubstr("need.units"));
  need = Wanted();
  need.rounds = 0;
  EXPECT_THAT(error(need, Quoted(1), {}), HasSubstr("need.rounds"));
  need = Wanted();
  need.within_rounds = 4;
  EXPECT_THAT(error(need, Quoted(1), {}), HasSubstr("need.within_rounds"));
  need.within_rounds = 5;
  need.worth_microcredits = -1;
  EXPECT_THAT(error(need, Quoted(1), {}), HasSubstr("need.worth_microcredits"));
  EXPECT_THAT(error(Wanted(), Quoted(-1), {}), HasSubstr("contract.charge_microcredits"));
  EXPECT_THAT(error(Wanted(), Quoted(std::numeric_limits<int64_t>::max()), {}),
              HasSubstr("contract.charge_microcredits"));
  for (const int percent : {-1, 101}) {
    EXPECT_THAT(error(Wanted(), Quoted(1), {.dislike_percent = percent}),
                HasSubstr("dislike_percent"));
  }
  EXPECT_THAT(error(Wanted(), Quoted(1), {.dislike_percent = 0, .cycle_rounds = 0}),
              HasSubstr("cycle_rounds"));
  EXPECT_EQ(error(Wanted(), Quoted(1), {}), "");
}

TEST(RoundsUntilTest, CountsWholeRoundsThatEndInTime) {
  MarketStatus market;
  const absl::Time now = absl::FromUnixSeconds(1'000);
  EXPECT_EQ(RoundsUntil(market, now), 0) << "nothing was told";
  market.round_id = 3;
  market.period = absl::Seconds(10);
  market.effective_time = now;
  EXPECT_EQ(RoundsUntil(market, now - absl::Seconds(1)), 0);
  EXPECT_EQ(RoundsUntil(market, now + absl::Milliseconds(9'999)), 0);
  EXPECT_EQ(RoundsUntil(market, now + absl::Seconds(10)), 1);
  EXPECT_EQ(RoundsUntil(market, now + absl::Seconds(49)), 4);
  EXPECT_EQ(RoundsUntil(market, absl::InfiniteFuture()), kNeedRoundsMax);
}

}  // namespace
}  // namespace nom
