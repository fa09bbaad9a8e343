// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/policies/bidding/learning_worlds.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "tests/referee/random_auction.h"
#include "tests/sanitized.h"

namespace nom::policies {
namespace {

constexpr Microcredits kFree[kPointResourcesMax] = {};
constexpr Utility kSimple{.kind = UtilityKind::kSimple};
// Of each world, those of the README's table; one will do where it is not compared.
constexpr uint64_t kSeeds = kIsSanitized ? 1 : 8;

double PercentIn(const std::string& world) {
  static std::map<std::string, double>& known = *new std::map<std::string, double>();
  const auto [place, is_new] = known.emplace(world, 0);
  if (is_new) place->second = RegretOfLearner(LearningWorld(world), 1, kSeeds).percent;
  return place->second;
}

TEST(LearningWorlds, SteadyOnesCostAtMostTwoPercent) {
  EXPECT_LE(PercentIn("nothing changes"), 2);
  EXPECT_LE(PercentIn("nothing changes, no noise"), 2);
  EXPECT_LE(PercentIn("one measurement in 20 is a lie"), 2);
  EXPECT_LE(PercentIn("each drifts up and down by a third"), 2);
}

TEST(LearningWorlds, AChangeCostsAtMostTenPercentOfWhatFollows) {
  EXPECT_LE(PercentIn("the worst becomes the best"), 10);
  EXPECT_LE(PercentIn("the best becomes the worst"), 10);
}

TEST(LearningWorlds, NothingIsGivenUpForGood) {
  EXPECT_LE(PercentIn("nothing works for the first 50 rounds"), 10);
  EXPECT_LE(PercentIn("after 60 rounds in which nothing works"), 10);
  EXPECT_LE(PercentIn("nothing works any more"), 2) << "of what it left while it did";
}

TEST(LearningWorlds, WhatWasServedOfALowLoadIsNotASettingsBest) {
  EXPECT_LE(PercentIn("load high in 8 rounds of 16"), 4);
  EXPECT_LE(PercentIn("load high in 1 round of 8"), 4);
  EXPECT_LE(PercentIn("load high in 500 rounds of 1,000"), 4);
  EXPECT_LE(PercentIn("load wanders between both"), 4);
}

TEST(LearningWorlds, TheTableOfTheReadmeIsTrue) {
  if (kIsSanitized) GTEST_SKIP() << "takes a minute under sanitizers";
  std::ifstream file(NOM_POLICIES_README);
  std::ostringstream readme;
  readme << file.rdbuf();
  std::string table = "| world | regret | trying all in turn |\n|---|---:|---:|\n";
  for (const World& world : LearningWorlds()) {
    absl::StrAppendFormat(&table, "| %s | %.1f %% | %.0f %% |\n", world.name, PercentIn(world.name),
                          RegretOfRoundRobin(world, 1, kSeeds).percent);
  }
  EXPECT_NE(readme.str().find(table), std::string::npos) << table;
}

TEST(LearningWorlds, OneSettingMeasuredOnceAsWorthlessIsTriedAgain) {
  KnobEstimate room[1];
  KnobLearner learner(room, 1, {});
  const int64_t units[kPointResourcesMax] = {1};
  ASSERT_EQ(learner.Add(1, units), 0);
  learner.Measured(0, 1'000, {}, units);
  int used = 0;
  for (int round = 0; round < 10'000; ++round) {
    if (learner.Choose(kSimple, kFree, 1'000, kWorldRoundUs, nullptr) != 0) continue;
    ++used;
    learner.Measured(0, 1'000, {1'000, 100'000, 10'000}, units);
  }
  EXPECT_GT(used, 9'000);
}

// Whatever has been measured before, truly or not: from when on one setting is the only one that
// works, the program comes to use it, in at most so many rounds as are needed to forget all.
TEST(LearningWorlds, WhateverWasMeasuredTheOnlySettingThatWorksIsFound) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(200); seed < end; ++seed) {
    SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1");
    TestRandom random(seed);
    const int settings = static_cast<int>(random.Between(1, 8));
    std::vector<KnobEstimate> room(static_cast<size_t>(settings));
    LearningOptions options;
    options.explore_one_in = static_cast<int>(random.Between(2, 12));
    options.noise_percent = static_cast<int>(random.Between(1, 100));
    options.samples_max = static_cast<int>(random.Between(1, kSamplesMax));
    options.half_life_rounds = static_cast<int>(random.Between(1, 100));
    KnobLearner learner(room.data(), settings, options);
    const int64_t units[kPointResourcesMax] = {5};
    for (int i = 0; i < settings; ++i) ASSERT_EQ(learner.Add(i, units), i);
    const Microcredits prices[kPointResourcesMax] = {random.OneIn(2) ? 0 : 1'000'000};
    const int64_t load = 1'000'000;
    for (int64_t round = random.Between(0, 1'000); round > 0; --round) {
      const int now = learner.Choose(kSimple, prices, load, kWorldRoundUs, nullptr);
      const int64_t any[kPointResourcesMax] = {random.Between(0, 40)};
      const Performance lie{random.OneIn(2) ? 0 : random.Between(0, 2 * load),
                            random.OneIn(2) ? 100'000 : kLatencyMaxNs, 0};
      learner.Measured(now, random.OneIn(4) ? random.Between(0, 2 * load) : load, lie, any);
    }
    const int works = static_cast<int>(random.Between(0, settings - 1));
    const int rounds = 16 * options.half_life_rounds + 4 * options.explore_one_in * settings + 100;
    int used = 0;
    for (int round = 0; round < rounds + 200; ++round) {
      const int now = learner.Choose(kSimple, prices, load, kWorldRoundUs, nullptr);
      const int64_t kbps = now == works ? load : 0;
      if (now >= 0) learner.Measured(now, load, {kbps, 100'000, 0}, units);
      if (round >= rounds) used += now == works;
    }
    ASSERT_GE(used, 90) << settings << " settings, half-life " << options.half_life_rounds;
  }
}

}  // namespace
}  // namespace nom::policies
