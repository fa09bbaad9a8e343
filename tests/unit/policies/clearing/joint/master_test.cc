// SPDX-License-Identifier: Apache-2.0
// The linear program by its duality: what the mixture gains is what its prices say.

#include "policies/clearing/joint/master.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/referee/random_auction.h"

namespace nom::policies::joint {
namespace {

struct Column {
  double gain = 0;
  UnitVector units = {};
};

// Weak duality: any prices bound every mixture. So if the mixture is one, and gains what its prices
// bound, both are best.
void CheckBest(const Master& master, const std::vector<Column>& columns,
               const UnitVector& capacity) {
  const double near = 1e-7 * std::max(1.0, master.gain());
  const std::vector<double> parts = master.Parts();
  ASSERT_EQ(parts.size(), columns.size());
  double part_sum = 0;
  double gain = 0;
  double bound = 0;
  std::array<double, kJointResourcesMax> used = {};
  for (size_t k = 0; k < columns.size(); ++k) {
    ASSERT_GE(parts[k], 0);
    part_sum += parts[k];
    gain += parts[k] * columns[k].gain;
    double left = columns[k].gain;
    for (size_t r = 0; r < used.size(); ++r) {
      used[r] += parts[k] * static_cast<double>(columns[k].units[r]);
      left -= master.prices()[r] * static_cast<double>(columns[k].units[r]);
    }
    bound = std::max(bound, left);
  }
  ASSERT_NEAR(part_sum, 1, 1e-7);
  for (size_t r = 0; r < used.size(); ++r) {
    ASSERT_GE(master.prices()[r], 0);
    const auto open = static_cast<double>(capacity[r]);
    ASSERT_LE(used[r], open + 1e-7 * std::max(1.0, open));
    bound += master.prices()[r] * open;
  }
  ASSERT_NEAR(gain, master.gain(), near);
  ASSERT_NEAR(bound, master.gain(), near);
}

TEST(Master, NobodyWinsWhereThereIsNothing) {
  Master master(2, {4, 4}, 1);
  EXPECT_EQ(master.column_count(), 1U);
  master.Solve();
  EXPECT_EQ(master.gain(), 0);
  EXPECT_EQ(master.prices(), Prices{});
}

// 10 units; 20 of them would gain 60. Half of that fits: a gain of 30, so 3 a unit.
TEST(Master, HalfOfWhatIsTwiceTooLarge) {
  Master master(1, {10}, 60);
  master.Add(60, {20});
  master.Solve();
  EXPECT_NEAR(master.gain(), 30, 1e-9);
  EXPECT_NEAR(master.prices()[0], 3, 1e-9);
  EXPECT_NEAR(master.Parts()[1], 0.5, 1e-9);
}

TEST(Master, MixtureAndPricesAreBestAsColumnsCome) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(1'000); seed < end; ++seed) {
    SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1");
    TestRandom random(seed);
    const int resources = static_cast<int>(random.Between(1, kJointResourcesMax));
    UnitVector capacity = {};
    for (size_t r = 0; r < static_cast<size_t>(resources); ++r) {
      capacity[r] = random.Between(1, random.OneIn(3) ? 100'000 : 12);
    }
    const int64_t money = random.OneIn(3) ? 1'000'000'000 : 50;
    Master master(resources, capacity, static_cast<double>(money));
    std::vector<Column> columns(1);  // Nobody wins.
    for (int64_t k = random.Between(1, 30); k > 0; --k) {
      Column column;
      column.gain = static_cast<double>(random.Between(0, money));
      for (size_t r = 0; r < static_cast<size_t>(resources); ++r) {
        column.units[r] = random.OneIn(4) ? 0 : random.Between(0, 3 * capacity[r]);
      }
      columns.push_back(column);
      master.Add(column.gain, column.units);
      if (random.OneIn(3)) master.Solve();  // Goes on from there.
    }
    master.Solve();
    CheckBest(master, columns, capacity);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace nom::policies::joint
