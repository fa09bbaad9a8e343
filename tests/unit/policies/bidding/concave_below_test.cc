// SPDX-License-Identifier: Apache-2.0
// The concave bid that is nowhere above its curve: that no award of it can lose, under any rule,
// and what it leaves beside other bids.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "policies/bidding/curve.h"
#include "policies/clearing/auction.h"
#include "policies/clearing/concave/concave_bids.h"
#include "policies/clearing/rules.h"
#include "tests/referee/random_auction.h"

namespace nom::policies {
namespace {

using Wide = __int128;
using Points = std::vector<CurvePoint>;

// The curve by its definition, times the width of the part of it that `units` lie in.
struct Worth {
  Wide value = 0;
  int64_t width = 1;

  bool Pays(Wide charge) const { return value >= charge * width; }
};

Worth WorthOf(const Points& points, int64_t units) {
  CurvePoint a{};
  for (const CurvePoint& b : points) {
    if (b.units == 0) continue;
    if (units <= b.units) {
      const int64_t width = b.units - a.units;
      return {Wide{a.value_microcredits} * width +
                  Wide{b.value_microcredits - a.value_microcredits} * (units - a.units),
              width};
    }
    a = b;
  }
  return {a.value_microcredits, 1};
}

enum class Kind { kAny, kRising, kConcave, kNoisy, kSigmoid };

// Curves of up to `points_max` points.
Points RandomPoints(TestRandom& random, Kind kind, int64_t points_max) {
  Points points;
  int64_t units = random.OneIn(8) ? 0 : random.Between(1, 9);
  const Microcredits most = random.OneIn(3) ? 30 : 1'000'000;
  Microcredits price = most;
  Microcredits value = 0;
  const int64_t half = random.Between(4, 40);
  for (int64_t left = random.Between(0, points_max); left > 0; --left) {
    const int64_t width = units - (points.empty() ? 0 : points.back().units);
    switch (kind) {
      case Kind::kAny:
        value = random.Between(0, most);
        break;
      case Kind::kRising:
        value += random.Between(0, most);
        break;
      case Kind::kConcave:
      case Kind::kNoisy:
        price = random.Between(0, price);
        value += width * price;
        break;
      case Kind::kSigmoid:
        value = most * units * units / (units * units + half * half);
        break;
    }
    Microcredits told = value;
    if (kind == Kind::kNoisy) told = told / 100 * random.Between(95, 105);
    points.push_back({units, units == 0 ? 0 : told});
    if (units == 0) value = 0;
    units += random.Between(1, 9);
  }
  return points;
}

BidCaps RandomCaps(TestRandom& random, const Points& points) {
  const Microcredits most = points.empty() ? 1 : points.back().value_microcredits + 1;
  BidCaps caps;
  if (random.OneIn(2)) caps.budget_microcredits = random.Between(1, most);
  if (random.OneIn(2)) {
    caps.ceiling_unit_price_microcredits =
        random.Between(1, random.OneIn(2) ? most : 1 + most / 20);
  }
  return caps;
}

RangeList Below(const Points& points, const BidCaps& caps = {}) {
  RangeList list;
  EXPECT_EQ(ConcaveRangesBelow(points.data(), static_cast<int>(points.size()), caps, list),
            CurveError::kOk);
  return list;
}

Bid ToBid(const RangeList& list) { return {1, {list.ranges, list.ranges + list.count}, 0}; }

// What the most units that the bid buys at a price are worth less what they cost.
double LeftBy(const RangeList& list, const Points& points, Microcredits price) {
  int64_t units = 0;
  for (int i = 0; i < list.count; ++i) {
    if (list.ranges[i].unit_price_microcredits >= price) units = list.ranges[i].max_units;
  }
  const Worth worth = WorthOf(points, units);
  return static_cast<double>(worth.value) / static_cast<double>(worth.width) -
         static_cast<double>(units) * static_cast<double>(price);
}

// The most that any bid could leave at that price which would not lose by any quantity that it may
// be awarded there: no unit that it buys lies behind a quantity that is worth less than it costs.
double LeftAtMost(const Points& points, Microcredits price) {
  double most = 0;
  const int64_t last = points.empty() ? 0 : points.back().units;
  for (int64_t units = 1; units <= last; ++units) {
    const Worth worth = WorthOf(points, units);
    if (!worth.Pays(Wide{units} * price)) break;
    most = std::max(most, static_cast<double>(worth.value) / static_cast<double>(worth.width) -
                              static_cast<double>(units) * static_cast<double>(price));
  }
  return most;
}

TEST(ConcaveBelow, WhereNothingIsWorthAnythingBeforeMuchIsHadNothingIsBid) {
  // Each share of twenty units at the price that they are worth together would be worth less.
  EXPECT_EQ(Below({{10, 0}, {20, 1'000}}, {.budget_microcredits = 500}).count, 0);
  EXPECT_EQ(Below({{10, 0}, {20, 1'000}}).count, 0);
  EXPECT_EQ(Below({}).count, 0);
  EXPECT_EQ(Below({{0, 0}}).count, 0);
  EXPECT_EQ(Below({{10, 500}}, {.budget_microcredits = 0}).count, 0);
  EXPECT_EQ(Below({{10, 500}}, {.ceiling_unit_price_microcredits = 0}).count, 0);
}

TEST(ConcaveBelow, WhatIsConcaveIsBidAsItIs) {
  const RangeList list = Below({{10, 1'000}, {20, 1'500}, {40, 1'900}});
  EXPECT_EQ(ToBid(list).ranges,
            (std::vector<Range>{{0, 10, 0, 100}, {10, 20, 1'000, 50}, {20, 40, 1'500, 20}}));
  EXPECT_EQ(ToBid(Below({{10, 1'000}, {20, 1'500}}, {.budget_microcredits = 1'149})).ranges,
            (std::vector<Range>{{0, 10, 0, 100}, {10, 12, 1'000, 50}, {12, 13, 1'100, 49}}));
  EXPECT_EQ(
      ToBid(Below({{20, 800}}, {.budget_microcredits = 400, .ceiling_unit_price_microcredits = 20}))
          .ranges,
      (std::vector<Range>{{0, 20, 0, 20}}))
      << "the ceiling first";
}

TEST(ConcaveBelow, GoesUnderADipIfThatLeavesMore) {
  // Thirty at 27 rather than ten at 50, as beyond ten there is next to nothing before thirty.
  EXPECT_EQ(ToBid(Below({{10, 500}, {20, 550}, {30, 1'500}})).ranges,
            (std::vector<Range>{{0, 30, 0, 27}}));
  // But not for a little more at the end.
  EXPECT_EQ(ToBid(Below({{10, 500}, {20, 510}, {30, 530}})).ranges,
            (std::vector<Range>{{0, 10, 0, 50}, {10, 30, 500, 1}}));
}

TEST(ConcaveBelow, WrongPointsAreNamed) {
  RangeList list;
  list.count = 3;
  const CurvePoint falling[] = {{5, 1}, {5, 2}};
  EXPECT_EQ(ConcaveRangesBelow(falling, 2, {}, list), CurveError::kUnitsNotRising);
  EXPECT_EQ(list.count, 0);
  const Points many(kCurvePointsMax + 1);
  EXPECT_EQ(ConcaveRangesBelow(many.data(), kCurvePointsMax + 1, {}, list),
            CurveError::kTooManyPoints);
}

TEST(ConcaveBelow, TheLargestNumbersAreNoOverflow) {
  Points points;
  for (int i = 1; i <= kCurvePointsMax; ++i) {
    points.push_back({kUnitsMax / kCurvePointsMax * i,
                      kValueMaxMicrocredits - (kCurvePointsMax - i) * (kCurvePointsMax - i)});
  }
  EXPECT_EQ(ValidateBid(ToBid(Below(points))), absl::OkStatus());
  EXPECT_EQ(ValidateBid(ToBid(Below({{1, kValueMaxMicrocredits}, {kUnitsMax, 0}}))),
            absl::OkStatus());
  const RangeList list = Below({{1, kValueMaxMicrocredits}, {kUnitsMax, kValueMaxMicrocredits}});
  EXPECT_EQ(ToBid(list).ranges, (std::vector<Range>{{0, 1, 0, kValueMaxMicrocredits}}));
}

// Nothing that it says is more than the curve says or than a cap allows: at no quantity, so that no
// charge for any award can be more than that is worth.
TEST(ConcaveBelow, IsNowhereAboveCurveOrCaps) {
  int with_ranges = 0;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(20'000); seed < end; ++seed) {
    TestRandom random(seed);
    SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1");
    const Points points =
        RandomPoints(random, static_cast<Kind>(seed % 5), random.OneIn(10) ? 80 : 9);
    const BidCaps caps = RandomCaps(random, points);
    const RangeList list = Below(points, caps);
    ASSERT_EQ(ValidateBid(ToBid(list)), absl::OkStatus());
    ASSERT_EQ(CheckConcave(ToBid(list)), absl::OkStatus());
    ASSERT_EQ(AboveCurve(list, points.data(), static_cast<int>(points.size())), 0);
    if (list.count > 0) ++with_ranges;
    const int64_t last = list.count == 0 ? 0 : list.ranges[list.count - 1].max_units;
    for (int64_t units = 1; units <= last; ++units) {
      Microcredits bid = 0;
      ASSERT_TRUE(ValueAt(list, units, bid)) << units;
      ASSERT_TRUE(WorthOf(points, units).Pays(bid)) << units;
      ASSERT_LE(bid, caps.budget_microcredits) << units;
      ASSERT_LE(bid, Wide{caps.ceiling_unit_price_microcredits} * units) << units;
      ASSERT_LE(bid, WorthAt(points.data(), static_cast<int>(points.size()), units)) << units;
    }
  }
  EXPECT_GT(with_ranges, static_cast<int>(CountOr(20'000) / 3));
}

// The markets themselves: whatever the rule awards of such bids, at the margin and with a penalty
// for what holders lose, is worth its charge. Bids and reserve are often equal, so that shares are
// served at exactly the price that was bid.
TEST(ConcaveBelow, NoRuleMakesItLose) {
  int64_t awards = 0;
  int64_t at_the_margin = 0;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(4'000); seed < end; ++seed) {
    TestRandom random(seed);
    Auction auction{.capacity_units = random.Between(1, 60), .seed = seed};
    std::vector<Points> curves;
    const int64_t guests = random.Between(1, 5);
    for (int64_t guest = 1; guest <= guests; ++guest) {
      // Now and then two of the same curve, which compete for the last unit.
      if (curves.empty() || !random.OneIn(3)) {
        curves.push_back(RandomPoints(random, static_cast<Kind>(random.Between(0, 4)), 6));
      } else {
        curves.push_back(curves.back());
      }
      Bid bid = ToBid(
          Below(curves.back(), random.OneIn(3) ? RandomCaps(random, curves.back()) : BidCaps{}));
      bid.guest_id = static_cast<GuestId>(guest);
      if (random.OneIn(3)) bid.held_units = random.Between(0, 20);
      auction.bids.push_back(bid);
    }
    if (random.OneIn(3)) auction.reclaim_penalty_microcredits = random.Between(0, 200'000);
    const Bid& one = auction.bids[static_cast<size_t>(random.Between(0, guests - 1))];
    if (random.OneIn(2) && !one.ranges.empty()) {
      auction.reserve_unit_price_microcredits =
          one.ranges[static_cast<size_t>(
                         random.Between(0, static_cast<int64_t>(one.ranges.size()) - 1))]
              .unit_price_microcredits;
    }
    for (const RuleInfo& rule : Rules()) {
      SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1, " +
                   std::string(rule.name));
      const absl::StatusOr<Clearing> clearing = Clear(rule.name, auction);
      ASSERT_TRUE(clearing.ok()) << clearing.status();
      for (const Award& award : clearing->awards) {
        const size_t guest = award.guest_id - 1;
        ++awards;
        ASSERT_TRUE(WorthOf(curves[guest], award.units).Pays(award.charge_microcredits))
            << "guest " << award.guest_id << " pays " << award.charge_microcredits << " for "
            << award.units;
        const std::vector<Range>& ranges = auction.bids[guest].ranges;
        if (std::none_of(ranges.begin(), ranges.end(),
                         [&](const Range& r) { return r.max_units == award.units; })) {
          ++at_the_margin;
        }
      }
    }
  }
  RecordProperty("awards", std::to_string(awards));
  RecordProperty("shares", std::to_string(at_the_margin));
  const auto auctions = static_cast<int64_t>(CountOr(4'000));
  EXPECT_GT(awards, auctions * 5 / 2);
  EXPECT_GT(at_the_margin, auctions / 4) << "shares of what a bid asked for at a price";
}

// What is left at prices drawn evenly up to the highest at which there is anything to buy, as
// shares of the most that a bid which never loses could leave there, and of what the hull leaves if
// it is always served whole.
TEST(ConcaveBelow, LeavesNearlyAllThatABidWithoutLossesCan) {
  struct Goal {
    Kind kind;
    const char* name;
    double of_safe;
    double of_hull;
  };
  const Goal goals[] = {{Kind::kConcave, "concave", 0.995, 0.995},
                        {Kind::kNoisy, "concave, with 5 % of noise", 0.99, 0.99},
                        {Kind::kSigmoid, "S-shaped", 0.99, 0.6},
                        {Kind::kRising, "rising at random", 0.96, 0.68},
                        {Kind::kAny, "at random", 0.95, 0.74}};
  for (const Goal& goal : goals) {
    double ours = 0;
    double safe = 0;
    double hull = 0;
    for (uint64_t seed = FirstSeed(), end = seed + CountOr(1'000); seed < end; ++seed) {
      TestRandom random(seed);
      const Points points = RandomPoints(random, goal.kind, 9);
      const RangeList list = Below(points);
      RangeList above;
      ASSERT_EQ(ConcaveRanges(points.data(), static_cast<int>(points.size()), above),
                CurveError::kOk);
      // Money of few micro-credits is all rounding.
      if (above.count == 0 || above.ranges[0].unit_price_microcredits < 1'000) continue;
      for (int i = 0; i < 20; ++i) {
        const Microcredits price = random.Between(1, above.ranges[0].unit_price_microcredits);
        const double scale = static_cast<double>(above.ranges[0].unit_price_microcredits);
        const double left = LeftBy(list, points, price);
        ASSERT_GE(left, 0) << seed;
        ASSERT_LE(left, LeftAtMost(points, price) * (1 + 1e-9) + 1e-6) << seed << " at " << price;
        ours += left / scale;
        safe += LeftAtMost(points, price) / scale;
        hull += LeftBy(above, points, price) / scale;
      }
    }
    std::printf("%s: %.1f %% of what is safe, %.1f %% of the hull's\n", goal.name,
                100 * ours / safe, 100 * ours / hull);
    if (CountOr(1'000) < 1'000) continue;  // Means of fewer are other means.
    EXPECT_GE(ours, goal.of_safe * safe) << goal.name;
    EXPECT_GE(ours, goal.of_hull * hull) << goal.name;
  }
}

// The hull of the same curves does lose, so that what is tested above can happen.
TEST(ConcaveBelow, TheHullLosesWhereThisDoesNot) {
  const Points points = {{10, 0}, {20, 1'000}};
  RangeList hull;
  ASSERT_EQ(ConcaveRangesWithin(points.data(), 2, {}, hull), CurveError::kOk);
  Bid bid = ToBid(hull);
  const absl::StatusOr<Clearing> clearing =
      Clear("uniform_price/1",
            {.capacity_units = 10, .reserve_unit_price_microcredits = 50, .bids = {bid}});
  ASSERT_TRUE(clearing.ok()) << clearing.status();
  ASSERT_EQ(clearing->awards.size(), 1u);
  EXPECT_EQ(clearing->awards[0].units, 10);
  EXPECT_EQ(clearing->awards[0].charge_microcredits, 500) << "for what is worth nothing";
}

}  // namespace
}  // namespace nom::policies
