// SPDX-License-Identifier: Apache-2.0
#include "policies/bidding/utility.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "policies/bidding/normal_tail.h"
#include "tests/referee/random_auction.h"

namespace nom::policies {
namespace {

constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();
constexpr int64_t kHighest = std::numeric_limits<int64_t>::max();
constexpr Microcredits kDollar = 1'000'000;
constexpr int64_t kUs = 1'000;

// By hand, from the formulas as published: alpha = $20 a Gbit, limit 750 us, factor 100, beta = $10
// a Gbit and ms, gamma = $0.01 ms a Gbit.

TEST(Utility, SimplePaysWithinTheLimitAndNotAboveIt) {
  const Utility simple{.kind = UtilityKind::kSimple};
  // 2 Gbit/s * ($20 - $5).
  EXPECT_EQ(UtilityPerSecond(simple, {2'000'000, 750 * kUs, 0}, 5 * kDollar), 30 * kDollar);
  EXPECT_EQ(UtilityPerSecond(simple, {2'000'000, 750 * kUs + 1, 0}, 5 * kDollar), 0);
  EXPECT_EQ(WorthPerGbit(simple, {0, 750 * kUs, 999}), 20 * kDollar);
  EXPECT_EQ(WorthPerGbit(simple, {0, 750 * kUs + 1, 0}), 0);
}

TEST(Utility, PenaltyTakesBackForWhatComesLate) {
  const Utility penalty{.kind = UtilityKind::kPenalty};
  // Three deviations below the limit: N = .00134989803, 100 N = .134989803,
  // $20 * .865010197 = $17.300203(9).
  EXPECT_EQ(WorthPerGbit(penalty, {0, 600 * kUs, 50 * kUs}), 17'300'203);
  EXPECT_EQ(UtilityPerSecond(penalty, {1'000'000, 600 * kUs, 50 * kUs}, kDollar), 16'300'203);
  // Two and a half: 100 N = .620966533, $20 * .379033467 = $7.580669(3).
  EXPECT_EQ(WorthPerGbit(penalty, {0, 700 * kUs, 20 * kUs}), 7'580'669);
  // Two: 100 N is above 1, nothing is left, and the price is still paid.
  EXPECT_EQ(WorthPerGbit(penalty, {0, 700 * kUs, 25 * kUs}), 0);
  EXPECT_EQ(UtilityPerSecond(penalty, {1'000'000, 700 * kUs, 25 * kUs}, kDollar), -kDollar);
  EXPECT_EQ(ProfitPerSecond(penalty, {1'000'000, 700 * kUs, 25 * kUs}, kDollar), 0);
  EXPECT_EQ(WorthPerGbit(penalty, {0, 750 * kUs, 0}), 20 * kDollar);
  EXPECT_EQ(WorthPerGbit(penalty, {0, 750 * kUs + 1, 0}), 0);
}

TEST(Utility, RefundFallsWithLatencyDownToNothing) {
  const Utility refund{.kind = UtilityKind::kRefund};
  // $20 - $10 * .074 = $19.26; $20 - $10 * 2 = 0.
  EXPECT_EQ(WorthPerGbit(refund, {0, 74 * kUs, 0}), 19'260'000);
  EXPECT_EQ(UtilityPerSecond(refund, {500'000, 74 * kUs, 0}, kDollar), 9'130'000);
  EXPECT_EQ(WorthPerGbit(refund, {0, 2'000 * kUs - 1, 0}), 10);
  EXPECT_EQ(WorthPerGbit(refund, {0, 2'000 * kUs, 0}), 0);
  EXPECT_EQ(WorthPerGbit(refund, {0, 3'000 * kUs, 0}), 0);
}

TEST(Utility, BonusRisesAsLatencyFallsUpToItsMost) {
  const Utility bonus{.kind = UtilityKind::kBonus};
  // $20 + $.01 / .074 = $20.135135(1).
  EXPECT_EQ(WorthPerGbit(bonus, {0, 74 * kUs, 0}), 20'135'135);
  EXPECT_EQ(UtilityPerSecond(bonus, {1'000'000, 74 * kUs, 0}, 2 * kDollar), 18'135'135);
  EXPECT_EQ(WorthPerGbit(bonus, {0, 0, 0}), 20 * kDollar + kPerGbitMaxMicrocredits);
  const Utility capped{.kind = UtilityKind::kBonus, .delta_microcredits = 100'000};
  EXPECT_EQ(WorthPerGbit(capped, {0, 74 * kUs, 0}), 20'100'000);
  EXPECT_EQ(WorthPerGbit(capped, {0, 200 * kUs, 0}), 20'050'000);
  const Utility none{.kind = UtilityKind::kBonus, .gamma_microcredits = 0};
  EXPECT_EQ(WorthPerGbit(none, {0, 0, 0}), 20 * kDollar);
}

TEST(Utility, IsRoundedDownBelowZeroToo) {
  const Utility simple{.kind = UtilityKind::kSimple, .alpha_microcredits = 3};
  EXPECT_EQ(UtilityPerSecond(simple, {500'000, 0, 0}, 0), 1);   // 1.5
  EXPECT_EQ(UtilityPerSecond(simple, {500'000, 0, 0}, 6), -2);  // -1.5
  EXPECT_EQ(UtilityPerSecond(simple, {1'500'000, 0, 0}, 6), -5);
}

TEST(Utility, ARoundIsWorthItsSeconds) {
  const Utility simple{.kind = UtilityKind::kSimple};
  EXPECT_EQ(ValuePerRound(simple, {2'000'000, 0, 0}, 60'000'000), 2'400 * kDollar);
  EXPECT_EQ(ValuePerRound(simple, {1, 0, 0}, 1'500'000), 30);  // 20 a second.
  EXPECT_EQ(ValuePerRound(simple, {1, 0, 0}, 0), 0);
  const Utility dear{.kind = UtilityKind::kSimple, .alpha_microcredits = kPerGbitMaxMicrocredits};
  EXPECT_EQ(ValuePerRound(dear, {kThroughputMaxKbps, 0, 0}, kRoundMaxUs), kValueMaxMicrocredits);
}

TEST(Utility, TheFirstWrongFieldIsNamed) {
  EXPECT_EQ(WrongField(Utility{}), nullptr);
  EXPECT_STREQ(WrongField(Utility{.kind = static_cast<UtilityKind>(9)}), "kind");
  EXPECT_STREQ(WrongField(Utility{.alpha_microcredits = -1, .limit_ns = -1}), "alpha_microcredits");
  EXPECT_STREQ(WrongField(Utility{.limit_ns = kLatencyMaxNs + 1}), "limit_ns");
  EXPECT_STREQ(WrongField(Utility{.factor = 1}), "factor");
  EXPECT_STREQ(WrongField(Utility{.factor = 1'000'001}), "factor");
  EXPECT_STREQ(WrongField(Utility{.beta_microcredits = -1}), "beta_microcredits");
  EXPECT_STREQ(WrongField(Utility{.gamma_microcredits = kHighest}), "gamma_microcredits");
  EXPECT_STREQ(WrongField(Utility{.delta_microcredits = kLowest}), "delta_microcredits");
  EXPECT_EQ(WrongField(Performance{}), nullptr);
  EXPECT_STREQ(WrongField(Performance{.throughput_kbps = -1}), "throughput_kbps");
  EXPECT_STREQ(WrongField(Performance{.latency_ns = kLatencyMaxNs + 1}), "latency_ns");
  EXPECT_STREQ(WrongField(Performance{.jitter_ns = -1}), "jitter_ns");
}

TEST(Utility, NumbersOutOfRangeCountAsTheNearestAndWrongUtilitiesAsNothing) {
  for (const UtilityKind kind :
       {UtilityKind::kSimple, UtilityKind::kPenalty, UtilityKind::kRefund, UtilityKind::kBonus}) {
    const Utility utility{.kind = kind};
    for (const int64_t t : {kLowest, kHighest}) {
      for (const int64_t l : {kLowest, kHighest}) {
        for (const int64_t s : {kLowest, kHighest}) {
          const auto held = [](int64_t number, int64_t high) {
            return std::clamp<int64_t>(number, 0, high);
          };
          const Performance nearest{held(t, kThroughputMaxKbps), held(l, kLatencyMaxNs),
                                    held(s, kLatencyMaxNs)};
          for (const Microcredits p : {kLowest, kHighest}) {
            EXPECT_EQ(UtilityPerSecond(utility, {t, l, s}, p),
                      UtilityPerSecond(utility, nearest, held(p, kPerGbitMaxMicrocredits)));
          }
          EXPECT_EQ(ValuePerRound(utility, {t, l, s}, kHighest),
                    ValuePerRound(utility, nearest, kRoundMaxUs));
        }
      }
    }
    Utility wrong = utility;
    wrong.factor = -1;
    EXPECT_EQ(WorthPerGbit(wrong, {1, 1, 1}), 0);
    EXPECT_EQ(ValuePerRound(wrong, {1, 1, 1}, 1'000'000), 0);
  }
}

// The formulas in floating point, from random arguments within what double can tell apart.
TEST(Utility, IsTheFormulaWithinItsBound) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(20'000); seed < end; ++seed) {
    TestRandom random(seed);
    SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1");
    const Utility u{.kind = static_cast<UtilityKind>(random.Between(0, 3)),
                    .alpha_microcredits = random.Between(0, 100 * kDollar),
                    .limit_ns = random.Between(0, 2'000'000),
                    .factor = random.Between(2, 200),
                    .beta_microcredits = random.Between(0, 50 * kDollar),
                    .gamma_microcredits = random.Between(0, kDollar),
                    .delta_microcredits = random.Between(0, 10 * kDollar)};
    const Performance p{random.Between(0, 10'000'000), random.Between(1, 3'000'000),
                        random.Between(1, 500'000)};
    const auto alpha = static_cast<double>(u.alpha_microcredits);
    const auto latency = static_cast<double>(p.latency_ns);
    const double z = (static_cast<double>(u.limit_ns) - latency) / static_cast<double>(p.jitter_ns);
    const double late = std::erfc(z / std::sqrt(2.0)) / 2;
    double truth = 0;
    double above = 0;
    double below = 1;
    switch (u.kind) {
      case UtilityKind::kSimple:
        truth = p.latency_ns <= u.limit_ns ? alpha : 0;
        break;
      case UtilityKind::kPenalty:
        truth = alpha * (1 - std::min(1.0, static_cast<double>(u.factor) * late));
        above = static_cast<double>(u.factor) * alpha / std::exp2(32);
        below = static_cast<double>(u.factor) * alpha / std::exp2(21) + 1;
        break;
      case UtilityKind::kRefund:
        truth = std::max(0.0, alpha - static_cast<double>(u.beta_microcredits) * latency / 1e6);
        break;
      case UtilityKind::kBonus:
        truth = alpha + std::min(static_cast<double>(u.gamma_microcredits) * 1e6 / latency,
                                 static_cast<double>(u.delta_microcredits));
        break;
    }
    const auto worth = static_cast<double>(WorthPerGbit(u, p));
    ASSERT_LE(worth, truth + above + 1e-3);
    ASSERT_GE(worth, truth - below - 1e-3);
  }
}

}  // namespace
}  // namespace nom::policies
