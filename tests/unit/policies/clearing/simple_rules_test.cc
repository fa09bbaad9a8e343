// SPDX-License-Identifier: Apache-2.0
// Proportional share and posted price against their closed forms.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "policies/clearing/posted_price.h"
#include "policies/clearing/proportional_share.h"
#include "policies/clearing/rules.h"
#include "tests/referee/random_auction.h"

namespace nom::policies {
namespace {

// Any quantity up to `units`, worth `budget` with all of them.
Bid Budget(GuestId guest_id, int64_t units, Microcredits budget) {
  return {guest_id, {{1, units, budget, 0}}, 0};
}

TEST(ProportionalShare, SharesAreInProportionToBudgets) {
  Auction auction;
  auction.capacity_units = 1'000;
  auction.bids = {Budget(1, 1'000, 10'000), Budget(2, 1'000, 30'000), Budget(3, 1'000, 60'000)};
  const auto clearing = ClearProportionalShare(auction);
  ASSERT_TRUE(clearing.ok()) << clearing.status();
  EXPECT_EQ(clearing->clearing_unit_price_microcredits, 100);
  EXPECT_EQ(clearing->awards,
            (std::vector<Award>{{1, 100, 10'000}, {2, 300, 30'000}, {3, 600, 60'000}}));
}

TEST(ProportionalShare, WhatOneDoesNotWantRaisesTheOthersShares) {
  Auction auction;
  auction.capacity_units = 1'000;
  auction.bids = {Budget(1, 1'000, 10'000), Budget(2, 1'000, 30'000), Budget(3, 200, 60'000)};
  const auto clearing = ClearProportionalShare(auction);
  ASSERT_TRUE(clearing.ok()) << clearing.status();
  EXPECT_EQ(clearing->clearing_unit_price_microcredits, 50);
  EXPECT_EQ(clearing->awards,
            (std::vector<Award>{{1, 200, 10'000}, {2, 600, 30'000}, {3, 200, 10'000}}));
}

TEST(ProportionalShare, ValueBoundsTheCharge) {
  Auction auction;
  auction.capacity_units = 10;
  // Budgets 54, 42, 24 buy 4, 3 and 2 at 11; nobody values a unit so highly.
  auction.bids = {{1, {{1, 6, 9, 9}}, 0}, {2, {{1, 6, 7, 7}}, 0}, {3, {{1, 6, 4, 4}}, 0}};
  const auto clearing = ClearProportionalShare(auction);
  ASSERT_TRUE(clearing.ok()) << clearing.status();
  EXPECT_EQ(clearing->clearing_unit_price_microcredits, 11);
  EXPECT_EQ(clearing->awards, (std::vector<Award>{{1, 4, 36}, {2, 3, 21}, {3, 2, 8}}));
}

TEST(ProportionalShare, TheReserveIsTheLowestPriceAndBoundsTheShares) {
  Auction auction;
  auction.capacity_units = 1'000;
  auction.reserve_unit_price_microcredits = 200;
  // Budgets of 10,000 and 40,000; at the reserve they would buy 50 and 200 units.
  auction.bids = {{1, {{1, 40, 250, 250}}, 0}, {2, {{1, 160, 250, 250}}, 0}};
  const auto clearing = ClearProportionalShare(auction);
  ASSERT_TRUE(clearing.ok()) << clearing.status();
  EXPECT_EQ(clearing->awards, (std::vector<Award>{{1, 40, 8'000}, {2, 160, 32'000}}));
  EXPECT_EQ(clearing->bound_by, BoundBy::kReserve);
}

TEST(ProportionalShare, AGuestPaysNoMoreThanItsQuantityIsWorth) {
  Auction auction;
  auction.capacity_units = 100;
  // Guest 1's share is 50 at 10; 60, worth its budget, is out of reach, 20 is worth 30, 5 is
  // worth 60.
  auction.bids = {{1, {{5, 5, 60, 0}, {20, 20, 30, 0}, {60, 60, 500, 0}}, 0}, Budget(2, 100, 500)};
  const auto clearing = ClearProportionalShare(auction);
  ASSERT_TRUE(clearing.ok()) << clearing.status();
  EXPECT_EQ(clearing->awards, (std::vector<Award>{{1, 5, 50}, {2, 50, 500}}));
}

// Two guests with straight curves who bid their equilibrium budgets w_i = v_i^2 v_j / (v_1 + v_2)^2
// (times the capacity) share v_i : v_j, which is worth (1 + t^2) / (1 + t) of the best, t = v_2 /
// v_1: at least 2 * sqrt(2) - 2, reached at t = sqrt(2) - 1.
TEST(ProportionalShare, TwoGuestsInEquilibriumLoseNoMoreThanIsKnown) {
  const double kBound = 2 * std::sqrt(2.0) - 2;
  double worst = 1;
  for (int t = 1; t <= 100; ++t) {
    const double v1 = 1;
    const double v2 = t / 100.0;
    const double sum = v1 + v2;
    Auction auction;
    auction.capacity_units = 100'000;
    auto budget = [&](double mine, double other) {
      return static_cast<Microcredits>(1e12 * mine * mine * other / (sum * sum));
    };
    auction.bids = {Budget(1, 100'000, budget(v1, v2)), Budget(2, 100'000, budget(v2, v1))};
    const auto clearing = ClearProportionalShare(auction);
    ASSERT_TRUE(clearing.ok()) << clearing.status();
    ASSERT_EQ(clearing->awards.size(), 2u);
    const double welfare = v1 * static_cast<double>(clearing->awards[0].units) +
                           v2 * static_cast<double>(clearing->awards[1].units);
    const double efficiency = welfare / (v1 * 100'000);
    ASSERT_NEAR(efficiency, (1 + v2 * v2) / (1 + v2), 1e-3) << t;
    worst = std::min(worst, efficiency);
  }
  EXPECT_NEAR(worst, kBound, 1e-3);
  EXPECT_GE(worst, 0.75);
}

// Nobody would rather have another's quantity at its price, where any quantity is accepted and
// worth the budget: all pay the same price, and each has all that its budget buys.
TEST(ProportionalShare, NobodyCanAffordAnothersLargerShare) {
  for (uint64_t seed = 1; seed <= 2'000; ++seed) {
    TestRandom random(seed);
    Auction auction;
    auction.capacity_units = random.Between(1, 500);
    const int64_t guests = random.Between(1, 8);
    for (int64_t i = 1; i <= guests; ++i) {
      auction.bids.push_back(
          Budget(static_cast<GuestId>(i), random.Between(1, 600), random.Between(1, 5'000)));
    }
    const auto clearing = ClearProportionalShare(auction);
    ASSERT_TRUE(clearing.ok()) << clearing.status();
    const Microcredits price = clearing->clearing_unit_price_microcredits;
    int64_t sold_units = 0;
    for (const Bid& bid : auction.bids) {
      int64_t units = 0;
      for (const Award& award : clearing->awards) {
        if (award.guest_id == bid.guest_id) units = award.units;
      }
      sold_units += units;
      const bool has_all = units == bid.ranges[0].max_units;
      ASSERT_TRUE(has_all || (units + 1) * price > bid.ranges[0].value_at_min_microcredits);
    }
    // At one micro-credit less the shares would not fit.
    if (price > 0) {
      int64_t cheaper_units = 0;
      for (const Bid& bid : auction.bids) {
        const Range& range = bid.ranges[0];
        cheaper_units +=
            price == 1 ? range.max_units
                       : std::min(range.max_units, range.value_at_min_microcredits / (price - 1));
      }
      ASSERT_GT(cheaper_units, auction.capacity_units);
    }
    ASSERT_LE(sold_units, auction.capacity_units);
  }
}

TEST(PostedPrice, HoldersChooseFirstThenTheOrderOfTies) {
  Auction auction;
  auction.capacity_units = 10;
  auction.reserve_unit_price_microcredits = 4;
  auction.bids = {{1, {{1, 6, 9, 9}}, 0}, {2, {{1, 6, 5, 5}}, 1}, {3, {{1, 6, 3, 3}}, 9}};
  const auto clearing = ClearPostedPrice(auction);
  ASSERT_TRUE(clearing.ok()) << clearing.status();
  // Guest 3 won't pay 4. Guest 2 holds, so it chooses before guest 1, who would pay more.
  EXPECT_EQ(clearing->awards, (std::vector<Award>{{1, 4, 16}, {2, 6, 24}}));
  EXPECT_EQ(clearing->clearing_unit_price_microcredits, 4);
  EXPECT_EQ(clearing->bound_by, BoundBy::kReserve);
  EXPECT_GT(clearing->welfare_bound_microcredits, clearing->welfare_microcredits);
}

TEST(PostedPrice, EachTakesTheQuantityThatLeavesItTheMost) {
  Auction auction;
  auction.capacity_units = 10;
  auction.reserve_unit_price_microcredits = 4;
  // Surplus: 2 units 12, 6 units 6, 9 units 14.
  auction.bids = {{1, {{2, 2, 20, 0}, {6, 6, 30, 0}, {9, 9, 50, 0}}, 0}};
  EXPECT_EQ(ClearPostedPrice(auction)->awards, (std::vector<Award>{{1, 9, 36}}));
  auction.capacity_units = 8;
  EXPECT_EQ(ClearPostedPrice(auction)->awards, (std::vector<Award>{{1, 2, 8}}));
}

TEST(Rules, AreFoundByNameAndVersion) {
  ASSERT_NE(FindRule("mpsp/1"), nullptr);
  EXPECT_TRUE(FindRule("mpsp/1")->takes_gaps);
  EXPECT_EQ(FindRule("mpsp"), nullptr);
  EXPECT_EQ(FindRule(""), nullptr);
  const auto unknown = Clear("mpsp/2", Auction{});
  EXPECT_EQ(unknown.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(unknown.status().message()),
            "rule: 'mpsp/2' is not one of uniform_price/1, mpsp/1, proportional_share/1, "
            "posted_price/1");
  for (const RuleInfo& rule : Rules()) EXPECT_TRUE(Clear(rule.name, Auction{}).ok()) << rule.name;
}

TEST(Rules, ABidIsCheckedForItsRuleAtTheDoor) {
  const Bid gap{1, {{3, 4, 9, 1}}, 0};
  EXPECT_TRUE(CheckBidForRule("mpsp/1", gap).ok());
  EXPECT_EQ(std::string(CheckBidForRule("uniform_price/1", gap).message()),
            "ranges[0].min_units: refuses 1 to 2 units; only a rule for gaps can take this bid");
  EXPECT_FALSE(CheckBidForRule("none/1", gap).ok());
  EXPECT_FALSE(CheckBidForRule("mpsp/1", Bid{}).ok());
}

}  // namespace
}  // namespace nom::policies
