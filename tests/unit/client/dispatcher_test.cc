// SPDX-License-Identifier: Apache-2.0
// Callbacks one at a time, what is kept for them, and what is not. In an executor of the test's
// own, which runs them when the test says so.

#include "client/src/dispatcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace nom::client {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class DispatcherTest : public ::testing::Test {
 protected:
  // Runs all that was handed over, and what comes of it.
  void RunAll() {
    while (!queue_.empty()) {
      const std::function<void()> task = std::move(queue_.front());
      queue_.pop_front();
      task();
    }
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

  std::deque<std::function<void()>> queue_;
  Dispatcher dispatcher_{[this](std::function<void()> task) { queue_.push_back(std::move(task)); },
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
  EXPECT_THAT(queue_, SizeIs(1)) << "one at a time";
  RunAll();
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
  dispatcher_.SetStale([&](const Staleness& now) { stale.push_back(now.stale); },
                       {.stale = true, .reason = ""});
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
  EXPECT_THAT(queue_, IsEmpty()) << "what was told is no news";
}

TEST_F(DispatcherTest, ANewCallbackIsToldThePresentAndThatOnce) {
  const Prices present{.round_id = 5};
  std::vector<uint64_t> priced;
  std::vector<bool> stale;
  dispatcher_.Tell(present);  // To nobody.
  dispatcher_.SetPrices([&](const Prices& prices) { priced.push_back(prices.round_id); }, &present);
  dispatcher_.SetStale([&](const Staleness& now) { stale.push_back(now.stale); },
                       {.stale = false, .reason = ""});
  dispatcher_.Tell(present);
  dispatcher_.Tell(Staleness{.stale = false, .reason = ""});
  RunAll();
  EXPECT_THAT(priced, ElementsAre(5));
  EXPECT_THAT(stale, ElementsAre(false));
}

TEST_F(DispatcherTest, NoticesWaitForACallbackAndHoldNothingElseUp) {
  std::vector<std::string> told;
  dispatcher_.Tell(NoticeOf(1, Resource::kCpu, 4));
  EXPECT_THAT(queue_, IsEmpty()) << "there is nobody to be told";
  dispatcher_.SetRound([&](const Round&) { told.push_back("round"); });
  dispatcher_.Tell(RoundOf(1));
  RunAll();
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

TEST_F(DispatcherTest, WhatAnExecutorRunsAfterTheEndDoesNothing) {
  int told = 0;
  dispatcher_.SetRound([&](const Round&) { ++told; });
  dispatcher_.Tell(RoundOf(1));
  ASSERT_THAT(queue_, SizeIs(1));
  EXPECT_TRUE(dispatcher_.Stop(absl::InfiniteDuration()));
  RunAll();
  dispatcher_.Tell(RoundOf(2));
  EXPECT_THAT(queue_, IsEmpty());
  EXPECT_EQ(told, 0);
}

}  // namespace
}  // namespace nom::client
