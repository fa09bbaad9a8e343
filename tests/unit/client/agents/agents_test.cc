// SPDX-License-Identifier: Apache-2.0
// Agents of programs that were never written for prices.

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/types/span.h"
#include "client/agents/agent.h"
#include "client/agents/command.h"
#include "client/agents/memcached.h"
#include "client/agents/worth.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nom/testing/fake_market.h"

namespace nom::agents {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kMiB = 1 << 20;

// memcached as its protocol shows it: pages of 1 MiB in classes, and a limit that takes none back.
struct FakeMemcached {
  std::map<std::string, uint64_t> pages = {{"5", 30}, {"7", 33}, {"9", 1}};
  int64_t limit_mib = 64;
  uint64_t hits = 0;
  uint64_t misses = 0;
  int busy = 0;  // So many reassignments are put off.
  bool reassigns = true;
  bool lost = false;
  std::vector<std::string> asked;

  uint64_t Pages() const {
    uint64_t sum = 0;
    for (const auto& [id, count] : pages) sum += count;
    return sum;
  }
};

class FakeLine final : public MemcachedLine {
 public:
  explicit FakeLine(FakeMemcached& server) : server_(server) {}

  absl::StatusOr<std::vector<std::string>> Ask(
      const std::string& command, const std::function<bool(absl::string_view)>& is_last) override {
    if (server_.lost) return absl::UnavailableError("memcached: gone");
    std::vector<std::string> lines = Answer(command);
    EXPECT_TRUE(is_last(lines.back())) << command;
    return lines;
  }

 private:
  std::vector<std::string> Answer(const std::string& command) {
    const std::vector<std::string> words = absl::StrSplit(command, ' ');
    if (command == "stats") {
      return {absl::StrCat("STAT get_hits ", server_.hits),
              absl::StrCat("STAT get_misses ", server_.misses), "STAT version 1.6.18", "END"};
    }
    if (command == "stats slabs") {
      std::vector<std::string> lines;
      for (const auto& [id, count] : server_.pages) {
        lines.push_back(absl::StrCat("STAT ", id, ":chunk_size 96"));
        lines.push_back(absl::StrCat("STAT ", id, ":total_pages ", count));
      }
      lines.push_back(absl::StrCat("STAT active_slabs ", server_.pages.size()));
      lines.push_back(absl::StrCat("STAT total_malloced ", server_.Pages() << 20));
      lines.emplace_back("END");
      return lines;
    }
    server_.asked.push_back(command);
    if (words[0] == "cache_memlimit") {
      int64_t limit = 0;
      if (!absl::SimpleAtoi(words[1], &limit) || limit < 8) {
        return {"MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m"};
      }
      server_.limit_mib = limit;
      return {"OK"};
    }
    if (words.size() == 4 && words[0] == "slabs" && words[1] == "reassign" && words[3] == "0") {
      if (!server_.reassigns) return {"CLIENT_ERROR slab reassignment disabled"};
      if (server_.busy > 0) {
        --server_.busy;
        return {"BUSY currently processing reassign request"};
      }
      uint64_t& pages = server_.pages[words[2]];
      if (pages < 2) return {"NOSPARE source class has no spare pages"};
      --pages;
      return {"OK"};
    }
    return {"ERROR"};
  }

  FakeMemcached& server_;
};

class MemcachedTest : public ::testing::Test {
 protected:
  FakeMemcached server_;
  Memcached memcached_{std::make_unique<FakeLine>(server_),
                       {.overhead_bytes = 8 * kMiB, .nap = [](absl::Duration) {}}};
};

TEST_F(MemcachedTest, PagesAreTakenFromTheLargestClassUntilItFits) {
  server_.busy = 3;
  ASSERT_TRUE(memcached_.Resize(40 * kMiB, absl::Seconds(60)).ok());
  EXPECT_EQ(server_.limit_mib, 32);
  EXPECT_EQ(server_.Pages(), 32u);
  EXPECT_EQ(server_.pages["9"], 1u);  // The last page of a class stays.
  EXPECT_EQ(server_.asked.front(), "cache_memlimit 32");
  EXPECT_EQ(server_.asked[1], "slabs reassign 7 0");
  EXPECT_NEAR(static_cast<double>(server_.pages["5"]), static_cast<double>(server_.pages["7"]), 1);
}

TEST_F(MemcachedTest, GrowingTakesNothing) {
  ASSERT_TRUE(memcached_.Resize(200 * kMiB, absl::Seconds(60)).ok());
  EXPECT_THAT(server_.asked, ElementsAre("cache_memlimit 192"));
}

TEST_F(MemcachedTest, ItsLeastIsKeptWhateverIsHeld) {
  ASSERT_TRUE(memcached_.Resize(2 * kMiB, absl::Seconds(60)).ok());
  EXPECT_EQ(server_.limit_mib, Memcached::kLimitMiBMin);
  EXPECT_EQ(server_.Pages(), 8u);
}

TEST_F(MemcachedTest, WhatCannotBeDoneIsSaidWithWhy) {
  server_.pages = {{"5", 1}, {"7", 1}};
  for (int i = 10; i < 30; ++i) server_.pages[absl::StrCat(i)] = 1;
  EXPECT_THAT(std::string(memcached_.Resize(16 * kMiB, absl::Seconds(60)).message()),
              HasSubstr("no class has a page more"));
  server_.pages = {{"5", 60}};
  server_.reassigns = false;
  EXPECT_THAT(std::string(memcached_.Resize(16 * kMiB, absl::Seconds(60)).message()),
              HasSubstr("it must run with slab_reassign"));
  server_.reassigns = true;
  EXPECT_TRUE(absl::IsDeadlineExceeded(memcached_.Resize(16 * kMiB, absl::ZeroDuration())));
  server_.lost = true;
  EXPECT_TRUE(absl::IsUnavailable(memcached_.Resize(16 * kMiB, absl::Seconds(60))));
  EXPECT_TRUE(absl::IsUnavailable(memcached_.ReadWork().status()));
}

TEST_F(MemcachedTest, WorkIsHitsOfAllLookups) {
  server_.hits = 70;
  server_.misses = 30;
  const auto work = memcached_.ReadWork();
  ASSERT_TRUE(work.ok());
  EXPECT_EQ(work->done, 70u);
  EXPECT_EQ(work->offered, 100u);
}

TEST(MemcachedLineTest, AnAddressThatIsNoneAndAServerThatIsNotThereAreSaidSo) {
  const auto last = [](absl::string_view) { return true; };
  EXPECT_THAT(std::string(ConnectMemcached("cache:x")->Ask("stats", last).status().message()),
              HasSubstr("must be an address and a port"));
  EXPECT_TRUE(absl::IsUnavailable(ConnectMemcached("127.0.0.1:1")->Ask("stats", last).status()));
  EXPECT_TRUE(
      absl::IsUnavailable(ConnectMemcached("/nowhere/at/all")->Ask("stats", last).status()));
}

TEST(CommandTest, RunsWhatAPersonWouldType) {
  const std::string file = ::testing::TempDir() + "/nom_agents_" + std::to_string(getpid());
  Command command({.resize = absl::StrCat("echo $NOM_BYTES >", file),
                   .work = absl::StrCat("cat ", file, " 2>/dev/null; echo 99")});
  ASSERT_TRUE(command.Resize(12345, absl::Seconds(60)).ok());
  const auto work = command.ReadWork();
  ASSERT_TRUE(work.ok()) << work.status();
  EXPECT_EQ(work->done, 12345u);
  EXPECT_EQ(work->offered, 99u);
  unlink(file.c_str());
  EXPECT_THAT(std::string(command.ReadWork().status().message()), HasSubstr("must print two"));
  EXPECT_THAT(std::string(Command({.resize = "exit 3"}).Resize(1, absl::Seconds(60)).message()),
              HasSubstr("ended with 3"));
  EXPECT_TRUE(
      absl::IsDeadlineExceeded(Command({.resize = "sleep 600"}).Resize(1, absl::Milliseconds(50))));
  // One that follows by itself.
  EXPECT_TRUE(Command({}).Resize(1, absl::Seconds(60)).ok());
  EXPECT_EQ(Command({}).ReadWork()->done, 0u);
}

// --- worth ---

Prices At(int64_t unit_price) {
  Prices prices{.round_id = 1, .stale = false};
  prices.by_resource[static_cast<size_t>(Resource::kMemory) - 1] = {
      .offered = true, .unit_price_microcredits = unit_price};
  return prices;
}

// What a bid wins at a price for each unit, with as many as there are.
int64_t Won(const std::vector<BidRange>& ranges, int64_t unit_price) {
  int64_t won = 0;
  for (const BidRange& range : ranges) {
    if (range.unit_price_microcredits >= unit_price) won = std::max(won, range.max_units);
  }
  return won;
}

// Hits rise with memory up to 40 units and not further.
uint64_t Hits(int64_t units) {
  return static_cast<uint64_t>(200 + 20 * std::min<int64_t>(units, 40));
}

TEST(WorthTest, LearnsWhereMoreIsWorthNothingAndFollowsThePrice) {
  // Ten seconds a round at 20 hits a unit: 20 * 10 * 5 = 1,000 micro-credits a unit below 40.
  auto learner = WorthLearner::Create({.units_max = 64,
                                       .steps = 8,
                                       .value_per_1000_microcredits = 5'000,
                                       .unit_price_max_microcredits = 3'000});
  ASSERT_TRUE(learner.ok());
  int64_t held = 0;
  const auto rounds = [&](int count, int64_t price) {
    std::map<int64_t, int> seen;
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(
          learner->Note(held, {.done = Hits(held) * 10, .offered = 12'000}, absl::Seconds(10))
              .ok());
      const auto bid = learner->BidFor(At(price), absl::Seconds(10));
      ASSERT_TRUE(bid.ok()) << bid.status();
      for (const BidRange& range : *bid) EXPECT_LE(range.unit_price_microcredits, 3'000);
      held = Won(*bid, price);
      if (i >= count / 2) ++seen[held];
    }
    int most = 0;
    for (const auto& [units, times] : seen) {
      if (times > most) {
        most = times;
        held = units;
      }
    }
  };
  rounds(80, 500);
  EXPECT_EQ(held, 40);
  rounds(80, 1'500);  // Dearer than any unit is worth.
  EXPECT_EQ(held, 0);
  rounds(80, 500);
  EXPECT_EQ(held, 40);
}

// A cache fills only as fast as it is asked: what it does in the first round of more memory is what
// it did before. Time in rounds of 10 s; hits of 12,000 lookups.
class SlowCache {
 public:
  static constexpr int64_t kLookups = 12'000;
  static int64_t HitsOf(double units) {
    return static_cast<int64_t>(static_cast<double>(kLookups) *
                                std::sqrt(std::min(1.0, (16 + units) / 80)));
  }
  int64_t Round(int64_t units) {
    const auto room = static_cast<double>(units);
    filled_ = filled_ > room ? room : filled_ + (room - filled_) / 2;
    return HitsOf(filled_);
  }

 private:
  double filled_ = 0;
};

// What it gains over the seed alone, as a share of what one would who knows all beforehand and
// whose cache fills at once: of the first 50 rounds and of the other 350.
std::pair<double, double> Gain(absl::Span<const int64_t> prices) {
  constexpr int64_t kWorth = 60'000;  // Of a thousand hits.
  auto learner = WorthLearner::Create({.units_max = 64,
                                       .steps = 8,
                                       .value_per_1000_microcredits = kWorth,
                                       .unit_price_max_microcredits = 20'000,
                                       .settle = absl::Seconds(30)});
  EXPECT_TRUE(learner.ok());
  const auto worth = [](int64_t hits, int64_t units, int64_t price) {
    return static_cast<double>((hits - SlowCache::HitsOf(0)) * kWorth / 1000 - units * price);
  };
  SlowCache cache;
  int64_t held = 0;
  std::array<double, 2> gained = {};
  std::array<double, 2> to_be_had = {};
  for (size_t i = 0; i < 400; ++i) {
    const size_t part = i < 50 ? 0 : 1;
    const int64_t price = prices[i / 20 % prices.size()];
    const int64_t hits = cache.Round(held);
    EXPECT_TRUE(learner
                    ->Note(held,
                           {.done = static_cast<uint64_t>(hits), .offered = SlowCache::kLookups},
                           absl::Seconds(10))
                    .ok());
    gained[part] += worth(hits, held, price);
    double best = 0;
    for (int64_t units = 0; units <= 64; units += 8) {
      best = std::max(best, worth(SlowCache::HitsOf(static_cast<double>(units)), units, price));
    }
    to_be_had[part] += best;
    const auto bid = learner->BidFor(At(price), absl::Seconds(10));
    EXPECT_TRUE(bid.ok()) << bid.status();
    held = Won(*bid, price);
  }
  return {gained[0] / to_be_had[0], gained[1] / to_be_had[1]};
}

TEST(WorthTest, ACacheThatFillsSlowlyEarnsNearlyAsMuchAsIsToBeHad) {
  // With tries of one round each, all eight sizes one after the other, it was 0.3 and 0.8.
  for (const std::vector<int64_t>& prices :
       {std::vector<int64_t>{1'000, 3'000, 5'000, 9'000}, {4'000, 4'000, 8'000, 2'000}}) {
    const auto [at_first, later] = Gain(prices);
    EXPECT_GT(at_first, 0.6) << prices[0];
    EXPECT_GT(later, 0.9) << prices[0];
  }
}

// A cache that fills at once, in a market that has so many units.
class QuickMarket {
 public:
  QuickMarket() {
    auto learner = WorthLearner::Create({.units_max = 64,
                                         .steps = 8,
                                         .value_per_1000_microcredits = 60'000,
                                         .unit_price_max_microcredits = 20'000,
                                         .settle = absl::ZeroDuration()});
    EXPECT_TRUE(learner.ok());
    learner_ = std::make_unique<WorthLearner>(*std::move(learner));
  }
  // What it holds after so many rounds.
  int64_t Rounds(int count, int64_t price, int64_t supply = 64) {
    for (int i = 0; i < count; ++i) {
      const int64_t used = std::min(held_, working_set);
      const auto hits = static_cast<uint64_t>(SlowCache::HitsOf(static_cast<double>(used)));
      EXPECT_TRUE(
          learner_->Note(held_, {.done = hits, .offered = SlowCache::kLookups}, absl::Seconds(10))
              .ok());
      const auto bid = learner_->BidFor(At(price), absl::Seconds(10));
      EXPECT_TRUE(bid.ok()) << bid.status();
      held_ = std::min(Won(*bid, price), supply);
    }
    return held_;
  }

  int64_t working_set = 64;  // More than that is of no use.

 private:
  std::unique_ptr<WorthLearner> learner_;
  int64_t held_ = 0;
};

TEST(WorthTest, NothingIsTriedWhileItIsDear) {
  QuickMarket market;
  EXPECT_EQ(market.Rounds(13, 10'001), 0);
  EXPECT_EQ(market.Rounds(1, 1'000), 64)
      << "the first tries begin with the largest as soon as it may be had";
}

TEST(WorthTest, SizesThatAreNotTheBestTodayAreKnownTomorrow) {
  QuickMarket market;
  EXPECT_EQ(market.Rounds(40, 1'000), 64);
  // 64 units are worth 6,220 each on the average, the first 16 more than 8,000.
  EXPECT_EQ(market.Rounds(1, 7'000), 16);
}

TEST(WorthTest, WhatWasOnceWorthNothingIsTriedAgain) {
  QuickMarket market;
  market.working_set = 16;
  EXPECT_EQ(market.Rounds(100, 1'000), 16);
  market.working_set = 64;
  EXPECT_EQ(market.Rounds(200, 1'000), 64);
}

TEST(WorthTest, WhatIsNotToBeHadIsLeftForLaterAndNobodyWaitsForIt) {
  QuickMarket market;
  EXPECT_EQ(market.Rounds(140, 1'000, 24), 24);
  // It does not go on asking for more than there is at the price of a try.
  EXPECT_LE(market.Rounds(1, 9'000, 24), 8);
  EXPECT_EQ(market.Rounds(10, 1'000, 24), 24);
  // One day there is more.
  EXPECT_EQ(market.Rounds(150, 1'000), 64);
}

TEST(WorthTest, WrongOptionsAreNamed) {
  const WorthOptions good{.units_max = 64,
                          .steps = 8,
                          .value_per_1000_microcredits = 1,
                          .unit_price_max_microcredits = 1};
  EXPECT_TRUE(WorthLearner::Create(good).ok());
  WorthOptions bad = good;
  bad.steps = 65;
  EXPECT_THAT(std::string(WorthLearner::Create(bad).status().message()), HasSubstr("steps: "));
  bad = good;
  bad.units_max = 7;
  EXPECT_THAT(std::string(WorthLearner::Create(bad).status().message()), HasSubstr("units_max: "));
  bad = good;
  bad.settle = -absl::Seconds(1);
  EXPECT_THAT(std::string(WorthLearner::Create(bad).status().message()), HasSubstr("settle: "));
  bad = good;
  bad.unit_price_max_microcredits = 0;
  EXPECT_THAT(std::string(WorthLearner::Create(bad).status().message()),
              HasSubstr("unit_price_max_microcredits: "));
}

// --- agent ---

class FakeProgram final : public Program {
 public:
  absl::Status Resize(int64_t bytes, absl::Duration) override {
    sizes.push_back(bytes);
    return refuse;
  }
  absl::Status Keep(int64_t bytes) override {
    kept.push_back(bytes);
    return refuse_to_keep;
  }
  absl::StatusOr<Work> ReadWork() override { return work; }

  std::vector<int64_t> sizes;
  std::vector<int64_t> kept;
  absl::Status refuse_to_keep = absl::OkStatus();
  absl::Status refuse = absl::OkStatus();
  Work work;
};

class AgentTest : public ::testing::Test {
 protected:
  AgentTest() {
    guest_id_ = market_.AddGuest("cache", 4);
    auto session = Session::Connect(market_.Options());
    EXPECT_TRUE(session.ok()) << session.status();
    session_ = *std::move(session);
  }
  // Until the session has taken in that the guest holds so much.
  void WaitForUnits(int64_t units) {
    for (;;) {
      for (const Grant& grant : session_->grants()) {
        if (grant.resource == Resource::kMemory && grant.units() == units) return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  void WaitForPrices(uint64_t round_id) {
    while (session_->prices().round_id < round_id) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  testing::FakeMarket market_;
  uint64_t guest_id_ = 0;
  std::unique_ptr<Session> session_;
  FakeProgram program_;
};

TEST_F(AgentTest, TheProgramIsAsLargeAsItsGuestAndOneThatFailedIsAskedAgain) {
  const auto agent = Agent::Create(*session_, program_, {});
  ASSERT_TRUE(agent.ok());
  (*agent)->Step(absl::Now());
  (*agent)->Step(absl::Now());
  const int64_t unit = session_->market().resources[1].unit_size;
  EXPECT_THAT(program_.sizes, ElementsAre(4 * unit));
  ASSERT_TRUE(session_->Bid({.resource = Resource::kMemory, .ranges = {{1, 6, 900, 900}}}).ok());
  market_.Decide();
  WaitForUnits(10);
  program_.refuse = absl::UnavailableError("not now");
  const absl::Time now = absl::Now();
  (*agent)->Step(now);
  EXPECT_EQ((*agent)->size_bytes(), -1);
  program_.refuse = absl::OkStatus();
  (*agent)->Step(now + absl::Milliseconds(999));
  EXPECT_EQ((*agent)->size_bytes(), -1) << "not ten times a second";
  (*agent)->Step(now + absl::Seconds(1));
  (*agent)->Step(now + absl::Seconds(1));
  EXPECT_THAT(program_.sizes, ElementsAre(4 * unit, 10 * unit, 10 * unit));
  EXPECT_EQ((*agent)->size_bytes(), 10 * unit);
  // One that grew by itself and cannot be brought back is resized anew.
  EXPECT_EQ(program_.kept, std::vector<int64_t>({4 * unit, 10 * unit}));
  program_.refuse_to_keep = absl::ResourceExhaustedError("too much alive");
  (*agent)->Step(now + absl::Seconds(2));
  EXPECT_EQ((*agent)->size_bytes(), -1);
  (*agent)->Step(now + absl::Seconds(3));
  EXPECT_EQ(program_.sizes.size(), 4u);
}

TEST_F(AgentTest, ItBidsWhatItHasLearnt) {
  const auto agent = Agent::Create(*session_, program_,
                                   {.worth = WorthOptions{.units_max = 64,
                                                          .steps = 8,
                                                          .value_per_1000_microcredits = 1'000,
                                                          .unit_price_max_microcredits = 100}});
  ASSERT_TRUE(agent.ok());
  // Each unit beyond the seed is worth 30 micro-credits a round, and costs 1.
  absl::Time now = absl::Now();
  int64_t award = 0;
  for (int round = 0; round < 200; ++round) {
    WaitForPrices(market_.Decide() - 1);
    award = market_.award_units(guest_id_, Resource::kMemory);
    WaitForUnits(4 + award);
    (*agent)->Step(now);
    now += absl::Seconds(60);
    program_.work.done += static_cast<uint64_t>(100 + 30 * award);
    program_.work.offered += 5'000;
    for (const Bid& bid : market_.bids()) {
      EXPECT_EQ(bid.resource, Resource::kMemory);
      for (const BidRange& range : bid.ranges) {
        EXPECT_LE(range.unit_price_microcredits, 100);
        EXPECT_LE(range.max_units, 64);
      }
    }
  }
  EXPECT_EQ(award, 64);
  EXPECT_FALSE(Agent::Create(*session_, program_, {.worth = WorthOptions{}}).ok());
  session_->OnNotice(nullptr);
}

}  // namespace
}  // namespace nom::agents
