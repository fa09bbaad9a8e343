// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/news.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace nomhv {
namespace {

TEST(News, EachIsTakenOnce) {
  News news;
  EXPECT_FALSE(news.TakeNews(kNewsRing));
  EXPECT_TRUE(news.Tell(kNewsRing, 0, 7));
  EXPECT_FALSE(news.Tell(kNewsRing, 0, 8)) << "it has not looked since";
  EXPECT_TRUE(news.Tell(kNewsSignal, 0, 9));
  EXPECT_EQ(news.news_tsc(), 9u);
  EXPECT_FALSE(news.interrupt_due());
  EXPECT_TRUE(news.TakeNews(kNewsRing));
  EXPECT_FALSE(news.TakeNews(kNewsRing));
  EXPECT_TRUE(news.TakeNews(kNewsSignal));
}

TEST(News, TheHighestVectorComesFirst) {
  News news;
  EXPECT_EQ(news.NextVector(), 0);
  for (const uint8_t vector : {uint8_t{32}, uint8_t{255}, uint8_t{63}, uint8_t{64}, uint8_t{128}}) {
    // Who is told of one looks for all: a storm of different ones is no more than one.
    EXPECT_EQ(news.Tell(0, vector, 1), vector == 32) << int{vector};
  }
  for (const uint8_t vector : {uint8_t{255}, uint8_t{128}, uint8_t{64}, uint8_t{63}, uint8_t{32}}) {
    EXPECT_TRUE(news.interrupt_due());
    EXPECT_EQ(news.NextVector(), vector);
    EXPECT_TRUE(news.TakeVector(vector));
    EXPECT_FALSE(news.TakeVector(vector)) << "taken";
  }
  EXPECT_FALSE(news.interrupt_due());
  EXPECT_TRUE(news.Tell(kNewsNotice, 40, 1));
  news.ForgetNews();
  EXPECT_FALSE(news.interrupt_due());
  EXPECT_FALSE(news.TakeNews(kNewsNotice));
  EXPECT_EQ(news.NextVector(), 0);
}

// Tellers that are told that it was news poke; whoever takes as long as something is due misses
// none.
TEST(News, NoneIsLostBetweenProcessors) {
  constexpr uint32_t kTellers = 3;
  constexpr uint64_t kRounds = 20'000;
  News news;
  std::atomic<uint64_t> pokes{0};
  std::atomic<uint32_t> running{kTellers};
  std::atomic<uint64_t> taken[kTellers] = {};
  std::vector<std::thread> tellers;
  for (uint32_t t = 0; t < kTellers; ++t) {
    tellers.emplace_back([&, t] {
      for (uint64_t round = 1; round <= kRounds; ++round) {
        if (news.Tell(kNewsSignal, static_cast<uint8_t>(60 + t * 3), round)) ++pokes;
        // Not before it was taken: a vector that is pending twice is one.
        while (taken[t].load() < round) std::this_thread::yield();
      }
      --running;
    });
  }
  uint64_t looked = 0;
  while (running.load() != 0) {
    // Looks only when it was poked since: one that was not told it would wait for ever.
    const uint64_t now = pokes.load();
    if (now == looked) {
      std::this_thread::yield();
      continue;
    }
    looked = now;
    static_cast<void>(news.TakeNews(kNewsSignal));
    while (news.interrupt_due()) {
      const uint8_t vector = news.NextVector();
      if (news.TakeVector(vector) && vector != 0) ++taken[(vector - 60) / 3];
    }
  }
  for (std::thread& teller : tellers) teller.join();
  for (const auto& count : taken) EXPECT_EQ(count.load(), kRounds);
}

}  // namespace
}  // namespace nomhv
