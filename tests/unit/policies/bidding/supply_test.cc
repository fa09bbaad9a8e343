// SPDX-License-Identifier: Apache-2.0
#include "policies/bidding/supply.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/referee/random_auction.h"

namespace nom::policies {
namespace {

__extension__ using Wide = __int128;

TEST(PriceHistory, PredictsNothingBeforeItHasSeenARound) {
  RoundSeen room[4];
  PriceHistory history(room, 4);
  SupplyCurve supply;
  supply.count = 7;
  EXPECT_FALSE(history.Predict(50, supply));
  EXPECT_EQ(supply.count, 0);
  EXPECT_EQ(BestUnitsAgainst(FlatOffer(1, 10, 1'000), supply, ChargeRule::kByHarm), 0);
  history.Note({10, 5, 9});
  EXPECT_TRUE(history.Predict(50, supply));
  history.Forget();
  EXPECT_FALSE(history.Predict(50, supply));
}

// Three rounds: 10 free units for 5, then 9; 4 for 5, then 20; none, 7.
TEST(PriceHistory, ThePriceOfEachUnitIsAPercentileOfWhatItWouldHaveCost) {
  RoundSeen room[3];
  PriceHistory history(room, 3);
  history.Note({10, 5, 9});
  history.Note({4, 5, 20});
  history.Note({0, 5, 7});
  const auto steps = [&](int percent) {
    SupplyCurve supply;
    EXPECT_TRUE(history.Predict(percent, supply));
    std::vector<std::pair<int64_t, Microcredits>> out;
    for (int i = 0; i < supply.count; ++i) {
      out.emplace_back(supply.steps[i].above_units, supply.steps[i].unit_price_microcredits);
    }
    return out;
  };
  using Steps = std::vector<std::pair<int64_t, Microcredits>>;
  // Units 1 to 4: 5, 5, 7. Units 5 to 10: 5, 20, 7. Above: 9, 20, 7.
  EXPECT_EQ(steps(50), (Steps{{0, 5}, {4, 7}, {10, 9}}));
  EXPECT_EQ(steps(100), (Steps{{0, 7}, {4, 20}}));
  EXPECT_EQ(steps(1), (Steps{{0, 5}, {10, 7}}));
  EXPECT_EQ(steps(-3), steps(1));
  EXPECT_EQ(steps(400), steps(100));
  // The first round is forgotten for a fourth.
  history.Note({0, 5, 8});
  EXPECT_EQ(history.rounds(), 3);
  EXPECT_EQ(steps(1), (Steps{{0, 5}, {4, 7}}));
}

TEST(PriceHistory, NumbersOutOfRangeAreHeldAndTheNextUnitNeverCostsLessThanTheReserve) {
  RoundSeen room[1];
  PriceHistory history(room, 0);  // At least one is remembered.
  SupplyCurve supply;
  history.Note({INT64_MAX, INT64_MAX, INT64_MIN});
  ASSERT_TRUE(history.Predict(50, supply));
  EXPECT_EQ(supply.count, 1);
  EXPECT_EQ(supply.steps[0].unit_price_microcredits, kValueMaxMicrocredits);
  EXPECT_EQ(ExpectedCharge(supply, ChargeRule::kByHarm, kUnitsMax), INT64_MAX) << "no overflow";
  history.Note({-5, 6, 2});
  ASSERT_TRUE(history.Predict(50, supply));
  EXPECT_EQ(supply.steps[0].unit_price_microcredits, 6);
}

TEST(SupplyCurve, ChargesByHarmOrOnePriceForAll) {
  SupplyCurve supply;
  supply.steps[0] = {0, 5};
  supply.steps[1] = {4, 7};
  supply.steps[2] = {10, 9};
  supply.count = 3;
  EXPECT_EQ(ExpectedCharge(supply, ChargeRule::kByHarm, 0), 0);
  EXPECT_EQ(ExpectedCharge(supply, ChargeRule::kByHarm, 4), 20);
  EXPECT_EQ(ExpectedCharge(supply, ChargeRule::kByHarm, 12), 20 + 42 + 18);
  EXPECT_EQ(ExpectedCharge(supply, ChargeRule::kOnePrice, 4), 20);
  EXPECT_EQ(ExpectedCharge(supply, ChargeRule::kOnePrice, 5), 35);
  EXPECT_EQ(ExpectedCharge(supply, ChargeRule::kOnePrice, 12), 108);
}

// A large bidder under one price stops where one unit more would make all units dearer; by harm it
// need not care.
TEST(SupplyCurve, TheBestQuantityMindsHowTheRuleCharges) {
  SupplyCurve supply;
  supply.steps[0] = {0, 5};
  supply.steps[1] = {10, 9};
  supply.count = 2;
  const RangeList bid = FlatOffer(1, 15, 10);
  EXPECT_EQ(BestUnitsAgainst(bid, supply, ChargeRule::kByHarm), 15);
  EXPECT_EQ(BestUnitsAgainst(bid, supply, ChargeRule::kOnePrice), 10);
}

TEST(SupplyCurve, TheBestQuantityIsNeverUnderTheChord) {
  // Under mpsp what lies under the chord is refused: GapRanges.
  const CurvePoint points[] = {{10, 10}, {20, 50}, {30, 900}, {40, 1'000}};
  RangeList bid;
  ASSERT_EQ(GapRanges(points, 4, bid), CurveError::kOk);
  SupplyCurve supply;
  supply.steps[0] = {0, 1};
  supply.steps[1] = {25, 28};
  supply.count = 2;
  EXPECT_EQ(BestUnitsAgainst(bid, supply, ChargeRule::kByHarm), 30);
}

TEST(SupplyCurve, RandomBidsFindTheBestOfAllQuantities) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(3'000); seed < end; ++seed) {
    TestRandom random(seed);
    SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1");
    std::vector<CurvePoint> points;
    int64_t units = 0;
    for (int64_t i = random.Between(0, 8); i > 0; --i) {
      units += random.Between(1, 5);
      points.push_back({units, random.Between(0, 200)});
    }
    RangeList bid;
    ASSERT_EQ((random.OneIn(2) ? &ExactRanges : &GapRanges)(points.data(),
                                                            static_cast<int>(points.size()), bid),
              CurveError::kOk);
    std::vector<RoundSeen> room(8);
    PriceHistory history(room.data(), 8);
    std::vector<RoundSeen> seen;
    for (int64_t i = random.Between(1, 12); i > 0; --i) {
      const Microcredits reserve = random.Between(0, 5);
      seen.push_back({random.Between(0, 30), reserve, reserve + random.Between(0, 15)});
      history.Note(seen.back());
    }
    if (seen.size() > 8) seen.erase(seen.begin(), seen.end() - 8);
    const int percent = static_cast<int>(random.Between(1, 100));
    SupplyCurve supply;
    ASSERT_TRUE(history.Predict(percent, supply));
    // By definition, unit by unit.
    const auto unit_price = [&](int64_t unit) {
      std::vector<Microcredits> prices;
      for (const RoundSeen& round : seen) {
        prices.push_back(unit <= round.free_units ? round.reserve_unit_price_microcredits
                                                  : round.next_unit_price_microcredits);
      }
      std::sort(prices.begin(), prices.end());
      size_t rank = 0;  // The first at which `percent` of the rounds are reached.
      while ((rank + 1) * 100 < static_cast<size_t>(percent) * prices.size()) ++rank;
      return prices[rank];
    };
    for (const ChargeRule rule : {ChargeRule::kByHarm, ChargeRule::kOnePrice}) {
      int64_t best_units = 0;
      Microcredits best = 0;
      Microcredits by_harm = 0;
      for (int64_t q = 1; q <= units + 1; ++q) {
        by_harm += unit_price(q);
        const Microcredits charge = rule == ChargeRule::kByHarm ? by_harm : q * unit_price(q);
        ASSERT_EQ(ExpectedCharge(supply, rule, q), charge) << q;
        Microcredits value = 0;
        if (ValueAt(bid, q, value) && value - charge > best) {
          best = value - charge;
          best_units = q;
        }
      }
      ASSERT_EQ(BestUnitsAgainst(bid, supply, rule), best_units);
    }
  }
}

}  // namespace
}  // namespace nom::policies
