// SPDX-License-Identifier: Apache-2.0
#include "policies/tiers/tiers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace nom::policies {
namespace {

using ::testing::StartsWith;

std::vector<Tier> Table() {
  return {
      {.name = "bronze", .price_multiple_ppm = 500'000, .floor_units = 2, .floor_every_rounds = 5},
      {.name = "silver", .price_multiple_ppm = 1'000'000},
      {.name = "gold", .price_multiple_ppm = 3'000'000}};
}

TEST(Tiers, ATableIsCheckedRowByRow) {
  EXPECT_TRUE(ValidateTiers(Table()).ok());
  EXPECT_TRUE(ValidateTiers({}).ok());
  const auto wrong = [](auto change) {
    std::vector<Tier> table = Table();
    change(table);
    const absl::Status status = ValidateTiers(table);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(wrong([](auto& t) { t[1].name = "Silver"; }), StartsWith("[1].name: 'Silver'"));
  EXPECT_THAT(wrong([](auto& t) { t[1].name = ""; }), StartsWith("[1].name: ''"));
  EXPECT_THAT(wrong([](auto& t) { t[2].name = "bronze"; }),
              StartsWith("[2].name: 'bronze' is there twice"));
  EXPECT_THAT(wrong([](auto& t) { t[0].price_multiple_ppm = -1; }),
              StartsWith("[0].price_multiple_ppm: -1"));
  EXPECT_THAT(wrong([](auto& t) { t[2].price_multiple_ppm = 999'999; }),
              StartsWith("[2].price_multiple_ppm: 999999 is below the 1000000 of 'silver'"));
  EXPECT_THAT(wrong([](auto& t) { t[0].floor_units = 0; }), StartsWith("[0].floor_units: 0"));
  EXPECT_THAT(wrong([](auto& t) { t[0].floor_every_rounds = 0; }),
              StartsWith("[0].floor_every_rounds: 0"));
}

TEST(Tiers, ABidIsTheMultipleOfTheLastPriceUpToTheCeiling) {
  const TierWish wish = {.units_max = 8, .ceiling_unit_price_microcredits = 250};
  const auto price = [&](const Tier& tier, Microcredits last) {
    const auto bid = TierBid(tier, wish, last);
    EXPECT_TRUE(bid.ok()) << bid.status();
    if (!*bid) return Microcredits{0};
    EXPECT_EQ((*bid)->min_units, 1);
    EXPECT_EQ((*bid)->max_units, 8);
    EXPECT_EQ((*bid)->value_at_min_microcredits, (*bid)->unit_price_microcredits);
    return (*bid)->unit_price_microcredits;
  };
  const std::vector<Tier> table = Table();
  EXPECT_EQ(price(table[0], 101), 51);  // Rounded up.
  EXPECT_EQ(price(table[1], 101), 101);
  EXPECT_EQ(price(table[2], 80), 240);
  EXPECT_EQ(price(table[2], 101), 250);
  EXPECT_EQ(price(table[0], 1), 1);
  EXPECT_EQ(price(table[2], 0), 0);
  EXPECT_EQ(price({.name = "free", .price_multiple_ppm = 0}, 100), 0);
}

TEST(Tiers, ABidIsAlwaysOneThatTheMarketTakes) {
  std::mt19937_64 random(20'261'130);
  const auto draw = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  for (int i = 0; i < 20'000; ++i) {
    const Tier tier = {.name = "any", .price_multiple_ppm = draw(0, kTierMultipleMaxPpm)};
    const TierWish wish = {
        .units_max = draw(1, kUnitsMax),
        .ceiling_unit_price_microcredits = draw(0, kValueMaxMicrocredits) >> draw(0, 50)};
    const auto bid = TierBid(tier, wish, draw(0, kValueMaxMicrocredits) >> draw(0, 50));
    ASSERT_TRUE(bid.ok());
    if (!*bid) continue;
    EXPECT_GE((*bid)->max_units, 1);
    EXPECT_LE((*bid)->max_units, wish.units_max);
    EXPECT_LE((*bid)->unit_price_microcredits, wish.ceiling_unit_price_microcredits);
    EXPECT_LE((*bid)->max_units, kValueMaxMicrocredits / (*bid)->unit_price_microcredits);
  }
}

TEST(Tiers, WhatIsOutOfRangeIsNamed) {
  const auto refused = [](TierWish wish, Microcredits last) {
    return std::string(TierBid(Table()[1], wish, last).status().message());
  };
  EXPECT_THAT(refused({.units_max = 0, .ceiling_unit_price_microcredits = 1}, 1),
              StartsWith("units_max: 0"));
  EXPECT_THAT(refused({.units_max = 1, .ceiling_unit_price_microcredits = -1}, 1),
              StartsWith("ceiling_unit_price_microcredits: -1"));
  EXPECT_THAT(refused({.units_max = 1, .ceiling_unit_price_microcredits = 1}, -1),
              StartsWith("last_unit_price_microcredits: -1"));
}

TEST(Tiers, EachGuestHasItsFloorOnceInAnyRoundsOnEnd) {
  const Tier tier = Table()[0];
  for (int64_t slot = 0; slot < tier.floor_every_rounds; ++slot) {
    for (uint64_t first = 0; first < 20; ++first) {
      int turns = 0;
      for (uint64_t round = first; round < first + 5; ++round)
        turns += IsFloorRound(tier, slot, round);
      EXPECT_EQ(turns, 1) << "slot " << slot << " from round " << first;
    }
  }
  EXPECT_FALSE(IsFloorRound(Table()[1], 0, 0));
}

TEST(Tiers, WhoComesTakesTheSlotThatTheFewestHave) {
  const Tier tier = Table()[0];
  std::mt19937_64 random(7);
  std::vector<int64_t> slots;
  std::vector<int64_t> uses(5, 0);
  for (int i = 0; i < 2'000; ++i) {
    const int64_t slot = LeastUsedSlot(tier, slots);
    ASSERT_EQ(uses[static_cast<size_t>(slot)], *std::min_element(uses.begin(), uses.end()));
    slots.push_back(slot);
    ++uses[static_cast<size_t>(slot)];
    if (random() % 3 != 0) continue;
    const auto gone = slots.begin() + static_cast<int64_t>(random() % slots.size());
    --uses[static_cast<size_t>(*gone)];
    slots.erase(gone);
  }
}

}  // namespace
}  // namespace nom::policies
