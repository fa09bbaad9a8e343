// SPDX-License-Identifier: Apache-2.0
#include "policies/bidding/curve.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <vector>

#include "policies/clearing/auction.h"
#include "policies/clearing/concave/concave_bids.h"
#include "tests/referee/random_auction.h"

namespace nom::policies {
namespace {

Bid ToBid(const RangeList& list) { return {1, {list.ranges, list.ranges + list.count}, 0}; }

std::vector<Range> ToVector(const RangeList& list) {
  return {list.ranges, list.ranges + list.count};
}

using MakeRanges = CurveError (*)(const CurvePoint*, int, RangeList&);

RangeList Make(MakeRanges make, const std::vector<CurvePoint>& points) {
  RangeList list;
  EXPECT_EQ(make(points.data(), static_cast<int>(points.size()), list), CurveError::kOk);
  return list;
}

// The curve itself, by definition, times the width of the part it lies in so that it stays whole.
struct Fraction {
  __int128 top;
  __int128 bottom;
};

Fraction CurveAt(const std::vector<CurvePoint>& points, int64_t units) {
  CurvePoint a{};
  for (const CurvePoint& b : points) {
    if (units <= b.units) {
      const int64_t width = std::max<int64_t>(1, b.units - a.units);
      return {static_cast<__int128>(a.value_microcredits) * width +
                  static_cast<__int128>(b.value_microcredits - a.value_microcredits) *
                      (units - a.units),
              width};
    }
    a = b;
  }
  return {-1, 1};
}

// The smallest concave curve above the points at `units`: the best chord that spans it.
Fraction HullAt(const std::vector<CurvePoint>& points, int64_t units) {
  std::vector<CurvePoint> all = {{0, 0}};
  all.insert(all.end(), points.begin(), points.end());
  Fraction best{-1, 1};
  for (const CurvePoint& a : all) {
    for (const CurvePoint& b : all) {
      if (a.units > units || b.units < units || b.units < a.units) continue;
      const int64_t width = std::max<int64_t>(1, b.units - a.units);
      const Fraction f{static_cast<__int128>(a.value_microcredits) * width +
                           static_cast<__int128>(b.value_microcredits - a.value_microcredits) *
                               (units - a.units),
                       width};
      if (f.top * best.bottom > best.top * f.bottom) best = f;
    }
  }
  return best;
}

std::vector<CurvePoint> RandomCurve(TestRandom& random, int points_max) {
  std::vector<CurvePoint> points;
  const int64_t count = random.Between(0, points_max);
  const int64_t value_max = random.OneIn(2) ? 20 : 5'000'000;
  int64_t units = random.OneIn(4) ? 0 : random.Between(1, 5);
  for (int64_t i = 0; i < count; ++i) {
    points.push_back({units, units == 0 ? 0 : random.Between(0, value_max)});
    units += random.Between(1, 6);
  }
  if (random.OneIn(2)) {
    std::vector<Microcredits> values;
    values.reserve(points.size());
    for (const CurvePoint& p : points) values.push_back(p.value_microcredits);
    std::sort(values.begin(), values.end());
    for (size_t i = 0; i < points.size(); ++i) points[i].value_microcredits = values[i];
    if (!points.empty() && points[0].units == 0) points[0].value_microcredits = 0;
  }
  return points;
}

TEST(Curve, AFallingCurveGivesTouchingRanges) {
  const RangeList list = Make(&ConcaveRanges, {{10, 1000}, {20, 1500}, {40, 1900}});
  EXPECT_EQ(ToVector(list),
            (std::vector<Range>{{0, 10, 0, 100}, {10, 20, 1000, 50}, {20, 40, 1500, 20}}));
}

TEST(Curve, WhatLiesUnderTheHullIsFilledInByConcaveAndRefusedByGaps) {
  // 30 units are needed before anything works well; 20 are under the chord.
  const std::vector<CurvePoint> points = {{10, 10}, {20, 50}, {30, 900}, {40, 1000}};
  EXPECT_EQ(ToVector(Make(&ConcaveRanges, points)),
            (std::vector<Range>{{0, 30, 0, 30}, {30, 40, 900, 10}}));
  EXPECT_EQ(ToVector(Make(&GapRanges, points)), (std::vector<Range>{{30, 40, 900, 10}}));
  EXPECT_EQ(
      ToVector(Make(&ExactRanges, points)),
      (std::vector<Range>{{1, 9, 1, 1}, {10, 19, 10, 4}, {20, 29, 50, 85}, {30, 40, 900, 10}}));
  EXPECT_EQ(
      ToVector(Make(&StepRanges, points)),
      (std::vector<Range>{{10, 10, 10, 0}, {20, 20, 50, 0}, {30, 30, 900, 0}, {40, 40, 1000, 0}}));
}

TEST(Curve, PricesAreRoundedDown) {
  const std::vector<CurvePoint> points = {{3, 10}, {6, 12}};
  EXPECT_EQ(ToVector(Make(&ConcaveRanges, points)), (std::vector<Range>{{0, 3, 0, 3}}));
  EXPECT_EQ(ToVector(Make(&ExactRanges, points)),
            (std::vector<Range>{{1, 2, 3, 3}, {3, 5, 10, 0}, {6, 6, 12, 0}}));
}

TEST(Curve, BadPointsAreNamed) {
  RangeList list;
  list.count = 3;
  const CurvePoint falling[] = {{5, 1}, {5, 2}};
  EXPECT_EQ(ConcaveRanges(falling, 2, list), CurveError::kUnitsNotRising);
  EXPECT_EQ(list.count, 0);
  const CurvePoint at_zero[] = {{0, 1}};
  EXPECT_EQ(ExactRanges(at_zero, 1, list), CurveError::kUnitsNotRising);
  const CurvePoint below_zero[] = {{-3, 0}};
  EXPECT_EQ(ExactRanges(below_zero, 1, list), CurveError::kUnitsNotRising);
  const CurvePoint large[] = {{kUnitsMax + 1, 1}};
  EXPECT_EQ(GapRanges(large, 1, list), CurveError::kUnitsOutOfRange);
  const CurvePoint negative[] = {{1, -1}};
  EXPECT_EQ(StepRanges(negative, 1, list), CurveError::kValueOutOfRange);
  const CurvePoint dear[] = {{1, kValueMaxMicrocredits + 1}};
  EXPECT_EQ(GapRanges(dear, 1, list), CurveError::kValueOutOfRange);
  const std::vector<CurvePoint> many(kCurvePointsMax + 1);
  EXPECT_EQ(ExactRanges(many.data(), kCurvePointsMax + 1, list), CurveError::kTooManyPoints);
  EXPECT_STREQ(CurveErrorName(CurveError::kTooManyPoints), "too many points");
}

// Valid bids; concave ones for uniform_price; never above the curve (or its hull), and below it by
// rounding only while the ranges suffice.
TEST(Curve, RandomCurvesAreBidHonestly) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(1'500); seed < end; ++seed) {
    TestRandom random(seed);
    const bool fits = !random.OneIn(4);
    const std::vector<CurvePoint> points = RandomCurve(random, fits ? kRangesMax - 1 : 60);
    SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1");
    const RangeList exact = Make(&ExactRanges, points);
    const RangeList concave = Make(&ConcaveRanges, points);
    const RangeList gaps = Make(&GapRanges, points);
    const RangeList steps = Make(&StepRanges, points);
    for (const RangeList& list : {exact, concave, gaps, steps}) {
      ASSERT_EQ(ValidateBid(ToBid(list)), absl::OkStatus());
    }
    ASSERT_EQ(CheckConcave(ToBid(concave)), absl::OkStatus());
    const int64_t last = points.empty() ? 0 : points.back().units;
    for (int64_t q = 1; q <= last + 1; ++q) {
      const Fraction curve = CurveAt(points, q);
      const Fraction hull = HullAt(points, q);
      const bool is_point = std::any_of(points.begin(), points.end(),
                                        [&](const CurvePoint& p) { return p.units == q; });
      Microcredits value = 0;
      if (ValueAt(exact, q, value)) {
        ASSERT_LE(value * curve.bottom, curve.top) << q;
        if (fits) {
          ASSERT_GT((value + last) * curve.bottom, curve.top) << q;
        }
      } else if (fits) {
        // Only what rounding down a falling price would have taken below zero.
        ASSERT_LT(curve.top, last * curve.bottom) << q;
      }
      if (ValueAt(gaps, q, value)) {
        ASSERT_LE(value * curve.bottom, curve.top) << q;
      }
      if (ValueAt(concave, q, value)) {
        ASSERT_LE(value * hull.bottom, hull.top) << q;
        if (fits) {
          ASSERT_GT((value + last) * hull.bottom, hull.top) << q;
        }
      }
      ASSERT_EQ(ValueAt(steps, q, value), is_point && (fits || ValueAt(steps, q, value))) << q;
      if (ValueAt(steps, q, value)) {
        ASSERT_EQ(value * curve.bottom, curve.top) << q;
      }
    }
  }
}

// What steps are worth in all, over every quantity up to the last point.
__int128 AreaOf(const std::vector<CurvePoint>& points, int64_t last_units) {
  __int128 area = 0;
  CurvePoint best{};
  for (const CurvePoint& p : points) {
    if (p.value_microcredits <= best.value_microcredits) continue;
    area += static_cast<__int128>(best.value_microcredits) * (p.units - best.units);
    best = p;
  }
  return area + static_cast<__int128>(best.value_microcredits) * (last_units - best.units);
}

std::vector<CurvePoint> PointsOf(const RangeList& steps) {
  std::vector<CurvePoint> points;
  for (int i = 0; i < steps.count; ++i) {
    points.push_back({steps.ranges[i].min_units, steps.ranges[i].value_at_min_microcredits});
  }
  return points;
}

// The largest area that so many of the points can have, by trying all that could come before each.
__int128 BestArea(const std::vector<CurvePoint>& points, int steps) {
  std::vector<CurvePoint> rising = {{0, 0}};
  for (const CurvePoint& p : points) {
    if (p.value_microcredits > rising.back().value_microcredits) rising.push_back(p);
  }
  std::vector<__int128> best(rising.size(), -1);
  best[0] = 0;
  for (int step = 0; step < steps; ++step) {
    std::vector<__int128> next = best;
    for (size_t j = 1; j < rising.size(); ++j) {
      for (size_t i = 0; i < j; ++i) {
        if (best[i] < 0) continue;
        next[j] = std::max(next[j], best[i] + static_cast<__int128>(rising[i].value_microcredits) *
                                                  (rising[j].units - rising[i].units));
      }
    }
    best = next;
  }
  const int64_t beyond = (points.empty() ? 0 : points.back().units) - rising.back().units;
  return best.back() + static_cast<__int128>(rising.back().value_microcredits) * beyond;
}

TEST(Curve, StepsOnALineAreSpreadOverIt) {
  std::vector<CurvePoint> line;
  for (int i = 1; i <= 32; ++i) line.push_back({i, 10 * i});
  const std::vector<CurvePoint> kept = PointsOf(Make(&StepRanges, line));
  ASSERT_EQ(kept.size(), 16u);
  EXPECT_EQ(kept.back().units, 32);
  for (size_t i = 1; i < kept.size(); ++i) EXPECT_LE(kept[i].units - kept[i - 1].units, 2);
  EXPECT_LE(kept[0].units, 2) << "so that something is won where little is left";
}

// No other choice of sixteen loses less value, and the last point stays.
TEST(Curve, TheStepsKeptLoseLeastValue) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(300); seed < end; ++seed) {
    TestRandom random(seed);
    SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1");
    const std::vector<CurvePoint> points = RandomCurve(random, random.OneIn(20) ? 512 : 80);
    const std::vector<CurvePoint> kept = PointsOf(Make(&StepRanges, points));
    const int64_t last = points.empty() ? 0 : points.back().units;
    ASSERT_TRUE(AreaOf(kept, last) == BestArea(points, kRangesMax));
  }
}

TEST(Curve, TheLargestStepsDoNotOverflow) {
  std::vector<CurvePoint> points;
  for (int i = 1; i <= kCurvePointsMax; ++i) {
    points.push_back(
        {kUnitsMax / kCurvePointsMax * i, kValueMaxMicrocredits / kCurvePointsMax * i});
  }
  const std::vector<CurvePoint> kept = PointsOf(Make(&StepRanges, points));
  ASSERT_EQ(kept.size(), 16u);
  for (size_t i = 1; i < kept.size(); ++i) {
    EXPECT_NEAR(static_cast<double>(kept[i].units - kept[i - 1].units), kUnitsMax / 16.5,
                kUnitsMax / 400.0);
  }
}

TEST(Curve, BestUnitsIsThePriceTakersChoice) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(3'000); seed < end; ++seed) {
    TestRandom random(seed);
    const std::vector<CurvePoint> points = RandomCurve(random, 10);
    const RangeList list = Make(random.OneIn(2) ? &ExactRanges : &GapRanges, points);
    const Microcredits price = random.Between(0, 10);
    int64_t best_units = 0;
    Microcredits best = 0;
    for (int64_t q = 1; q <= (points.empty() ? 0 : points.back().units); ++q) {
      Microcredits value = 0;
      if (ValueAt(list, q, value) && value - price * q > best) {
        best = value - price * q;
        best_units = q;
      }
    }
    const int64_t chosen = BestUnitsAt(list, price);
    Microcredits value = 0;
    ASSERT_TRUE(ValueAt(list, chosen, value));
    ASSERT_EQ(value - price * chosen, best) << "NOM_SEED=" << seed;
    ASSERT_EQ(chosen, best_units) << "NOM_SEED=" << seed;
  }
}

TEST(Curve, FlatAndStepOffers) {
  EXPECT_EQ(ToVector(FlatOffer(0, 10, 7)), (std::vector<Range>{{1, 10, 7, 7}}));
  EXPECT_EQ(ToVector(FlatOffer(4, 10, 7)), (std::vector<Range>{{4, 10, 28, 7}}));
  EXPECT_EQ(FlatOffer(4, 3, 7).count, 0);
  EXPECT_EQ(FlatOffer(1, 3, 0).count, 0);
  EXPECT_EQ(ToVector(FlatOffer(1, kUnitsMax * 2, kValueMaxMicrocredits / 5)),
            (std::vector<Range>{{1, 5, kValueMaxMicrocredits / 5, kValueMaxMicrocredits / 5}}));
  EXPECT_EQ(ToVector(StepOffer(6, 42)), (std::vector<Range>{{6, 6, 42, 0}}));
  EXPECT_EQ(StepOffer(0, 42).count, 0);
  EXPECT_EQ(StepOffer(kUnitsMax + 1, 42).count, 0);
  EXPECT_EQ(ValidateBid(ToBid(FlatOffer(1, std::numeric_limits<int64_t>::max(),
                                        std::numeric_limits<int64_t>::max()))),
            absl::OkStatus());
}

TEST(Curve, ABudgetCutsTheBidWhereItIsReached) {
  const RangeList list = Make(&ConcaveRanges, {{10, 1000}, {20, 1500}});
  EXPECT_EQ(ToVector(Cap(list, {.budget_microcredits = 1149})),
            (std::vector<Range>{{0, 10, 0, 100}, {10, 12, 1000, 50}, {13, 13, 1149, 0}}));
  EXPECT_EQ(ToVector(Cap(list, {.budget_microcredits = 5000})), ToVector(list));
  EXPECT_EQ(Cap(list, {.budget_microcredits = 0}).count, 0);
  EXPECT_EQ(ToVector(Cap(StepOffer(8, 900), {.budget_microcredits = 300})),
            (std::vector<Range>{{8, 8, 300, 0}}));
}

TEST(Curve, CapsHoldOnRandomBids) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(5'000); seed < end; ++seed) {
    TestRandom random(seed);
    SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1");
    const std::vector<CurvePoint> points = RandomCurve(random, 6);
    const bool is_concave = random.OneIn(2);
    const RangeList list = Make(is_concave ? &ConcaveRanges : &ExactRanges, points);
    const int64_t last = points.empty() ? 0 : points.back().units;
    const Microcredits budget = random.Between(1, 30);
    const Microcredits ceiling = random.Between(1, random.OneIn(2) ? 5 : 400'000);
    const RangeList by_budget = Cap(list, {.budget_microcredits = budget});
    const RangeList by_ceiling = Cap(list, {.ceiling_unit_price_microcredits = ceiling});
    ASSERT_EQ(ValidateBid(ToBid(by_budget)), absl::OkStatus());
    ASSERT_EQ(ValidateBid(ToBid(by_ceiling)), absl::OkStatus());
    if (is_concave) {
      ASSERT_EQ(CheckConcave(ToBid(by_budget)), absl::OkStatus());
      ASSERT_EQ(CheckConcave(ToBid(by_ceiling)), absl::OkStatus());
    }
    bool reached = false;
    for (int64_t q = 1; q <= last; ++q) {
      Microcredits value = 0;
      Microcredits capped = 0;
      const bool allowed = ValueAt(list, q, value);
      ASSERT_EQ(ValueAt(by_budget, q, capped), allowed && !reached) << q;
      if (allowed && !reached) {
        ASSERT_EQ(capped, std::min(value, budget)) << q;
        reached = value >= budget;
      }
      ASSERT_EQ(ValueAt(by_ceiling, q, capped), allowed) << q;
      if (allowed) {
        ASSERT_EQ(capped, std::min(value, ceiling * q)) << q;
      }
    }
  }
}

TEST(Curve, CapsTakeExtremeBids) {
  RangeList list;
  list.ranges[0] = {0, kUnitsMax - 1, 0, kValueMaxMicrocredits / kUnitsMax};
  list.ranges[1] = {kUnitsMax, kUnitsMax, kValueMaxMicrocredits, 0};
  list.count = 2;
  for (Microcredits cap : {Microcredits{1}, kValueMaxMicrocredits / kUnitsMax,
                           kValueMaxMicrocredits, std::numeric_limits<int64_t>::max()}) {
    EXPECT_EQ(ValidateBid(ToBid(Cap(list, {.ceiling_unit_price_microcredits = cap}))),
              absl::OkStatus())
        << cap;
    EXPECT_EQ(ValidateBid(ToBid(Cap(list, {.budget_microcredits = cap}))), absl::OkStatus()) << cap;
  }
  EXPECT_EQ(
      Cap(list, {.ceiling_unit_price_microcredits = std::numeric_limits<int64_t>::min()}).count, 0);
  EXPECT_EQ(Cap(list, {.budget_microcredits = std::numeric_limits<int64_t>::min()}).count, 0);
}

TEST(Curve, TheCeilingComesBeforeTheBudget) {
  // Twenty units for 400 are within both; the budget first would leave ten, for 200.
  const RangeList list = Make(&ConcaveRanges, {{20, 800}});
  const RangeList capped =
      Cap(list, {.budget_microcredits = 400, .ceiling_unit_price_microcredits = 20});
  Microcredits value = 0;
  ASSERT_TRUE(ValueAt(capped, 20, value));
  EXPECT_EQ(value, 400);
}

// Sixteen ranges, and a cap that would need one more.
TEST(Curve, CapsOnFullBidsLoseNoneOfTheirSteps) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(2'000); seed < end; ++seed) {
    TestRandom random(seed);
    SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1");
    const bool is_concave = random.OneIn(2);
    RangeList list;
    Microcredits price = 1'000'000;
    Range r;
    while (list.count < kRangesMax) {
      price = is_concave ? price - random.Between(1, 60'000) : random.Between(-100'000, 1'000'000);
      const int64_t width = random.Between(1, 9);
      if (r.value_at_min_microcredits + width * price < 0) continue;
      r.max_units = r.min_units + width;
      r.unit_price_microcredits = price;
      list.ranges[list.count++] = r;
      r.value_at_min_microcredits += width * price;
      r.min_units = r.max_units;
    }
    ASSERT_EQ(ValidateBid(ToBid(list)), absl::OkStatus());
    const int64_t last = list.ranges[kRangesMax - 1].max_units;
    const BidCaps caps{.budget_microcredits = random.Between(1, 40'000'000),
                       .ceiling_unit_price_microcredits = random.Between(1, 1'100'000)};
    const RangeList capped = Cap(list, caps);
    ASSERT_EQ(ValidateBid(ToBid(capped)), absl::OkStatus());
    if (is_concave) {
      ASSERT_EQ(CheckConcave(ToBid(capped)), absl::OkStatus());
    }
    Microcredits reached = 0;
    Microcredits reachable = 0;
    for (int64_t q = 1; q <= last; ++q) {
      Microcredits value = 0;
      ASSERT_TRUE(ValueAt(list, q, value));
      const Microcredits most =
          std::min({value, caps.budget_microcredits, caps.ceiling_unit_price_microcredits * q});
      reachable = std::max(reachable, most);
      if (!ValueAt(capped, q, value)) continue;
      ASSERT_LE(value, most) << q;
      reached = std::max(reached, value);
    }
    // What is rounded away is less than a micro-credit for each unit.
    ASSERT_GE(reached, reachable - last);
  }
}

// The curve with its caps, by definition, rounded up.
Microcredits CappedAt(const std::vector<CurvePoint>& points, const BidCaps& caps, int64_t units) {
  const Fraction curve = CurveAt(points, units);
  const auto value = static_cast<Microcredits>((curve.top + curve.bottom - 1) / curve.bottom);
  return std::min({value, caps.budget_microcredits, caps.ceiling_unit_price_microcredits * units});
}

// What a bid is served all of at a price is never worth less by the curve than it costs.
TEST(Curve, AConcaveBidNeverLosesAtAPriceThatItMeets) {
  const CurvePoint late[] = {{10, 0}, {20, 1'000}};
  RangeList bid;
  ASSERT_EQ(ConcaveRangesWithin(late, 2, {.budget_microcredits = 500}, bid), CurveError::kOk);
  EXPECT_EQ(BestUnitsAt(bid, 40), 0) << "ten units for 400 would be worth nothing";
  EXPECT_EQ(BestUnitsAt(bid, 33), 0);
  EXPECT_EQ(BestUnitsAt(bid, 32), 15) << "worth 500";
  EXPECT_EQ(AboveCurve(bid, late, 2), 330);
  int bought = 0;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(5'000); seed < end; ++seed) {
    TestRandom random(seed);
    SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1");
    const std::vector<CurvePoint> points = RandomCurve(random, random.OneIn(4) ? 60 : 6);
    const Microcredits value_max = points.empty() ? 1 : points.back().value_microcredits + 1;
    BidCaps caps;
    if (random.OneIn(2)) caps.budget_microcredits = random.Between(1, value_max);
    if (random.OneIn(2)) caps.ceiling_unit_price_microcredits = random.Between(1, value_max);
    const int count = static_cast<int>(points.size());
    ASSERT_EQ(ConcaveRangesWithin(points.data(), count, caps, bid), CurveError::kOk);
    ASSERT_EQ(ValidateBid(ToBid(bid)), absl::OkStatus());
    ASSERT_EQ(CheckConcave(ToBid(bid)), absl::OkStatus());
    const int64_t last = points.empty() ? 0 : points.back().units;
    for (int64_t q = 1; q <= last; ++q) {
      Microcredits value = 0;
      if (!ValueAt(bid, q, value)) continue;
      ASSERT_LE(value, caps.budget_microcredits);
      ASSERT_LE(value, caps.ceiling_unit_price_microcredits * q);
      ASSERT_LE(value - CappedAt(points, {}, q), AboveCurve(bid, points.data(), count)) << q;
    }
    for (int i = 0; i < 40; ++i) {
      const Microcredits price = i < 20 ? i : random.Between(0, value_max);
      const int64_t units = BestUnitsAt(bid, price);
      if (units == 0) continue;
      ++bought;
      ASSERT_GE(CappedAt(points, {}, units), price * units) << units << " at " << price;
    }
  }
  EXPECT_GT(bought, 1'000);
}

// Where the capped curve is concave itself nothing of it is lost but by rounding.
TEST(Curve, AConcaveBidWithCapsIsTheCappedCurve) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(2'000); seed < end; ++seed) {
    TestRandom random(seed);
    SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1");
    std::vector<CurvePoint> points;
    CurvePoint p{};
    Microcredits price = random.Between(200'000, 1'000'000);
    for (int64_t left = random.Between(1, 10); left > 0; --left) {
      const int64_t width = random.Between(1, 9);
      p.units += width;
      p.value_microcredits += width * price;
      points.push_back(p);
      price -= random.Between(1, 20'000);
    }
    const BidCaps caps{.budget_microcredits = random.Between(1, 2 * p.value_microcredits),
                       .ceiling_unit_price_microcredits = random.Between(1, 1'000'000)};
    RangeList bid;
    ASSERT_EQ(ConcaveRangesWithin(points.data(), static_cast<int>(points.size()), caps, bid),
              CurveError::kOk);
    bool done = false;
    for (int64_t q = 1; q <= p.units && !done; ++q) {
      Microcredits value = 0;
      const Microcredits capped = CappedAt(points, caps, q);
      ASSERT_TRUE(ValueAt(bid, q, value)) << q;
      ASSERT_LE(value, capped) << q;
      ASSERT_GE(value, capped - 2 * p.units) << q;
      done = capped == caps.budget_microcredits;
    }
  }
}

}  // namespace
}  // namespace nom::policies
