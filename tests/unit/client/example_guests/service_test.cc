// SPDX-License-Identifier: Apache-2.0
#include "client/examples/guests/service/service.h"

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "client/examples/guests/service/edit_distance.h"
#include "gtest/gtest.h"
#include "tests/unit/client/guest/fake_nomhv.h"

namespace nom::examples {
namespace {

using guest::FakeNomhv;

TEST(EditDistanceTest, KnownAnswers) {
  EXPECT_EQ(EditDistance("", ""), 0u);
  EXPECT_EQ(EditDistance("abc", ""), 3u);
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
  EXPECT_EQ(EditDistance("saturday", "sunday"), 3u);
  EXPECT_EQ(EditDistance("abcdef", "azced"), 3u);
}

// The definition, by recursion.
uint32_t Slowly(std::string_view left, std::string_view right) {
  if (left.empty()) return static_cast<uint32_t>(right.size());
  if (right.empty()) return static_cast<uint32_t>(left.size());
  if (left[0] == right[0]) return Slowly(left.substr(1), right.substr(1));
  return 1 + std::min({Slowly(left.substr(1), right), Slowly(left, right.substr(1)),
                       Slowly(left.substr(1), right.substr(1))});
}

TEST(EditDistanceTest, AgreesWithTheDefinition) {
  std::mt19937 random(11);
  for (int i = 0; i < 200; ++i) {
    std::string left(random() % 7, 'a');
    std::string right(random() % 7, 'a');
    for (char& c : left) c = static_cast<char>('a' + random() % 3);
    for (char& c : right) c = static_cast<char>('a' + random() % 3);
    ASSERT_EQ(EditDistance(left, right), Slowly(left, right)) << left << " " << right;
  }
}

TEST(ForecastTest, FindsTheRhythm) {
  for (size_t lag = 2; lag <= 8; ++lag) {
    Forecast forecast;
    for (size_t round = 0; round < 24; ++round) forecast.Note(round % lag == 0 ? 1000 : 100);
    EXPECT_EQ(forecast.Rhythm(), lag);
  }
  Forecast steady;
  for (int round = 0; round < 24; ++round) steady.Note(500);
  EXPECT_EQ(steady.Rhythm(), 0u);
  EXPECT_EQ(steady.ExpectedServed(10'000, 2), 500 * Forecast::kScale);
  EXPECT_EQ(Forecast().ExpectedServed(100, 2), 0u);
}

TEST(ForecastTest, ExpectsThePeakWhenItIsDue) {
  Forecast forecast;
  for (int round = 0; round < 21; ++round) forecast.Note(round % 4 == 0 ? 1000 : 100);
  // Round 20, a peak, was the last. Two on is a valley; four on would be the next peak.
  const uint64_t valley = forecast.ExpectedServed(1000, 2);
  forecast.Note(100);
  forecast.Note(100);
  const uint64_t peak = forecast.ExpectedServed(1000, 2);
  EXPECT_GT(peak, 2 * valley);
  EXPECT_EQ(forecast.Highest(2), 1000u);
}

TEST(ForecastTest, MoreCapacityServesMoreButEverLessSo) {
  Forecast forecast;
  std::mt19937 random(5);
  for (int round = 0; round < 24; ++round) forecast.Note(random() % 1000);
  uint64_t last = 0;
  uint64_t last_gain = 1'000'000'000;
  for (uint64_t capacity = 50; capacity <= 1200; capacity += 50) {
    const uint64_t served = forecast.ExpectedServed(capacity, 2);
    ASSERT_GE(served, last);
    ASSERT_LE(served - last, last_gain + 2);  // Rounding.
    last_gain = served - last;
    last = served;
  }
}

constexpr uint64_t kPeriodUs = 1'000'000;

class ServiceTest : public testing::Test {
 protected:
  // Each answer reads the clock twice: 200,000 cycles, so 10 millicores answer 50 a second.
  static constexpr uint64_t kReadCycles = 100'000;

  void Make(std::string_view arguments) {
    Service::Settings settings;
    ASSERT_EQ(settings.Parse(arguments).view(), "");
    nomhv_ = std::make_unique<FakeNomhv>(512, 512);
    nomhv_->tsc_per_read = kReadCycles;
    nomhv_->HoldMillicores(100, 100);
    round_ = 0;
    service_ = std::make_unique<Service>(nomhv_.get(), nomhv_->pages(),
                                         guest::Start{.tsc_hz = FakeNomhv::kTscHz}, settings);
  }
  // The guest runs on `millicores`: after each slice the clock goes on without it.
  void Rounds(int rounds, uint64_t millicores = 1000) {
    for (int i = 0; i < rounds; ++i) {
      nomhv_->BeginRound(++round_, kPeriodUs, 10, 10);
      const uint64_t end = nomhv_->tsc + kPeriodUs * 1000;
      while (nomhv_->tsc < end) {
        const uint64_t before = nomhv_->tsc;
        const uint64_t idle = service_->Turn();
        const uint64_t used = nomhv_->tsc - before;
        nomhv_->tsc = std::max(before + used * 1000 / millicores, std::min(idle, end));
      }
    }
  }
  void CheckBooks() {
    EXPECT_EQ(service_->arrived(),
              service_->answered() + service_->late() + service_->shed() + service_->waiting());
  }
  int64_t Wanted(int64_t price) { return policies::BestUnitsAt(service_->Offer(), price); }

  uint64_t round_ = 0;
  std::unique_ptr<FakeNomhv> nomhv_;
  std::unique_ptr<Service> service_;
};

TEST_F(ServiceTest, AnswersEverythingInTimeWhenItCan) {
  Make("rate=200 peak=300");
  Rounds(12);
  EXPECT_GT(service_->arrived(), 12u * 150);
  EXPECT_EQ(service_->late() + service_->shed(), 0u);
  EXPECT_GT(service_->answers_sum(), service_->answered());  // Random texts differ by more than 1.
  CheckBooks();
}

TEST_F(ServiceTest, EarnsForAnswersInTimeOnly) {
  Make("rate=1000 peak=600 answer_value=40 deadline_ms=100");
  Rounds(12, /*millicores=*/100);
  EXPECT_GT(service_->shed(), 1000u);
  EXPECT_EQ(service_->value_microcredits(), static_cast<int64_t>(service_->answered()) * 40);
  EXPECT_EQ(nomhv_->bid_page().value_microcredits,
            static_cast<int64_t>(nomhv_->bid_page().work_done) * 40);
  EXPECT_STREQ(nomhv_->bid_page().work_unit, "answers");
  CheckBooks();
}

// Without shedding an overloaded queue answers everything late; with it, about as much is answered
// in time as the processor can do.
TEST_F(ServiceTest, ShedsTheHopelessAndSoKeepsUpWithTheRest) {
  Make("rate=3000 peak=100 deadline_ms=100");
  Rounds(10, /*millicores=*/200);
  EXPECT_GT(service_->answered(), 10u * 500);
  EXPECT_LT(service_->late(), service_->answered() / 10);
  CheckBooks();
}

TEST_F(ServiceTest, BidsForPeaksAndLittleInValleys) {
  Make("rate=400 peak=600 peak_rounds=4");
  int64_t least = 1000;
  int64_t most = 0;
  Rounds(16);
  for (int i = 0; i < 8; ++i) {
    Rounds(1);
    const int64_t wanted = Wanted(500);
    least = std::min(least, wanted);
    most = std::max(most, wanted);
  }
  // The valley fits in the seed (500 a second); the peak is about 2,400.
  EXPECT_LE(least, 3);
  EXPECT_GE(most, 25);
  EXPECT_LE(most, 60);
}

TEST_F(ServiceTest, CertainRequestsAreWorthMoreThanUnlikelyOnes) {
  Make("rate=1500 peak=300 peak_rounds=4 answer_value=40");
  Rounds(20);
  const policies::RangeList offer = service_->Offer();
  ASSERT_GT(offer.count, 1);
  const policies::Range& first = offer.ranges[0];
  const policies::Range& last = offer.ranges[offer.count - 1];
  EXPECT_GT(first.unit_price_microcredits, 40 * 50 * 8 / 10);  // 50 answers, nearly certain.
  EXPECT_LT(last.unit_price_microcredits, first.unit_price_microcredits / 2);
  // A higher price is answered with less.
  EXPECT_GE(Wanted(10), Wanted(1000));
  EXPECT_GT(Wanted(10), Wanted(first.unit_price_microcredits + 1));
  EXPECT_EQ(Wanted(40 * 50 * 2), 0);
}

TEST_F(ServiceTest, BidsRiseWithTheAnswersValue) {
  Make("rate=1500 answer_value=40");
  Rounds(20);
  int64_t low = 0;
  ASSERT_TRUE(policies::ValueAt(service_->Offer(), 10, low));
  Make("rate=1500 answer_value=400");
  Rounds(20);
  int64_t high = 0;
  ASSERT_TRUE(policies::ValueAt(service_->Offer(), 10, high));
  EXPECT_NEAR(static_cast<double>(high), 10.0 * static_cast<double>(low), 20.0);
}

// A budget that cuts every peak down if each round has its own; over four rounds the valleys leave
// enough. Whatever is awarded, no four rounds cost more than theirs.
TEST_F(ServiceTest, ValleysSaveForPeaks) {
  constexpr int64_t kBudget = 40'000;
  const auto most_bid = [&](const std::string& pace) {
    Make("rate=400 peak=600 peak_rounds=4 answer_value=100 budget=40000" + pace);
    int64_t most = 0;
    int64_t spent = 0;
    for (int i = 0; i < 48; ++i) {
      Rounds(1);
      if (round_ % 4 == 0) spent = 0;  // A period begins at the rounds that 4 divides.
      const NomBid& bid = nomhv_->bid_page().bids[0];
      const int64_t budget = bid.range_count == 0 ? 0 : bid.budget_microcredits;
      most = std::max(most, budget);
      // All that was bid is charged; the board tells it for the round after.
      spent += budget;
      EXPECT_LE(spent, 4 * kBudget) << "round " << round_;
      nomhv_->guest_board().sequence += 2;
      nomhv_->guest_board().holdings[0].charge_microcredits = budget;
    }
    return most;
  };
  EXPECT_EQ(most_bid(""), kBudget);
  EXPECT_GT(most_bid(" pace_rounds=4"), kBudget * 3 / 2);
}

TEST_F(ServiceTest, StaysOnItsSeedWithoutAMarket) {
  Make("rate=200");
  for (int i = 0; i < 2000; ++i) {
    const uint64_t idle = service_->Turn();
    nomhv_->tsc = std::max(nomhv_->tsc, idle);
  }
  EXPECT_GT(service_->answered(), 100u);
  EXPECT_GT(nomhv_->bid_page().work_done, 0u);
  EXPECT_EQ(nomhv_->bid_page().bid_count, 0u);
  CheckBooks();
}

TEST_F(ServiceTest, ALongAbsenceDoesNotDrownIt) {
  Make("rate=2000");
  Rounds(2);
  nomhv_->tsc += 3'600'000'000'000;  // An hour.
  Rounds(2);
  EXPECT_GT(service_->shed(), 1'000'000u);
  EXPECT_LE(service_->waiting(), 4096u);
  CheckBooks();
}

}  // namespace
}  // namespace nom::examples
