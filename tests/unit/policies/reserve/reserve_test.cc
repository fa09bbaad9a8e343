// SPDX-License-Identifier: Apache-2.0
#include "policies/reserve/reserve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace nom::policies {
namespace {

using ::testing::StartsWith;

ReservePolicy Policy(ReserveKind kind, Microcredits floor, Microcredits ceiling) {
  ReservePolicy policy;
  policy.kind = kind;
  policy.floor_unit_price_microcredits = floor;
  policy.ceiling_unit_price_microcredits = ceiling;
  return policy;
}

Microcredits At(const ReservePolicy& policy, int64_t sold_units, int64_t capacity_units) {
  ReserveInput input;
  input.capacity_units = capacity_units;
  input.sold_units = sold_units;
  const auto output = NextReserve(policy, input);
  EXPECT_TRUE(output.ok()) << output.status();
  return output->reserve_unit_price_microcredits;
}

TEST(Reserve, NoneIsZeroAndFixedIsItsFloor) {
  EXPECT_EQ(At(Policy(ReserveKind::kNone, 0, 0), 5, 10), 0);
  EXPECT_EQ(At(Policy(ReserveKind::kFixed, 7, 0), 0, 10), 7);
  EXPECT_EQ(At(Policy(ReserveKind::kFixed, 7, 0), 10, 10), 7);
}

TEST(Reserve, UtilisationRisesFromTheKneeToTheCeiling) {
  ReservePolicy policy = Policy(ReserveKind::kUtilisation, 100, 300);
  EXPECT_EQ(At(policy, 0, 10), 100);
  EXPECT_EQ(At(policy, 5, 10), 200);
  EXPECT_EQ(At(policy, 10, 10), 300);
  EXPECT_EQ(At(policy, 0, 0), 100);
  policy.knee_ppm = 500'000;
  EXPECT_EQ(At(policy, 5, 10), 100);
  EXPECT_EQ(At(policy, 6, 10), 140);
  EXPECT_EQ(At(policy, 10, 10), 300);
}

TEST(Reserve, NamesAreTheOnesPublished) {
  EXPECT_EQ(ReserveName(ReserveKind::kNone), "none/1");
  EXPECT_EQ(ReserveName(ReserveKind::kFixed), "fixed/1");
  EXPECT_EQ(ReserveName(ReserveKind::kUtilisation), "utilisation/1");
  EXPECT_EQ(ReserveName(ReserveKind::kAr1Band), "ar1_band/1");
}

TEST(Reserve, BadParametersAreNamed) {
  EXPECT_THAT(std::string(ValidateReserve(Policy(ReserveKind::kFixed, -1, 0)).message()),
              StartsWith("floor_unit_price_microcredits: -1"));
  EXPECT_THAT(std::string(ValidateReserve(Policy(ReserveKind::kUtilisation, 5, 5)).message()),
              StartsWith("ceiling_unit_price_microcredits: 5 is outside [6, "));
  EXPECT_THAT(std::string(ValidateReserve(
                              Policy(ReserveKind::kAr1Band, 5, std::numeric_limits<int64_t>::max()))
                              .message()),
              StartsWith("ceiling_unit_price_microcredits: "));
  ReservePolicy knee = Policy(ReserveKind::kUtilisation, 1, 5);
  knee.knee_ppm = 1'000'000;
  EXPECT_THAT(std::string(ValidateReserve(knee).message()), StartsWith("knee_ppm: 1000000"));
  EXPECT_THAT(std::string(ValidateReserve(Policy(static_cast<ReserveKind>(9), 1, 2)).message()),
              StartsWith("kind: "));
  ReserveInput input;
  input.capacity_units = 3;
  input.sold_units = 4;
  EXPECT_THAT(std::string(NextReserve(Policy(ReserveKind::kNone, 0, 0), input).status().message()),
              StartsWith("sold_units: 4 is outside [0, 3]"));
}

std::vector<ReserveOutput> Walk(const ReservePolicy& policy, int rounds) {
  std::vector<ReserveOutput> walk;
  ReserveInput input;
  for (int i = 0; i < rounds; ++i) {
    input.round = static_cast<uint64_t>(i);
    const auto output = NextReserve(policy, input);
    EXPECT_TRUE(output.ok()) << output.status();
    walk.push_back(*output);
    input.last_reserve_unit_price_microcredits = output->reserve_unit_price_microcredits;
    input.last_change_microcredits = output->change_microcredits;
  }
  return walk;
}

TEST(Ar1Band, StartsAtTheFloorAndStaysInTheBandAndAlwaysMoves) {
  const ReservePolicy policy = Policy(ReserveKind::kAr1Band, 1'000, 9'000);
  const auto walk = Walk(policy, 5'000);
  EXPECT_EQ(walk[0], (ReserveOutput{1'000, 0}));
  double mean = 0;
  double lagged = 0;
  double square = 0;
  for (size_t i = 1; i < walk.size(); ++i) {
    const Microcredits price = walk[i].reserve_unit_price_microcredits;
    ASSERT_GE(price, 1'000);
    ASSERT_LE(price, 9'000);
    ASSERT_EQ(price - walk[i - 1].reserve_unit_price_microcredits, walk[i].change_microcredits);
    ASSERT_NE(walk[i].change_microcredits, 0);
    mean += static_cast<double>(price) / 5'000;
    lagged += static_cast<double>(walk[i].change_microcredits * walk[i - 1].change_microcredits);
    square += static_cast<double>(walk[i].change_microcredits * walk[i].change_microcredits);
  }
  // Changes pull back: that is the -0.7, weakened by the redraws at the edges.
  EXPECT_LT(lagged / square, -0.4);
  EXPECT_NEAR(mean, 5'000, 400);
}

TEST(Ar1Band, TheSameSeedGivesTheSameWalkForEver) {
  ReservePolicy policy = Policy(ReserveKind::kAr1Band, 1'000, 9'000);
  policy.seed = 42;
  const auto walk = Walk(policy, 5);
  std::vector<Microcredits> prices;
  prices.reserve(walk.size());
  for (const auto& step : walk) prices.push_back(step.reserve_unit_price_microcredits);
  // Recorded prices are explained by replaying the policy: these numbers can never change.
  EXPECT_EQ(prices, (std::vector<Microcredits>{1000, 4421, 4962, 7388, 7729}));
  policy.seed = 43;
  EXPECT_NE(Walk(policy, 5), walk);
}

TEST(Ar1Band, ABandTooNarrowToBeOneIsRefused) {
  for (Microcredits width : {1, 2, 3, 5, 99}) {
    EXPECT_THAT(
        std::string(ValidateReserve(Policy(ReserveKind::kAr1Band, 1'000, 1'000 + width)).message()),
        StartsWith("ceiling_unit_price_microcredits: " + std::to_string(1'000 + width) +
                   " is outside [1100, "));
  }
  EXPECT_TRUE(ValidateReserve(Policy(ReserveKind::kAr1Band, 1'000, 1'100)).ok());
  EXPECT_FALSE(ValidateReserve(
                   Policy(ReserveKind::kAr1Band, kValueMaxMicrocredits - 50, kValueMaxMicrocredits))
                   .ok());
}

struct WalkShape {
  double deviation = 0;  // Of changes, as a share of the band.
  double correlation = 0;
};

WalkShape ShapeOf(Microcredits width) {
  double lagged = 0;
  double square = 0;
  Microcredits last = 0;
  const auto walk = Walk(Policy(ReserveKind::kAr1Band, 1'000, 1'000 + width), 200'000);
  for (const ReserveOutput& step : walk) {
    lagged += static_cast<double>(step.change_microcredits) * static_cast<double>(last);
    square += static_cast<double>(step.change_microcredits) *
              static_cast<double>(step.change_microcredits);
    last = step.change_microcredits;
  }
  return {std::sqrt(square / static_cast<double>(walk.size())) / static_cast<double>(width),
          lagged / square};
}

TEST(Ar1Band, TheNarrowestBandWalksLikeAWideOne) {
  const WalkShape narrow = ShapeOf(kAr1BandWidthMin);
  const WalkShape wide = ShapeOf(1'000'000);
  EXPECT_NEAR(narrow.deviation, wide.deviation, 0.01 * wide.deviation);
  EXPECT_NEAR(narrow.correlation, wide.correlation, 0.01 * -wide.correlation);
}

TEST(Ar1Band, TheNarrowestBandAlwaysMovesToo) {
  const auto walk = Walk(Policy(ReserveKind::kAr1Band, 1'000, 1'000 + kAr1BandWidthMin), 20'000);
  for (size_t i = 1; i < walk.size(); ++i) ASSERT_NE(walk[i].change_microcredits, 0) << i;
}

TEST(Ar1Band, AMovedBandTakesTheWalkAlong) {
  // So far away that no draw would lead back.
  for (const auto& [last, nearest] :
       {std::pair<Microcredits, Microcredits>{50, 1'000}, {1'000'000, 9'000}}) {
    ReserveInput input;
    input.last_reserve_unit_price_microcredits = last;
    const auto output = NextReserve(Policy(ReserveKind::kAr1Band, 1'000, 9'000), input);
    ASSERT_TRUE(output.ok());
    EXPECT_GE(output->reserve_unit_price_microcredits, 1'000);
    EXPECT_LE(output->reserve_unit_price_microcredits, 9'000);
    EXPECT_EQ(output->reserve_unit_price_microcredits - nearest, output->change_microcredits);
  }
}

TEST(Ar1Band, ExtremeBandsDoNotOverflow) {
  const auto walk = Walk(Policy(ReserveKind::kAr1Band, 0, kValueMaxMicrocredits), 200);
  for (const auto& step : walk) {
    ASSERT_GE(step.reserve_unit_price_microcredits, 0);
    ASSERT_LE(step.reserve_unit_price_microcredits, kValueMaxMicrocredits);
  }
}

TEST(NormalMillionths, LooksNormal) {
  const int kCount = 100'000;
  double sum = 0;
  double square = 0;
  double fourth = 0;
  int within_one = 0;
  for (int i = 0; i < kCount; ++i) {
    const double z = static_cast<double>(NormalMillionths(7, static_cast<uint64_t>(i), 0)) / 1e6;
    sum += z;
    square += z * z;
    fourth += z * z * z * z;
    within_one += z > -1 && z < 1;
  }
  EXPECT_NEAR(sum / kCount, 0, 0.02);
  EXPECT_NEAR(square / kCount, 1, 0.02);
  EXPECT_NEAR(fourth / kCount, 3, 0.15);
  EXPECT_NEAR(static_cast<double>(within_one) / kCount, 0.6827, 0.01);
}

}  // namespace
}  // namespace nom::policies
