// SPDX-License-Identifier: Apache-2.0
// What an auction of all kinds is made of, each function alone.

#include <gtest/gtest.h>

#include <numeric>

#include "marketd/base/random.h"
#include "marketd/market/joint_bids.h"
#include "marketd/market/joint_round.h"
#include "tests/unit/marketd/market/joint_fixture.h"

namespace nom::market {
namespace {

using policies::Combination;
using policies::PriceVector;
using policies::UnitVector;

TEST(SplitCharge, IsWholeAndConsistentWithPrices) {
  Random random(3);
  for (int i = 0; i < 20'000; ++i) {
    SCOPED_TRACE(i);
    UnitVector units = {};
    PriceVector reserves = {};
    PriceVector prices = {};
    Microcredits at_reserve = 0;
    Microcredits at_prices = 0;
    const int64_t high = int64_t{1} << random.Uniform(0, 30);
    for (size_t r = 0; r < units.size(); ++r) {
      if (!random.OneIn(3)) units[r] = random.Uniform(0, 4'096);
      reserves[r] = random.OneIn(4) ? 0 : random.Uniform(0, high);
      prices[r] = reserves[r] + (random.OneIn(3) ? 0 : random.Uniform(0, high));
    }
    if (units == UnitVector{}) units[0] = 1;
    for (size_t r = 0; r < units.size(); ++r) {
      at_reserve += units[r] * reserves[r];
      at_prices += units[r] * prices[r];
    }
    const Microcredits charge =
        random.OneIn(3) ? at_prices
                        : at_reserve + random.Uniform(0, 2 * (at_prices - at_reserve) + 3);
    const PriceVector parts = SplitCharge(charge, units, prices, reserves);
    EXPECT_EQ(std::accumulate(parts.begin(), parts.end(), Microcredits{0}), charge);
    for (size_t r = 0; r < units.size(); ++r) {
      EXPECT_GE(parts[r], units[r] * reserves[r]);
      if (units[r] == 0) {
        EXPECT_EQ(parts[r], 0);
      }
      if (charge == at_prices) {
        EXPECT_EQ(parts[r], units[r] * prices[r]) << "each kind's own price";
      }
      if (at_prices > at_reserve && charge <= at_prices) {
        EXPECT_LE(parts[r], units[r] * prices[r] + 1);
      }
    }
  }
}

TEST(SplitCharge, TakesAnyNumbers) {
  UnitVector units = {INT64_MAX, 1, 0, INT64_MAX, 3, 0};
  PriceVector prices = {INT64_MAX, INT64_MAX, 5, 0, INT64_MAX, 9};
  for (const PriceVector& reserves : {PriceVector{}, prices}) {
    const PriceVector parts = SplitCharge(INT64_MAX, units, prices, reserves);
    EXPECT_EQ(std::accumulate(parts.begin(), parts.end(), Microcredits{0}), INT64_MAX);
  }
}

TEST(ItemId, GoesThereAndBack) {
  for (const GuestId guest : {GuestId{1}, GuestId{77}, kGuestIdMax}) {
    for (int kind = 0; kind <= 6; ++kind) {
      const auto of = std::pair(guest, static_cast<ResourceKind>(kind));
      EXPECT_EQ(OfItem(ItemId(of.first, of.second)), of);
    }
  }
}

TEST(ValuationText, ComesBack) {
  Valuation bundles{.bundles = {CpuAndMemory(3, 5, 77), CpuAndMemory(4, 0, 99)}};
  bundles.bundles[1].units[5] = 1;
  const Valuation curves = Curves(Combination::kProduct, {{0, 7, 0, 3}, {9, 9, 80, 0}}, {}, 1'234);
  for (const Valuation& valuation : {bundles, curves, Valuation{}}) {
    const auto again = ParseValuation(ToText(valuation));
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(*again, valuation);
  }
  EXPECT_FALSE(ParseValuation("bids: []").ok());
}

TEST(CapValues, NothingIsWorthMoreThanTheMeans) {
  Random random(9);
  for (int i = 0; i < 2'000; ++i) {
    policies::JointBid bid{.guest_id = 1};
    const int64_t price = random.Uniform(1, 5'000);
    if (random.OneIn(3)) {
      for (int64_t u = 1; u < 9; ++u) {
        bid.bundles.push_back(
            {.units = {u, 9 - u}, .value_microcredits = random.Uniform(0, 99'999)});
      }
    } else {
      policies::CurveFamily& family = bid.curves.emplace();
      family.combination = random.OneIn(2)   ? Combination::kMin
                           : random.OneIn(2) ? Combination::kMax
                                             : Combination::kProduct;
      const bool is_product = family.combination == Combination::kProduct;
      if (is_product) family.whole_value_microcredits = random.Uniform(0, 99'999);
      for (const size_t r : {0u, 1u}) {
        family.curves[r] = {{2, 20, is_product ? 1'000 : 2 * price, is_product ? 50'000 : price}};
      }
    }
    const Microcredits means = random.Uniform(0, 60'000);
    policies::JointBid cut = bid;
    CapValues(cut, means);
    EXPECT_LE(policies::ValueMax(cut), means);
    policies::JointBid scaled = bid;
    ScaleValues(scaled, 3, 7);
    EXPECT_LE(policies::ValueMax(scaled), policies::ValueMax(bid) * 3 / 7 + 1);
  }
}

}  // namespace
}  // namespace nom::market
