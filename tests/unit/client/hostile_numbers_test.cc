// SPDX-License-Identifier: Apache-2.0
// Everything that a program can hand to the SDK's functions, at and beyond the ends of its range,
// not a number included: each call says what is wrong or gives an answer that keeps its promises.
// What is no such error but undefined, the sanitizers see.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "client/src/bid_book.h"
#include "client/src/bid_limits.h"
#include "client/src/session_options.h"
#include "nom/adviser.h"
#include "nom/contracts.h"
#include "nom/joint.h"
#include "nom/pacing.h"
#include "nom/profile.h"
#include "nom/session.h"
#include "nom/utility.h"

namespace nom {
namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

// Draws what nobody should hand in, and often enough what is in range.
class Hostile {
 public:
  explicit Hostile(uint64_t seed) : engine_(seed) {}

  bool OneIn(uint64_t n) { return engine_() % n == 0; }
  size_t Below(size_t n) { return engine_() % n; }
  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(engine_() % static_cast<uint64_t>(high - low + 1));
  }
  int64_t Integer() {
    static constexpr int64_t kEnds[] = {0,
                                        1,
                                        -1,
                                        kMin,
                                        kMin + 1,
                                        kMax,
                                        kMax - 1,
                                        kBidUnitsMax,
                                        kBidUnitsMax + 1,
                                        kBidUnitsMax - 1,
                                        kBidValueMaxMicrocredits,
                                        kBidValueMaxMicrocredits + 1,
                                        kBidValueMaxMicrocredits - 1,
                                        -kBidValueMaxMicrocredits,
                                        int64_t{1} << 32,
                                        (int64_t{1} << 31) - 1};
    switch (Below(4)) {
      case 0:
        return kEnds[Below(std::size(kEnds))];
      case 1:
        return static_cast<int64_t>(engine_());
      default:
        return Between(0, 1'000);
    }
  }
  // Mostly one that a bid may have.
  int64_t Units() { return OneIn(6) ? Integer() : Between(0, OneIn(3) ? kBidUnitsMax : 40); }
  int64_t Value() {
    return OneIn(6) ? Integer() : Between(0, OneIn(3) ? kBidValueMaxMicrocredits : 1'000);
  }
  int Int() { return static_cast<int>(OneIn(3) ? Integer() : Between(-2, 20)); }
  double Number() {
    static constexpr double kEnds[] = {0.0,
                                       -0.0,
                                       -1.0,
                                       1e-320,
                                       1e300,
                                       -1e300,
                                       std::numeric_limits<double>::infinity(),
                                       -std::numeric_limits<double>::infinity(),
                                       std::numeric_limits<double>::quiet_NaN(),
                                       std::numeric_limits<double>::max(),
                                       1e6,
                                       1e9,
                                       9.3e15};
    return OneIn(3) ? kEnds[Below(std::size(kEnds))] : static_cast<double>(Between(0, 2'000)) / 2;
  }
  absl::Duration Time() {
    const absl::Duration ends[] = {absl::ZeroDuration(),          absl::InfiniteDuration(),
                                   -absl::InfiniteDuration(),     absl::Nanoseconds(1),
                                   absl::Nanoseconds(-1),         absl::Hours(1),
                                   absl::Hours(1'000'000'000'000)};
    return OneIn(3) ? ends[Below(std::size(ends))] : absl::Seconds(Between(1, 60));
  }
  Resource AResource() {
    return OneIn(5) ? static_cast<Resource>(engine_() % 256) : kAllResources[Below(kResourceCount)];
  }
  std::map<Resource, int64_t> Needs() {
    std::map<Resource, int64_t> needs;
    for (size_t left = Below(4); left > 0; --left) needs[AResource()] = Units();
    return needs;
  }
  Prices SomePrices() {
    Prices prices;
    for (Price& price : prices.by_resource) {
      price = {.offered = !OneIn(4), .unit_price_microcredits = Value()};
    }
    return prices;
  }
  std::vector<WorkingPoint> Points() {
    std::vector<WorkingPoint> points;
    for (size_t left = Below(12); left > 0; --left) {
      points.push_back({.knob = Integer(), .units = Needs(), .value_microcredits = Value()});
    }
    return points;
  }
  std::vector<BidRange> Ranges() {
    std::vector<BidRange> ranges;
    int64_t units = 0;
    for (size_t left = Below(OneIn(9) ? 20 : 4); left > 0; --left) {
      const int64_t min = OneIn(5) ? Units() : units + 1;
      const int64_t max = OneIn(5) ? Units() : (min > kMax - 50 ? min : min + Between(0, 50));
      units = max > kMax - 60 ? 0 : max;
      ranges.push_back({min, max, Value(), OneIn(4) ? Integer() : Between(-5, 100)});
    }
    return ranges;
  }
  Bid ABid() {
    Bid bid{.guest_id = Below(3) + 3, .resource = AResource()};
    if (OneIn(2)) bid.budget_microcredits = Value();
    if (OneIn(3)) bid.rounds = static_cast<uint32_t>(Integer());
    if (OneIn(2)) {
      bid.ranges = Ranges();
      return bid;
    }
    Valuation& valuation = bid.valuation.emplace();
    if (OneIn(2)) valuation = BundlesOf(Points(), SomePrices());
    if (OneIn(2)) {
      valuation.bundles.push_back({.units = Needs(), .value_microcredits = Value()});
    }
    if (OneIn(3)) {
      valuation.combination = static_cast<Combination>(Below(7));
      valuation.curves[AResource()] = Ranges();
      valuation.curves[AResource()] = Ranges();
    }
    if (OneIn(3)) valuation.whole_value_microcredits = Value();
    if (OneIn(9)) bid.ranges = Ranges();
    return bid;
  }
  Utility AUtility() {
    if (OneIn(2)) return {.kind = static_cast<UtilityKind>(Below(5))};
    return {.kind = static_cast<UtilityKind>(Below(6)),
            .alpha_microcredits = Integer(),
            .limit_us = Number(),
            .factor = Integer(),
            .beta_microcredits = Integer(),
            .gamma_microcredits = Integer(),
            .delta_microcredits = Integer()};
  }
  Performance APerformance() { return {Number(), Number(), Number()}; }

 private:
  std::mt19937_64 engine_;
};

class HostileNumbersTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  static constexpr int kTimes = 4'000;

  // OK, or that an argument is wrong.
  static void ExpectNamed(const absl::Status& status) {
    if (status.ok()) return;
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_FALSE(status.message().empty());
  }

  Hostile hostile_{GetParam()};
};

TEST_P(HostileNumbersTest, AdviceIsABidThatTheMarketTakesWithinItsCapsOrAnError) {
  int bids = 0;
  for (int i = 0; i < kTimes; ++i) {
    SCOPED_TRACE(i);
    PriceHistory history(hostile_.Below(3) == 0 ? SIZE_MAX : hostile_.Below(80));
    for (size_t left = hostile_.Below(5); left > 0; --left) {
      Round round{.round_id = left == 1 ? UINT64_MAX : 9 - left, .reason = ""};
      round.resources.push_back({.resource = hostile_.AResource(),
                                 .supply_units = hostile_.Integer(),
                                 .sold_units = hostile_.Integer(),
                                 .price = {.offered = true,
                                           .unit_price_microcredits = hostile_.Integer(),
                                           .reserve_unit_price_microcredits = hostile_.Integer()}});
      round.awards.push_back({.guest_id = 1,
                              .resource = round.resources[0].resource,
                              .award_units = hostile_.Integer()});
      round.awards.push_back(round.awards[0]);
      (void)history.Note(round, round.resources[0].resource, hostile_.Below(2));
      (void)round.charge_microcredits();
    }
    if (const auto price = history.UnitPriceAbove(hostile_.Integer(), hostile_.Int())) {
      EXPECT_GE(*price, 0);
      EXPECT_LE(*price, kBidValueMaxMicrocredits);
    }
    std::vector<ValuePoint> valuation;
    int64_t units = 0;
    for (size_t left = hostile_.Below(hostile_.OneIn(50) ? 600 : 6); left > 0; --left) {
      const int64_t more = hostile_.OneIn(8) ? hostile_.Units() : hostile_.Between(1, 9);
      units =
          units > 2 * kBidUnitsMax || units < 0 || more > 2 * kBidUnitsMax ? more : units + more;
      valuation.push_back({units, hostile_.Value()});
    }
    AdviseOptions options{.shape = static_cast<BidShape>(hostile_.Below(7)),
                          .unit_price_microcredits = hostile_.Value(),
                          .history = hostile_.OneIn(2) ? &history : nullptr,
                          .history_percent = hostile_.Int(),
                          .charge_rule = static_cast<ChargeRule>(hostile_.Below(3))};
    if (hostile_.OneIn(2)) options.budget_microcredits = hostile_.Value();
    if (hostile_.OneIn(2)) options.ceiling_unit_price_microcredits = hostile_.Value();
    const absl::StatusOr<Advice> advice = Advise(valuation, options);
    ExpectNamed(advice.status());
    if (!advice.ok() || advice->ranges.empty()) continue;
    ++bids;
    EXPECT_EQ(client::CheckRanges(advice->ranges), absl::OkStatus());
    if (options.budget_microcredits) {
      EXPECT_LE(client::HighestValue(advice->ranges), *options.budget_microcredits);
    }
    EXPECT_GE(advice->expected_charge_microcredits, 0);
    EXPECT_LE(advice->best_units, kBidUnitsMax);
  }
  EXPECT_GT(bids, kTimes / 10);
}

TEST_P(HostileNumbersTest, PlansAreMadeOfWhatFits) {
  int plans = 0;
  for (int i = 0; i < kTimes; ++i) {
    SCOPED_TRACE(i);
    const std::vector<WorkingPoint> points = hostile_.Points();
    const Prices prices = hostile_.SomePrices();
    BundleOptions options;
    if (hostile_.OneIn(2)) options.budget_microcredits = hostile_.Integer();
    if (hostile_.OneIn(2)) {
      for (const Resource resource : kAllResources) {
        options.ceiling_unit_prices_microcredits[resource] = hostile_.Integer();
      }
    }
    for (const Bundle& bundle : BundlesOf(points, prices, options).bundles) {
      EXPECT_GT(bundle.value_microcredits, 0);
      EXPECT_LE(bundle.value_microcredits, kBidValueMaxMicrocredits);
      for (const auto& [resource, units] : bundle.units) {
        EXPECT_LE(units, kBidUnitsMax);
      }
      if (options.budget_microcredits) {
        EXPECT_LE(bundle.value_microcredits, *options.budget_microcredits);
      }
    }
    const absl::StatusOr<Planner> planner = Planner::Create(points);
    ExpectNamed(planner.status());
    if (!planner.ok()) continue;
    ++plans;
    (void)planner->BestWithin(hostile_.Needs());
    for (const auto& [resource, valuation] : planner->PlanAt(prices).valuations) {
      EXPECT_TRUE(prices[resource].offered);
      const auto advice = Advise(valuation, {.shape = BidShape::kSteps});
      EXPECT_TRUE(advice.ok()) << advice.status();
    }
  }
  EXPECT_GT(plans, kTimes / 20);
}

TEST_P(HostileNumbersTest, MeasurementsAndUtilitiesAreNumbersInRangeOrNamed) {
  for (int i = 0; i < kTimes; ++i) {
    SCOPED_TRACE(i);
    const Utility utility = hostile_.AUtility();
    const Performance performance = hostile_.APerformance();
    ExpectNamed(WorthPerGbit(utility, performance).status());
    ExpectNamed(ProfitPerSecond(utility, performance, hostile_.Integer()).status());
    const absl::StatusOr<int64_t> value = ValuePerRound(utility, performance, hostile_.Time());
    ExpectNamed(value.status());
    if (value.ok()) {
      EXPECT_GE(*value, 0);
      EXPECT_LE(*value, kBidValueMaxMicrocredits);
    }
    UtilityGrid grid;
    for (size_t left = hostile_.Below(4); left > 0; --left) {
      grid.throughputs_mbps.push_back(hostile_.Number());
      grid.gbit_prices_microcredits.push_back(hostile_.Integer());
      grid.latencies_us.push_back(hostile_.Number());
      grid.jitters_us.push_back(hostile_.Number());
    }
    const absl::Status status =
        CheckAxioms([&](const Performance&, int64_t) { return hostile_.Number(); }, grid);
    EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status) ||
                absl::IsFailedPrecondition(status));

    std::vector<ProfilePoint> profile;
    for (size_t left = hostile_.Below(5); left > 0; --left) {
      profile.push_back({.knob = hostile_.Integer(),
                         .load_mbps = hostile_.Number(),
                         .performance = hostile_.APerformance(),
                         .units = hostile_.Needs()});
    }
    const auto points = WorkingPointsAt(profile, utility, hostile_.Number(), hostile_.Time());
    ExpectNamed(points.status());
    const auto parsed = ParseProfile(FormatProfile(profile));
    ExpectNamed(parsed.status());
    if (points.ok()) {
      EXPECT_TRUE(parsed.ok()) << parsed.status() << " of what was taken as it is";
      EXPECT_TRUE(Planner::Create(*points).ok());
    }
  }
}

TEST_P(HostileNumbersTest, ALearnerLivesOnWhateverItIsTold) {
  for (int i = 0; i < 100; ++i) {
    SCOPED_TRACE(i);
    std::vector<KnobSetting> settings;
    for (size_t left = hostile_.Below(5); left > 0; --left) {
      settings.push_back({.knob = hostile_.Integer(), .units = hostile_.Needs()});
    }
    LearningOptions options;
    if (hostile_.OneIn(2)) {
      options = {.explore_one_in = hostile_.Int(),
                 .load_moved_percent = hostile_.Int(),
                 .samples_max = hostile_.Int(),
                 .half_life_rounds = hostile_.Int(),
                 .noise_percent = hostile_.Int()};
    }
    absl::StatusOr<KnobLearner> learner = KnobLearner::Create(settings, options);
    ExpectNamed(learner.status());
    if (!learner.ok()) continue;
    for (int round = 0; round < 60; ++round) {
      const auto chosen = learner->Choose(
          hostile_.AUtility(), hostile_.SomePrices(), hostile_.Number(), hostile_.Time(),
          hostile_.OneIn(2) ? std::optional(hostile_.Needs()) : std::nullopt);
      ExpectNamed(chosen.status());
      if (chosen.ok() && *chosen) {
        EXPECT_LT(**chosen, settings.size());
      }
      const size_t index = hostile_.OneIn(5) ? static_cast<size_t>(hostile_.Integer())
                                             : hostile_.Below(settings.size() + 1);
      ExpectNamed(
          learner->Measured(index, hostile_.Number(), hostile_.APerformance(), hostile_.Needs()));
    }
    for (const ProfilePoint& known : learner->Estimates()) {
      EXPECT_TRUE(std::isfinite(known.load_mbps) && std::isfinite(known.performance.latency_us));
    }
    ExpectNamed(
        learner->WorkingPointsAt(hostile_.AUtility(), hostile_.Number(), hostile_.Time()).status());
  }
}

TEST_P(HostileNumbersTest, APacerAllowsNothingBeyondItsBudget) {
  for (int i = 0; i < kTimes / 10; ++i) {
    SCOPED_TRACE(i);
    const PacingOptions options{.period_budget_microcredits = hostile_.Value(),
                                .period_rounds = hostile_.OneIn(3) ? hostile_.Integer() : 10,
                                .bid_lifetime_rounds = hostile_.OneIn(3) ? hostile_.Int() : 3};
    absl::StatusOr<BudgetPacer> pacer = BudgetPacer::Create(options);
    ExpectNamed(pacer.status());
    if (!pacer.ok()) continue;
    uint64_t round = 0;
    for (int step = 0; step < 60; ++step) {
      round = hostile_.OneIn(20) ? static_cast<uint64_t>(hostile_.Integer())
                                 : (round == UINT64_MAX ? 0 : round + hostile_.Below(3));
      const int64_t cap = pacer->Cap(round, hostile_.Int());
      ASSERT_GE(cap, 0);
      ASSERT_LE(cap, options.period_budget_microcredits);
      if (hostile_.OneIn(2)) {
        pacer->Placed(round, hostile_.Integer(), hostile_.Int());
      } else {
        pacer->Unsure(round, hostile_.Integer(), hostile_.Int());
      }
      if (hostile_.OneIn(2)) pacer->Told(round, hostile_.Integer());
      ASSERT_GE(pacer->spent_microcredits(), 0);
      ASSERT_GE(pacer->outstanding_microcredits(), 0);
    }
  }
}

TEST_P(HostileNumbersTest, ASessionSendsNothingThatTheMarketWouldRefuseForItsForm) {
  int sent = 0;
  for (int i = 0; i < kTimes / 4; ++i) {
    SCOPED_TRACE(i);
    client::BidBook::Limits limits;
    if (hostile_.OneIn(2)) {
      limits.budget_per_round_microcredits = std::max<int64_t>(0, hostile_.Integer());
    }
    for (size_t left = hostile_.Below(3); left > 0; --left) {
      limits.unit_price_ceilings_microcredits[kAllResources[hostile_.Below(kResourceCount)]] =
          std::max<int64_t>(0, hostile_.Integer());
    }
    if (hostile_.OneIn(3)) {
      limits.pacing = PacingOptions{.period_budget_microcredits = hostile_.Between(0, 5'000),
                                    .period_rounds = hostile_.Between(1, 9),
                                    .bid_lifetime_rounds = 1 + static_cast<int>(hostile_.Below(8))};
    }
    client::BidBook book(limits);
    book.OnLedger("a");
    book.OnRound(1 + hostile_.Below(9));
    book.OnGuests({3, 4, 5}, {});
    book.OnLease(7, static_cast<int>(hostile_.Integer()));
    for (int step = 0; step < 12; ++step) {
      const absl::Status status = book.Want(hostile_.ABid(), true).status();
      EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status) ||
                  absl::IsResourceExhausted(status))
          << status;
      if (limits.budget_per_round_microcredits) {
        ASSERT_LE(book.ReservedMicrocredits(), *limits.budget_per_round_microcredits);
      }
      const auto write = book.NextWrite(true);
      if (!write) continue;
      std::vector<client::BidBook::Placed> placed;
      for (const client::BidBook::Item& item : write->items) {
        placed.push_back({.status = {}, .round_id = static_cast<uint64_t>(hostile_.Integer())});
        if (!item.bid) continue;
        ++sent;
        EXPECT_EQ(client::CheckBid(*item.bid), absl::OkStatus());
        EXPECT_FALSE(client::WantsNothing(*item.bid));
      }
      book.OnWritten(*write, absl::OkStatus(), placed);
    }
  }
  EXPECT_GT(sent, kTimes / 10);
}

TEST_P(HostileNumbersTest, SumsAndOptionsOutOfRangeAreHeldOrNamed) {
  for (int i = 0; i < kTimes; ++i) {
    Offer offer;
    Statement statement;
    for (size_t left = hostile_.Below(4); left > 0; --left) {
      offer.lots.push_back({hostile_.AResource(), hostile_.Integer(), hostile_.Integer()});
      statement.lines.push_back(
          {.charge_microcredits = hostile_.Integer(), .rent_microcredits = hostile_.Integer()});
    }
    (void)ChargeOf(offer);
    (void)statement.charge_microcredits();
    (void)statement.rent_microcredits();
    EXPECT_FALSE(NamedCounters({.market_clock_ahead = hostile_.Time()}).empty());
    (void)ResourceName(hostile_.AResource());
    (void)AwardReasonText(static_cast<AwardReason>(hostile_.Int()));
    SessionOptions options{.target = "127.0.0.1:1",
                           .plaintext = true,
                           .connect_timeout = hostile_.Time(),
                           .call_timeout = hostile_.Time(),
                           .attempt_timeout = hostile_.Time(),
                           .backoff_min = hostile_.Time(),
                           .backoff_max = hostile_.Time(),
                           .bid_lifetime_rounds = static_cast<uint32_t>(hostile_.Integer())};
    if (hostile_.OneIn(2)) options.budget_per_round_microcredits = hostile_.Integer();
    if (hostile_.OneIn(2)) {
      options.unit_price_ceilings_microcredits[hostile_.AResource()] = hostile_.Integer();
    }
    if (hostile_.OneIn(2)) {
      options.pacing = PacingOptions{.period_budget_microcredits = hostile_.Integer(),
                                     .period_rounds = hostile_.Integer(),
                                     .bid_lifetime_rounds = hostile_.Int()};
    }
    const absl::Status status = client::CheckOptions(options);
    ExpectNamed(status);
    if (!status.ok()) continue;
    EXPECT_GT(options.call_timeout, absl::ZeroDuration());
    EXPECT_LT(options.backoff_max, absl::InfiniteDuration());
    for (const auto& [resource, ceiling] : options.unit_price_ceilings_microcredits) {
      EXPECT_TRUE(ParseResource(ResourceName(resource)).has_value());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, HostileNumbersTest, ::testing::Values(1, 2, 3),
                         [](const auto& param) { return "seed" + std::to_string(param.param); });

}  // namespace
}  // namespace nom
