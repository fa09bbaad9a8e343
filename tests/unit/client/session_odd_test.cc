// SPDX-License-Identifier: Apache-2.0
// Programs that nobody would write on purpose, against nom::testing::FakeMarket in real time: calls
// from within callbacks of other calls, what outlives its session, two that fight. Above all for
// the sanitizers.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "nom/joint.h"
#include "tests/unit/client/session_life_fixture.h"

namespace nom {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class SessionOddTest : public SessionLifeTest {};

TEST_F(SessionOddTest, CallsFromWithinCallsOfOtherCalls) {
  Shared shared;
  int done = 0;
  bool is_over = false;
  const auto session = Connect();
  Session* const raw = session.get();
  std::function<void(const BidResults&)> next = [&](const BidResults& results) {
    EXPECT_THAT(results, SizeIs(1));
    int number = 0;
    shared.Do([&] { number = ++done; });
    raw->OnRound([&](const Round&) { raw->OnRound(nullptr); });
    raw->OnPrices([&](const Prices&) { raw->OnStale(nullptr); });
    EXPECT_TRUE(raw->Bid(MemoryBid(2 + number % 7)).ok());
    if (number % 5 == 0) {
      EXPECT_TRUE(raw->Withdraw(Resource::kMemory).ok());
    }
    EXPECT_FALSE(raw->Close().ok());
    if (number == 20) {
      // Of another kind, and told in the same way.
      (void)raw->GetQuote({.units = {{Resource::kMemory, 1}}},
                          [&](const absl::StatusOr<Offer>& offer) {
                            EXPECT_TRUE(offer.ok()) << offer.status();
                            EXPECT_TRUE(raw->ListOffers().Wait().ok());
                            shared.Do([&] { is_over = true; });
                          });
      return;
    }
    raw->BidAsync({MemoryBid(1)}, next).Cancel();
  };
  (void)session->BidAsync({MemoryBid(1)}, next);
  shared.WaitUntil([&] { return is_over; });
  EXPECT_EQ(done, 20);
  market_.Decide();
}

TEST_F(SessionOddTest, CallsOutliveTheirSession) {
  auto session = Connect();
  market_.LoseCalls(1'000'000);
  const BidCall bids = session->BidAsync({MemoryBid(1), {.resource = Resource::kCpu}},
                                         [](const BidResults&) { ADD_FAILURE() << "it is closed"; },
                                         {.timeout = absl::InfiniteDuration()});
  const BidCall none = session->BidAsync({});
  const AsyncCall<Offer> quote =
      session->GetQuote({.units = {{Resource::kMemory, 1}}},
                        [](const absl::StatusOr<Offer>&) { ADD_FAILURE() << "it is closed"; },
                        {.timeout = absl::InfiniteDuration()});
  EXPECT_THAT(none.Wait(), IsEmpty());
  std::thread waits([&] { EXPECT_TRUE(absl::IsCancelled(bids.Wait()[0].status())); });
  std::thread waits_too([&] { EXPECT_TRUE(absl::IsCancelled(quote.Wait().status())); });
  session.reset();
  waits.join();
  waits_too.join();
  bids.Cancel();
  none.Cancel();
  quote.Cancel();
  EXPECT_TRUE(bids.done() && none.done() && quote.done());
  EXPECT_THAT(bids.Wait(), SizeIs(2));
}

TEST_F(SessionOddTest, ACallWithoutTimeIsOverBeforeItBegins) {
  const auto session = Connect();
  const int64_t writes = market_.write_calls();
  for (const absl::Duration timeout :
       {absl::ZeroDuration(), -absl::Seconds(1), -absl::InfiniteDuration()}) {
    const CallOptions none{.timeout = timeout};
    for (const absl::Status& status :
         {session->ListRounds(0, 20, none).status(), session->ListPrices({}, none).status(),
          session->GetStatement(0, 0, none).status(), session->Bid(MemoryBid(4), none).status(),
          session->ListOffers(0, nullptr, none).Wait().status()}) {
      EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
    }
  }
  EXPECT_EQ(market_.write_calls(), writes);
}

TEST_F(SessionOddTest, OptionsThatMeanNothingAreNamed) {
  const auto message = [](const SessionOptions& wrong) {
    return std::string(Session::Connect(wrong).status().message());
  };
  SessionOptions options = Options();
  options.unit_price_ceilings_microcredits[Resource{7}] = 1;
  EXPECT_THAT(message(options), HasSubstr("unit_price_ceilings_microcredits: 7 is no resource"));
  options = Options();
  options.pacing = PacingOptions{.bid_lifetime_rounds = 9};
  EXPECT_THAT(message(options), HasSubstr("pacing.bid_lifetime_rounds"));
}

TEST_F(SessionOddTest, ChanceOutOfRangeStopsNobody) {
  for (const double drawn : {std::numeric_limits<double>::quiet_NaN(),
                             std::numeric_limits<double>::infinity(), -1e300}) {
    SessionOptions options = Options();
    options.random = [drawn] { return drawn; };
    const auto session = Connect(std::move(options));
    market_.LoseCalls(3);
    EXPECT_TRUE(session->Bid(MemoryBid(4), {.timeout = absl::InfiniteDuration()}).ok());
  }
}

// The header says not to. They do, and lose nothing but calls.
TEST_F(SessionOddTest, TwoThatTakeOverInTheirCallbacksFightAndEnd) {
  std::atomic<int> left{40};
  std::vector<std::unique_ptr<Session>> sessions;
  for (int i = 0; i < 2; ++i) {
    sessions.push_back(Connect());
    Session* const session = sessions.back().get();
    session->OnBidEvent([&, session, i](const BidEvent& event) {
      if (event.change != BidChange::kTakenOver || --left < 0) return;
      // Who loses it again before it has it is told so by the call.
      do session->TakeOver();
      while (!session->Bid(MemoryBid(5 + i)).ok() && --left >= 0);
    });
  }
  for (const auto& session : sessions) ASSERT_TRUE(session->Bid(MemoryBid(1)).ok());
  Until([&] {
    market_.Refresh();  // Whose bids stand is told with what the market tells.
    return left < 0;
  });
  std::vector<StandingBid> standing;
  Until([&] {
    market_.Refresh();
    standing.clear();
    for (const auto& session : sessions) {
      for (const StandingBid& bid : session->standing_bids()) standing.push_back(bid);
    }
    return standing.size() == 1 && standing[0].confirmed;
  });
  EXPECT_THAT(market_.bids(), SizeIs(1));
  market_.Decide();
  EXPECT_EQ(market_.award_units(guest_, Resource::kMemory), standing[0].bid.ranges[0].max_units);
}

// A line that comes and goes under calls of all kinds: those with time enough are carried out, and
// once; others say why they were not; each round is told once, or missed.
TEST_F(SessionOddTest, ALineThatComesAndGoesUnderAllCallsLosesNoneOfThem) {
  constexpr size_t kTimes = 12;
  const CallOptions patient{.timeout = absl::InfiniteDuration()};
  Shared shared;
  std::vector<uint64_t> told;
  std::atomic<bool> is_over{false};
  std::atomic<size_t> taken{0};
  std::atomic<size_t> listed{0};
  const auto session = Connect();
  session->OnRound([&](const Round& round) { shared.Do([&] { told.push_back(round.round_id); }); });
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    for (int64_t units = 1; !is_over; units = 1 + units % 9) {
      const absl::Status status = session->Bid(MemoryBid(units), patient).status();
      // In safe mode none waits: it is refused, or told what came of it until then.
      EXPECT_TRUE(status.ok() || absl::IsFailedPrecondition(status) ||
                  absl::IsUnavailable(status) || absl::IsCancelled(status))
          << status;
      Until([&] { return is_over || !session->stale(); });
    }
  });
  threads.emplace_back([&] {
    const QuoteOptions wanted{.units = {{Resource::kCpu, 1}}, .rounds = 1'000};
    do {
      const absl::StatusOr<Offer> offer = session->GetQuote(wanted, nullptr, patient).Wait();
      ASSERT_TRUE(offer.ok()) << offer.status();
      const TakeOptions take{.offer_id = offer->offer_id};
      const absl::Status status = session->TakeOffer(take, nullptr, patient).Wait().status();
      EXPECT_TRUE(status.ok()) << status;
    } while (++taken < 900 && !is_over);  // As many as there are units.
  });
  threads.emplace_back([&] {
    const CallOptions hasty{.timeout = absl::Milliseconds(20)};
    do {
      for (const absl::Status& status :
           {session->ListRounds(0, 20, hasty).status(), session->ListPrices({}, hasty).status(),
            session->GetStatement(0, 0, hasty).status(),
            session->ListContracts(0, nullptr, hasty).Wait().status()}) {
        EXPECT_TRUE(status.ok() || absl::IsUnavailable(status) || absl::IsCancelled(status) ||
                    absl::IsDeadlineExceeded(status))
            << status;
      }
    } while (++listed < kTimes || !is_over);
  });
  for (size_t i = 0; i < kTimes; ++i) {
    market_.Stop();
    Until([&] { return session->state() == SessionState::kLost; });
    market_.Decide();
    market_.Start();
    Until([&] { return session->state() == SessionState::kLive; });
    market_.Decide();
  }
  is_over = true;
  for (std::thread& thread : threads) thread.join();
  // Of rounds that went by unseen, those that could not be asked for in time are counted.
  shared.WaitUntil([&] { return !told.empty() && told.back() == 2 * kTimes; });
  shared.Do([&] {
    EXPECT_EQ(std::adjacent_find(told.begin(), told.end(), std::greater_equal<>()), told.end());
    EXPECT_EQ(told.size() + session->counters().rounds_missed, 2 * kTimes);
  });
  EXPECT_THAT(market_.contracts(), SizeIs(taken.load())) << "each offer was taken once";
  Until([&] { return !session->stale(); });
  EXPECT_TRUE(session->Bid(MemoryBid(20), patient).ok());
  ASSERT_THAT(market_.bids(), SizeIs(1));
  EXPECT_EQ(market_.bids()[0].ranges[0].max_units, 20) << "the last that was wished for";
}

// More guests, resources and bundles than a market has: in calls of what it takes.
TEST_F(SessionOddTest, TablesOfEverySizeTravel) {
  market_.ClearJointly();
  std::vector<WorkingPoint> points;
  for (int64_t i = 1; i <= static_cast<int64_t>(kBundlesMax) + 4; ++i) {
    points.push_back({.knob = i,
                      .units = {{Resource::kCpu, i}, {Resource::kMemory, 1'000'000 - i}},
                      .value_microcredits = 1'000 + i});
  }
  std::vector<Bid> bids;
  for (int guest = 0; guest < 3; ++guest) bids.push_back({.guest_id = market_.AddGuest("guest")});
  const auto session = Connect();
  const Valuation table = BundlesOf(points, session->prices());
  for (Bid& bid : bids) bid.valuation = table;
  EXPECT_THAT(bids[0].valuation->bundles, SizeIs(kBundlesMax));
  for (const auto& result : session->BidAll(bids)) EXPECT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(market_.bids(), SizeIs(3));
  EXPECT_GE(market_.write_calls(), 2) << "two tables are as much as one call carries";
}

}  // namespace
}  // namespace nom
