// SPDX-License-Identifier: Apache-2.0
#include "policies/forward/forward.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace nom::policies {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

ForwardInput Asking(int64_t units, int64_t rounds, const std::vector<Microcredits>& past) {
  return {.past_unit_prices_microcredits = past,
          .reserve_unit_price_microcredits = 10,
          .share_units = 100,
          .sold_units = 0,
          .units = units,
          .rounds = rounds};
}

TEST(PricePercentile, IsTheNearestRank) {
  const std::vector<Microcredits> prices = {50, 15, 40, 20, 35};
  EXPECT_EQ(PricePercentile(prices, 300'000), 20);
  EXPECT_EQ(PricePercentile(prices, 400'000), 20);
  EXPECT_EQ(PricePercentile(prices, 400'001), 35);
  EXPECT_EQ(PricePercentile(prices, 500'000), 35);
  EXPECT_EQ(PricePercentile(prices, 1'000'000), 50);
  EXPECT_EQ(PricePercentile(prices, 1), 15);
  EXPECT_EQ(PricePercentile({}, 500'000), 0);
}

TEST(Forward, AWorkedExample) {
  const ForwardPolicy policy = {.percentile_ppm = 500'000,
                                .rounds_max = 100,
                                .term_premium_ppm = 200'000,
                                .scarcity_premium_ppm = 1'000'000};
  const std::vector<Microcredits> past = {1'000, 500, 2'000};
  ForwardInput input = Asking(10, 50, past);
  // The median is 1,000. Half the longest term: a tenth on top. Ten of a hundred units: the unit at
  // place x pays x / 100 more, 5 % in the mean.
  EXPECT_EQ(*PriceForward(policy, input), (ForwardPrice{1'000, 10'000 + 1'000 + 500}));
  // The next ten pay 15 % in the mean.
  input.sold_units = 10;
  EXPECT_EQ(PriceForward(policy, input)->charge_microcredits, 10'000 + 1'000 + 1'500);
  // The reserve holds where nobody bid.
  input = Asking(10, 50, {});
  EXPECT_EQ(*PriceForward(policy, input), (ForwardPrice{10, 100 + 10 + 5}));
}

TEST(Forward, TheShareIsNeverExceededAndSaysWhatIsLeft) {
  ForwardInput input = Asking(41, 1, {});
  input.sold_units = 60;
  const absl::Status status = PriceForward({}, input).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(
      status.message(),
      "units: 41 are more than the 40 that may still be sold forward in these rounds, of 100");
  input.units = 40;
  EXPECT_TRUE(PriceForward({}, input).ok());
}

TEST(Forward, WhatIsOutOfRangeIsNamed) {
  const auto refused = [](ForwardPolicy policy, ForwardInput input) {
    const auto price = PriceForward(policy, input);
    EXPECT_EQ(price.status().code(), absl::StatusCode::kInvalidArgument) << price.status();
    return std::string(price.status().message());
  };
  const ForwardInput good = Asking(1, 1, {});
  ForwardPolicy policy;
  policy.percentile_ppm = 0;
  EXPECT_THAT(refused(policy, good), StartsWith("percentile_ppm: 0 is outside [1, 1000000]"));
  policy = {};
  policy.rounds_max = kForwardRoundsMax + 1;
  EXPECT_THAT(refused(policy, good), StartsWith("rounds_max: 100001"));
  policy = {};
  policy.term_premium_ppm = -1;
  EXPECT_THAT(refused(policy, good), StartsWith("term_premium_ppm: -1"));
  policy = {};
  policy.scarcity_premium_ppm = kForwardPremiumMaxPpm + 1;
  EXPECT_THAT(refused(policy, good), StartsWith("scarcity_premium_ppm: "));
  policy = {};
  policy.end_fee_ppm = 1'000'001;
  EXPECT_THAT(refused(policy, good), StartsWith("end_fee_ppm: 1000001"));

  ForwardInput input = good;
  input.units = 0;
  EXPECT_THAT(refused({}, input), StartsWith("units: 0"));
  input = good;
  input.rounds = 1'441;
  EXPECT_THAT(refused({}, input), StartsWith("rounds: 1441 is outside [1, 1440]"));
  input = good;
  input.sold_units = 101;
  EXPECT_THAT(refused({}, input), StartsWith("sold_units: 101"));
  input = good;
  input.reserve_unit_price_microcredits = -1;
  EXPECT_THAT(refused({}, input), StartsWith("reserve_unit_price_microcredits: -1"));
  const std::vector<Microcredits> past = {1, kValueMaxMicrocredits + 1};
  input.past_unit_prices_microcredits = past;
  input.reserve_unit_price_microcredits = 0;
  EXPECT_THAT(refused({}, input), StartsWith("past_unit_prices_microcredits: "));
}

TEST(Forward, TheDearestThatCanBeAskedForDoesNotWrap) {
  const std::vector<Microcredits> past = {kValueMaxMicrocredits};
  ForwardInput input = {.past_unit_prices_microcredits = past,
                        .reserve_unit_price_microcredits = 0,
                        .share_units = kUnitsMax,
                        .sold_units = 0,
                        .units = kUnitsMax,
                        .rounds = kForwardRoundsMax};
  const ForwardPolicy policy = {.percentile_ppm = 1'000'000,
                                .rounds_max = kForwardRoundsMax,
                                .term_premium_ppm = kForwardPremiumMaxPpm,
                                .scarcity_premium_ppm = kForwardPremiumMaxPpm};
  EXPECT_THAT(std::string(PriceForward(policy, input).status().message()),
              HasSubstr("cost more than"));
  const ForwardPolicy plain = {
      .rounds_max = kForwardRoundsMax, .term_premium_ppm = 0, .scarcity_premium_ppm = 0};
  input.units = 1;
  EXPECT_EQ(PriceForward(plain, input)->charge_microcredits, kValueMaxMicrocredits);
}

class ForwardProperties : public ::testing::Test {
 protected:
  int64_t Draw(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random_);
  }
  ForwardPolicy DrawPolicy() {
    return {.percentile_ppm = Draw(1, 1'000'000),
            .rounds_max = Draw(1, 2'000),
            .term_premium_ppm = Draw(0, 2'000'000),
            .scarcity_premium_ppm = Draw(0, 2'000'000),
            .end_fee_ppm = Draw(0, 1'000'000)};
  }
  std::mt19937_64 random_{20'261'130};
};

TEST_F(ForwardProperties, BuyingInPiecesCostsTheSameAndNeverLessThanTheBase) {
  for (int i = 0; i < 20'000; ++i) {
    const ForwardPolicy policy = DrawPolicy();
    std::vector<Microcredits> past(static_cast<size_t>(Draw(0, 9)));
    for (Microcredits& price : past) price = Draw(0, 1'000'000);
    ForwardInput input = {.past_unit_prices_microcredits = past,
                          .reserve_unit_price_microcredits = Draw(0, 1'000'000),
                          .share_units = Draw(1, 5'000),
                          .sold_units = 0,
                          .units = 0,
                          .rounds = Draw(1, policy.rounds_max)};
    input.sold_units = Draw(0, input.share_units - 1);
    const int64_t units = Draw(1, input.share_units - input.sold_units);
    input.units = units;
    const auto whole = PriceForward(policy, input);
    ASSERT_TRUE(whole.ok()) << whole.status();
    EXPECT_GE(whole->base_unit_price_microcredits, input.reserve_unit_price_microcredits);
    EXPECT_GE(whole->charge_microcredits, whole->base_unit_price_microcredits * units);

    Microcredits pieces = 0;
    for (int64_t left = units; left > 0; left -= input.units) {
      input.units = Draw(1, left);
      pieces += PriceForward(policy, input)->charge_microcredits;
      input.sold_units += input.units;
    }
    ASSERT_EQ(pieces, whole->charge_microcredits) << "case " << i;
  }
}

TEST_F(ForwardProperties, DearerForLongerForMoreSoldAndForDearerPasts) {
  for (int i = 0; i < 20'000; ++i) {
    const ForwardPolicy policy = DrawPolicy();
    std::vector<Microcredits> past(static_cast<size_t>(Draw(1, 9)));
    for (Microcredits& price : past) price = Draw(0, 1'000'000);
    ForwardInput input = {.past_unit_prices_microcredits = past,
                          .reserve_unit_price_microcredits = Draw(0, 1'000'000),
                          .share_units = 1'000,
                          .sold_units = Draw(0, 500),
                          .units = Draw(1, 400),
                          .rounds = Draw(1, policy.rounds_max)};
    const Microcredits charge = PriceForward(policy, input)->charge_microcredits;
    ForwardInput other = input;
    other.rounds = Draw(input.rounds, policy.rounds_max);
    EXPECT_GE(PriceForward(policy, other)->charge_microcredits, charge - 1);
    other = input;
    other.sold_units += Draw(0, 100);
    // Rounding up to a sum may be a micro-credit less for the later piece.
    EXPECT_GE(PriceForward(policy, other)->charge_microcredits, charge - 2);
    std::vector<Microcredits> dearer = past;
    dearer[static_cast<size_t>(Draw(0, static_cast<int64_t>(dearer.size()) - 1))] += 1'000;
    other = input;
    other.past_unit_prices_microcredits = dearer;
    EXPECT_GE(PriceForward(policy, other)->charge_microcredits, charge - 2);
  }
}

TEST_F(ForwardProperties, EndingNeverCostsMoreThanGoingOn) {
  for (int i = 0; i < 20'000; ++i) {
    const ForwardPolicy policy = DrawPolicy();
    const Microcredits charge = Draw(0, 1'000'000'000);
    const int64_t rounds = Draw(0, kForwardRoundsMax);
    const Microcredits fee = EndFee(policy, charge, rounds);
    EXPECT_GE(fee, 0);
    EXPECT_LE(fee, charge * rounds);
    EXPECT_GE(EndFee(policy, charge, std::min(kForwardRoundsMax, rounds + 1)), fee);
  }
  EXPECT_EQ(EndFee({.end_fee_ppm = 1'000'000}, kValueMaxMicrocredits, kForwardRoundsMax),
            std::numeric_limits<Microcredits>::max());
}

}  // namespace
}  // namespace nom::policies
