// SPDX-License-Identifier: Apache-2.0
// The dynamic program against every choice of options.

#include "policies/clearing/joint/box.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/referee/random_auction.h"

namespace nom::policies::joint {
namespace {

Shortlist RandomShortlist(TestRandom& random) {
  Shortlist shortlist;
  const auto resources = static_cast<size_t>(random.Between(1, kJointResourcesMax));
  const int64_t edge = resources == 1 ? 30 : 6;
  for (size_t r = 0; r < resources; ++r) shortlist.capacity_units[r] = random.Between(0, edge);
  const int64_t money = random.OneIn(3) ? int64_t{1} << 50 : 9;
  const int64_t bidders = random.Between(0, 6);
  for (int64_t bidder = 0; bidder < bidders; ++bidder) {
    if (random.OneIn(2)) shortlist.AddOption(0, {}, kLost);
    for (int64_t i = random.Between(1, 4); i > 0; --i) {
      Units units = {};
      for (size_t r = 0; r < resources; ++r) {
        const int64_t most = random.OneIn(4) ? shortlist.capacity_units[r] + 1 : edge / 2;
        units[r] = random.OneIn(3) ? 0 : static_cast<int32_t>(random.Between(0, most));
      }
      shortlist.AddOption(static_cast<double>(random.Between(0, money)), units,
                          static_cast<uint32_t>(i));
    }
    shortlist.CloseBidder(static_cast<uint32_t>(bidder));
  }
  return shortlist;
}

// The most that bidders from `bidder` on gain in what is left; -infinity if nothing fits.
double BestOf(const Shortlist& shortlist, size_t bidder, const UnitVector& left) {
  if (bidder == shortlist.bidder_count()) return 0;
  double best = -HUGE_VAL;
  for (size_t option = shortlist.first[bidder]; option < shortlist.first[bidder + 1]; ++option) {
    UnitVector after = left;
    bool fits = true;
    for (size_t r = 0; r < after.size(); ++r) {
      after[r] -= shortlist.units[r][option];
      fits = fits && after[r] >= 0;
    }
    if (fits) best = std::max(best, shortlist.gain[option] + BestOf(shortlist, bidder + 1, after));
  }
  return best;
}

TEST(Box, SolvesWhatTryingEverythingFinds) {
  int64_t infeasible = 0;
  int64_t impossible = 0;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(4'000); seed < end; ++seed) {
    SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1");
    TestRandom random(seed);
    const Shortlist shortlist = RandomShortlist(random);
    const double expected = BestOf(shortlist, 0, shortlist.capacity_units);
    const Box box(shortlist);
    if (!box.is_feasible()) {
      ++infeasible;
      ASSERT_LT(expected, 0);
      continue;
    }
    ASSERT_LE(box.states(), Box::kStatesMax);
    ASSERT_EQ(box.Solve(nullptr), expected);
    ASSERT_TRUE(box.can_choose());
    std::vector<uint32_t> choices;
    ASSERT_EQ(box.Solve(&choices), expected);
    if (expected < 0) {
      ++impossible;
      continue;
    }
    ASSERT_EQ(choices.size(), shortlist.bidder_count());
    double gain = 0;
    UnitVector left = shortlist.capacity_units;
    for (size_t bidder = 0; bidder < choices.size(); ++bidder) {
      ASSERT_GE(choices[bidder], shortlist.first[bidder]);
      ASSERT_LT(choices[bidder], shortlist.first[bidder + 1]);
      gain += shortlist.gain[choices[bidder]];
      for (size_t r = 0; r < left.size(); ++r) left[r] -= shortlist.units[r][choices[bidder]];
    }
    ASSERT_EQ(gain, expected);
    for (const int64_t units : left) ASSERT_GE(units, 0);
  }
  if (CountOr(4'000) < 4'000) return;
  EXPECT_GT(infeasible, 10);
  EXPECT_GT(impossible, 10);
}

// Units that nobody can use need no entries, and too many entries are said to be too many.
TEST(Box, IsNoLargerThanWhatIsWanted) {
  Shortlist shortlist;
  shortlist.capacity_units = {1'000'000, 5};
  for (uint32_t bidder = 0; bidder < 2; ++bidder) {
    shortlist.AddOption(1, {3, 1}, 0);
    shortlist.AddOption(2, {5, 3}, 1);
    shortlist.CloseBidder(bidder);
  }
  // 2 x 2 wanted above the least in the first, 3 open above the least in the second.
  EXPECT_EQ(Box(shortlist).states(), 5 * 4);
  EXPECT_EQ(Box(shortlist).work(), 5 * 4 * 4);
  EXPECT_EQ(Box(shortlist).Solve(nullptr), 3);  // {5, 3} and {3, 1}: 4 of 5; both {5, 3} need 6.
  shortlist.capacity_units = {kUnitsMax, kUnitsMax, kUnitsMax, kUnitsMax};
  shortlist.AddOption(1, {}, 0);
  shortlist.AddOption(1, {kUnitsMax, kUnitsMax, kUnitsMax, kUnitsMax}, 1);
  shortlist.CloseBidder(2);
  EXPECT_EQ(Box(shortlist).states(), Box::kStatesMax + 1);
  EXPECT_FALSE(Box(shortlist).can_choose());
}

}  // namespace
}  // namespace nom::policies::joint
