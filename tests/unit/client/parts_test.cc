// SPDX-License-Identifier: Apache-2.0
// The small parts of the SDK: limits on bids, pauses, the price board, endpoints, the adviser.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <limits>
#include <thread>

#include "client/src/backoff.h"
#include "client/src/bid_limits.h"
#include "client/src/channel.h"
#include "client/src/convert.h"
#include "client/src/price_board.h"
#include "client/src/statement.h"
#include "nom/adviser.h"

namespace nom::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(TypesTest, NamesGoBothWays) {
  for (Resource resource : kAllResources) {
    EXPECT_EQ(ParseResource(ResourceName(resource)), resource);
    EXPECT_EQ(FromProto(ToProto(resource)), resource);
  }
  EXPECT_EQ(ParseResource("ram"), std::nullopt);
  EXPECT_EQ(ParseResource(""), std::nullopt);
  EXPECT_EQ(FromProto(market::v1::RESOURCE_KIND_UNSPECIFIED), std::nullopt);
  EXPECT_EQ(FromProto(static_cast<market::v1::ResourceKind>(7)), std::nullopt);
}

TEST(CheckRangesTest, TakesWhatTheMarketTakes) {
  EXPECT_TRUE(CheckRanges({{1, 10, 50, 50}}).ok());
  EXPECT_TRUE(CheckRanges({{0, 10, 0, 50}}).ok());
  EXPECT_TRUE(CheckRanges({{1, 10, 50, 50}, {10, 20, 500, 40}}).ok()) << "touching";
  EXPECT_TRUE(CheckRanges({{4, 4, 900, 0}, {8, 8, 1000, 0}}).ok()) << "steps with a gap";
  EXPECT_TRUE(CheckRanges({{1, 3, 100, -50}}).ok()) << "falling to 0";
}

TEST(CheckRangesTest, NamesTheFirstFieldThatIsWrong) {
  const auto message = [](std::vector<BidRange> ranges) {
    const absl::Status status = CheckRanges(ranges);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(message({}), HasSubstr("ranges"));
  EXPECT_THAT(message({{-1, 10, 0, 0}}), HasSubstr("ranges[0].min_units"));
  EXPECT_THAT(message({{5, 4, 0, 0}}), HasSubstr("ranges[0].max_units"));
  EXPECT_THAT(message({{1, kBidUnitsMax + 1, 0, 0}}), HasSubstr("ranges[0].max_units"));
  EXPECT_THAT(message({{1, 2, -1, 0}}), HasSubstr("ranges[0].value_at_min_microcredits"));
  EXPECT_THAT(message({{0, 2, 5, 0}}), HasSubstr("ranges[0].value_at_min_microcredits"));
  EXPECT_THAT(message({{1, 3, 99, -50}}), HasSubstr("ranges[0].unit_price_microcredits"));
  EXPECT_THAT(message({{1, kBidUnitsMax, 1, std::numeric_limits<int64_t>::max()}}),
              HasSubstr("ranges[0].unit_price_microcredits"))
      << "no overflow";
  EXPECT_THAT(message({{1, 10, 50, 50}, {9, 20, 500, 1}}), HasSubstr("ranges[1].min_units"));
  EXPECT_THAT(message({{1, 10, 50, 50}, {10, 20, 501, 1}}),
              HasSubstr("ranges[1].value_at_min_microcredits"));
  EXPECT_THAT(message(std::vector<BidRange>(17, {1, 1, 1, 0})), HasSubstr("ranges: 17"));
}

TEST(BidLimitsTest, CutCurveIsTheLowerOfCurveAndCeilingAtEachQuantity) {
  // 100 for the first ten, 20 from then on: crosses 60 a unit at 20 units.
  const std::vector<BidRange> ranges = {{1, 10, 100, 100}, {11, 60, 1020, 20}};
  const std::vector<BidRange> cut = CutToUnitPrice(ranges, 60);
  ASSERT_TRUE(CheckRanges(cut).ok());
  const auto value = [](const std::vector<BidRange>& curve, int64_t units) -> int64_t {
    for (const BidRange& range : curve) {
      if (units >= range.min_units && units <= range.max_units) {
        return range.value_at_min_microcredits +
               (units - range.min_units) * range.unit_price_microcredits;
      }
    }
    return -1;
  };
  for (int64_t units = 1; units <= 60; ++units) {
    EXPECT_EQ(value(cut, units), std::min(value(ranges, units), 60 * units)) << units;
  }
  EXPECT_THAT(CutToUnitPrice(ranges, 0), IsEmpty());
  EXPECT_EQ(HighestValue(ranges), 1020 + 49 * 20);
  EXPECT_EQ(HighestValue({{1, 3, 100, -50}}), 100) << "the highest need not be the last";
}

TEST(BackoffTest, DoublesUpToTheMostAndIsDrawnFromTheUpperHalf) {
  double chance = 0;
  Backoff backoff(absl::Milliseconds(100), absl::Milliseconds(350), [&] { return chance; });
  EXPECT_EQ(backoff.Next(), absl::Milliseconds(50));
  chance = 0.999999;
  EXPECT_GT(backoff.Next(), absl::Milliseconds(199));
  EXPECT_LE(backoff.Next(), absl::Milliseconds(350));
  chance = 0;
  EXPECT_EQ(backoff.Next(), absl::Milliseconds(175)) << "never above the most";
  backoff.Reset();
  EXPECT_EQ(backoff.Next(), absl::Milliseconds(50));
}

// Prices all of whose numbers are made of one.
Prices Uniform(int64_t number) {
  Prices prices;
  prices.round_id = static_cast<uint64_t>(number);
  prices.stale = number % 2 != 0;
  prices.valid_until = absl::FromUnixNanos(number);
  for (Price& price : prices.by_resource) {
    price.offered = number % 2 != 0;
    price.bound_by = static_cast<BoundBy>(number % 3);
    price.unit_price_microcredits = number;
    price.reserve_unit_price_microcredits = -number;
  }
  return prices;
}

void ExpectUniform(const Prices& prices) {
  const Prices expected = Uniform(static_cast<int64_t>(prices.round_id));
  ASSERT_EQ(prices.stale, expected.stale);
  ASSERT_EQ(prices.valid_until, expected.valid_until);
  for (size_t i = 0; i < kResourceCount; ++i) {
    const Price& price = prices.by_resource[i];
    ASSERT_EQ(price.offered, expected.by_resource[i].offered);
    ASSERT_EQ(price.bound_by, expected.by_resource[i].bound_by);
    ASSERT_EQ(price.unit_price_microcredits, expected.by_resource[i].unit_price_microcredits);
    ASSERT_EQ(price.reserve_unit_price_microcredits,
              expected.by_resource[i].reserve_unit_price_microcredits);
  }
}

TEST(PriceBoardTest, BeginsStale) {
  PriceBoard board;
  EXPECT_TRUE(board.IsStaleAt(absl::ZeroDuration()));
  EXPECT_TRUE(board.Read().stale);
  EXPECT_EQ(board.Read().round_id, 0u);
}

TEST(PriceBoardTest, GivesBackWhatWasWritten) {
  PriceBoard board;
  Prices prices;
  prices.round_id = 7;
  prices.stale = false;
  prices.valid_until = absl::FromUnixSeconds(99);
  for (size_t i = 0; i < kResourceCount; ++i) {
    prices.by_resource[i] = {.offered = i % 2 == 0,
                             .bound_by = static_cast<BoundBy>(i % 3),
                             .unit_price_microcredits = static_cast<int64_t>(i) * 11,
                             .reserve_unit_price_microcredits = static_cast<int64_t>(i) - 3};
  }
  board.Write(prices, absl::Seconds(8));
  const Prices read = board.Read();
  EXPECT_EQ(read.round_id, 7u);
  EXPECT_FALSE(read.stale);
  EXPECT_FALSE(board.IsStaleAt(absl::Seconds(8) - absl::Nanoseconds(1)));
  EXPECT_TRUE(board.IsStaleAt(absl::Seconds(8))) << "whoever writes, or not";
  EXPECT_EQ(read.valid_until, prices.valid_until);
  for (size_t i = 0; i < kResourceCount; ++i) {
    EXPECT_EQ(read.by_resource[i].offered, prices.by_resource[i].offered);
    EXPECT_EQ(read.by_resource[i].bound_by, prices.by_resource[i].bound_by);
    EXPECT_EQ(read.by_resource[i].bound_by, prices.by_resource[i].bound_by);
    EXPECT_EQ(read.by_resource[i].unit_price_microcredits, static_cast<int64_t>(i) * 11);
    EXPECT_EQ(board.UnitPrice(kAllResources[i]),
              i % 2 == 0 ? std::optional<int64_t>(i * 11) : std::nullopt);
    EXPECT_EQ(read.by_resource[i].reserve_unit_price_microcredits, static_cast<int64_t>(i) - 3);
  }
}

TEST(PriceBoardTest, WhatIsNoResourceHasNoPrice) {
  PriceBoard board;
  Prices prices;
  for (Price& price : prices.by_resource) price = {.offered = true, .unit_price_microcredits = 5};
  board.Write(prices);
  for (int none : {0, 7, 8, 255}) {
    EXPECT_EQ(board.UnitPrice(static_cast<Resource>(none)), std::nullopt) << none;
  }
}

TEST(PriceBoardTest, TimesWithoutEndComeBackAsSuch) {
  PriceBoard board;
  for (absl::Time time : {absl::InfiniteFuture(), absl::InfinitePast(), absl::UnixEpoch(),
                          absl::FromUnixNanos(1'764'450'000'123'456'789)}) {
    Prices prices;
    prices.valid_until = time;
    board.Write(prices);
    EXPECT_EQ(board.Read().valid_until, time);
  }
}

TEST(PriceBoardTest, ReadersNeverSeeTwoRoundsAtOnce) {
  PriceBoard board;
  board.Write(Uniform(1));
  std::atomic<bool> stop{false};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      uint64_t last = 0;
      while (!stop) {
        const Prices prices = board.Read();
        ExpectUniform(prices);
        ASSERT_GE(prices.round_id, last) << "rounds do not go back";
        last = prices.round_id;
      }
    });
  }
  for (int64_t number = 2; number < 100'000; ++number) board.Write(Uniform(number));
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(board.Read().round_id, 99'999u);
}

TEST(ChannelTest, LoopbackIsToldByItsSpelling) {
  for (const char* target : {"localhost:1", "127.0.0.1:7070", "127.255.0.3:1", "[::1]:5", "[::1]",
                             "unix:/run/nom.sock", "dns:///localhost:1", "ipv4:127.0.0.1:5"}) {
    EXPECT_TRUE(IsLoopback(target)) << target;
  }
  for (const char* target :
       {"", "example.com:1", "128.0.0.1:1", "127.0.0.1.evil.com:1", "127.0.0:1", "127.0.0.256:1",
        "localhost.evil.com:1", "[::2]:1", "[::1].evil:1", "10.0.0.1:1", "dns:///example.com:1",
        "ipv4:127.0.0.1:5,10.0.0.1:5"}) {
    EXPECT_FALSE(IsLoopback(target)) << target;
  }
}

TEST(ChannelTest, PlaintextToAnotherMachineIsRefused) {
  EXPECT_EQ(OpenChannel({.target = "example.com:1", .plaintext = true}).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(OpenChannel({}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(OpenChannel({.target = "example.com:1", .tls_roots_file = "/nowhere"}).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_TRUE(OpenChannel({.target = "localhost:1", .plaintext = true}).ok());
}

class TokenFileTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& content) {
    const std::string path = ::testing::TempDir() + "/nom_token_" + std::to_string(getpid());
    std::ofstream(path) << content;
    return path;
  }
};

TEST_F(TokenFileTest, IsOneLine) {
  EXPECT_EQ(*ReadTokenFile(Write("abc-123\n")), "abc-123");
  EXPECT_EQ(*ReadTokenFile(Write("abc-123")), "abc-123");
  EXPECT_EQ(*ReadTokenFile(Write("\xef\xbb\xbf"
                                 "abc-123\r\n")),
            "abc-123")
      << "of an editor elsewhere";
  for (const char* content : {"", "\n", "two\nlines\n", "a blank\n", "\x01\n"}) {
    const absl::Status status = ReadTokenFile(Write(content)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << content;
    EXPECT_THAT(status.message(), HasSubstr("nom_token_"));
    EXPECT_THAT(status.message(), Not(HasSubstr("two"))) << "the content is a secret";
  }
  EXPECT_EQ(ReadTokenFile(Write(std::string(5000, 'x'))).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReadTokenFile("/nowhere/token").status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(ReadTokenFile(::testing::TempDir()).ok()) << "a directory";
}

TEST(ConvertTest, TimesOutOfRangeAreTheNearestThatCanBeTold) {
  google::protobuf::Timestamp time;
  time.set_seconds(std::numeric_limits<int64_t>::max());
  time.set_nanos(-5);
  EXPECT_EQ(FromProto(time), absl::FromUnixSeconds(253'402'300'799));
}

TEST(AdviserTest, ShapesTheTruthAndFindsTheBestQuantity) {
  const absl::StatusOr<Advice> advice =
      Advise({{10, 1000}, {20, 1500}, {30, 1600}}, {.unit_price_microcredits = 30});
  ASSERT_TRUE(advice.ok()) << advice.status();
  // Marginal values are 100, 50 and 10: at 30 the first twenty are worth having.
  EXPECT_EQ(advice->best_units, 20);
  EXPECT_EQ(advice->best_value_microcredits, 1500);
  EXPECT_TRUE(CheckRanges(advice->ranges).ok());
  EXPECT_EQ(HighestValue(advice->ranges), 1600);
}

TEST(AdviserTest, HoldsBudgetAndCeiling) {
  absl::StatusOr<Advice> advice = Advise({{10, 1000}, {20, 1500}}, {.budget_microcredits = 700});
  ASSERT_TRUE(advice.ok());
  EXPECT_LE(HighestValue(advice->ranges), 700);
  EXPECT_GT(HighestValue(advice->ranges), 600);
  advice = Advise({{10, 1000}}, {.ceiling_unit_price_microcredits = 40});
  ASSERT_TRUE(advice.ok());
  EXPECT_EQ(HighestValue(advice->ranges), 400);
  EXPECT_THAT(Advise({{10, 1000}}, {.budget_microcredits = 0})->ranges, IsEmpty());
  EXPECT_THAT(Advise({}, {})->ranges, IsEmpty());
}

TEST(AdviserTest, StepsRefuseWhatLiesBetween) {
  const absl::StatusOr<Advice> advice = Advise({{4, 900}, {8, 1000}}, {.shape = BidShape::kSteps});
  ASSERT_TRUE(advice.ok());
  ASSERT_EQ(advice->ranges.size(), 2u);
  EXPECT_EQ(advice->ranges[0].min_units, 4);
  EXPECT_EQ(advice->ranges[0].max_units, 4);
  EXPECT_EQ(advice->ranges[1].min_units, 8);
}

TEST(AdviserTest, NamesTheFirstPointThatIsWrong) {
  EXPECT_THAT(Advise({{4, 900}, {3, 1000}}, {}).status().message(), HasSubstr("valuation[1]"));
  EXPECT_THAT(Advise({{4, -1}}, {}).status().message(), HasSubstr("valuation[0]"));
  EXPECT_THAT(Advise({{4, 1}}, {.unit_price_microcredits = -1}).status().message(),
              HasSubstr("unit_price_microcredits"));
  for (const int none : {-1, 5}) {
    EXPECT_THAT(Advise({{4, 1}}, {.shape = static_cast<BidShape>(none)}).status().message(),
                HasSubstr("shape: "));
  }
}

TEST(AdviserTest, PlansByWorkingPoints) {
  Prices prices;
  prices.by_resource[0] = {.offered = true, .unit_price_microcredits = 10};  // cpu
  prices.by_resource[1] = {.offered = true, .unit_price_microcredits = 1};   // memory
  const std::vector<WorkingPoint> points = {
      {.knob = 1, .units = {{Resource::kMemory, 10}}, .value_microcredits = 50},
      {.knob = 2,
       .units = {{Resource::kMemory, 10}, {Resource::kCpu, 5}},
       .value_microcredits = 80}};
  absl::StatusOr<Plan> plan = PlanWork(points, prices);
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_TRUE(plan->point.has_value());
  EXPECT_EQ(plan->point->knob, 1) << "30 more for 50 of processor is not worth it";
  prices.by_resource[0].unit_price_microcredits = 2;
  plan = PlanWork(points, prices);
  EXPECT_EQ(plan->point->knob, 2);
  ASSERT_TRUE(plan->valuations.count(Resource::kCpu));
  EXPECT_EQ(plan->valuations[Resource::kCpu].back().units, 5);
  EXPECT_EQ(plan->valuations[Resource::kCpu].back().value_microcredits, 30);
  EXPECT_FALSE(plan->valuations.count(Resource::kDisk));
  EXPECT_THAT(PlanWork({{.units = {{Resource::kCpu, -1}}}}, prices).status().message(),
              HasSubstr("points[0].units"));
}

TEST(StatementTest, OnlySettledRoundsAreInSums) {
  StatementMaker maker;
  const Award memory{.guest_id = 3,
                     .resource = Resource::kMemory,
                     .charge_microcredits = 999,
                     .settled_microcredits = 50,
                     .rent_microcredits = 7};
  Award cpu = memory;
  cpu.resource = Resource::kCpu;
  Award nothing = memory;
  nothing.guest_id = 9;
  nothing.settled_microcredits = nothing.rent_microcredits = 0;
  Round round{.round_id = 8, .phase = RoundPhase::kSettled, .awards = {memory, cpu, nothing}};
  maker.Add(round);
  round.round_id = 7;
  maker.Add(round);
  for (const RoundPhase open : {RoundPhase::kGrace, RoundPhase::kEffective}) {
    round.phase = open;
    ++round.round_id;
    maker.Add(round);
  }
  round.phase = RoundPhase::kReleased;
  maker.Add(round);
  const Statement statement = maker.Make();
  EXPECT_EQ(statement.first_round_id, 7u);
  EXPECT_EQ(statement.last_round_id, 8u);
  EXPECT_EQ(statement.settled_rounds, 2);
  EXPECT_EQ(statement.open_rounds, 2);
  ASSERT_EQ(statement.lines.size(), 2u);
  EXPECT_EQ(statement.lines[0], (StatementLine{.guest_id = 3,
                                               .resource = Resource::kCpu,
                                               .rounds = 2,
                                               .charge_microcredits = 100,
                                               .rent_microcredits = 14}));
  EXPECT_EQ(statement.charge_microcredits(), 200);
  EXPECT_EQ(statement.rent_microcredits(), 28);
}

TEST(StatementTest, SumsThatDoNotFitStayAtTheLargestNumber) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  StatementMaker maker;
  Round round{.round_id = 1,
              .phase = RoundPhase::kSettled,
              .awards = {{.guest_id = 1, .settled_microcredits = kMost}}};
  maker.Add(round);
  round.round_id = 2;
  maker.Add(round);
  EXPECT_EQ(maker.Make().charge_microcredits(), kMost);
}

}  // namespace
}  // namespace nom::client
