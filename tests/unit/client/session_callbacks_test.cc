// SPDX-License-Identifier: Apache-2.0
// Whole sessions against nom::testing::FakeMarket, in real time: callbacks, and how sessions end.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/client/session_life_fixture.h"

namespace nom {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class SessionCallbacksTest : public SessionLifeTest {};

TEST_F(SessionCallbacksTest, ASlowCallbackFreezesNeitherStalenessNorRenewals) {
  Shared shared;
  bool in_callback = false;
  bool let_go = false;
  const auto session = Connect();
  ASSERT_TRUE(session->Bid(MemoryBid(5)).ok());
  session->OnRound([&](const Round&) {
    shared.Do([&] { in_callback = true; });
    shared.WaitUntil([&] { return let_go; });
  });
  market_.Decide();
  shared.WaitUntil([&] { return in_callback; });
  for (int round = 0; round < 6; ++round) {
    const int64_t renewals = market_.renewals();
    market_.Decide();
    Until([&] { return market_.renewals() > renewals; });
  }
  EXPECT_EQ(market_.award_units(guest_, Resource::kMemory), 5);
  EXPECT_FALSE(session->stale());
  market_.GoStale();
  Until([&] { return session->stale(); });
  shared.Do([&] { let_go = true; });
}

// The first mistake that everybody makes, which is none.
TEST_F(SessionCallbacksTest, AProgramMayBidInsideACallback) {
  Shared shared;
  int bids = 0;
  const auto session = Connect();
  session->OnRound([&](const Round& round) {
    const absl::StatusOr<uint64_t> bid =
        session->Bid(MemoryBid(1 + static_cast<int64_t>(round.round_id)));
    EXPECT_TRUE(bid.ok()) << bid.status();
    shared.Do([&] { ++bids; });
  });
  for (int round = 1; round <= 5; ++round) {
    market_.Decide();
    shared.WaitUntil([&] { return bids == round; });
  }
  ASSERT_THAT(market_.bids(), SizeIs(1));
  EXPECT_EQ(market_.bids()[0].ranges[0].max_units, 6);
}

TEST_F(SessionCallbacksTest, RemovingACallbackWaitsForTheOneThatRuns) {
  Shared shared;
  bool in_callback = false;
  bool let_go = false;
  std::atomic<bool> removed{false};
  const auto session = Connect();
  session->OnRound([&](const Round&) {
    shared.Do([&] { in_callback = true; });
    shared.WaitUntil([&] { return let_go; });
    EXPECT_FALSE(removed);
  });
  market_.Decide();
  shared.WaitUntil([&] { return in_callback; });
  std::atomic<pid_t> removes{0};
  std::thread remover([&] {
    removes = gettid();
    session->OnRound(nullptr);
    removed = true;
  });
  // It has either come back, which it must not, or waits.
  Until([&] { return removed || (removes != 0 && Sleeps(removes)); });
  EXPECT_FALSE(removed) << "the callback still runs";
  session->OnPrices(nullptr);  // Of another kind: does not wait.
  shared.Do([&] { let_go = true; });
  remover.join();
  session->OnRound([&](const Round&) {
    session->OnRound(nullptr);  // From within: does not wait for itself.
    shared.Do([&] { in_callback = false; });
  });
  market_.Decide();
  shared.WaitUntil([&] { return !in_callback; });
}

TEST_F(SessionCallbacksTest, ACallbackThatThrowsIsTold) {
  Shared shared;
  std::string message;
  const auto session = Connect();
  session->OnSessionEvent([&](const SessionEvent& event) {
    if (event.change != SessionChange::kCallbackThrew) return;
    shared.Do([&] { message = std::string(event.status.message()); });
    throw std::runtime_error("this one, too");
  });
  session->OnRound([](const Round&) { throw std::runtime_error("the program's own"); });
  market_.Decide();
  shared.WaitUntil([&] { return !message.empty(); });
  shared.Do([&] { EXPECT_EQ(message, "the program's own"); });
  Until([&] { return session->counters().callbacks_threw == 2; });
  shared.Do([&] { message.clear(); });
  session->OnRound([](const Round&) { throw 7; });
  market_.Decide();
  shared.WaitUntil([&] { return !message.empty(); });
  shared.Do([&] { EXPECT_THAT(message, HasSubstr("no std::exception")); });
}

TEST_F(SessionCallbacksTest, CallbacksRunWhereTheProgramSays) {
  Shared shared;
  std::vector<std::function<void()>> queue;
  SessionOptions options = Options();
  options.executor = [&](std::function<void()> task) {
    shared.Do([&] { queue.push_back(std::move(task)); });
  };
  auto session = Connect(std::move(options));
  std::thread::id ran_in;
  session->OnRound([&](const Round&) { ran_in = std::this_thread::get_id(); });
  market_.Decide();
  std::function<void()> task;
  shared.WaitUntil([&] { return !queue.empty(); });
  shared.Do([&] { task = std::move(queue[0]); });
  task();
  EXPECT_EQ(ran_in, std::this_thread::get_id());
  market_.Decide();
  shared.WaitUntil([&] { return queue.size() == 2; });
  session.reset();
  queue[1]();  // Comes too late, and harms nobody.
}

// The executor that everybody writes first. A bid in a callback that it runs needs the session's
// other threads.
TEST_F(SessionCallbacksTest, AnExecutorMayRunACallbackAtOnceAndThatMayBid) {
  Shared shared;
  int bids = 0;
  SessionOptions options = Options();
  options.executor = [](const std::function<void()>& task) { task(); };
  const auto session = Connect(std::move(options));
  session->OnRound([&](const Round& round) {
    const absl::StatusOr<uint64_t> bid =
        session->Bid(MemoryBid(1 + static_cast<int64_t>(round.round_id)));
    EXPECT_TRUE(bid.ok()) << bid.status();
    EXPECT_EQ(session->Close().code(), absl::StatusCode::kFailedPrecondition);
    shared.Do([&] { ++bids; });
  });
  for (int round = 1; round <= 3; ++round) {
    market_.Decide();
    shared.WaitUntil([&] { return bids == round; });
  }
  ASSERT_THAT(market_.bids(), SizeIs(1));
  EXPECT_EQ(market_.bids()[0].ranges[0].max_units, 4);
}

// As one with a queue that is full.
TEST_F(SessionCallbacksTest, AnExecutorThatBlocksFreezesNeitherStalenessNorRenewals) {
  Shared shared;
  bool is_in = false;
  bool let_go = false;
  SessionOptions options = Options();
  options.executor = [&](const std::function<void()>& task) {
    shared.Do([&] { is_in = true; });
    shared.WaitUntil([&] { return let_go; });
    task();
  };
  const auto session = Connect(std::move(options));
  ASSERT_TRUE(session->Bid(MemoryBid(5)).ok());
  session->OnRound([](const Round&) {});
  market_.Decide();
  shared.WaitUntil([&] { return is_in; });
  for (int round = 0; round < 6; ++round) {
    const int64_t renewals = market_.renewals();
    market_.Decide();
    Until([&] { return market_.renewals() > renewals; });
  }
  EXPECT_EQ(market_.award_units(guest_, Resource::kMemory), 5);
  market_.GoStale();
  Until([&] { return session->stale(); });
  EXPECT_EQ(session->Close({.timeout = absl::Milliseconds(1)}).code(),
            absl::StatusCode::kDeadlineExceeded);
  shared.Do([&] { let_go = true; });
}

TEST_F(SessionCallbacksTest, DestructionWaitsForWhoWaitsForACallback) {
  Shared shared;
  bool in_callback = false;
  bool let_go = false;
  auto session = Connect();
  Session* const raw = session.get();
  raw->OnRound([&](const Round&) {
    shared.Do([&] { in_callback = true; });
    shared.WaitUntil([&] { return let_go; });
  });
  market_.Decide();
  shared.WaitUntil([&] { return in_callback; });
  std::atomic<pid_t> removes{0};
  std::atomic<pid_t> destroys{0};
  std::thread remover([&] {
    removes = gettid();
    raw->OnRound(nullptr);
  });
  Until([&] { return removes != 0 && Sleeps(removes); });
  std::thread destroyer([&] {
    destroys = gettid();
    session.reset();
  });
  Until([&] { return raw->state() == SessionState::kClosed && Sleeps(destroys); });
  shared.Do([&] { let_go = true; });
  // Who removed the callback may be the last to look at the session: the sanitizers see it.
  remover.join();
  destroyer.join();
}

TEST_F(SessionCallbacksTest, ClosingWithdrawsIfAskedAndEndsWhatWaits) {
  const auto session = Connect();
  ASSERT_TRUE(session->Bid(MemoryBid(5)).ok());
  EXPECT_TRUE(session->Close({.bids = CloseOptions::Bids::kWithdraw}).ok());
  EXPECT_THAT(market_.bids(), IsEmpty());
  EXPECT_EQ(session->state(), SessionState::kClosed);
  EXPECT_TRUE(session->stale());
  EXPECT_EQ(session->Bid(MemoryBid(5)).status().code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(session->Close().ok()) << "again";

  const auto left = Connect();
  ASSERT_TRUE(left->Bid(MemoryBid(5)).ok());
  EXPECT_TRUE(left->Close().ok());
  EXPECT_THAT(market_.bids(), SizeIs(1)) << "it lapses by itself";

  const auto stuck = Connect();
  ASSERT_TRUE(stuck->Bid(MemoryBid(5)).ok());
  market_.LoseCalls(1'000'000);
  EXPECT_EQ(stuck->Close({.bids = CloseOptions::Bids::kWithdraw, .timeout = absl::Milliseconds(50)})
                .code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_F(SessionCallbacksTest, ClosingFromACallbackIsRefusedAndWaitsForOneOnlySoLong) {
  Shared shared;
  bool let_go = false;
  absl::Status from_within;
  bool called = false;
  const auto session = Connect();
  session->OnRound([&](const Round&) {
    const absl::Status status = session->Close();
    shared.Do([&] {
      from_within = status;
      called = true;
    });
    shared.WaitUntil([&] { return let_go; });
  });
  market_.Decide();
  shared.WaitUntil([&] { return called; });
  shared.Do([&] { EXPECT_EQ(from_within.code(), absl::StatusCode::kFailedPrecondition); });
  EXPECT_EQ(session->Close({.timeout = absl::Milliseconds(20)}).code(),
            absl::StatusCode::kDeadlineExceeded);
  shared.Do([&] { let_go = true; });
}

TEST_F(SessionCallbacksTest, InfiniteTimesAreTimesToo) {
  SessionOptions options = Options();
  options.connect_timeout = options.call_timeout = options.attempt_timeout =
      absl::InfiniteDuration();
  auto session = Connect(std::move(options));
  EXPECT_TRUE(session->Bid(MemoryBid(5)).ok());
  market_.LoseCalls(1'000'000);
  std::thread bidding(
      [&] { EXPECT_EQ(session->Bid(MemoryBid(6)).status().code(), absl::StatusCode::kCancelled); });
  Until([&] { return market_.write_calls() > 1; });
  EXPECT_EQ(session->Close({.timeout = absl::ZeroDuration()}).code(),
            absl::StatusCode::kDeadlineExceeded);
  bidding.join();
}

TEST_F(SessionCallbacksTest, ClosingWithoutEndWaitsForTheMarketAndForTheCallbackThatRuns) {
  Shared shared;
  bool in_callback = false;
  bool let_go = false;
  const auto session = Connect();
  ASSERT_TRUE(session->Bid(MemoryBid(5)).ok());
  session->OnRound([&](const Round&) {
    shared.Do([&] { in_callback = true; });
    shared.WaitUntil([&] { return let_go; });
  });
  market_.Decide();
  shared.WaitUntil([&] { return in_callback; });
  market_.LoseCalls(1'000'000);
  std::atomic<bool> closed{false};
  std::atomic<pid_t> closes{0};
  std::thread closer([&] {
    closes = gettid();
    const absl::Status status = session->Close(
        {.bids = CloseOptions::Bids::kWithdraw, .timeout = absl::InfiniteDuration()});
    EXPECT_TRUE(status.ok()) << status;
    shared.Do([&] { EXPECT_TRUE(let_go) << "a callback still runs"; });
    EXPECT_THAT(market_.bids(), IsEmpty());
    closed = true;
  });
  const int64_t writes = market_.write_calls();
  Until([&] { return closed || market_.write_calls() > writes + 2; });  // It is tried again.
  EXPECT_FALSE(closed) << "the bid still stands";
  // Else it might never end.
  EXPECT_TRUE(absl::IsCancelled(session->Bid(MemoryBid(6)).status()));
  EXPECT_TRUE(absl::IsCancelled(session->ListContracts().Wait().status()));
  market_.LoseCalls(0);
  int asleep =
      0;  // Closed, for so many looks at it, one after the other: only the callback is left.
  Until([&] {
    asleep = session->state() == SessionState::kClosed && Sleeps(closes) ? asleep + 1 : 0;
    return closed || asleep == 20;
  });
  shared.Do([&] { let_go = true; });
  closer.join();
}

TEST_F(SessionCallbacksTest, ClosingLeavesTimeToCallsThatGoOnByThemselves) {
  const QuoteOptions wanted{.units = {{Resource::kMemory, 1}}};
  const CallOptions patient{.timeout = absl::InfiniteDuration()};
  const auto session = Connect();
  market_.LoseCalls(3);
  const AsyncCall<Offer> answered = session->GetQuote(wanted, nullptr, patient);
  EXPECT_TRUE(session->Close({.timeout = absl::InfiniteDuration()}).ok());
  EXPECT_TRUE(answered.Wait().ok()) << answered.Wait().status();

  const auto stuck = Connect();
  market_.LoseCalls(1'000'000);
  const AsyncCall<Offer> given_up = stuck->GetQuote(wanted, nullptr, patient);
  EXPECT_EQ(stuck->Close({.timeout = absl::Milliseconds(20)}).code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(absl::IsCancelled(given_up.Wait().status()));
}

TEST_F(SessionCallbacksTest, DestructionWaitsForTheCallbackThatRuns) {
  Shared shared;
  bool in_callback = false;
  bool let_go = false;
  std::atomic<bool> destroyed{false};
  auto session = Connect();
  ASSERT_TRUE(session->Bid(MemoryBid(5)).ok());
  Session* const raw = session.get();
  raw->OnRound([&, raw](const Round&) {
    shared.Do([&] { in_callback = true; });
    shared.WaitUntil([&] { return let_go; });
    // All of the session is still there.
    EXPECT_THAT(raw->standing_bids(), SizeIs(1));
    EXPECT_EQ(raw->state(), SessionState::kClosed);
    EXPECT_FALSE(destroyed);
  });
  market_.Decide();
  shared.WaitUntil([&] { return in_callback; });
  std::atomic<pid_t> destroys{0};
  std::thread destroyer([&] {
    destroys = gettid();
    session.reset();
    destroyed = true;
  });
  // Closed, it can only be waiting for the callback.
  Until([&] { return destroyed || (raw->state() == SessionState::kClosed && Sleeps(destroys)); });
  EXPECT_FALSE(destroyed) << "a callback still runs";
  shared.Do([&] { let_go = true; });
  destroyer.join();
}

// A clock that holds one thread where it asks for the time, until it is let go: a call of that
// thread's is under way for as long as a test wants.
class HoldingClock final : public SessionClock {
 public:
  absl::Time Wall() const override { return Real().Wall(); }
  absl::Duration Steady() const override {
    if (gettid() == thread_) {
      std::unique_lock lock(mutex_);
      is_held_ = true;
      changed_.notify_all();
      changed_.wait(lock, [this] { return let_go_; });
    }
    return Real().Steady();
  }
  void WaitUntil(std::unique_lock<std::mutex>& lock, std::condition_variable& condition,
                 absl::Duration deadline) override {
    Real().WaitUntil(lock, condition, deadline);
  }

  void HoldThisThread() { thread_ = gettid(); }
  void WaitUntilHeld() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return is_held_; });
  }
  void LetGo() {
    std::lock_guard lock(mutex_);
    let_go_ = true;
    changed_.notify_all();
  }

 private:
  std::atomic<pid_t> thread_{0};
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  mutable bool is_held_ = false;
  bool let_go_ = false;
};

// Destroys the session in another thread while a call of it is held, which it must not outrun; then
// lets the call go.
void ExpectDestructionWaits(std::unique_ptr<Session> session, const std::function<void()>& let_go) {
  std::atomic<bool> destroyed{false};
  std::atomic<pid_t> destroys{0};
  std::thread destroyer([&] {
    (void)session->Close();  // After which there are no more threads to wait for.
    destroys = gettid();
    session.reset();
    destroyed = true;
  });
  int asleep = 0;  // For so many looks at it, one after the other.
  Until([&] {
    asleep = destroys != 0 && Sleeps(destroys) ? asleep + 1 : 0;
    return destroyed || asleep == 20;
  });
  EXPECT_FALSE(destroyed) << "a call is still under way";
  let_go();
  destroyer.join();
}

using CallOfSession = std::function<void(Session&)>;

TEST_F(SessionCallbacksTest, DestructionWaitsForACallThatHasBegun) {
  const std::vector<CallOfSession> calls = {
      [](Session& s) { EXPECT_TRUE(absl::IsCancelled(s.ListRounds().status())); },
      [](Session& s) { EXPECT_TRUE(absl::IsCancelled(s.ListPrices({}).status())); },
  };
  const std::string file = ::testing::TempDir() + "nom-life-" + std::to_string(getpid());
  for (const CallOfSession& call : calls) {
    SCOPED_TRACE(&call - calls.data());
    std::ofstream(file) << "token\n";
    SessionOptions options = Options();
    options.token_file = file;
    auto session = Connect(std::move(options));
    // The call is held where it reads its token, which comes through a pipe.
    unlink(file.c_str());
    ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);
    std::thread program([&call, raw = session.get()] { call(*raw); });
    std::ofstream token(file);  // Waits for the reader.
    ExpectDestructionWaits(std::move(session), [&] {
      token << "token\n";
      token.close();
    });
    program.join();
    unlink(file.c_str());
  }
}

// Those that go on by themselves, too, have to have begun.
TEST_F(SessionCallbacksTest, DestructionWaitsForCallsOfEveryKind) {
  const std::vector<CallOfSession> calls = {
      [](Session& s) { (void)s.BidAsync({MemoryBid(1)}); },
      [](Session& s) { (void)s.GetStatement(0); },
      [](Session& s) {
        (void)s.GetQuote({.units = {{Resource::kMemory, 1}}});
      },
      [](Session& s) { (void)s.TakeOffer({.offer_id = 1}); },
      [](Session& s) { (void)s.LeaveContract(1); },
      [](Session& s) { (void)s.SetRenewal(1, 0); },
      [](Session& s) {
        (void)s.OfferSublet({.contract_id = 1, .lots = {{Resource::kCpu, 1, 1}}, .rounds = 1});
      },
      [](Session& s) { (void)s.WithdrawOffer(1); },
      [](Session& s) { (void)s.ListContracts(); },
      [](Session& s) { (void)s.ListOffers(); },
      [](Session& s) { (void)s.ListEndedContracts(); },
      [](Session& s) { (void)s.SetTier({.wish = {.tier = "gold"}}); },
      [](Session& s) { (void)s.ClearTier(); },
      [](Session& s) { (void)s.RequestGuest({.name = "web"}); },
      [](Session& s) { (void)s.GetQuota(); },
  };
  for (const CallOfSession& call : calls) {
    SCOPED_TRACE(&call - calls.data());
    HoldingClock clock;
    SessionOptions options = Options();
    options.clock = &clock;
    auto session = Connect(std::move(options));
    std::thread program([&, raw = session.get()] {
      clock.HoldThisThread();
      call(*raw);
    });
    clock.WaitUntilHeld();
    ExpectDestructionWaits(std::move(session), [&] { clock.LetGo(); });
    program.join();
  }
}

// What a callback holds is the program's own, and goes in the call that replaces it.
TEST_F(SessionCallbacksTest, DestructionWaitsForWhoReplacesACallback) {
  using Held = std::shared_ptr<void>;
  const std::vector<std::function<void(Session&, const Held&)>> sets = {
      [](Session& s, const Held& held) { s.OnNotice([held](const Notice&) {}); },
      [](Session& s, const Held& held) { s.OnPrices([held](const Prices&) {}); },
      [](Session& s, const Held& held) { s.OnStale([held](const Staleness&) {}); },
      [](Session& s, const Held& held) { s.OnRound([held](const Round&) {}); },
      [](Session& s, const Held& held) { s.OnBidEvent([held](const BidEvent&) {}); },
      [](Session& s, const Held& held) { s.OnSessionEvent([held](const SessionEvent&) {}); },
  };
  for (const auto& set : sets) {
    SCOPED_TRACE(&set - sets.data());
    Shared shared;
    bool is_held = false;
    bool let_go = false;
    auto session = Connect();
    set(*session, Held(nullptr, [&](void*) {
      shared.Do([&] { is_held = true; });
      shared.WaitUntil([&] { return let_go; });
    }));
    std::thread program([&, raw = session.get()] { set(*raw, nullptr); });
    shared.WaitUntil([&] { return is_held; });
    ExpectDestructionWaits(std::move(session), [&] { shared.Do([&] { let_go = true; }); });
    program.join();
  }
}

TEST_F(SessionCallbacksTest, DestructionWaitsForCallsInOtherThreads) {
  for (int i = 0; i < 20; ++i) {
    auto session = Connect();
    market_.LoseCalls(i % 2 == 0 ? 1'000'000 : 0);
    std::atomic<int> begun{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, raw = session.get(), t] {
        ++begun;
        Bid bid = MemoryBid(3 + t);
        bid.resource = kAllResources[static_cast<size_t>(t)];
        // Answered, or cancelled: never left waiting.
        (void)raw->BidAll({bid});
        --begun;
      });
    }
    Until([&] { return market_.write_calls() > 0; });
    // A call that has begun keeps the session; one that has not is the program's to prevent.
    for (std::thread& thread : threads) {
      if (i % 2 == 1) thread.join();
    }
    (void)session->Close({.timeout = absl::ZeroDuration()});
    for (std::thread& thread : threads) {
      if (thread.joinable()) thread.join();
    }
    session.reset();
    EXPECT_EQ(begun, 0);
  }
}

TEST_F(SessionCallbacksTest, ALateCallbackIsToldThePresent) {
  Shared shared;
  std::vector<uint64_t> rounds;
  std::vector<bool> stale;
  const auto session = Connect();
  market_.Decide();
  Until([&] { return session->prices().round_id == 1; });
  session->OnPrices(
      [&](const Prices& prices) { shared.Do([&] { rounds.push_back(prices.round_id); }); });
  session->OnStale([&](const Staleness& now) { shared.Do([&] { stale.push_back(now.stale); }); });
  shared.WaitUntil([&] { return !rounds.empty() && !stale.empty(); });
  shared.Do([&] {
    EXPECT_EQ(rounds[0], 1u);
    EXPECT_FALSE(stale[0]);
  });
}

// Everything at once, for the sanitizers: callbacks come and go, calls fail, sessions end.
TEST_F(SessionCallbacksTest, SurvivesEverythingAtOnce) {
  for (int i = 0; i < 5; ++i) {
    auto session = Connect();
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    threads.emplace_back([&] {
      while (!stop) {
        session->OnRound([&](const Round& round) {
          if (round.round_id % 3 == 0) throw std::runtime_error("now and then");
          (void)session->BidAsync({MemoryBid(4)});
        });
        session->OnRound(nullptr);
      }
    });
    threads.emplace_back([&] {
      for (int64_t n = 0; !stop; ++n) {
        const BidCall call = session->BidAsync({MemoryBid(1 + n % 9)}, [](const BidResults&) {});
        if (n % 3 == 0) call.Cancel();
        (void)session->Withdraw(Resource::kMemory, 0, {.timeout = absl::Milliseconds(5)});
      }
    });
    threads.emplace_back([&] {
      while (!stop) {
        (void)session->prices();
        (void)session->stale();
        (void)session->standing_bids();
        (void)session->counters();
      }
    });
    for (int round = 0; round < 30; ++round) {
      market_.LoseAnswers(round % 3);
      market_.Decide();
      if (round == 15) market_.Stop();
      if (round == 15) market_.Start();
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    stop = true;
    for (std::thread& thread : threads) thread.join();
    session.reset();
  }
}

}  // namespace
}  // namespace nom
