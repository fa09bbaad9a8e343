// SPDX-License-Identifier: Apache-2.0
// A session against a market over real gRPC on the loopback.

#include "nom/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "nom/adviser.h"
#include "nom/pacing.h"
#include "tests/net/forwarder.h"
#include "tests/unit/client/fake_market.h"
#include "tests/unit/client/simulated_clock.h"

namespace nom {
namespace {

using client_test::FakeMarket;
using client_test::MakeGuest;
using client_test::MakeState;
using client_test::SimulatedSessionClock;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Collects what callbacks tell, and waits for it. Declared before the session: a callback may run
// until the session is gone.
template <typename T>
class Mailbox {
 public:
  void Put(T value) {
    std::lock_guard lock(mutex_);
    values_.push_back(std::move(value));
    changed_.notify_all();
  }
  std::vector<T> WaitFor(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return values_.size() >= count; });
    return values_;
  }
  // The first that is so; what was told before it may have been skipped.
  template <typename Wanted>
  T WaitUntil(const Wanted& wanted) {
    std::unique_lock lock(mutex_);
    for (;;) {
      for (const T& value : values_) {
        if (wanted(value)) return value;
      }
      changed_.wait(lock);
    }
  }
  std::vector<T> values() {
    std::lock_guard lock(mutex_);
    return values_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<T> values_;
};

class SessionTest : public ::testing::Test {
 protected:
  SessionTest() { Publish(5); }

  // A round whose prices are good for 4 simulated seconds.
  market::v1::WatchResponse Response(uint64_t round_id) {
    market::v1::WatchResponse response;
    response.set_sequence(round_id * 10);
    *response.mutable_state() = MakeState(round_id, 100 + static_cast<int64_t>(round_id), 30,
                                          clock_.Wall() + absl::Seconds(4));
    *response.add_guests() = MakeGuest(3, "cache");
    market::v1::Account* account = response.add_accounts();
    account->set_tenant_id("shop");
    account->set_available_microcredits(777);
    return response;
  }
  void Publish(uint64_t round_id) {
    market_.SetRound(round_id);
    market_.Publish(Response(round_id));
  }
  SessionOptions Options() {
    SessionOptions options;
    options.target = market_.target();
    options.plaintext = true;
    options.clock = &clock_;
    options.random = [] { return 0.5; };
    return options;
  }
  std::unique_ptr<Session> Connect(SessionOptions options) {
    absl::StatusOr<std::unique_ptr<Session>> session = Session::Connect(std::move(options));
    EXPECT_TRUE(session.ok()) << session.status();
    return session.ok() ? *std::move(session) : nullptr;
  }
  static Bid MemoryBid(int64_t units) {
    return {.resource = Resource::kMemory, .ranges = {{1, units, 100, 100}}};
  }
  market::v1::WatchResponse NoticeOf(uint64_t round_id, int64_t units_next) {
    market::v1::WatchResponse response;
    response.set_sequence(round_id * 10 + 1);
    market::v1::Notice* notice = response.add_notices();
    notice->set_guest_id(3);
    notice->set_round_id(round_id);
    notice->set_kind(market::v1::RESOURCE_KIND_MEMORY);
    notice->set_units_now(40);
    notice->set_units_next(units_next);
    return response;
  }

  SimulatedSessionClock clock_;
  FakeMarket market_;
};

// What a market may charge at most for a round: the budget of the last bid that takes part in it.
// Of withdrawals it knows nothing.
int64_t MostCharge(const std::vector<market::v1::PlaceBidRequest>& bids,
                   const std::vector<uint64_t>& placed_round_ids, uint64_t round_id) {
  int64_t most = 0;
  for (size_t i = 0; i < bids.size(); ++i) {
    const uint64_t first = placed_round_ids[i];
    if (first > round_id) break;
    const bool stands = round_id < first + bids[i].bid().expires_after_rounds();
    most = stands ? bids[i].bid().budget_microcredits() : 0;
  }
  return most;
}

// The recipe of nom/pacing.h, in a market that always charges all that it may. Work comes in one
// round of four.
TEST_F(SessionTest, APacedProgramKeepsItsBudgetAlsoWhenItHasNoWork) {
  constexpr int64_t kBudget = 60'000;
  constexpr uint64_t kPeriod = 8;
  const std::unique_ptr<Session> session = Connect(Options());
  absl::StatusOr<BudgetPacer> pacer = BudgetPacer::Create(
      {.period_budget_microcredits = kBudget, .period_rounds = static_cast<int64_t>(kPeriod)});
  ASSERT_TRUE(pacer.ok()) << pacer.status();
  Mailbox<Prices> told;
  session->OnPrices([&](const Prices& prices) { told.Put(prices); });
  std::vector<uint64_t> placed_round_ids;
  std::map<uint64_t, int64_t> charged;  // By period.
  for (uint64_t now = kPeriod; now < 5 * kPeriod; ++now) {
    Publish(now);
    (void)told.WaitUntil([&](const Prices& prices) { return prices.round_id + 1 == now; });
    const std::vector<ValuePoint> curve =
        now % 4 == 1 ? std::vector<ValuePoint>{{10, 1'000'000}} : std::vector<ValuePoint>{};

    const uint64_t round_id = session->market().round_id;
    const int64_t cap = pacer->Cap(round_id, 1);
    auto advice = Advise(curve, {.budget_microcredits = cap});
    ASSERT_TRUE(advice.ok()) << advice.status();
    auto round = session->Bid({.ranges = advice->ranges, .budget_microcredits = cap, .rounds = 1});
    ASSERT_TRUE(round.ok()) << round.status();
    if (!advice->ranges.empty()) {
      pacer->Placed(*round, cap, 1);
      placed_round_ids.push_back(*round);
    }

    ASSERT_EQ(round_id, now);
    const int64_t charge = MostCharge(market_.bids(), placed_round_ids, now);
    charged[now / kPeriod] += charge;
    pacer->Told(now, charge);
  }
  ASSERT_THAT(charged, SizeIs(4));
  for (const auto& [period, sum] : charged) {
    EXPECT_LE(sum, kBudget) << period;
    EXPECT_GT(sum, kBudget / 2) << "a round of four is enough to spend most of it";
  }
  EXPECT_THAT(session->standing_bids(), SizeIs(0));
}

// Moves the clock while a call is in its pauses. `meanwhile` keeps prices fresh by the clock that
// is moved, where that matters: a session that gets little processor time must not find them stale.
class MovingTime {
 public:
  explicit MovingTime(
      SimulatedSessionClock& clock, std::function<void()> meanwhile = [] {})
      : thread_([this, &clock, meanwhile = std::move(meanwhile)] {
          while (!stop_) {
            clock.Advance(absl::Milliseconds(1));
            meanwhile();
            std::this_thread::sleep_for(std::chrono::microseconds(200));
          }
        }) {}
  ~MovingTime() {
    stop_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

TEST_F(SessionTest, NothingIsSentWhileStale) {
  const std::unique_ptr<Session> session = Connect(Options());
  market_.FailBids(std::vector<grpc::Status>(20, {grpc::StatusCode::UNAVAILABLE, "busy"}));
  absl::StatusOr<uint64_t> round = 0;
  std::thread bidding([&] { round = session->Bid(MemoryBid(4)); });
  market_.WaitForBidCalls(1);
  clock_.Advance(absl::Seconds(5));  // Prices were good for four.
  bidding.join();
  EXPECT_EQ(round.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(market_.bid_calls(), 1);
  EXPECT_EQ(session->Bid(MemoryBid(4)).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(market_.bid_calls(), 1);
}

TEST_F(SessionTest, ARefusedRetryDoesNotHideThatTheFirstAttemptWasCarriedOut) {
  SessionOptions options = Options();
  options.budget_per_round_microcredits = 1'000;
  options.call_timeout = absl::InfiniteDuration();  // However far the clock gets ahead.
  const std::unique_ptr<Session> session = Connect(std::move(options));
  market_.FailBids({{grpc::StatusCode::UNAVAILABLE, "the answer is lost"},
                    {grpc::StatusCode::PERMISSION_DENIED, "the token has run out"}},
                   /*after_applying=*/true);
  market_.FailRenewals(1'000);  // One would say what stands before the retry is refused.
  Bid memory = MemoryBid(4);
  memory.budget_microcredits = 1'000;
  absl::StatusOr<uint64_t> round = 0;
  std::atomic<bool> done{false};
  std::thread bidding([&] {
    round = session->Bid(memory);
    done = true;
  });
  market_.WaitForBidCalls(1);
  while (!done) {
    clock_.Advance(absl::Milliseconds(10));  // To the retry.
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    Publish(5);  // Fresh by the clock that we move.
  }
  bidding.join();
  EXPECT_EQ(round.status().code(), absl::StatusCode::kPermissionDenied) << round.status();
  ASSERT_FALSE(market_.bids().empty()) << "the market holds 1,000";
  Bid cpu = MemoryBid(4);
  cpu.resource = Resource::kCpu;
  cpu.budget_microcredits = 800;
  EXPECT_EQ(session->Bid(cpu).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(SessionTest, ABidThatDidNotComeIsPlacedWhenTheMarketIsBack) {
  SessionOptions options = Options();
  options.call_timeout = absl::Seconds(1);
  const std::unique_ptr<Session> session = Connect(std::move(options));
  ASSERT_TRUE(session->Bid(MemoryBid(4)).ok());
  market_.FailBids(std::vector<grpc::Status>(100, {grpc::StatusCode::UNAVAILABLE, "starting"}));
  const BidCall call = session->BidAsync({MemoryBid(7)});
  while (session->counters().write_calls_failed == 0) std::this_thread::yield();
  std::atomic<uint64_t> round_id{5};
  MovingTime time(clock_, [&] { Publish(round_id); });
  EXPECT_EQ(call.Wait()[0].status().code(), absl::StatusCode::kUnavailable);
  market_.FailBids({});
  round_id = 6;
  market_.WaitForBids(2);
  EXPECT_EQ(market_.bids()[1].bid().ranges(0).max_units(), 7);
}

TEST_F(SessionTest, ABidWithoutRangesWithdraws) {
  const std::unique_ptr<Session> session = Connect(Options());
  EXPECT_EQ(session->Bid(MemoryBid(4)).value(), 5u);
  EXPECT_THAT(session->standing_bids(), SizeIs(1));
  const absl::StatusOr<uint64_t> none = session->Bid({.resource = Resource::kMemory});
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_EQ(*none, 5u);
  EXPECT_THAT(session->standing_bids(), IsEmpty());
  ASSERT_THAT(market_.withdrawals(), SizeIs(1));
  EXPECT_EQ(market_.withdrawals()[0].guest_id(), 3u);
  EXPECT_EQ(session->Bid({.resource = static_cast<Resource>(0)}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(SessionTest, ConnectGivesTheFirstSnapshot) {
  const std::unique_ptr<Session> session = Connect(Options());
  EXPECT_EQ(session->state(), SessionState::kLive);
  EXPECT_EQ(session->market().host_id, "m1");
  EXPECT_EQ(session->market().period, absl::Seconds(2));
  ASSERT_THAT(session->guests(), SizeIs(1));
  ASSERT_THAT(session->grants(), SizeIs(2));
  EXPECT_EQ(session->grants(3)[0].units(), 10);
  EXPECT_THAT(session->grants(99), IsEmpty());
  ASSERT_TRUE(session->account().has_value());
  EXPECT_EQ(session->account()->available_microcredits, 777);
}

TEST_F(SessionTest, PricesFollowTheMarket) {
  Mailbox<Prices> told;
  const std::unique_ptr<Session> session = Connect(Options());
  session->OnPrices([&](const Prices& prices) { told.Put(prices); });
  Publish(6);
  const Prices prices = told.WaitUntil([](const Prices& of) { return of.round_id == 5; });
  EXPECT_EQ(prices[Resource::kCpu].unit_price_microcredits, 106);
  EXPECT_EQ(session->prices()[Resource::kCpu].unit_price_microcredits, 106);
  EXPECT_EQ(session->UnitPrice(Resource::kCpu), 106);
  EXPECT_FALSE(session->stale());
}

TEST_F(SessionTest, ReconnectsByItselfAndAsksForWhatCameAfter) {
  Mailbox<bool> stale;
  const std::unique_ptr<Session> session = Connect(Options());
  session->OnStale([&](const Staleness& now) { stale.Put(now.stale); });
  EXPECT_FALSE(stale.WaitFor(1)[0]) << "the present";
  market_.Stop();
  EXPECT_TRUE(stale.WaitFor(2)[1]);
  EXPECT_TRUE(session->stale());
  EXPECT_TRUE(session->prices().stale);
  EXPECT_EQ(session->state(), SessionState::kLost);
  EXPECT_FALSE(session->last_error().ok());
  EXPECT_EQ(session->prices()[Resource::kCpu].unit_price_microcredits, 105) << "kept, but stale";
  market_.Start();
  Publish(7);
  // Pauses end when the simulated clock says so; gRPC's own are real.
  std::atomic<bool> back{false};
  std::thread time([&] {
    while (!back) {
      clock_.Advance(absl::Milliseconds(20));
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      Publish(7);  // Fresh by the clock that we move.
    }
  });
  EXPECT_FALSE(stale.WaitFor(3)[2]);
  back = true;
  time.join();
  EXPECT_EQ(session->UnitPrice(Resource::kCpu), 107);
  const std::vector<market::v1::WatchRequest> watches = market_.watches();
  ASSERT_GE(watches.size(), 2u);
  EXPECT_EQ(watches[0].after_sequence(), 0u);
  EXPECT_EQ(watches[1].after_sequence(), 50u);
}

TEST_F(SessionTest, SilenceIsSafeModeWhileTheStreamIsUp) {
  Mailbox<Staleness> told;
  const std::unique_ptr<Session> session = Connect(Options());
  session->OnStale([&](const Staleness& now) { told.Put(now); });
  // No attempt may take longer than prices are believed, in real time: so not at the last moment.
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(session->Bid(MemoryBid(4)).ok());
  clock_.Advance(absl::Seconds(2.9));
  EXPECT_FALSE(session->stale());
  clock_.Advance(absl::Seconds(0.1));
  EXPECT_TRUE(session->stale()) << "at once, whatever its threads do";
  EXPECT_TRUE(session->prices().stale);
  EXPECT_EQ(session->Bid(MemoryBid(5)).status().code(), absl::StatusCode::kFailedPrecondition);
  (void)told.WaitUntil([](const Staleness& staleness) { return staleness.stale; });
  const absl::StatusOr<uint64_t> bid = session->Bid(MemoryBid(5));
  EXPECT_EQ(bid.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(market_.bids(), SizeIs(1)) << "nothing was sent";
  EXPECT_TRUE(session->Withdraw(Resource::kMemory).ok()) << "less spending is always allowed";
}

TEST_F(SessionTest, AConnectionThatWasCutOffWithoutAWordIsReplaced) {
  testing::Forwarder forwarder(market_.target());
  SessionOptions options = Options();
  options.target = forwarder.address();
  Mailbox<bool> stale;
  const std::unique_ptr<Session> session = Connect(std::move(options));
  session->OnStale([&](const Staleness& now) { stale.Put(now.stale); });
  forwarder.Freeze();
  // Time by the simulated clock alone, so that gRPC's own pings, which are in real time, do not
  // come into it.
  std::atomic<bool> back{false};
  std::thread time([&] {
    while (!back) {
      clock_.Advance(absl::Milliseconds(50));
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      Publish(7);
    }
  });
  EXPECT_TRUE(stale.WaitFor(2)[1]) << "after the present, which is told first";
  EXPECT_FALSE(stale.WaitFor(3)[2]);
  back = true;
  time.join();
  EXPECT_GE(forwarder.connections(), 2);
}

TEST_F(SessionTest, NoticesAreToldOnceAlsoOverAReconnect) {
  Mailbox<Notice> told;
  const std::unique_ptr<Session> session = Connect(Options());
  session->OnNotice([&](const Notice& notice) { told.Put(notice); });
  market_.Tell(NoticeOf(5, 24));
  EXPECT_EQ(told.WaitFor(1)[0].units_next, 24);
  market_.Tell(NoticeOf(5, 24));  // As after a reconnect.
  market_.Tell(NoticeOf(6, 16));
  const std::vector<Notice> notices = told.WaitFor(2);
  ASSERT_THAT(notices, SizeIs(2));
  EXPECT_EQ(notices[1].round_id, 6u);
}

TEST_F(SessionTest, NoticesBeforeTheCallbackAreKeptTheLatestOfEach) {
  Mailbox<uint64_t> rounds;
  Mailbox<Notice> told;
  const std::unique_ptr<Session> session = Connect(Options());
  session->OnPrices([&](const Prices& prices) { rounds.Put(prices.round_id); });
  market_.Tell(NoticeOf(5, 24));
  market_.Tell(NoticeOf(6, 16));
  Publish(7);
  // So the notices before have been taken in.
  (void)rounds.WaitUntil([](uint64_t round_id) { return round_id == 6; });
  session->OnNotice([&](const Notice& notice) { told.Put(notice); });
  EXPECT_EQ(told.WaitFor(1)[0].units_next, 16);
  market_.Tell(NoticeOf(8, 30));
  EXPECT_THAT(told.WaitFor(2), SizeIs(2));
}

TEST_F(SessionTest, BidsCarryALifetimeAndAreRenewedOnceARound) {
  const std::unique_ptr<Session> session = Connect(Options());
  EXPECT_EQ(*session->Bid(MemoryBid(4)), 5u);
  ASSERT_THAT(market_.bids(), SizeIs(1));
  EXPECT_EQ(market_.bids()[0].bid().guest_id(), 3u);
  EXPECT_EQ(market_.bids()[0].bid().expires_after_rounds(), 3u);
  EXPECT_THAT(session->standing_bids(), SizeIs(1));
  EXPECT_TRUE(market_.bids()[0].bid().renewed());
  for (uint64_t round = 6; round < 9; ++round) {
    Publish(round);
    while (session->market().round_id != round) std::this_thread::yield();
    clock_.Advance(absl::Milliseconds(500));  // The first quarter of a round of two seconds.
    market_.WaitForRenewals(static_cast<int64_t>(round) - 5);
    // The pause after a renewal begins when its answer is there: time must not move before.
    while (session->counters().renewals != round - 5) std::this_thread::yield();
  }
  EXPECT_THAT(market_.bids(), SizeIs(1)) << "nothing is written again";
  while (session->standing_bids()[0].confirmed_through_round_id != 10) std::this_thread::yield();
  EXPECT_EQ(market_.renewals(), 3);
}

TEST_F(SessionTest, AWithdrawnBidIsNotRenewed) {
  const std::unique_ptr<Session> session = Connect(Options());
  ASSERT_TRUE(session->Bid(MemoryBid(4)).ok());
  EXPECT_TRUE(*session->Withdraw(Resource::kMemory));
  EXPECT_THAT(session->standing_bids(), IsEmpty());
  Bid cpu = MemoryBid(2);
  cpu.resource = Resource::kCpu;
  ASSERT_TRUE(session->Bid(cpu).ok());
  Publish(6);
  while (session->market().round_id != 6) std::this_thread::yield();
  clock_.Advance(absl::Milliseconds(500));
  market_.WaitForRenewals(1);
  EXPECT_THAT(market_.bids(), SizeIs(2));
  EXPECT_EQ(market_.bids()[1].bid().kind(), market::v1::RESOURCE_KIND_CPU);
}

TEST_F(SessionTest, WhatTheMarketForgotIsPlacedAgainAndARefusalIsTold) {
  Mailbox<BidEvent> told;
  const std::unique_ptr<Session> session = Connect(Options());
  session->OnBidEvent([&](const BidEvent& event) { told.Put(event); });
  ASSERT_TRUE(session->Bid(MemoryBid(4)).ok());
  market_.ForgetBids();
  market_.FailBids({grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "no money")});
  Publish(6);
  while (session->market().round_id != 6) std::this_thread::yield();
  clock_.Advance(absl::Milliseconds(500));
  const BidEvent refused =
      told.WaitUntil([](const BidEvent& event) { return event.change == BidChange::kRefused; });
  EXPECT_EQ(refused.status.message(), "no money");
  EXPECT_EQ(refused.bid.guest_id, 3u);
  Publish(7);
  market_.WaitForBids(2);  // Tried again in the next round.
  (void)told.WaitUntil([](const BidEvent& event) { return event.change == BidChange::kPlaced; });
}

TEST_F(SessionTest, ALostAnswerIsTriedAgain) {
  SessionOptions options = Options();
  options.call_timeout = absl::InfiniteDuration();  // However far the clock gets ahead.
  const std::unique_ptr<Session> session = Connect(std::move(options));
  const grpc::Status lost(grpc::StatusCode::UNAVAILABLE, "the line broke");
  market_.FailBids({lost, lost}, /*after_applying=*/true);
  MovingTime time(clock_, [this] { Publish(5); });
  EXPECT_EQ(*session->Bid(MemoryBid(4)), 5u);
  EXPECT_THAT(session->standing_bids(), SizeIs(1));
}

TEST_F(SessionTest, ARefusalIsNotTriedAgain) {
  const std::unique_ptr<Session> session = Connect(Options());
  market_.FailBids({grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "no money")});
  EXPECT_EQ(session->Bid(MemoryBid(4)).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(market_.bid_calls(), 1);
  EXPECT_THAT(session->standing_bids(), IsEmpty());
}

TEST_F(SessionTest, GivesUpWhenItsTimeIsOver) {
  SessionOptions options = Options();
  options.call_timeout = absl::Seconds(1);
  const std::unique_ptr<Session> session = Connect(std::move(options));
  market_.FailBids(
      std::vector<grpc::Status>(100, grpc::Status(grpc::StatusCode::UNAVAILABLE, "overloaded")));
  const BidCall call = session->BidAsync({MemoryBid(4)});
  // Each attempt fails before time moves on, by the pause that follows it: three are within the
  // second, the fourth is over by then.
  uint64_t failed = 0;
  for (const int pause_ms : {75, 150, 300, 600}) {
    ++failed;
    while (session->counters().write_calls_failed != failed) std::this_thread::yield();
    EXPECT_FALSE(call.done());
    clock_.Advance(absl::Milliseconds(pause_ms));
  }
  EXPECT_EQ(call.Wait()[0].status().code(), absl::StatusCode::kUnavailable);
}

// A list of rounds ends where it would be too large for a message, whatever number was asked for.
TEST_F(SessionTest, RoundsThatWentByUnseenAreAskedForPageByPage) {
  Mailbox<uint64_t> told;
  const std::unique_ptr<Session> session = Connect(Options());  // Round 4 was decided before.
  session->OnRound([&](const Round& round) { told.Put(round.round_id); });
  const auto page = [](std::initializer_list<uint64_t> round_ids, uint64_t next) {
    market::v1::ListRoundsResponse response;
    for (const uint64_t id : round_ids) response.add_rounds()->set_round_id(id);
    response.set_next_before_round_id(next);
    return response;
  };
  std::atomic<int> pages{0};
  market_.Configure([&](FakeMarket& market) {
    market.rounds = page({8, 7}, 7);
    market.on_request = [&, page](const std::string& request) {
      if (request.rfind("ListRounds", 0) != 0) return;
      const auto next = ++pages == 1 ? page({6}, 6) : page({5, 4}, 4);
      market_.Configure([&](FakeMarket& fake) { fake.rounds = next; });
    };
  });
  Publish(10);
  EXPECT_THAT(told.WaitFor(5), ::testing::ElementsAre(5, 6, 7, 8, 9));
  EXPECT_EQ(pages, 3) << "and no more than were wanted";
  market_.Configure([&](FakeMarket& market) { market.rounds = page({13}, 14); });
  Publish(15);
  EXPECT_THAT(told.WaitFor(7), ::testing::ElementsAre(5, 6, 7, 8, 9, 13, 14));
  EXPECT_EQ(pages, 4) << "one that leads nowhere is the last";
  EXPECT_EQ(session->counters().rounds_missed, 3u);
}

TEST_F(SessionTest, DestructionEndsACallInItsPause) {
  Mailbox<absl::Status> result;
  std::unique_ptr<Session> session = Connect(Options());
  market_.FailBids(
      std::vector<grpc::Status>(100, grpc::Status(grpc::StatusCode::UNAVAILABLE, "overloaded")));
  // The call is made from a callback: the destructor waits for it, so it must cut it short. The
  // simulated time stands still.
  Session* const raw = session.get();
  session->OnPrices([&, raw](const Prices&) { result.Put(raw->Bid(MemoryBid(4)).status()); });
  Publish(6);
  market_.WaitForBidCalls(1);
  session.reset();
  ASSERT_FALSE(result.values().empty());
  for (const absl::Status& status : result.values()) {
    EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  }
}

TEST_F(SessionTest, NoCallbackAfterDestruction) {
  for (int i = 0; i < 20; ++i) {
    auto alive = std::make_shared<std::atomic<bool>>(true);
    auto late = std::make_shared<std::atomic<int>>(0);
    std::unique_ptr<Session> session = Connect(Options());
    const auto check = [alive, late] {
      if (!*alive) ++*late;
    };
    session->OnPrices([check](const Prices&) { check(); });
    session->OnNotice([check](const Notice&) { check(); });
    session->OnStale([check](const Staleness&) { check(); });
    for (uint64_t round = 6; round < 20; ++round) {
      market_.Tell(Response(round + static_cast<uint64_t>(i) * 20));
      market_.Tell(NoticeOf(round + static_cast<uint64_t>(i) * 20, 9));
    }
    session.reset();
    *alive = false;
    market_.EndStreams(grpc::Status::OK);
    EXPECT_EQ(*late, 0);
    EXPECT_EQ(alive.use_count(), 2) << "the callbacks are gone: ours and that of `check` are left";
  }
}

TEST_F(SessionTest, DestructionFromACallbackAborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        Publish(5);
        Session* session = Connect(Options()).release();
        session->OnPrices([=](const Prices&) { delete session; });
        Publish(6);
        for (;;) pause();
      },
      "destroyed from one of its own callbacks");
}

TEST_F(SessionTest, ManyThreadsReadWhileTheMarketMoves) {
  Mailbox<uint64_t> rounds;
  const std::unique_ptr<Session> session = Connect(Options());
  session->OnPrices([&](const Prices& prices) { rounds.Put(prices.round_id); });
  std::atomic<bool> stop{false};
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&] {
      while (!stop) {
        const Prices prices = session->prices();
        // MakeState: the price of cpu is 100 more than the round after the one that set it.
        ASSERT_EQ(prices[Resource::kCpu].unit_price_microcredits,
                  101 + static_cast<int64_t>(prices.round_id));
        session->UnitPrice(Resource::kMemory);
        session->stale();
        ASSERT_THAT(session->grants(), SizeIs(2));
      }
    });
  }
  for (uint64_t round = 6; round < 200; ++round) Publish(round);
  (void)rounds.WaitUntil([](uint64_t round_id) { return round_id == 198; });
  stop = true;
  for (std::thread& reader : readers) reader.join();
}

TEST_F(SessionTest, ATokenIsSentAndReadAgainAtEachReconnect) {
  market_.RequireToken("first");
  const std::string path = ::testing::TempDir() + "/nom_session_token_" + std::to_string(getpid());
  std::ofstream(path) << "first\n";
  SessionOptions options = Options();
  options.token_file = path;
  Mailbox<bool> stale;
  const std::unique_ptr<Session> session = Connect(std::move(options));
  ASSERT_TRUE(session->Bid(MemoryBid(4)).ok());
  std::ofstream(path) << "second\n";
  market_.RequireToken("second");
  session->OnStale([&](const Staleness& now) { stale.Put(now.stale); });
  EXPECT_FALSE(stale.WaitFor(1)[0]);
  market_.EndStreams(grpc::Status(grpc::StatusCode::UNAVAILABLE, "restart"));
  MovingTime time(clock_);
  std::atomic<bool> back{false};
  std::thread publisher([&] {
    while (!back) {
      Publish(6);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  EXPECT_FALSE(stale.WaitFor(3)[2]);
  back = true;
  publisher.join();
  unlink(path.c_str());
}

TEST_F(SessionTest, ConnectSaysWhatIsWrong) {
  market_.RequireToken("secret");
  SessionOptions options = Options();
  options.token = "guess";
  EXPECT_EQ(Session::Connect(options).status().code(), absl::StatusCode::kUnauthenticated);

  const auto error = [](const SessionOptions& wrong) {
    const absl::Status status = Session::Connect(wrong).status();
    EXPECT_FALSE(status.ok());
    return std::string(status.message());
  };
  options = Options();
  options.target.clear();
  EXPECT_THAT(error(options), HasSubstr("target"));
  options = Options();
  options.target = "example.com:1";
  EXPECT_THAT(error(options), HasSubstr("this machine"));
  options = Options();
  options.token = "a";
  options.token_file = "b";
  EXPECT_THAT(error(options), HasSubstr("token_file"));
  options = Options();
  options.token_file = "/nowhere/token";
  EXPECT_THAT(error(options), HasSubstr("/nowhere/token"));
  options = Options();
  options.bid_lifetime_rounds = 1;
  EXPECT_THAT(error(options), HasSubstr("bid_lifetime_rounds"));
  options = Options();
  options.backoff_max = absl::Milliseconds(1);
  EXPECT_THAT(error(options), HasSubstr("backoff_max"));
  options = Options();
  options.budget_per_round_microcredits = -1;
  EXPECT_THAT(error(options), HasSubstr("budget_per_round_microcredits"));
}

TEST_F(SessionTest, ConnectGivesUpOnAMarketThatIsNotThere) {
  market_.Stop();
  SessionOptions options = Options();
  options.connect_timeout = absl::Seconds(2);
  MovingTime time(clock_);
  const absl::Status status = Session::Connect(options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(status.message(), HasSubstr(market_.target()));
}

TEST_F(SessionTest, WithoutWaitingItConnectsBehindTheCallersBack) {
  SessionOptions options = Options();
  options.connect_timeout = absl::ZeroDuration();
  Mailbox<bool> stale;
  const std::unique_ptr<Session> session = Connect(std::move(options));
  session->OnStale([&](const Staleness& now) { stale.Put(now.stale); });
  while (session->stale()) std::this_thread::yield();
  EXPECT_EQ(session->state(), SessionState::kLive);
}

}  // namespace
}  // namespace nom
