// SPDX-License-Identifier: Apache-2.0
#include "policies/bidding/working_points.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "tests/referee/random_auction.h"

namespace nom::policies {
namespace {

WorkingPoint Point(int64_t knob, int64_t cpu, int64_t memory, Microcredits value) {
  WorkingPoint p;
  p.knob = knob;
  p.units[0] = cpu;
  p.units[1] = memory;
  p.value_microcredits = value;
  return p;
}

// A table with room for as many points as asked for.
struct Roomy {
  explicit Roomy(int points)
      : blocks(static_cast<size_t>(PointBlocksFor(points))),
        table(blocks.data(), static_cast<int>(blocks.size())) {}
  std::vector<PointBlock> blocks;
  WorkingPointTable table;
};

__extension__ using Wide = __int128;

Wide SurplusOf(const WorkingPoint& p, const Microcredits* prices) {
  Wide surplus = p.value_microcredits;
  for (int r = 0; r < kPointResourcesMax; ++r) surplus -= Wide{p.units[r]} * prices[r];
  return surplus;
}

// The plain loop.
int PlainBest(const std::vector<WorkingPoint>& points, const Microcredits* prices) {
  int best = -1;
  Wide best_surplus = 0;
  for (size_t i = 0; i < points.size(); ++i) {
    if (SurplusOf(points[i], prices) <= best_surplus) continue;
    best_surplus = SurplusOf(points[i], prices);
    best = static_cast<int>(i);
  }
  return best;
}

std::vector<WorkingPoint> PointsOf(const WorkingPointTable& table) {
  std::vector<WorkingPoint> points;
  for (int i = 0; i < table.count(); ++i) points.push_back(table.point(i));
  return points;
}

bool Same(const WorkingPoint& a, const WorkingPoint& b) {
  return a.knob == b.knob && a.value_microcredits == b.value_microcredits &&
         std::equal(std::begin(a.units), std::end(a.units), std::begin(b.units));
}

TEST(WorkingPoints, DominatedPointsAreNotKept) {
  Roomy roomy(8);
  WorkingPointTable& table = roomy.table;
  EXPECT_EQ(table.Add(Point(10, 10, 4, 38)), PointError::kOk);
  EXPECT_EQ(table.Add(Point(14, 10, 4, 40)), PointError::kOk);  // Beats the first.
  EXPECT_EQ(table.Add(Point(32, 12, 4, 38)), PointError::kOk);  // Needs more, earns less.
  EXPECT_EQ(table.Add(Point(33, 10, 4, 40)), PointError::kOk);  // Equal: the first stays.
  ASSERT_EQ(table.count(), 1);
  EXPECT_EQ(table.point(0).knob, 14);
  EXPECT_EQ(table.Add(Point(50, 9, 5, 40)), PointError::kOk);  // Another trade: kept.
  EXPECT_EQ(table.count(), 2);
}

TEST(WorkingPoints, TheBestPointFollowsThePrices) {
  Roomy roomy(8);
  WorkingPointTable& table = roomy.table;
  ASSERT_EQ(table.Add(Point(1, 1, 8, 100)), PointError::kOk);  // Memory instead of processor.
  ASSERT_EQ(table.Add(Point(2, 8, 1, 100)), PointError::kOk);
  ASSERT_EQ(table.Add(Point(3, 9, 9, 150)), PointError::kOk);
  const Microcredits cheap[kPointResourcesMax] = {1, 1};
  const Microcredits dear_cpu[kPointResourcesMax] = {20, 1};
  const Microcredits dear_memory[kPointResourcesMax] = {1, 20};
  const Microcredits dear[kPointResourcesMax] = {100, 100};
  EXPECT_EQ(table.point(table.BestAt(cheap)).knob, 3);
  EXPECT_EQ(table.point(table.BestAt(dear_cpu)).knob, 1);
  EXPECT_EQ(table.point(table.BestAt(dear_memory)).knob, 2);
  EXPECT_EQ(table.BestAt(dear), -1);
}

TEST(WorkingPoints, TheCurveOfOneResourceCountsWhatTheOthersCost) {
  Roomy roomy(8);
  WorkingPointTable& table = roomy.table;
  ASSERT_EQ(table.Add(Point(1, 2, 0, 50)), PointError::kOk);
  ASSERT_EQ(table.Add(Point(2, 2, 4, 90)), PointError::kOk);
  ASSERT_EQ(table.Add(Point(3, 6, 8, 130)), PointError::kOk);
  CurvePoint curve[8];
  // Memory, with the processor at 5: without memory 50 - 10 is left, which memory can't claim.
  const Microcredits at_five[kPointResourcesMax] = {5, 999};
  ASSERT_EQ(table.CurveFor(1, at_five, curve), 2);
  EXPECT_EQ(curve[0].units, 4);
  EXPECT_EQ(curve[0].value_microcredits, 40);
  EXPECT_EQ(curve[1].units, 8);
  EXPECT_EQ(curve[1].value_microcredits, 60);
  // At 20 the third point is no longer worth its processor: its memory adds nothing.
  const Microcredits at_twenty[kPointResourcesMax] = {20, 0};
  ASSERT_EQ(table.CurveFor(1, at_twenty, curve), 1);
  EXPECT_EQ(curve[0].units, 4);
  EXPECT_EQ(curve[0].value_microcredits, 40);
  // At 30 nothing runs at a profit without memory, and 90 - 60 is all that memory is worth.
  const Microcredits at_thirty[kPointResourcesMax] = {30, 0};
  ASSERT_EQ(table.CurveFor(1, at_thirty, curve), 1);
  EXPECT_EQ(curve[0].value_microcredits, 30);
}

TEST(WorkingPoints, WhatIsNotOnSaleCannotBeHad) {
  Roomy roomy(8);
  ASSERT_EQ(roomy.table.Add(Point(1, 1, 0, kValueMaxMicrocredits)), PointError::kOk);
  ASSERT_EQ(roomy.table.Add(Point(2, 0, 3, 30)), PointError::kOk);
  ASSERT_EQ(roomy.table.Add(Point(3, 1, 3, kValueMaxMicrocredits)), PointError::kOk);
  const Microcredits no_cpu[kPointResourcesMax] = {kNotOnSale, 5};
  EXPECT_EQ(roomy.table.point(roomy.table.BestAt(no_cpu)).knob, 2);
  CurvePoint curve[8];
  EXPECT_EQ(roomy.table.CurveFor(0, no_cpu, curve), 0);
  ASSERT_EQ(roomy.table.CurveFor(1, no_cpu, curve), 1);
  EXPECT_EQ(curve[0].value_microcredits, 30);
  const Microcredits nothing[kPointResourcesMax] = {kNotOnSale, kNotOnSale};
  EXPECT_EQ(roomy.table.BestAt(nothing), -1);
}

TEST(WorkingPoints, LimitsAreChecked) {
  Roomy roomy(64);
  WorkingPointTable& table = roomy.table;
  EXPECT_EQ(table.Add(Point(1, -1, 0, 5)), PointError::kUnitsOutOfRange);
  EXPECT_EQ(table.Add(Point(1, kUnitsMax + 1, 0, 5)), PointError::kUnitsOutOfRange);
  EXPECT_EQ(table.Add(Point(1, 1, 0, -5)), PointError::kValueOutOfRange);
  EXPECT_EQ(table.Add(Point(1, 1, 0, kValueMaxMicrocredits + 1)), PointError::kValueOutOfRange);
  EXPECT_EQ(table.count(), 0);
  ASSERT_EQ(table.capacity(), 64);
  for (int i = 0; i < 64; ++i) ASSERT_EQ(table.Add(Point(i, i + 1, 64 - i, 10)), PointError::kOk);
  EXPECT_EQ(table.Add(Point(99, 65, 0, 10)), PointError::kFull);
  EXPECT_EQ(table.count(), 64);
  // A point that beats others still finds room.
  EXPECT_EQ(table.Add(Point(100, 1, 1, 10)), PointError::kOk);
  EXPECT_EQ(table.count(), 1);
  const Microcredits highest[kPointResourcesMax] = {kValueMaxMicrocredits, kValueMaxMicrocredits};
  EXPECT_EQ(table.BestAt(highest), -1);
  table.Clear();
  EXPECT_EQ(table.BestAt(highest), -1);
  Roomy none(0);
  EXPECT_EQ(none.table.Add(Point(1, 1, 1, 1)), PointError::kFull);
  Roomy huge(2 * kWorkingPointsMax);
  EXPECT_EQ(huge.table.capacity(), kWorkingPointsMax);
}

// Few different numbers, so that ties are common; or large ones, beyond 32 bits a price; or the
// largest, beyond 64 bits in all.
struct Scale {
  int64_t units_max;
  Microcredits value_max;
  Microcredits price_max;
};

WorkingPoint RandomPoint(TestRandom& random, const Scale& scale, int resources) {
  WorkingPoint p{.knob = random.Between(0, 1'000'000),
                 .value_microcredits = random.Between(0, scale.value_max)};
  for (int r = 0; r < resources; ++r) p.units[r] = random.Between(0, scale.units_max);
  return p;
}

TEST(WorkingPoints, RandomTablesKeepTheFrontAndFindTheBest) {
  const Scale scales[] = {{6, 30, 5},
                          {1'000, 1'000'000, 1'000},
                          {1'000, kValueMaxMicrocredits, 1'000'000'000'000},
                          {kUnitsMax, kValueMaxMicrocredits, kValueMaxMicrocredits}};
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(2'000); seed < end; ++seed) {
    TestRandom random(seed);
    SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1");
    const Scale& scale = scales[random.Between(0, 3)];
    const int resources = static_cast<int>(random.Between(1, kPointResourcesMax));
    Roomy roomy(64);
    std::vector<WorkingPoint> front;
    for (int64_t i = random.Between(1, 60); i > 0; --i) {
      const WorkingPoint p = RandomPoint(random, scale, resources);
      const auto beats = [](const WorkingPoint& a, const WorkingPoint& b) {
        bool yes = a.value_microcredits >= b.value_microcredits;
        for (int r = 0; r < kPointResourcesMax; ++r) yes &= a.units[r] <= b.units[r];
        return yes;
      };
      ASSERT_EQ(roomy.table.Add(p), PointError::kOk);
      if (std::any_of(front.begin(), front.end(), [&](const auto& q) { return beats(q, p); })) {
        continue;
      }
      std::erase_if(front, [&](const auto& q) { return beats(p, q); });
      front.push_back(p);
    }
    const std::vector<WorkingPoint> kept = PointsOf(roomy.table);
    ASSERT_TRUE(std::equal(kept.begin(), kept.end(), front.begin(), front.end(), Same));

    for (int i = 0; i < 5; ++i) {
      Microcredits prices[kPointResourcesMax];
      for (Microcredits& price : prices) {
        price = random.OneIn(4) ? 0 : random.Between(0, scale.price_max);
      }
      ASSERT_EQ(roomy.table.BestAt(prices), PlainBest(front, prices));

      int64_t held[kPointResourcesMax];
      for (int64_t& units : held) units = random.Between(0, scale.units_max);
      int fitting = -1;
      for (size_t at = 0; at < front.size(); ++at) {
        bool fits = true;
        for (int r = 0; r < kPointResourcesMax; ++r) fits &= front[at].units[r] <= held[r];
        const Microcredits best =
            fitting < 0 ? 0 : front[static_cast<size_t>(fitting)].value_microcredits;
        if (fits && front[at].value_microcredits > best) fitting = static_cast<int>(at);
      }
      ASSERT_EQ(roomy.table.BestWithin(held), fitting);

      const int resource = static_cast<int>(random.Between(0, resources - 1));
      std::vector<CurvePoint> curve(front.size());
      curve.resize(static_cast<size_t>(roomy.table.CurveFor(resource, prices, curve.data())));
      prices[resource] = 0;
      const auto leaves = [&](int64_t units) {  // The most that a point using no more leaves.
        Wide most = 0;
        for (const WorkingPoint& p : front) {
          if (p.units[resource] <= units) most = std::max(most, SurplusOf(p, prices));
        }
        return most;
      };
      std::set<int64_t> steps;
      for (const WorkingPoint& p : front) steps.insert(p.units[resource]);
      size_t next = 0;
      Wide before = leaves(0);
      for (const int64_t units : steps) {
        if (units == 0 || leaves(units) == before) continue;
        before = leaves(units);
        ASSERT_LT(next, curve.size());
        ASSERT_EQ(curve[next].units, units);
        ASSERT_EQ(curve[next++].value_microcredits, before - leaves(0));
      }
      ASSERT_EQ(next, curve.size());
    }
  }
}

// Whatever the processor has: the vectors' answer is that of words, and of the plain loop, with a
// last block that is not full.
TEST(WorkingPoints, AThousandPointsGiveTheSameAnswerEitherWay) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(20); seed < end; ++seed) {
    TestRandom random(seed);
    SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1");
    Roomy roomy(1'003);
    const bool ties = random.OneIn(2);
    for (int i = 0; i < 1'003; ++i) {
      // On one plane: none beats another.
      WorkingPoint p{.knob = i, .units = {i, 1'003 - i}};
      p.value_microcredits = ties ? 5'000 : random.Between(5'000, 5'003);
      for (int r = 2; r < kPointResourcesMax; ++r) p.units[r] = random.Between(0, ties ? 2 : 500);
      ASSERT_EQ(roomy.table.Add(p), PointError::kOk);
    }
    const std::vector<WorkingPoint> points = PointsOf(roomy.table);
    for (int i = 0; i < 50; ++i) {
      Microcredits prices[kPointResourcesMax];
      PricedResource priced[kPointResourcesMax];
      for (int r = 0; r < kPointResourcesMax; ++r) {
        prices[r] = random.Between(0, 3);
        priced[r] = {r, prices[r]};
      }
      const int best = PlainBest(points, prices);
      ASSERT_EQ(roomy.table.BestAt(prices), best);
      ASSERT_EQ(BestPlaceByWords(roomy.blocks.data(), PointBlocksFor(roomy.table.count()), priced,
                                 kPointResourcesMax),
                best);
    }
  }
}

// What steps are worth in all, over every quantity up to `last_units`.
double AreaOf(const std::vector<CurvePoint>& steps, int64_t last_units) {
  double area = 0;
  CurvePoint before{};
  for (const CurvePoint& step : steps) {
    area += static_cast<double>(before.value_microcredits) *
            static_cast<double>(step.units - before.units);
    before = step;
  }
  return area + static_cast<double>(before.value_microcredits) *
                    static_cast<double>(last_units - before.units);
}

std::vector<CurvePoint> CurveOf(const WorkingPointTable& table) {
  const Microcredits prices[kPointResourcesMax] = {};
  std::vector<CurvePoint> curve(static_cast<size_t>(table.count()));
  curve.resize(static_cast<size_t>(table.CurveFor(0, prices, curve.data())));
  return curve;
}

TEST(WorkingPoints, ALongCurveIsThinnedWhereLittleIsLost) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(20); seed < end; ++seed) {
    SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1");
    TestRandom random(seed);
    Roomy roomy(2'000);
    std::vector<CurvePoint> all;
    CurvePoint p{};
    // Most points lie close together, and most of the curve is elsewhere.
    for (int i = 1; i <= 2'000; ++i) {
      const bool far = random.OneIn(100);
      p.units += far ? random.Between(1, 20'000) : 1;
      p.value_microcredits += far ? random.Between(1, 20'000) : 1;
      all.push_back(p);
      ASSERT_EQ(roomy.table.Add(
                    {.knob = i, .units = {p.units}, .value_microcredits = p.value_microcredits}),
                PointError::kOk);
    }
    const std::vector<CurvePoint> curve = CurveOf(roomy.table);
    ASSERT_LE(curve.size(), static_cast<size_t>(kCurvePointsMax));
    EXPECT_EQ(curve.back().units, p.units);
    EXPECT_EQ(curve.back().value_microcredits, p.value_microcredits);
    const double lost = AreaOf(all, p.units) - AreaOf(curve, p.units);
    EXPECT_LE(lost,
              0.01 * static_cast<double>(p.units) * static_cast<double>(p.value_microcredits));
    RangeList bid;
    EXPECT_EQ(StepRanges(curve.data(), static_cast<int>(curve.size()), bid), CurveError::kOk);
  }
}

// The path of policies/README.md for a large table. What is worth the more the more there is of it
// already is left out: of x^2 no sixteen steps lose less than 6 %.
TEST(WorkingPoints, ABidMadeOfATableOf512LosesAtMostFivePercent) {
  const auto even = [](double x) { return x; };
  const auto falling = [](double x) { return std::sqrt(x); };
  const auto full = [](double x) { return 1 - std::exp(-4 * x); };
  const auto needed = [](double x) { return 1 / (1 + std::exp(-12 * (x - 0.5))); };
  for (double (*worth)(double) : {+even, +falling, +full, +needed}) {
    for (uint64_t seed = FirstSeed(), end = seed + CountOr(10); seed < end; ++seed) {
      SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1");
      TestRandom random(seed);
      Roomy roomy(512);
      int64_t units = 0;
      for (int i = 1; i <= 512; ++i) {
        units += random.Between(1, 9);
        const double noise = 1 + static_cast<double>(random.Between(-100, 100)) / 2'000;
        ASSERT_EQ(roomy.table.Add({.knob = i,
                                   .units = {units},
                                   .value_microcredits =
                                       static_cast<Microcredits>(1e9 * worth(i / 512.0) * noise)}),
                  PointError::kOk);
      }
      const std::vector<CurvePoint> curve = CurveOf(roomy.table);
      RangeList bid;
      ASSERT_EQ(StepRanges(curve.data(), static_cast<int>(curve.size()), bid), CurveError::kOk);
      std::vector<CurvePoint> steps;
      for (int i = 0; i < bid.count; ++i) {
        steps.push_back({bid.ranges[i].min_units, bid.ranges[i].value_at_min_microcredits});
      }
      const int64_t last = curve.back().units;
      EXPECT_GE(AreaOf(steps, last), 0.95 * AreaOf(curve, last));
    }
  }
}

}  // namespace
}  // namespace nom::policies
