// SPDX-License-Identifier: Apache-2.0
#include "policies/bidding/profile.h"

#include <gtest/gtest.h>

#include <vector>

#include "policies/bidding/pacing.h"
#include "tests/referee/random_auction.h"

namespace nom::policies {
namespace {

constexpr int64_t kUs = 1'000;
constexpr int64_t kSecond = 1'000'000;

ProfilePoint Point(int64_t knob, int64_t throughput_kbps, int64_t latency_ns, int64_t jitter_ns = 0,
                   int64_t load_kbps = 0) {
  ProfilePoint point{.knob = knob, .load_kbps = load_kbps};
  point.performance = {throughput_kbps, latency_ns, jitter_ns};
  return point;
}

std::vector<int64_t> Knobs(const std::vector<ProfilePoint>& points) {
  std::vector<int64_t> knobs;
  for (const ProfilePoint& p : points) knobs.push_back(p.knob);
  return knobs;
}

// The points published for memcached: the time that it waits for a batch of requests, against
// thousands of operations a second and mean latency. The third is worse than both others.
TEST(Profile, OfThePublishedPointsTheDominatedOneIsDropped) {
  std::vector<ProfilePoint> points = {Point(10, 38'000, 74 * kUs), Point(14, 40'000, 77 * kUs),
                                      Point(32, 38'000, 96 * kUs)};
  points.resize(static_cast<size_t>(DropDominated(points.data(), 3)));
  EXPECT_EQ(Knobs(points), (std::vector<int64_t>{10, 14}));
  std::vector<ProfilePoint> backwards = {Point(32, 38'000, 96 * kUs), Point(14, 40'000, 77 * kUs),
                                         Point(10, 38'000, 74 * kUs)};
  backwards.resize(static_cast<size_t>(DropDominated(backwards.data(), 3)));
  EXPECT_EQ(Knobs(backwards), (std::vector<int64_t>{14, 10}));
}

TEST(Profile, WhatNeedsLessOrWasMeasuredAtAnotherLoadIsNotDominated) {
  ProfilePoint lean = Point(1, 100, 50);
  ProfilePoint rich = Point(2, 100, 50);
  lean.units[3] = 4;
  rich.units[3] = 5;
  EXPECT_TRUE(Dominates(lean, rich));
  EXPECT_FALSE(Dominates(rich, lean));
  rich.performance.jitter_ns = -1;
  EXPECT_FALSE(Dominates(lean, rich));
  rich = lean;
  EXPECT_TRUE(Dominates(lean, rich)) << "equals do: one of them is enough";
  rich.load_kbps = 1;
  EXPECT_FALSE(Dominates(lean, rich));
}

TEST(Profile, RandomProfilesKeepExactlyWhatNothingDominates) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(2'000); seed < end; ++seed) {
    TestRandom random(seed);
    SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1");
    std::vector<ProfilePoint> points;
    for (int64_t i = random.Between(0, 20); i > 0; --i) {
      points.push_back(Point(i, random.Between(0, 4), random.Between(0, 4), random.Between(0, 2),
                             random.Between(0, 1)));
      points.back().units[0] = random.Between(0, 2);
    }
    std::vector<int64_t> expected;
    for (size_t i = 0; i < points.size(); ++i) {
      bool dominated = false;
      for (size_t k = 0; k < points.size(); ++k) {
        const bool equal = Dominates(points[k], points[i]) && Dominates(points[i], points[k]);
        dominated |= equal ? k < i : Dominates(points[k], points[i]);
      }
      if (!dominated) expected.push_back(points[i].knob);
    }
    points.resize(
        static_cast<size_t>(DropDominated(points.data(), static_cast<int>(points.size()))));
    ASSERT_EQ(Knobs(points), expected);
  }
}

// Price and load step together from $1 to $10 a Gbit, as in the paper: the setting that is best
// moves, and back. Units of resource 0 are Mbit/s, so that a unit of price is a Mbit's.
TEST(Profile, TheBestSettingFollowsPriceAndLoad) {
  // At low load both deliver what is asked, one of them sooner; at high load only the other keeps
  // up, and the first comes late.
  std::vector<ProfilePoint> points = {Point(1, 500'000, 100 * kUs, 10 * kUs, 500'000),
                                      Point(2, 500'000, 400 * kUs, 10 * kUs, 500'000),
                                      Point(1, 700'000, 740 * kUs, 50 * kUs, 2'000'000),
                                      Point(2, 2'000'000, 500 * kUs, 50 * kUs, 2'000'000)};
  for (ProfilePoint& p : points) p.units[0] = p.performance.throughput_kbps / 1'000;
  const Utility refund{.kind = UtilityKind::kRefund};
  PointBlock room[1];
  WorkingPointTable table(room, 1);
  const auto best = [&](int64_t offered_kbps, Microcredits dollars_a_gbit) {
    EXPECT_EQ(FillTable(points.data(), 4, refund, offered_kbps, kSecond, table), PointError::kOk);
    const Microcredits prices[kPointResourcesMax] = {dollars_a_gbit * 1'000};
    return table.BestAt(prices);
  };
  int at = best(500'000, 1);
  ASSERT_GE(at, 0);
  EXPECT_EQ(table.point(at).knob, 1);
  // .5 Gbit/s * ($20 - $10 * .1)
  EXPECT_EQ(table.point(at).value_microcredits, 9'500'000);
  at = best(1'500'000, 1);  // Measured at 2 Gbit/s, cut to what is offered.
  EXPECT_EQ(table.point(at).knob, 2);
  EXPECT_EQ(table.point(at).value_microcredits, 22'500'000);  // 1.5 * ($20 - $10 * .5)
  at = best(9'000'000, 10);  // Beyond all that was measured: the largest load there is.
  EXPECT_EQ(table.point(at).knob, 2);
  EXPECT_EQ(best(500'000, 20), -1);
}

// The example of policies/README.md: from a profile to a bid within a budget and a ceiling.
TEST(Profile, FromAProfileToABid) {
  const ProfilePoint profile[] = {
      {.knob = 10,
       .performance = {.throughput_kbps = 380'000, .latency_ns = 74'000},
       .units = {40}},
      {.knob = 14,
       .performance = {.throughput_kbps = 400'000, .latency_ns = 77'000},
       .units = {38}}};
  PointBlock room[1];
  WorkingPointTable table(room, 1);
  ASSERT_EQ(FillTable(profile, 2, {.kind = UtilityKind::kRefund}, 1'000'000, kSecond, table),
            PointError::kOk);
  const Microcredits unit_prices[kPointResourcesMax] = {100'000};
  const int now = table.BestAt(unit_prices);
  ASSERT_EQ(now, 0);
  EXPECT_EQ(table.point(now).knob, 14) << "more for less";
  CurvePoint curve[8];
  const int points = table.CurveFor(0, unit_prices, curve);
  RangeList bid;
  ASSERT_EQ(StepRanges(curve, points, bid), CurveError::kOk);
  Microcredits value = 0;
  ASSERT_TRUE(ValueAt(bid, 38, value));
  EXPECT_EQ(value, 7'692'000);  // .4 Gbit * ($20 - $10 * .077)
  BudgetPacer pacer({.period_budget_microcredits = 60'000'000, .period_rounds = 10});
  bid =
      Cap(bid, {.budget_microcredits = pacer.Cap(10), .ceiling_unit_price_microcredits = 150'000});
  ASSERT_TRUE(ValueAt(bid, 38, value));
  EXPECT_EQ(value, 38 * 150'000);
}

TEST(Profile, ATableIsFilledAnewAndErrorsAreTold) {
  PointBlock room[1];
  WorkingPointTable table(room, 1);
  ProfilePoint point = Point(1, 1'000'000, 0);
  EXPECT_EQ(FillTable(&point, 1, Utility{}, 2'000'000, kSecond, table), PointError::kOk);
  EXPECT_EQ(table.count(), 1);
  point.units[5] = -1;
  EXPECT_EQ(FillTable(&point, 1, Utility{}, 2'000'000, kSecond, table),
            PointError::kUnitsOutOfRange);
  EXPECT_EQ(table.count(), 0);
  EXPECT_EQ(FillTable(nullptr, 0, Utility{}, 0, kSecond, table), PointError::kOk);
}

}  // namespace
}  // namespace nom::policies
