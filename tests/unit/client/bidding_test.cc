// SPDX-License-Identifier: Apache-2.0
// The SDK's way to policies/bidding: measurements in floating point, errors that name the field.
// What the numbers must be is tested in tests/unit/policies/bidding.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "nom/adviser.h"
#include "nom/pacing.h"
#include "nom/profile.h"
#include "nom/utility.h"

namespace nom {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(UtilityTest, IsThatOfTheFormulas) {
  // See utility_test.cc of policies/bidding for the sums.
  EXPECT_EQ(WorthPerGbit({.kind = UtilityKind::kSimple}, {.latency_us = 750}).value(), 20'000'000);
  EXPECT_EQ(
      WorthPerGbit({.kind = UtilityKind::kPenalty}, {.latency_us = 600, .jitter_us = 50}).value(),
      17'300'203);
  EXPECT_EQ(WorthPerGbit({.kind = UtilityKind::kRefund}, {.latency_us = 74}).value(), 19'260'000);
  EXPECT_EQ(WorthPerGbit({.kind = UtilityKind::kBonus}, {.latency_us = 74}).value(), 20'135'135);
  EXPECT_EQ(ProfitPerSecond({}, {.throughput_mbps = 2'000}, 5'000'000).value(), 30'000'000);
  EXPECT_EQ(ProfitPerSecond({}, {.throughput_mbps = 2'000}, 21'000'000).value(), 0);
  EXPECT_EQ(ValuePerRound({}, {.throughput_mbps = 2'000}, absl::Minutes(1)).value(), 2'400'000'000);
}

TEST(UtilityTest, WhatIsNoNumberOrOutOfRangeIsNamed) {
  const auto message = [](const Utility& utility, const Performance& performance) {
    const absl::Status status = WorthPerGbit(utility, performance).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  for (double wrong : {kNan, kInfinity, -kInfinity, -1.0, 1e300}) {
    EXPECT_THAT(message({}, {.throughput_mbps = wrong}), HasSubstr("performance.throughput_mbps"));
    EXPECT_THAT(message({}, {.latency_us = wrong}), HasSubstr("performance.latency_us"));
    EXPECT_THAT(message({}, {.jitter_us = wrong}), HasSubstr("performance.jitter_us"));
    EXPECT_THAT(message({.limit_us = wrong}, {}), HasSubstr("utility.limit_us"));
  }
  EXPECT_THAT(message({.alpha_microcredits = -1}, {}), HasSubstr("utility.alpha_microcredits"));
  EXPECT_THAT(message({.factor = 1}, {}), HasSubstr("utility.factor"));
  EXPECT_THAT(message({.kind = static_cast<UtilityKind>(7)}, {}), HasSubstr("utility.kind"));
  EXPECT_THAT(ProfitPerSecond({}, {}, -1).status().message(), HasSubstr("gbit_price_microcredits"));
  EXPECT_THAT(ValuePerRound({}, {}, absl::Hours(2)).status().message(), HasSubstr("round"));
  EXPECT_THAT(ValuePerRound({}, {}, -absl::InfiniteDuration()).status().message(),
              HasSubstr("round"));
}

TEST(AxiomsTest, AUtilityOfOnesOwnIsCheckedAndTheViolationTold) {
  const UtilityGrid grid{.throughputs_mbps = {1, 2},
                         .gbit_prices_microcredits = {0, 10},
                         .latencies_us = {50, 100.5},
                         .jitters_us = {0, 1}};
  const auto good = [](const Performance& p, int64_t price) {
    return p.throughput_mbps / (1 + p.latency_us + p.jitter_us) - static_cast<double>(price);
  };
  EXPECT_EQ(CheckAxioms(good, grid), absl::OkStatus());
  const auto likes_latency = [](const Performance& p, int64_t) { return p.latency_us; };
  const absl::Status status = CheckAxioms(likes_latency, grid);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(),
            "utility is not weakly falling in latency: 50 at 1 Mbit/s, 50 us, 0 us of jitter and a "
            "price of 0, but 100.5 at 1 Mbit/s, 100.5 us, 0 us of jitter and a price of 0");
  const auto broken = [](const Performance&, int64_t price) { return price == 10 ? kNan : 0; };
  EXPECT_THAT(CheckAxioms(broken, grid).message(), HasSubstr("price"));
}

TEST(AxiomsTest, AWrongGridIsNamed) {
  const auto flat = [](const Performance&, int64_t) { return 0.0; };
  UtilityGrid grid{.throughputs_mbps = {1, 2}, .latencies_us = {5, kNan}};
  EXPECT_THAT(CheckAxioms(flat, grid).message(), HasSubstr("grid.latencies_us[1]"));
  grid.latencies_us = {5, 5};
  EXPECT_THAT(CheckAxioms(flat, grid).message(), HasSubstr("grid.latencies_us[1]: does not rise"));
  grid.latencies_us = {};
  grid.gbit_prices_microcredits = {3, 2};
  EXPECT_THAT(CheckAxioms(flat, grid).message(), HasSubstr("grid.gbit_prices_microcredits[1]"));
}

const std::vector<ProfilePoint> kMemcached = {
    {.knob = 10, .performance = {38'000, 74}, .units = {{Resource::kCpu, 40}}},
    {.knob = 14, .performance = {40'000, 77}, .units = {{Resource::kCpu, 40}}},
    {.knob = 32, .performance = {38'000, 96}, .units = {{Resource::kCpu, 40}}}};

TEST(ProfileTest, WorkingPointsAreWhatTheUtilityMakesOfThem) {
  const absl::StatusOr<std::vector<WorkingPoint>> points =
      WorkingPointsAt(kMemcached, {.kind = UtilityKind::kRefund}, 1e6, absl::Seconds(1));
  ASSERT_TRUE(points.ok()) << points.status();
  // 40 Gbit/s * ($20 - $10 * .077): at these needs more than the others.
  EXPECT_THAT(*points, ElementsAre(AllOf(Field(&WorkingPoint::knob, 14),
                                         Field(&WorkingPoint::value_microcredits, 769'200'000))));
  EXPECT_EQ(points->at(0).units.at(Resource::kCpu), 40);
}

TEST(ProfileTest, WhatIsWrongIsNamed) {
  const auto message = [](const ProfilePoint& point) {
    return std::string(
        WorkingPointsAt({kMemcached[0], point}, {}, 1, absl::Seconds(1)).status().message());
  };
  EXPECT_THAT(message({.load_mbps = kNan}), HasSubstr("profile[1].load_mbps"));
  EXPECT_THAT(message({.performance = {.jitter_us = -1}}),
              HasSubstr("profile[1].performance.jitter_us"));
  EXPECT_THAT(message({.units = {{Resource::kDisk, -1}}}), HasSubstr("profile[1].units"));
  EXPECT_THAT(message({.units = {{static_cast<Resource>(9), 1}}}), HasSubstr("profile[1].units"));
  EXPECT_THAT(WorkingPointsAt({}, {}, kInfinity, absl::Seconds(1)).status().message(),
              HasSubstr("offered_mbps"));
  EXPECT_THAT(
      WorkingPointsAt(std::vector<ProfilePoint>(5'000), {}, 1, absl::Seconds(1)).status().message(),
      HasSubstr("5000"));
  EXPECT_THAT(*WorkingPointsAt({}, {}, 1, absl::Seconds(1)), IsEmpty());
}

TEST(ProfileTest, TextIsReadBackAsItWasWritten) {
  std::vector<ProfilePoint> profile = kMemcached;
  profile[1].load_mbps = 0.1;
  profile[1].performance.jitter_us = 1.0 / 3;
  profile[1].units[Resource::kMemory] = 12;
  const std::string text = FormatProfile(profile);
  const absl::StatusOr<std::vector<ProfilePoint>> read = ParseProfile(text);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(FormatProfile(*read), text);
  ASSERT_THAT(*read, SizeIs(3));
  EXPECT_EQ(read->at(1).performance.jitter_us, 1.0 / 3);
  EXPECT_EQ(read->at(1).units, profile[1].units);
  EXPECT_EQ(read->at(2).knob, 32);
}

TEST(ProfileTest, TextMayHaveCommentsAndErrorsNameTheLine) {
  EXPECT_THAT(*ParseProfile("\n # all\n14 0 320 77 9 cpu=40 # best\r\n\n"), SizeIs(1));
  const auto message = [](absl::string_view line) {
    return std::string(ParseProfile(absl::StrCat("\n", line)).status().message());
  };
  EXPECT_THAT(message("14 0 320 77"), HasSubstr("line 2: wants"));
  EXPECT_THAT(message("x 0 320 77 9"), HasSubstr("line 2: knob"));
  EXPECT_THAT(message("14 0 many 77 9"), HasSubstr("line 2: many"));
  EXPECT_THAT(message("14 0 320 nan 9"), HasSubstr("line 2: performance.latency_us"));
  EXPECT_THAT(message("14 inf 320 7 9"), HasSubstr("line 2: load_mbps"));
  EXPECT_THAT(message("14 0 320 77 9 ram=4"), HasSubstr("line 2: ram=4"));
  EXPECT_THAT(message("14 0 320 77 9 cpu=4 cpu=5"), HasSubstr("line 2: cpu: given twice"));
  EXPECT_THAT(message("14 0 320 77 9 cpu=-4"), HasSubstr("line 2: units"));
}

TEST(KnobLearnerTest, LearnsWhatToRun) {
  absl::StatusOr<KnobLearner> learner = KnobLearner::Create(
      {{.knob = 1, .units = {{Resource::kCpu, 2}}}, {.knob = 2, .units = {{Resource::kCpu, 4}}}},
      {.explore_one_in = 2});
  ASSERT_TRUE(learner.ok()) << learner.status();
  Prices prices;
  prices.by_resource[0] = {.offered = true, .unit_price_microcredits = 1'000'000};
  const Utility simple;
  const auto choose = [&](std::optional<std::map<Resource, int64_t>> held = std::nullopt) {
    return learner->Choose(simple, prices, 1'000, absl::Seconds(1), held).value();
  };
  for (int i = 0; i < 4; ++i) {
    const std::optional<size_t> now = choose();
    ASSERT_TRUE(now.has_value());
    ASSERT_EQ(learner->Measured(*now, 1'000, {.throughput_mbps = *now == 0 ? 400.0 : 800.0},
                                {{Resource::kCpu, *now == 0 ? 2 : 4}}),
              absl::OkStatus());
  }
  // 400 Mbit/s earn $8 for $2 of processor, 800 Mbit/s $16 for $4.
  EXPECT_EQ(choose(), 1u);
  EXPECT_EQ(choose(std::map<Resource, int64_t>{{Resource::kCpu, 3}}), 0u);
  EXPECT_EQ(choose(std::map<Resource, int64_t>{}), std::nullopt);
  EXPECT_THAT(learner->Estimates(), SizeIs(2));
  const auto points = learner->WorkingPointsAt(simple, 1'000, absl::Seconds(1));
  ASSERT_TRUE(points.ok()) << points.status();
  ASSERT_THAT(*points, SizeIs(2));
  EXPECT_EQ(points->at(1).value_microcredits, 16'000'000);
  const Plan plan = *PlanWork(*points, prices);
  EXPECT_EQ(plan.point->knob, 2);

  EXPECT_THAT(learner->Measured(2, 1, {}, {}).message(), HasSubstr("index"));
  EXPECT_THAT(learner->Measured(0, 1, {.latency_us = kNan}, {}).message(),
              HasSubstr("performance.latency_us"));
  EXPECT_THAT(learner->Choose(simple, prices, kNan, absl::Seconds(1)).status().message(),
              HasSubstr("offered_mbps"));
  EXPECT_THAT(KnobLearner::Create({}, {.samples_max = 0}).status().message(),
              HasSubstr("samples_max"));
  EXPECT_THAT(KnobLearner::Create({{.units = {{Resource::kCpu, -1}}}}).status().message(),
              HasSubstr("settings[0].units"));
}

TEST(KnobLearnerTest, WhatIsNotOnSaleIsNotTried) {
  absl::StatusOr<KnobLearner> learner = KnobLearner::Create(
      {{.knob = 1, .units = {{Resource::kMemory, 2}}}, {.knob = 2, .units = {{Resource::kCpu, 4}}}},
      {.explore_one_in = 2});
  ASSERT_TRUE(learner.ok()) << learner.status();
  Prices prices;
  const auto choose = [&] { return learner->Choose({}, prices, 1'000, absl::Seconds(1)).value(); };
  EXPECT_EQ(choose(), std::nullopt) << "nothing is";
  prices.by_resource[0].offered = true;  // cpu
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(choose(), 1u);
    ASSERT_EQ(learner->Measured(1, 1'000, {.throughput_mbps = 1}, {{Resource::kCpu, 4}}),
              absl::OkStatus());
  }
}

TEST(BudgetPacerTest, SpreadsABudget) {
  absl::StatusOr<BudgetPacer> pacer = BudgetPacer::Create(
      {.period_budget_microcredits = 100, .period_rounds = 10, .bid_lifetime_rounds = 1});
  ASSERT_TRUE(pacer.ok()) << pacer.status();
  EXPECT_EQ(pacer->Cap(10), 10);
  pacer->Placed(10, 10);
  EXPECT_EQ(pacer->outstanding_microcredits(), 10);
  pacer->Told(10, 4);
  EXPECT_EQ(pacer->spent_microcredits(), 4);
  EXPECT_EQ(pacer->Cap(11), 16);
  pacer->Unsure(11, 16);
  EXPECT_EQ(pacer->Cap(12), 10);
  EXPECT_THAT(BudgetPacer::Create({.period_rounds = 0}).status().message(),
              HasSubstr("period_rounds"));
}

// In which guest 3 has won so much, and guest 4 one unit.
nom::Round ARound(uint64_t round_id, int64_t sold, int64_t price, int64_t own = 0) {
  nom::Round market{
      .round_id = round_id,
      .resources = {},
      .awards = {{.guest_id = 3, .award_units = own}, {.guest_id = 4, .award_units = 1}},
      .reason = ""};
  market.resources.push_back({.resource = Resource::kMemory,
                              .supply_units = 30,
                              .sold_units = sold,
                              .price = {.offered = true,
                                        .unit_price_microcredits = price,
                                        .reserve_unit_price_microcredits = 5}});
  return market;
}

TEST(PriceHistoryTest, TellsWhatMoreUnitsAreLikelyToCost) {
  PriceHistory history(2);
  EXPECT_EQ(history.UnitPriceAbove(0), std::nullopt);
  EXPECT_FALSE(history.Note(ARound(0, 0, 0), Resource::kMemory)) << "no round yet";
  EXPECT_FALSE(history.Note(ARound(1, 0, 0), Resource::kDisk)) << "not sold here";
  EXPECT_TRUE(history.Note(ARound(1, 30, 80), Resource::kMemory));
  // Others have won 20 of 30 units, and each unit beyond the other 10 cost 9.
  EXPECT_TRUE(history.Note(ARound(2, 26, 9, 6), Resource::kMemory, 3));
  EXPECT_FALSE(history.Note(ARound(2, 26, 9, 6), Resource::kMemory, 3));
  EXPECT_FALSE(history.Note(ARound(1, 26, 9, 6), Resource::kMemory, 3)) << "of before";
  EXPECT_TRUE(history.Note(ARound(3, 26, 9, 5), Resource::kMemory)) << "all of the caller's own";
  ASSERT_THAT(history.rounds(), SizeIs(2)) << "the first is forgotten";
  EXPECT_EQ(history.UnitPriceAbove(9), 5);
  EXPECT_EQ(history.UnitPriceAbove(10), 9);
}

TEST(PriceHistoryTest, BeginsWithRoundsOfBefore) {
  const auto past = [](uint64_t round_id, int64_t sold, int64_t price) {
    PricedRound round{.round_id = round_id, .prices = {}};
    round.prices.push_back({.resource = Resource::kMemory,
                            .price = {.offered = true,
                                      .unit_price_microcredits = price,
                                      .reserve_unit_price_microcredits = 5},
                            .supply_units = 30,
                            .sold_units = sold,
                            .rule = "mpsp/1",
                            .reserve_policy = "fixed/1"});
    return round;
  };
  // Newest first, as they are listed; the history keeps the latest two of them, and what it was
  // told itself stays the later.
  PriceHistory history(2);
  EXPECT_EQ(history.NotePast({past(3, 20, 9), past(2, 10, 8), past(1, 30, 7)}, Resource::kDisk), 0u)
      << "not sold";
  EXPECT_EQ(history.NotePast({past(3, 20, 9), past(2, 10, 8), past(1, 30, 7)}, Resource::kMemory),
            3u);
  ASSERT_THAT(history.rounds(), SizeIs(2));
  EXPECT_EQ(history.rounds()[0].free_units, 20);
  EXPECT_EQ(history.rounds()[1].free_units, 10);
  EXPECT_EQ(history.rounds()[1].next_unit_price_microcredits, 9);
  EXPECT_EQ(history.rounds()[1].reserve_unit_price_microcredits, 5);
  EXPECT_EQ(history.NotePast({past(4, 0, 5), past(3, 20, 9)}, Resource::kMemory), 1u)
      << "pages may overlap";
  EXPECT_TRUE(history.Note(ARound(5, 26, 9, 6), Resource::kMemory, 3));
  EXPECT_FALSE(history.Note(ARound(4, 26, 9, 6), Resource::kMemory, 3));
}

TEST(AdviserTest, TheBestQuantityGoesByWhatIsLikelyToBeCharged) {
  PriceHistory history;
  ASSERT_TRUE(history.Note(ARound(2, 26, 9, 6), Resource::kMemory, 3));
  const std::vector<ValuePoint> worth = {{15, 150}};  // 10 for each.
  AdviseOptions options{.unit_price_microcredits = 5, .history = &history};
  absl::StatusOr<Advice> advice = Advise(worth, options);
  ASSERT_TRUE(advice.ok()) << advice.status();
  EXPECT_EQ(advice->best_units, 15);
  EXPECT_EQ(advice->expected_charge_microcredits, 10 * 5 + 5 * 9);
  options.charge_rule = ChargeRule::kOnePrice;
  advice = Advise(worth, options);
  EXPECT_EQ(advice->best_units, 10) << "five more would make all of them dearer";
  EXPECT_EQ(advice->expected_charge_microcredits, 50);
  ASSERT_THAT(advice->ranges, SizeIs(1)) << "the whole curve is bid all the same";
  EXPECT_EQ(advice->ranges[0].max_units, 15);
  options.history = nullptr;
  advice = Advise(worth, options);
  EXPECT_EQ(advice->best_units, 15);
  EXPECT_EQ(advice->expected_charge_microcredits, 75);
}

// What `units` are worth by a valuation, times the width of the part that they lie in.
double WorthOf(const std::vector<ValuePoint>& valuation, int64_t units) {
  ValuePoint a;
  for (const ValuePoint& b : valuation) {
    if (units <= b.units) {
      const double share =
          static_cast<double>(units - a.units) / static_cast<double>(b.units - a.units);
      return static_cast<double>(a.value_microcredits) +
             share * static_cast<double>(b.value_microcredits - a.value_microcredits);
    }
    a = b;
  }
  return 0;
}

// Whatever a market awards of advice, and whatever it charges for that, up to all that was bid.
TEST(AdviserTest, NoAwardOfAdviceCostsMoreThanItIsWorth) {
  const std::vector<ValuePoint> late = {{10, 0}, {20, 1'000}};
  AdviseOptions options{.unit_price_microcredits = 40, .budget_microcredits = 500};
  absl::StatusOr<Advice> advice = Advise(late, options);
  ASSERT_TRUE(advice.ok()) << advice.status();
  EXPECT_THAT(advice->ranges, IsEmpty()) << "each share of it, at its price, would be worth less";
  EXPECT_EQ(advice->best_units, 0);
  EXPECT_EQ(advice->above_valuation_microcredits, 0);
  options.shape = BidShape::kHull;
  advice = Advise(late, options);
  ASSERT_TRUE(advice.ok()) << advice.status();
  EXPECT_EQ(advice->best_units, 0) << "ten units for 400 are worth nothing";
  EXPECT_EQ(advice->above_valuation_microcredits, 330) << "and it says so";
  std::mt19937_64 random(7);
  const auto between = [&](int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random() % static_cast<uint64_t>(high - low + 1));
  };
  int64_t quantities = 0;
  for (int i = 0; i < 10'000; ++i) {
    SCOPED_TRACE(i);
    std::vector<ValuePoint> valuation;
    int64_t units = 0;
    for (int64_t left = between(1, 8); left > 0; --left) {
      valuation.push_back({units += between(1, 9), between(0, 1'000)});
    }
    options = {.shape = static_cast<BidShape>(i % 5), .unit_price_microcredits = between(0, 100)};
    if (i % 3 != 0) options.budget_microcredits = between(0, 1'000);
    if (i % 7 != 0) options.ceiling_unit_price_microcredits = between(0, 150);
    advice = Advise(valuation, options);
    ASSERT_TRUE(advice.ok()) << advice.status();
    const int64_t charge = advice->best_units * options.unit_price_microcredits;
    ASSERT_GE(WorthOf(valuation, advice->best_units) + 1e-6, static_cast<double>(charge));
    ASSERT_NEAR(static_cast<double>(advice->best_value_microcredits),
                WorthOf(valuation, advice->best_units), 1);
    if (options.budget_microcredits) {
      ASSERT_LE(charge, *options.budget_microcredits);
    }
    if (options.shape == BidShape::kHull) continue;
    ASSERT_EQ(advice->above_valuation_microcredits, 0);
    for (const BidRange& range : advice->ranges) {
      for (int64_t q = range.min_units; q <= range.max_units; ++q, ++quantities) {
        const int64_t bid =
            range.value_at_min_microcredits + (q - range.min_units) * range.unit_price_microcredits;
        ASSERT_LE(static_cast<double>(bid), WorthOf(valuation, q) + 1e-6) << q;
      }
    }
  }
  EXPECT_GT(quantities, 50'000);
}

TEST(PlannerTest, WhatIsNotOnSaleIsNotFree) {
  const absl::StatusOr<Planner> planner =
      Planner::Create({{.knob = 1, .units = {{Resource::kMemory, 10}}, .value_microcredits = 50},
                       {.knob = 2, .units = {{Resource::kCpu, 1}}, .value_microcredits = 40},
                       {.knob = 3,
                        .units = {{Resource::kMemory, 1}, {Resource::kCpu, 1}},
                        .value_microcredits = kBidValueMaxMicrocredits}});
  ASSERT_TRUE(planner.ok()) << planner.status();
  Prices prices;
  EXPECT_EQ(planner->BestAt(prices), std::nullopt);
  EXPECT_THAT(planner->PlanAt(prices).valuations, IsEmpty());
  prices.by_resource[0] = {.offered = true, .unit_price_microcredits = 10};  // cpu
  EXPECT_EQ(planner->BestAt(prices), 1u);
  const Plan plan = planner->PlanAt(prices);
  EXPECT_EQ(plan.point->knob, 2);
  ASSERT_THAT(plan.valuations, SizeIs(1));
  EXPECT_THAT(plan.valuations.at(Resource::kCpu),
              ElementsAre(Field(&ValuePoint::value_microcredits, 40)));
}

TEST(PricesTest, WhatIsNotOnSaleHasNoPrice) {
  Prices prices;
  prices.by_resource[0] = {.offered = true, .unit_price_microcredits = 7};
  prices.by_resource[1].unit_price_microcredits = 9;  // Left over from when it was.
  EXPECT_EQ(prices.UnitPrice(Resource::kCpu), 7);
  EXPECT_EQ(prices.UnitPrice(Resource::kMemory), std::nullopt);
  for (int none : {0, 7, 255}) {
    EXPECT_EQ(prices.UnitPrice(static_cast<Resource>(none)), std::nullopt);
    EXPECT_FALSE(prices[static_cast<Resource>(none)].offered);
  }
}

TEST(PlannerTest, IsMadeOnceAndAskedAgainAndAgain) {
  absl::StatusOr<Planner> planner =
      Planner::Create({{.knob = 7, .units = {{Resource::kMemory, 10}}, .value_microcredits = 50},
                       {.knob = 9, .units = {{Resource::kMemory, 12}}, .value_microcredits = 40},
                       {.knob = 8,
                        .units = {{Resource::kMemory, 10}, {Resource::kCpu, 5}},
                        .value_microcredits = 80}});
  ASSERT_TRUE(planner.ok()) << planner.status();
  const Planner moved = *std::move(planner);
  Prices prices;
  prices.by_resource[0] = {.offered = true, .unit_price_microcredits = 10};  // cpu
  prices.by_resource[1] = {.offered = true};                                 // memory
  EXPECT_EQ(moved.BestAt(prices), 0u);
  prices.by_resource[0].unit_price_microcredits = 5;
  EXPECT_EQ(moved.BestAt(prices), 2u);
  EXPECT_EQ(moved.points()[2].knob, 8);
  EXPECT_EQ(moved.PlanAt(prices).point->knob, 8);
  prices.by_resource[1].unit_price_microcredits = 6;
  EXPECT_EQ(moved.BestAt(prices), std::nullopt);
  EXPECT_EQ(moved.BestWithin({{Resource::kMemory, 15}}), 0u);
  EXPECT_EQ(moved.BestWithin({{Resource::kMemory, 15}, {Resource::kCpu, 5}}), 2u);
  EXPECT_EQ(moved.BestWithin({{Resource::kCpu, 100}}), std::nullopt);
  EXPECT_THAT(Planner::Create({{.value_microcredits = -1}}).status().message(),
              HasSubstr("points[0].value_microcredits"));
  EXPECT_THAT(Planner::Create({{}, {.units = {{static_cast<Resource>(0), 1}}}}).status().message(),
              HasSubstr("points[1].units"));
}

}  // namespace
}  // namespace nom
