// SPDX-License-Identifier: Apache-2.0
// What everybody tries first, done right: four questions that a program has in its first hour with
// a market, each answered by a few lines. Runs against a market of its own (nom::testing), so it
// needs no daemon, and ends with an error if an answer is no longer true.
//
//   first_session

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include "nom/adviser.h"
#include "nom/session.h"
#include "nom/testing/fake_market.h"

namespace nom::examples {
namespace {

void Check(bool so, const std::string& what) {
  std::cout << (so ? "yes: " : "NO:  ") << what << std::endl;
  if (!so) throw std::runtime_error(what);
}

// Rounds as a callback tells them, for a main thread that waits.
class Rounds {
 public:
  void Put(uint64_t round_id) {
    std::lock_guard lock(mutex_);
    last_round_id_ = round_id;
    changed_.notify_all();
  }
  void WaitFor(uint64_t round_id) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return last_round_id_ >= round_id; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t last_round_id_ = 0;
};

// "May I bid when I hear of prices?" Yes. Here the bid follows the price: what is dear is wanted
// less.
void BidInsideACallback(testing::FakeMarket& market, Session& session) {
  Rounds rounds;
  session.OnPrices([&](const Prices& prices) {
    const std::optional<int64_t> price = prices.UnitPrice(Resource::kMemory);
    if (!price) return;  // Not on sale is not the same as free.
    const absl::StatusOr<Advice> advice =
        Advise({{16, 4'000}, {32, 6'000}, {64, 7'000}}, {.unit_price_microcredits = *price});
    // Without ranges, as when nothing is worth its price, this withdraws.
    if (advice.ok()) (void)session.Bid({.resource = Resource::kMemory, .ranges = advice->ranges});
    rounds.Put(prices.round_id);
  });
  rounds.WaitFor(market.Decide() - 1);
  Check(market.bids().size() == 1, "a program may bid inside a callback");
  session.OnPrices(nullptr);  // From here on `rounds` may go.
}

// "I no longer bid. Does it end?" Only if it was for a while, or is withdrawn.
void EndABid(testing::FakeMarket& market, Session& session) {
  Rounds rounds;
  session.OnRound([&](const Round& round) { rounds.Put(round.round_id); });
  const Bid wanted{.resource = Resource::kCpu, .ranges = {{1, 10, 900, 900}}};
  for (uint32_t stands : {0U, 2U}) {
    Bid bid = wanted;
    bid.rounds = stands;  // 0: until further notice.
    if (!session.Bid(bid).ok()) throw std::runtime_error("the bid was refused");
    for (int i = 0; i < 2; ++i) rounds.WaitFor(market.Decide() - 1);
    bool is_there = false;
    for (const Bid& standing : market.bids()) is_there |= standing.resource == Resource::kCpu;
    Check(is_there == (stands == 0), stands == 0 ? "a bid stands until it is withdrawn"
                                                 : "a bid for two rounds ends by itself");
  }
  if (!session.Bid(wanted).ok()) throw std::runtime_error("the bid was refused");
  // All that is wanted now is nothing.
  if (!session.Bid({.resource = Resource::kCpu}).ok()) throw std::runtime_error("not withdrawn");
  for (const Bid& standing : market.bids()) {
    Check(standing.resource != Resource::kCpu, "a bid without ranges withdraws");
  }
  session.OnRound(nullptr);
}

// "One guest today, and two tomorrow?" A bid without a guest is for the only one, and for the same
// when others have come. A new program must say which.
void NameTheGuest(testing::FakeMarket& market, Session& session) {
  const uint64_t second = market.AddGuest("second");
  while (session.guests().size() < 2) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  Check(session.Bid({.resource = Resource::kDisk, .ranges = {{1, 1, 9, 9}}}).ok() &&
            market.bids().back().guest_id != second,
        "guest 0 goes on meaning the guest that it meant");
  const auto another = Session::Connect(market.Options());
  if (!another.ok()) throw std::runtime_error(std::string(another.status().message()));
  Check(!(*another)->Bid({.resource = Resource::kDisk, .ranges = {{1, 1, 9, 9}}}).ok(),
        "a program that has never said which of two is asked");
}

// "Two copies of my program run. Do they fight?" No: the newer has the bid, the older is told.
void RunTwice(testing::FakeMarket& market, Session& older, uint64_t guest_id) {
  std::mutex mutex;
  std::condition_variable changed;
  bool told = false;
  older.OnBidEvent([&](const BidEvent& event) {
    std::lock_guard lock(mutex);
    told |= event.change == BidChange::kTakenOver;
    changed.notify_all();
  });
  const Bid bid{.guest_id = guest_id, .resource = Resource::kNetwork, .ranges = {{1, 1, 9, 9}}};
  const auto newer = Session::Connect(market.Options());
  if (!newer.ok() || !older.Bid(bid).ok() || !(*newer)->Bid(bid).ok()) {
    throw std::runtime_error("the bids were refused");
  }
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return told; });
  }
  Check(!older.Bid(bid).ok(), "the newer of two sessions has the bid, and the older is told");
  older.OnBidEvent(nullptr);
}

int Main() {
  testing::FakeMarket market;
  const uint64_t guest_id = market.AddGuest("first");
  absl::StatusOr<std::unique_ptr<Session>> session = Session::Connect(market.Options());
  if (!session.ok()) throw std::runtime_error(std::string(session.status().message()));
  BidInsideACallback(market, **session);
  EndABid(market, **session);
  NameTheGuest(market, **session);
  RunTwice(market, **session, guest_id);
  Check((*session)->Close({.bids = CloseOptions::Bids::kWithdraw}).ok(),
        "the end is an orderly one");
  return 0;
}

}  // namespace
}  // namespace nom::examples

int main() {
  try {
    return nom::examples::Main();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "first_session: %s\n", error.what());
    return 1;
  }
}
