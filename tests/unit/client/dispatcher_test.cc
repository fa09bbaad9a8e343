// SPDX-License-Identifier: Apache-2.0
// Callbacks one at a time, what is kept for them, and what is not. In an executor of the test's
// own, which runs them when the test says so.

#include "client/src/dispatcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/client/sleeps.h"

namespace nom::client {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

// Waits for what another thread comes to by itself.
void Until(const std::function<bool()>& so) {
  while (!so()) std::this_thread::sleep_for(std::chrono::microseconds(100));
}

class DispatcherTest : public ::testing::Test {
 protected:
  // Runs all that is handed over, and what comes of it, until so many wait for a callback that is
  // not there.
  void RunAll(uint64_t left = 0) {
    while (dispatcher_.counters().waiting > left) RunNext();
  }
  void RunNext() {
    Until([this] { return Handed() > 0; });
    std::function<void()> task;
    {
      std::lock_guard lock(mutex_);
      task = std::move(queue_.front());
      queue_.pop_front();
    }
    task();
  }
  size_t Handed() {
    std::lock_guard lock(mutex_);
    return queue_.size();
  }
  static Round RoundOf(uint64_t round_id) {
    Round round;
    round.round_id = round_id;
    return round;
  }
  static Notice NoticeOf(uint64_t guest_id, Resource resource, int64_t units) {
    Notice notice;
    notice.guest_id = guest_id;
    notice.resource = resource;
    notice.units_next = units;
    return notice;
  }
  static Dispatcher::Present<Staleness> Now(bool stale) {
    return [stale] { return Staleness{.stale = stale, .reason = ""}; };
  }

  std::mutex mutex_;
  std::deque<std::function<void()>> queue_;
  size_t handed_most_ = 0;            // At once.
  std::atomic<pid_t> hands_over_{0};  // The thread.
  Dispatcher dispatcher_{[this](std::function<void()> task) {
                           hands_over_ = gettid();
                           std::lock_guard lock(mutex_);
                           queue_.push_back(std::move(task));
                           handed_most_ = std::max(handed_most_, queue_.size());
                         },
                         SessionClock::Real()};
};

TEST_F(DispatcherTest, OfEventsThatNobodyTakesTheNewestAreKeptAndThatIsTold) {
  std::vector<uint64_t> rounds;
  int dropped = 0;
  dispatcher_.SetRound([&](const Round& round) { rounds.push_back(round.round_id); });
  dispatcher_.SetSessionEvent([&](const SessionEvent& event) {
    EXPECT_EQ(event.change, SessionChange::kEventsDropped);
    ++dropped;
  });
  for (uint64_t id = 1; id <= kEventsMax; ++id) dispatcher_.Tell(RoundOf(id));
  EXPECT_EQ(dispatcher_.counters().dropped, 0u);
  EXPECT_EQ(dispatcher_.counters().waiting, kEventsMax);
  for (uint64_t id = kEventsMax + 1; id <= kEventsMax + 7; ++id) dispatcher_.Tell(RoundOf(id));
  EXPECT_EQ(dispatcher_.counters().dropped, 7u);
  EXPECT_EQ(dispatcher_.counters().waiting, kEventsMax) << "bounded";
  RunAll();
  EXPECT_EQ(handed_most_, 1u) << "one at a time";
  ASSERT_THAT(rounds, SizeIs(kEventsMax));
  EXPECT_EQ(rounds.front(), 8u);
  EXPECT_EQ(rounds.back(), kEventsMax + 7);
  EXPECT_EQ(dropped, 1) << "once, though seven were";
  // The next time is news again.
  for (uint64_t id = 1; id <= kEventsMax + 1; ++id) dispatcher_.Tell(RoundOf(id));
  RunAll();
  EXPECT_EQ(dropped, 2);
}

TEST_F(DispatcherTest, OfPricesStalenessAndNoticesTheLatestIsKept) {
  std::vector<uint64_t> priced;
  std::vector<bool> stale;
  std::vector<int64_t> units;
  dispatcher_.SetPrices([&](const Prices& prices) { priced.push_back(prices.round_id); }, nullptr);
  dispatcher_.SetStale([&](const Staleness& now) { stale.push_back(now.stale); }, Now(true));
  dispatcher_.SetNotice([&](const Notice& notice) { units.push_back(notice.units_next); });
  for (uint64_t id = 1; id <= 9; ++id) {
    dispatcher_.Tell(Prices{.round_id = id});
    dispatcher_.Tell(Staleness{.stale = id % 2 == 0, .reason = ""});
    dispatcher_.Tell(NoticeOf(1, Resource::kCpu, static_cast<int64_t>(id)));
    dispatcher_.Tell(NoticeOf(1, Resource::kMemory, static_cast<int64_t>(10 * id)));
    dispatcher_.Tell(NoticeOf(2, Resource::kCpu, static_cast<int64_t>(100 * id)));
  }
  EXPECT_EQ(dispatcher_.counters().waiting, 5u);
  RunAll();
  EXPECT_THAT(priced, ElementsAre(9));
  EXPECT_THAT(stale, ElementsAre(false));
  EXPECT_THAT(units, ElementsAre(9, 90, 900));
  dispatcher_.Tell(Prices{.round_id = 9});
  dispatcher_.Tell(Staleness{.stale = false, .reason = ""});
  EXPECT_EQ(dispatcher_.counters().waiting, 0u) << "what was told is no news";
}

TEST_F(DispatcherTest, ANewCallbackIsToldThePresentAndThatOnce) {
  const Prices present{.round_id = 5};
  std::vector<uint64_t> priced;
  std::vector<bool> stale;
  dispatcher_.Tell(present);  // To nobody.
  dispatcher_.SetPrices([&](const Prices& prices) { priced.push_back(prices.round_id); },
                        [&] { return present; });
  dispatcher_.SetStale([&](const Staleness& now) { stale.push_back(now.stale); }, Now(false));
  RunAll();
  dispatcher_.Tell(present);
  dispatcher_.Tell(Staleness{.stale = false, .reason = ""});
  RunAll();
  EXPECT_THAT(priced, ElementsAre(5));
  EXPECT_THAT(stale, ElementsAre(false));
  dispatcher_.SetStale(nullptr, Now(true));
  EXPECT_EQ(dispatcher_.counters().waiting, 0u) << "there is nobody to be told";
}

TEST_F(DispatcherTest, NoticesWaitForACallbackAndHoldNothingElseUp) {
  std::vector<std::string> told;
  dispatcher_.Tell(NoticeOf(1, Resource::kCpu, 4));
  dispatcher_.SetRound([&](const Round&) { told.push_back("round"); });
  dispatcher_.Tell(RoundOf(1));
  RunAll(1);
  EXPECT_THAT(queue_, IsEmpty()) << "there is nobody to be told of the notice";
  EXPECT_THAT(told, ElementsAre("round"));
  dispatcher_.SetNotice([&](const Notice&) { told.push_back("notice"); });
  RunAll();
  EXPECT_THAT(told, ElementsAre("round", "notice"));
}

TEST_F(DispatcherTest, WhatACallbackThrowsEndsNothing) {
  std::vector<std::string> messages;
  dispatcher_.SetSessionEvent([&](const SessionEvent& event) {
    messages.emplace_back(event.status.message());
    throw std::runtime_error("by who is told of it, which is not told again");
  });
  dispatcher_.SetRound([&](const Round& round) {
    if (round.round_id == 1) throw std::runtime_error("of the program's");
    throw 7;
  });
  dispatcher_.Tell(RoundOf(1));
  dispatcher_.Tell(RoundOf(2));
  RunAll();
  EXPECT_THAT(messages, ElementsAre("of the program's", "something that is no std::exception"));
  EXPECT_EQ(dispatcher_.counters().threw, 4u);
  EXPECT_EQ(dispatcher_.counters().run, 4u);
}

// Setting a callback and being told of a change at the same time: whatever the order, the last that
// it is told is what is so.
TEST_F(DispatcherTest, AChangeWhileACallbackIsSetIsToldAfterThePresent) {
  std::vector<bool> stale;
  std::atomic<pid_t> tells{0};
  std::atomic<bool> told{false};
  std::thread teller;
  dispatcher_.SetStale([&](const Staleness& now) { stale.push_back(now.stale); },
                       [&]() -> std::optional<Staleness> {
                         teller = std::thread([&] {
                           tells = gettid();
                           dispatcher_.Tell(Staleness{.stale = true, .reason = ""});
                           told = true;
                         });
                         // It has told it, which nobody heard, or waits for the lock.
                         Until([&] { return told || (tells != 0 && Sleeps(tells)); });
                         return Staleness{.stale = false, .reason = ""};
                       });
  teller.join();
  RunAll();
  ASSERT_FALSE(stale.empty());
  EXPECT_TRUE(stale.back());
}

TEST_F(DispatcherTest, AnExceptionWithoutAWordIsOne) {
  std::vector<std::string> messages;
  dispatcher_.SetSessionEvent(
      [&](const SessionEvent& event) { messages.emplace_back(event.status.message()); });
  dispatcher_.SetRound([](const Round&) { throw std::runtime_error(""); });
  dispatcher_.Tell(RoundOf(1));
  RunAll();
  EXPECT_EQ(dispatcher_.counters().threw, 1u);
  EXPECT_THAT(messages, ElementsAre("an exception without a word"));
}

TEST_F(DispatcherTest, WhatAnExecutorRunsTwiceOrAfterTheEndDoesNothing) {
  int told = 0;
  dispatcher_.SetRound([&](const Round&) { ++told; });
  dispatcher_.Tell(RoundOf(1));
  dispatcher_.Tell(RoundOf(2));
  Until([this] { return Handed() == 1; });
  const std::function<void()> first = queue_.front();
  RunNext();
  Until([this] { return Handed() == 1; });
  first();
  EXPECT_EQ(told, 1) << "that of round 2 was handed over apart";
  EXPECT_TRUE(dispatcher_.Stop(absl::InfiniteDuration()));
  RunNext();
  dispatcher_.Tell(RoundOf(3));
  EXPECT_EQ(dispatcher_.counters().waiting, 0u);
  EXPECT_EQ(told, 1);
}

TEST_F(DispatcherTest, NothingIsHandedOverWhileACallbackRuns) {
  int told = 0;
  dispatcher_.SetRound([&](const Round&) {
    if (++told == 2) return;
    dispatcher_.Tell(RoundOf(2));
    int asleep = 0;  // For so many looks at it, one after the other: it has seen that.
    Until([&] {
      asleep = Sleeps(hands_over_) ? asleep + 1 : 0;
      return Handed() > 0 || asleep == 20;
    });
    EXPECT_EQ(Handed(), 0u);
  });
  dispatcher_.Tell(RoundOf(1));
  RunAll();
  EXPECT_EQ(told, 2);
}

// Executors that people write first: run it here and now; or refuse, as a pool that has ended does.
class ExecutorTest : public DispatcherTest {};

TEST_F(ExecutorTest, OneThatRunsAtOnceIsAsGoodAsNone) {
  std::atomic<int> told{0};
  std::atomic<pid_t> ran_in{0};
  Dispatcher dispatcher([](const std::function<void()>& task) { task(); }, SessionClock::Real());
  dispatcher.SetRound([&](const Round& round) {
    ran_in = gettid();
    EXPECT_TRUE(dispatcher.IsCallbackThread());
    dispatcher.SetBidEvent(nullptr);  // Waits for nothing.
    if (round.round_id == 1) dispatcher.Tell(RoundOf(2));
    ++told;
  });
  dispatcher.Tell(RoundOf(1));
  EXPECT_NE(ran_in, gettid()) << "never in the thread that tells";
  Until([&] { return told == 2; });
  EXPECT_TRUE(dispatcher.Stop(absl::InfiniteDuration()));
}

TEST_F(ExecutorTest, WhoTellsDoesNotWaitForOneThatBlocksAndTheEndDoes) {
  std::atomic<bool> is_in{false};
  std::atomic<bool> let_go{false};
  Dispatcher dispatcher(
      [&](const std::function<void()>&) {
        is_in = true;
        Until([&] { return let_go.load(); });
        EXPECT_TRUE(dispatcher.IsCallbackThread());
        is_in = false;
      },
      SessionClock::Real());
  dispatcher.SetRound([](const Round&) {});
  dispatcher.Tell(RoundOf(1));
  Until([&] { return is_in.load(); });
  dispatcher.Tell(RoundOf(2));
  dispatcher.SetRound(nullptr);
  EXPECT_FALSE(dispatcher.Stop(SessionClock::Real().Steady())) << "what it refers to must stay";
  let_go = true;
  EXPECT_TRUE(dispatcher.Stop(absl::InfiniteDuration()));
  EXPECT_FALSE(is_in);
}

TEST_F(ExecutorTest, OneThatThrowsLosesNothingAndIsTold) {
  std::mutex mutex;
  std::vector<std::string> told;
  int throws = 3;
  int called = 0;
  Dispatcher dispatcher(
      [&](const std::function<void()>& task) {
        bool is_open = false;
        {
          std::lock_guard lock(mutex);
          ++called;
          is_open = --throws < 0;
        }
        if (!is_open) throw std::runtime_error("the pool has ended");
        task();
      },
      SessionClock::Real());
  const auto times_called = [&] {
    std::lock_guard lock(mutex);
    return called;
  };
  const auto tell = [&](std::string what) {
    std::lock_guard lock(mutex);
    told.push_back(std::move(what));
  };
  dispatcher.SetSessionEvent(
      [&](const SessionEvent& event) { tell(std::string(event.status.message())); });
  dispatcher.SetRound([&](const Round& round) { tell("round " + std::to_string(round.round_id)); });
  for (uint64_t id = 1; id <= 4; ++id) {
    dispatcher.Tell(RoundOf(id));
    const int least = static_cast<int>(std::min<uint64_t>(id, 3));
    // Asked again only when there is more to tell, or it would be asked without end.
    Until([&] { return times_called() >= least; });
  }
  Until([&] { return dispatcher.counters().waiting == 0; });
  EXPECT_TRUE(dispatcher.Stop(absl::InfiniteDuration()));
  EXPECT_EQ(dispatcher.counters().threw, 3u);
  EXPECT_THAT(told, UnorderedElementsAre("round 1", "round 2", "round 3", "round 4",
                                         "the executor: the pool has ended"));
}

// It would be asked without end by a thread that does nothing else.
TEST_F(ExecutorTest, OneThatAlwaysThrowsIsAskedOnceForAllThatIsTold) {
  constexpr int kTimes = 100;
  std::atomic<int> called{0};
  Dispatcher dispatcher(
      [&](const std::function<void()>&) {
        ++called;
        throw std::runtime_error("the pool has ended");
      },
      SessionClock::Real());
  dispatcher.SetRound([](const Round&) { ADD_FAILURE() << "nobody runs it"; });
  for (int i = 1; i <= kTimes; ++i) {
    dispatcher.Tell(RoundOf(static_cast<uint64_t>(i)));
    Until([&] { return called >= i; });
  }
  EXPECT_TRUE(dispatcher.Stop(absl::InfiniteDuration()));
  EXPECT_EQ(called, kTimes);
}

TEST_F(ExecutorTest, OneThatThrowsAgainIsToldAgain) {
  std::atomic<int> told{0};
  std::atomic<bool> throws{false};
  std::atomic<int> rounds{0};
  Dispatcher dispatcher(
      [&](const std::function<void()>& task) {
        if (throws.exchange(false)) throw std::runtime_error("the queue is full");
        task();
      },
      SessionClock::Real());
  dispatcher.SetSessionEvent([&](const SessionEvent&) { ++told; });
  dispatcher.SetRound([&](const Round&) { ++rounds; });
  for (int i = 1; i <= 3; ++i) {
    throws = true;
    dispatcher.Tell(RoundOf(1));
    Until([&] { return dispatcher.counters().threw == static_cast<uint64_t>(i); });
    dispatcher.Tell(RoundOf(2));
    Until([&] { return rounds == 2 * i; });
    EXPECT_EQ(told, i) << "before the second round of the two";
  }
}

}  // namespace
}  // namespace nom::client
