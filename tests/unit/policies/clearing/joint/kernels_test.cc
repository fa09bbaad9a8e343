// SPDX-License-Identifier: Apache-2.0
// The loops on vectors against plain ones: the same bits, for every length and every rest.

#include "policies/clearing/joint/kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "tests/referee/random_auction.h"

namespace nom::policies::joint {
namespace {

constexpr size_t kLengths = 200;

// Not whole, so that another order of additions would give other bits.
double RandomAmount(TestRandom& random) {
  return static_cast<double>(random.Between(-1'000'000'000, 1'000'000'000)) / 1'048'577;
}

std::vector<double> RandomAmounts(TestRandom& random, size_t count) {
  std::vector<double> amounts(count);
  for (double& amount : amounts) amount = RandomAmount(random);
  return amounts;
}

bool SameBits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

TEST(Kernels, ReducedGainsAreThoseOfAPlainLoop) {
  TestRandom random(1);
  for (size_t count = 1; count <= kLengths; ++count) {
    for (int resources = 1; resources <= kJointResourcesMax; ++resources) {
      const std::vector<double> gain = RandomAmounts(random, count);
      const std::vector<double> prices = RandomAmounts(random, kJointResourcesMax);
      std::array<std::vector<int32_t>, kJointResourcesMax> units;
      UnitColumns columns = {};
      for (size_t r = 0; r < units.size(); ++r) {
        for (size_t i = 0; i < count; ++i) {
          units[r].push_back(static_cast<int32_t>(random.Between(0, kUnitsMax)));
        }
        columns[r] = units[r].data();
      }
      std::vector<double> expected = gain;
      for (size_t i = 0; i < count; ++i) {
        for (size_t r = 0; r < static_cast<size_t>(resources); ++r) {
          const double cost = prices[r] * units[r][i];
          expected[i] -= cost;
        }
      }
      // What lies after the end must stay as it is.
      std::vector<double> out(count + 4, -7);
      expected.insert(expected.end(), 4, -7);
      ReducedGains(gain.data(), columns, prices.data(), resources, count, out.data());
      ASSERT_TRUE(SameBits(out, expected)) << count << " " << resources;
    }
  }
}

TEST(Kernels, LargestIsFoundWhereverItIs) {
  TestRandom random(2);
  for (size_t count = 1; count <= kLengths; ++count) {
    std::vector<double> values = RandomAmounts(random, count);
    ASSERT_EQ(Largest(values.data(), count), *std::max_element(values.begin(), values.end()));
    for (double& value : values) value = -std::abs(value) - 1;
    for (size_t at = 0; at < count; ++at) {
      const double had = std::exchange(values[at], -0.5);
      ASSERT_EQ(Largest(values.data(), count), -0.5) << at << " of " << count;
      values[at] = had;
    }
  }
}

TEST(Kernels, MaxPlusIsThatOfAPlainLoop) {
  TestRandom random(3);
  for (size_t count = 1; count <= kLengths; ++count) {
    std::vector<double> in = RandomAmounts(random, count);
    std::vector<double> out = RandomAmounts(random, count + 4);
    if (random.OneIn(2)) in[count / 2] = -HUGE_VAL;
    if (random.OneIn(2)) out[count / 3] = -HUGE_VAL;
    const double gain = RandomAmount(random);
    std::vector<double> expected = out;
    for (size_t i = 0; i < count; ++i) expected[i] = std::max(expected[i], in[i] + gain);
    MaxPlus(out.data(), in.data(), gain, count);
    ASSERT_TRUE(SameBits(out, expected)) << count;
  }
}

}  // namespace
}  // namespace nom::policies::joint
