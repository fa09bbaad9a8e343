#include "policies/bidding/learning.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "tests/referee/random_auction.h"

namespace nom::policies {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr Microcredits kFree[kPointResourcesMax] = {};
const Utility kSimple{.kind = UtilityKind::kSimple};

Performance Delivers(int64_t throughput_kbps) { return {throughput_kbps, 100'000, 10'000}; }

TEST(Learning, UnknownSettingsAreTriedInTurnAndTheBestIsUsedInBetween) {
  KnobEstimate room[3];
  KnobLearner learner(room, 3, {.explore_one_in = 3});
  const int64_t units[kPointResourcesMax] = {1};
  for (int64_t knob : {10, 20, 30}) ASSERT_EQ(learner.Add(knob, units), knob / 10 - 1);
  EXPECT_EQ(learner.Add(40, units), -1) << "no room";
  const int64_t truth[] = {500'000, 900'000, 700'000};
  std::vector<int> chosen;
  for (int round = 0; round < 9; ++round) {
    const int now = learner.Choose(kSimple, kFree, 1'000'000, kSecond, nullptr);
    ASSERT_GE(now, 0);
    chosen.push_back(now);
    learner.Measured(now, 1'000'000, Delivers(truth[now]), units);
  }
  EXPECT_EQ(chosen, (std::vector<int>{0, 0, 0, 1, 1, 1, 2, 1, 1}));
}

TEST(Learning, WhenTheLoadMovesEverythingIsTriedAgain) {
  KnobEstimate room[2];
  KnobLearner learner(room, 2, {.explore_one_in = 2});
  const int64_t units[kPointResourcesMax] = {1};
  ASSERT_EQ(learner.Add(1, units), 0);
  ASSERT_EQ(learner.Add(2, units), 1);
  // The first is better at low load, the second at high load.
  const auto truth = [](int index, int64_t load) {
    return Delivers(index == 0 ? 400'000 : load / 2);
  };
  const auto run = [&](int64_t load, int rounds) {
    int now = -1;
    for (int i = 0; i < rounds; ++i) {
      now = learner.Choose(kSimple, kFree, load, kSecond, nullptr);
      learner.Measured(now, load, truth(now, load), units);
    }
    return now;
  };
  EXPECT_EQ(run(500'000, 8), 0);
  EXPECT_TRUE(learner.UpToDate(0, 600'000));
  EXPECT_TRUE(learner.UpToDate(1, 500'000));
  EXPECT_FALSE(learner.UpToDate(1, 4'000'000));
  EXPECT_EQ(run(4'000'000, 8), 1);
  EXPECT_EQ(learner.Estimate(1).performance.throughput_kbps, 2'000'000) << "not a mean of both";
  EXPECT_EQ(run(500'000, 8), 0);
}

TEST(Learning, WhatWasNotMeasuredForLongestIsTriedFirst) {
  KnobEstimate room[3];
  KnobLearner learner(room, 3, {.explore_one_in = 2});
  const int64_t units[kPointResourcesMax] = {1};
  for (int i = 0; i < 3; ++i) ASSERT_EQ(learner.Add(i, units), i);
  for (int i : {0, 1, 2, 0}) learner.Measured(i, 1'000, Delivers(1'000), units);
  std::vector<int> tried;
  for (int i = 0; i < 6; ++i) {
    const int now = learner.Choose(kSimple, kFree, 9'000, kSecond, nullptr);
    if (i % 2 == 0) continue;  // Not its turn.
    tried.push_back(now);
    learner.Measured(now, 9'000, Delivers(1'000), units);
  }
  EXPECT_EQ(tried, (std::vector<int>{1, 2, 0}));
}

TEST(Learning, MeansFollowWhatIsMeasured) {
  KnobEstimate room[1];
  KnobLearner learner(room, 1, {.samples_max = 4});
  const int64_t needs[kPointResourcesMax] = {9, 1};
  ASSERT_EQ(learner.Add(7, needs), 0);
  EXPECT_FALSE(learner.Known(0));
  int64_t units[kPointResourcesMax] = {4, 2};
  learner.Measured(0, 100, {100, 50, 7}, units);
  units[0] = 7;
  learner.Measured(0, 100, {101, 53, 8}, units);
  // Means of two: 100.5, 51.5, 7.5, 5.5: promised carefully.
  const ProfilePoint two = learner.Estimate(0);
  EXPECT_EQ(two.knob, 7);
  EXPECT_EQ(two.load_kbps, 100);
  EXPECT_EQ(two.performance, (Performance{100, 52, 8}));
  EXPECT_EQ(two.units[0], 6);
  EXPECT_EQ(two.units[1], 2);
  for (int i = 0; i < 60; ++i) learner.Measured(0, 100, {200, 80, 9}, units);
  EXPECT_EQ(learner.Estimate(0).performance, (Performance{199, 80, 9})) << "almost, rounded down";
  learner.Measured(-1, 1, {}, units);
  learner.Measured(1, 1, {}, units);
}

TEST(Learning, NumbersOutOfRangeAreHeld) {
  KnobEstimate room[1];
  KnobLearner learner(room, 1, {});
  const int64_t wild[kPointResourcesMax] = {INT64_MIN, INT64_MAX};
  ASSERT_EQ(learner.Add(1, wild), 0);
  learner.Measured(0, INT64_MAX, {INT64_MAX, INT64_MIN, INT64_MAX}, wild);
  const ProfilePoint held = learner.Estimate(0);
  EXPECT_EQ(held.performance, (Performance{kThroughputMaxKbps, 0, kLatencyMaxNs}));
  EXPECT_EQ(held.units[0], 0);
  EXPECT_EQ(held.units[1], kUnitsMax);
  KnobLearner none(room, -4, {});
  EXPECT_EQ(none.Add(1, wild), -1);
  EXPECT_EQ(none.Choose(kSimple, kFree, 1, kSecond, nullptr), -1);
}

TEST(Learning, WrongOptionsAreNamed) {
  EXPECT_EQ(WrongField(LearningOptions{}), nullptr);
  EXPECT_STREQ(WrongField(LearningOptions{.explore_one_in = 1}), "explore_one_in");
  EXPECT_STREQ(WrongField(LearningOptions{.load_moved_percent = 101}), "load_moved_percent");
  EXPECT_STREQ(WrongField(LearningOptions{.samples_max = 0}), "samples_max");
}

TEST(Learning, WhatDoesNotFitIsNeitherUsedNorTried) {
  KnobEstimate room[2];
  KnobLearner learner(room, 2, {.explore_one_in = 2});
  const int64_t small[kPointResourcesMax] = {2};
  const int64_t large[kPointResourcesMax] = {8};
  ASSERT_EQ(learner.Add(1, small), 0);
  ASSERT_EQ(learner.Add(2, large), 1);
  int64_t held[kPointResourcesMax] = {5};
  for (int i = 0; i < 6; ++i) {
    ASSERT_EQ(learner.Choose(kSimple, kFree, 1'000, kSecond, held), 0);
    learner.Measured(0, 1'000, Delivers(1'000), small);
  }
  held[0] = 8;
  EXPECT_EQ(learner.Choose(kSimple, kFree, 1'000, kSecond, held), 1) << "its turn was due";
  held[0] = 1;
  EXPECT_EQ(learner.Choose(kSimple, kFree, 1'000, kSecond, held), -1);
}

TEST(Learning, AProfileIsTheBeginningOfKnowledge) {
  KnobEstimate room[2];
  KnobLearner learner(room, 2, {});
  ProfilePoint good{.knob = 5, .load_kbps = 1'000, .performance = Delivers(900), .units = {3}};
  ProfilePoint bad{.knob = 6, .load_kbps = 1'000, .performance = Delivers(100), .units = {1}};
  ASSERT_EQ(learner.Add(bad), 0);
  ASSERT_EQ(learner.Add(good), 1);
  EXPECT_EQ(learner.Choose(kSimple, kFree, 1'000, kSecond, nullptr), 1);
  // 900 kbit at $20 a Gbit are 18'000; the third of it is too much for a unit.
  const Microcredits prices[kPointResourcesMax] = {6'000};
  EXPECT_EQ(learner.Choose(kSimple, prices, 1'000, kSecond, nullptr), -1);
  PointBlock blocks[1];
  WorkingPointTable table(blocks, 1);
  ASSERT_EQ(FillTable(learner, kSimple, 1'000, kSecond, table), PointError::kOk);
  ASSERT_EQ(table.count(), 2);
  EXPECT_EQ(table.point(1).value_microcredits, 18'000);
}

// Never more than one try in so many choices; after so many for each knob all are up to date; and
// the same once more.
TEST(Learning, ExplorationIsBoundedCompleteAndTheSameEachTime) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(300); seed < end; ++seed) {
    SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1");
    std::vector<std::vector<int>> runs;
    for (int run = 0; run < 2; ++run) {
      TestRandom random(seed);
      std::vector<KnobEstimate> room(10);
      const int one_in = static_cast<int>(random.Between(2, 6));
      const int knobs = static_cast<int>(random.Between(1, 10));
      KnobLearner learner(room.data(), 10, {.explore_one_in = one_in});
      const int64_t units[kPointResourcesMax] = {1};
      for (int i = 0; i < knobs; ++i) ASSERT_EQ(learner.Add(i, units), i);
      int64_t load = 1'000'000;
      int last_try = -one_in;
      std::vector<int> chosen;
      for (int round = 0; round < 200; ++round) {
        if (round == 100) load *= 3;
        bool any = false;
        for (int i = 0; i < knobs; ++i) any |= learner.Known(i);
        const int now = learner.Choose(kSimple, kFree, load, kSecond, nullptr);
        ASSERT_GE(now, 0);
        chosen.push_back(now);
        // What would have been chosen by knowledge alone.
        int best = -1;
        for (int i = 0; i < knobs; ++i) {
          const auto worth = [&](int k) {
            return ValueOf(learner.Estimate(k).performance, kSimple, load, kSecond);
          };
          if (learner.Known(i) && (best < 0 ? worth(i) > 0 : worth(i) > worth(best))) best = i;
        }
        if (now != best) {
          ASSERT_FALSE(learner.UpToDate(now, load));
          if (any) {
            ASSERT_GE(round - last_try, one_in) << round;
          }
          last_try = round;
        }
        learner.Measured(now, load, Delivers(random.Between(1, 1'000'000)), units);
        if (round % 100 == one_in * knobs + one_in) {
          for (int i = 0; i < knobs; ++i) ASSERT_TRUE(learner.UpToDate(i, load)) << i;
        }
      }
      runs.push_back(chosen);
    }
    ASSERT_EQ(runs[0], runs[1]);
  }
}

}  // namespace
}  // namespace nom::policies
