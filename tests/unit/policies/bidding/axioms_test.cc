// SPDX-License-Identifier: Apache-2.0
#include "policies/bidding/axioms.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace nom::policies {
namespace {

constexpr Microcredits kDollar = 1'000'000;

template <size_t N>
GridAxis Axis(const std::array<int64_t, N>& numbers) {
  return {numbers.data(), static_cast<int>(N)};
}

const std::array<int64_t, 8> kThroughputs = {0,          1,           999'999,     1'000'000,
                                             38'000'000, 400'000'000, 999'999'999, 1'000'000'000};
const std::array<int64_t, 8> kPrices = {
    0, 1, kDollar, 10 * kDollar, 19'999'999, 20 * kDollar, 21 * kDollar, kPerGbitMaxMicrocredits};
const std::array<int64_t, 14> kLatencies = {
    0,       1,       74'000,  77'000,    96'000,    700'000,   749'999,
    750'000, 750'001, 751'000, 1'200'000, 1'999'999, 2'000'000, 1'000'000'000'000};
const std::array<int64_t, 9> kJitters = {
    0, 1, 10, 1'000, 20'000, 50'000, 100'000, 750'000, 1'000'000'000'000};
const UtilityGrid kGrid = {Axis(kThroughputs), Axis(kPrices), Axis(kLatencies), Axis(kJitters)};

class FourUtilities : public ::testing::TestWithParam<UtilityKind> {};

TEST_P(FourUtilities, AProgramThatStopsRatherThanLoseKeepsAllAxioms) {
  const Utility utility{.kind = GetParam()};
  const auto violation = FindAxiomViolation(kGrid, [&](const Performance& p, Microcredits price) {
    return ProfitPerSecond(utility, p, price);
  });
  EXPECT_EQ(violation.axiom, Axiom::kNone) << AxiomName(violation.axiom);
}

TEST_P(FourUtilities, AsPublishedTheyKeepThemWhileNothingCosts) {
  const Utility utility{.kind = GetParam(), .delta_microcredits = 5 * kDollar};
  UtilityGrid free = kGrid;
  free.prices_microcredits.count = 1;
  const auto violation = FindAxiomViolation(free, [&](const Performance& p, Microcredits price) {
    return UtilityPerSecond(utility, p, price);
  });
  EXPECT_EQ(violation.axiom, Axiom::kNone) << AxiomName(violation.axiom);
}

// What the formulas of the paper do where the price is above alpha: more throughput, more loss.
TEST_P(FourUtilities, AsPublishedTheyFallWithThroughputWhereThePriceIsAboveTheWorth) {
  const Utility utility{.kind = GetParam(), .gamma_microcredits = 0};
  UtilityGrid dear = kGrid;
  const std::array<int64_t, 1> price = {21 * kDollar};
  dear.prices_microcredits = Axis(price);
  const auto violation = FindAxiomViolation(dear, [&](const Performance& p, Microcredits at) {
    return UtilityPerSecond(utility, p, at);
  });
  EXPECT_EQ(violation.axiom, Axiom::kRisesWithThroughput);
  EXPECT_EQ(violation.first, (Performance{0, 0, 0}));
  EXPECT_EQ(violation.second, (Performance{1, 0, 0}));
  EXPECT_EQ(violation.first_utility, 0);
  EXPECT_EQ(violation.second_utility, -1);
}

INSTANTIATE_TEST_SUITE_P(, FourUtilities,
                         ::testing::Values(UtilityKind::kSimple, UtilityKind::kPenalty,
                                           UtilityKind::kRefund, UtilityKind::kBonus));

const std::array<int64_t, 3> kOneToThree = {1, 2, 3};
const UtilityGrid kSmall = {Axis(kOneToThree), Axis(kOneToThree), Axis(kOneToThree),
                            Axis(kOneToThree)};

TEST(Axioms, EachBrokenOneIsReportedWithItsValues) {
  const auto good = [](const Performance& p, Microcredits price) {
    return 100 * p.throughput_kbps - 20 * price - 5 * p.latency_ns - p.jitter_ns;
  };
  EXPECT_EQ(FindAxiomViolation(kSmall, good).axiom, Axiom::kNone);

  // Right everywhere but at one combination.
  const auto slow_at_two = [&](const Performance& p, Microcredits price) {
    const bool there =
        p.throughput_kbps == 2 && price == 3 && p.latency_ns == 1 && p.jitter_ns == 2;
    return there ? int64_t{-1'000} : good(p, price);
  };
  const auto throughput = FindAxiomViolation(kSmall, slow_at_two);
  EXPECT_EQ(throughput.axiom, Axiom::kRisesWithThroughput);
  EXPECT_EQ(throughput.first, (Performance{1, 1, 2}));
  EXPECT_EQ(throughput.second, (Performance{2, 1, 2}));
  EXPECT_EQ(throughput.first_price_microcredits, 3);
  EXPECT_EQ(throughput.second_price_microcredits, 3);
  EXPECT_EQ(throughput.first_utility, 100 - 60 - 5 - 2);
  EXPECT_EQ(throughput.second_utility, -1'000);

  const auto dear =
      FindAxiomViolation(kSmall, [](const Performance&, Microcredits price) { return price; });
  EXPECT_EQ(dear.axiom, Axiom::kFallsWithPrice);
  EXPECT_EQ(dear.first_price_microcredits, 1);
  EXPECT_EQ(dear.second_price_microcredits, 2);

  const auto late = FindAxiomViolation(
      kSmall, [](const Performance& p, Microcredits) { return p.latency_ns == 3 ? 8 : 7; });
  EXPECT_EQ(late.axiom, Axiom::kFallsWithLatency);
  EXPECT_EQ(late.first, (Performance{1, 2, 1}));
  EXPECT_EQ(late.second, (Performance{1, 3, 1}));
  EXPECT_EQ(late.second_utility, 8);

  const auto jittery =
      FindAxiomViolation(kSmall, [](const Performance& p, Microcredits) { return p.jitter_ns; });
  EXPECT_EQ(jittery.axiom, Axiom::kFallsWithJitter);
}

// A penalty of less than twice what comes late would pay a late program for more jitter: why
// WrongField refuses such a factor.
TEST(Axioms, APenaltyBelowTwoWouldRewardJitter) {
  const auto lenient = [](const Performance& p, Microcredits) {
    const double z = (2.0 - static_cast<double>(p.latency_ns)) / static_cast<double>(p.jitter_ns);
    return 1 - std::min(1.0, 1.0 * std::erfc(z / std::sqrt(2.0)) / 2);
  };
  const auto violation = FindAxiomViolation(kSmall, lenient);
  EXPECT_EQ(violation.axiom, Axiom::kFallsWithJitter);
  EXPECT_EQ(violation.first, (Performance{1, 3, 1}));
}

TEST(Axioms, NotANumberViolates) {
  const auto broken = [](const Performance& p, Microcredits) {
    return p.jitter_ns == 3 ? std::numeric_limits<double>::quiet_NaN() : 1.0;
  };
  EXPECT_EQ(FindAxiomViolation(kSmall, broken).axiom, Axiom::kFallsWithJitter);
}

TEST(Axioms, AnEmptyAxisLeavesNothingToTry) {
  UtilityGrid grid = kSmall;
  grid.jitters_ns.count = 0;
  const auto broken = [](const Performance& p, Microcredits) { return -p.throughput_kbps; };
  EXPECT_EQ(FindAxiomViolation(grid, broken).axiom, Axiom::kNone);
}

}  // namespace
}  // namespace nom::policies
