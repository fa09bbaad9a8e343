// SPDX-License-Identifier: Apache-2.0
// How a guest is brought down to less memory, in every order of things that can happen.

#include "marketd/host/linux/shrink.h"

#include <set>
#include <tuple>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace nom::market {
namespace {

using ::testing::ElementsAre;

constexpr int64_t kTarget = 100;

struct Step {
  int64_t current;
  bool populated;
  bool failed;
  bool late;
};

// Every machine that there can be, to a depth: whatever is seen, the promises hold. What is seen is
// not made consistent on purpose: a kernel under load is not either.
void Explore(const Shrink& machine, Recipe::Force force, int depth, int reclaims, int kills,
             ShrinkAction before, int64_t* seen) {
  for (const int64_t current : {kTarget - 1, kTarget, kTarget + 1, kTarget + 50}) {
    for (const bool populated : {true, false}) {
      for (const bool failed : {false, true}) {
        for (const bool late : {false, true}) {
          Shrink next = machine;
          const ShrinkAction action = next.Next({.current_bytes = current,
                                                 .populated = populated,
                                                 .action_failed = failed,
                                                 .late = late});
          ++*seen;
          const bool over = before == ShrinkAction::kDone || before == ShrinkAction::kGiveUp;
          if (over) {
            ASSERT_EQ(action, before);
            continue;
          }
          switch (action) {
            case ShrinkAction::kReclaim:
              ASSERT_TRUE(populated && !late && current > kTarget);
              ASSERT_EQ(next.reclaim_bytes(), current - kTarget);
              ASSERT_EQ(kills, 0);
              ASSERT_LT(reclaims, Shrink::kReclaimsMax);
              break;
            case ShrinkAction::kSetMax:
              // Never below what a living guest uses, but where the kernel may swap.
              ASSERT_TRUE(!populated || current <= kTarget || force == Recipe::Force::kSwap);
              if (populated) {
                ASSERT_EQ(kills, 0);
              }
              break;
            case ShrinkAction::kKill:
              ASSERT_TRUE(populated);
              ASSERT_EQ(kills, 0);  // Once.
              // Not one that fits, unless its limit could not be written.
              if (current <= kTarget) {
                ASSERT_TRUE(before == ShrinkAction::kSetMax && failed);
              } else if (!(before == ShrinkAction::kSetMax && failed)) {
                ASSERT_TRUE(late ||
                            (reclaims == Shrink::kReclaimsMax && force == Recipe::Force::kKill));
              }
              break;
            case ShrinkAction::kDone:
              ASSERT_EQ(before, ShrinkAction::kSetMax);
              ASSERT_FALSE(failed);
              break;
            case ShrinkAction::kGiveUp:
              ASSERT_TRUE(failed || kills == 1);
              break;
            case ShrinkAction::kWaitEmpty:
              ASSERT_EQ(kills, 1);
              break;
          }
          if (depth > 0) {
            Explore(next, force, depth - 1, reclaims + (action == ShrinkAction::kReclaim),
                    kills + (action == ShrinkAction::kKill), action, seen);
            if (::testing::Test::HasFatalFailure()) return;
          }
        }
      }
    }
  }
}

TEST(ShrinkTest, KeepsItsPromisesWhateverIsSeen) {
  for (const Recipe::Force force : {Recipe::Force::kKill, Recipe::Force::kSwap}) {
    int64_t seen = 0;
    Explore(Shrink(kTarget, force), force, 3, 0, 0, ShrinkAction::kWaitEmpty, &seen);
    EXPECT_GT(seen, 100'000);
  }
}

std::vector<ShrinkAction> RunSteps(Shrink& shrink, const std::vector<Step>& steps) {
  std::vector<ShrinkAction> actions;
  for (const Step& s : steps) {
    actions.push_back(shrink.Next({s.current, s.populated, s.failed, s.late}));
  }
  return actions;
}

TEST(ShrinkTest, OneThatFitsIsOnlyWritten) {
  Shrink shrink(kTarget, Recipe::Force::kKill);
  EXPECT_THAT(RunSteps(shrink, {{90, true, false, false}, {90, true, false, false}}),
              ElementsAre(ShrinkAction::kSetMax, ShrinkAction::kDone));
  EXPECT_EQ(shrink.forced_bytes(), 0);
  EXPECT_FALSE(shrink.killed());
}

TEST(ShrinkTest, AHogOfPageCacheIsReclaimed) {
  Shrink shrink(kTarget, Recipe::Force::kKill);
  EXPECT_THAT(RunSteps(shrink, {{150, true, false, false},
                                {110, true, true, false},
                                {80, true, false, false},
                                {80, true, false, false}}),
              ElementsAre(ShrinkAction::kReclaim, ShrinkAction::kReclaim, ShrinkAction::kSetMax,
                          ShrinkAction::kDone));
  EXPECT_EQ(shrink.forced_bytes(), 50);
}

TEST(ShrinkTest, ARefuserIsKilledOrSwapped) {
  const std::vector<Step> refuses(4, Step{150, true, true, false});
  Shrink kill(kTarget, Recipe::Force::kKill);
  EXPECT_EQ(RunSteps(kill, refuses).back(), ShrinkAction::kKill);
  EXPECT_THAT(
      RunSteps(kill,
               {{150, true, false, false}, {20, false, false, false}, {20, false, false, false}}),
      ElementsAre(ShrinkAction::kWaitEmpty, ShrinkAction::kSetMax, ShrinkAction::kDone));
  EXPECT_TRUE(kill.killed());
  Shrink swap(kTarget, Recipe::Force::kSwap);
  EXPECT_EQ(RunSteps(swap, refuses).back(), ShrinkAction::kSetMax);
  EXPECT_EQ(swap.Next({100, true, false, false}), ShrinkAction::kDone);
  EXPECT_FALSE(swap.killed());
}

TEST(ShrinkTest, OneThatDoesNotDieIsGivenUpInTheEnd) {
  Shrink shrink(kTarget, Recipe::Force::kKill);
  ShrinkAction last = ShrinkAction::kDone;
  int steps = 0;
  while (last != ShrinkAction::kGiveUp && ++steps < 10'000) {
    last = shrink.Next({.current_bytes = 150, .late = true});
  }
  EXPECT_EQ(last, ShrinkAction::kGiveUp);
  EXPECT_EQ(steps, Shrink::kWaitsMax + 2);
}

}  // namespace
}  // namespace nom::market
