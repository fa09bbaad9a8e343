// SPDX-License-Identifier: Apache-2.0
// What a session makes of answers that it does not expect: pages that lead nowhere, calls that
// fail, leases of another ledger.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "nom/session.h"
#include "tests/unit/client/fake_market.h"

namespace nom {
namespace {

using client_test::FakeMarket;

class SessionAnswersTest : public ::testing::Test {
 protected:
  SessionAnswersTest() {
    Publish(10);
    SessionOptions options;
    options.target = market_.target();
    options.plaintext = true;
    session_ = *Session::Connect(std::move(options));
  }
  static market::v1::WatchResponse Response(uint64_t round_id, const std::string& ledger_id) {
    market::v1::WatchResponse response;
    response.set_sequence(round_id);
    *response.mutable_state() =
        client_test::MakeState(round_id, 100, 30, absl::Now() + absl::Minutes(10));
    response.mutable_state()->set_ledger_id(ledger_id);
    *response.add_guests() = client_test::MakeGuest(3, "cache");
    return response;
  }
  void Publish(uint64_t round_id) { market_.Publish(Response(round_id, "a")); }
  static market::v1::ListRoundsResponse Page(uint64_t round_id, uint64_t next) {
    market::v1::ListRoundsResponse page;
    market::v1::Round* const round = page.add_rounds();
    round->set_round_id(round_id);
    round->set_phase(market::v1::ROUND_PHASE_SETTLED);
    page.set_next_before_round_id(next);
    return page;
  }
  // The pages in turn; the last again and again.
  void Answer(const std::vector<market::v1::ListRoundsResponse>& pages) {
    asked_ = 0;
    market_.Configure([&](FakeMarket& market) {
      market.rounds = pages[0];
      market.on_request = [this, pages](const std::string& request) {
        if (request.rfind("ListRounds", 0) != 0) return;
        const size_t next = std::min(++asked_, pages.size() - 1);
        market_.Configure([&](FakeMarket& fake) { fake.rounds = pages[next]; });
      };
    });
  }

  std::atomic<size_t> asked_{0};
  FakeMarket market_;
  std::unique_ptr<Session> session_;
};

TEST_F(SessionAnswersTest, AStatementIsOfAllPages) {
  Answer({Page(9, 9), Page(8, 8), Page(7, 7), Page(6, 0)});
  const absl::StatusOr<Statement> from_seven = session_->GetStatement(7);
  ASSERT_TRUE(from_seven.ok()) << from_seven.status();
  EXPECT_EQ(from_seven->settled_rounds, 3);
  EXPECT_EQ(from_seven->first_round_id, 7u);
  Answer({Page(9, 9), Page(8, 8), Page(7, 7), Page(6, 0)});
  EXPECT_EQ(session_->GetStatement(0)->settled_rounds, 4);
}

TEST_F(SessionAnswersTest, RoundsThatAreNotToBeHadAreMissedForTheReasonThatTheMarketGave) {
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<absl::Status> why;
  session_->OnSessionEvent([&](const SessionEvent& event) {
    if (event.change != SessionChange::kRoundsMissed) return;
    std::lock_guard lock(mutex);
    why = event.status;
    changed.notify_all();
  });
  market_.RequireToken("another");  // The stream goes on; any call is refused.
  Publish(14);
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return why.has_value(); });
    EXPECT_EQ(why->code(), absl::StatusCode::kUnauthenticated) << *why;
  }
  session_->OnSessionEvent(nullptr);
}

// A fence means something in its own ledger alone.
TEST_F(SessionAnswersTest, ALeaseOfAnotherLedgerThanWasToldOfIsNotUsed) {
  std::mutex mutex;
  std::condition_variable changed;
  int leases = 0;
  std::vector<std::string> writes;
  market_.Configure([&](FakeMarket& market) {
    market.on_request = [&](const std::string& request) {
      std::lock_guard lock(mutex);
      if (request.rfind("OpenLease", 0) == 0) ++leases;
      if (request.rfind("PlaceBids", 0) == 0) writes.push_back(request);
      changed.notify_all();
    };
  });
  market_.Tell(Response(11, "b"));
  while (session_->market().ledger_id != "b") std::this_thread::yield();
  const BidCall call = session_->BidAsync({{.guest_id = 3, .ranges = {{1, 4, 100, 100}}}}, nullptr,
                                          {.timeout = absl::InfiniteDuration()});
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return leases >= 2 || !writes.empty(); });
    EXPECT_TRUE(writes.empty()) << writes[0];
  }
  market_.Publish(Response(12, "b"));
  EXPECT_TRUE(call.Wait()[0].ok());
  EXPECT_TRUE(session_->Close().ok());
  session_.reset();
  market_.Configure([](FakeMarket& market) { market.on_request = nullptr; });
}

TEST_F(SessionAnswersTest, ARenewalThatFailedIsTriedAgainInTheSameRound) {
  ASSERT_TRUE(session_->Bid({.guest_id = 3, .ranges = {{1, 4, 100, 100}}}).ok());
  const int64_t before = market_.renewals();
  market_.FailRenewals(2);
  Publish(11);
  market_.WaitForRenewals(before + 3);
}

// Nobody waits for its answer any more, however long it may take.
TEST_F(SessionAnswersTest, TheEndDoesNotWaitForACallThatTheMarketHolds) {
  std::mutex mutex;
  std::condition_variable changed;
  bool is_held = false;
  bool let_go = false;
  market_.Configure([&](FakeMarket& market) {
    market.on_request = [&](const std::string& request) {
      if (request.rfind("GetQuote", 0) != 0) return;
      std::unique_lock lock(mutex);
      is_held = true;
      changed.notify_all();
      changed.wait(lock, [&] { return let_go; });
    };
  });
  SessionOptions options;
  options.target = market_.target();
  options.plaintext = true;
  options.attempt_timeout = absl::InfiniteDuration();
  auto session = *Session::Connect(std::move(options));
  const AsyncCall<Offer> call = session->GetQuote({.units = {{Resource::kMemory, 1}}}, nullptr,
                                                  {.timeout = absl::InfiniteDuration()});
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return is_held; });
  lock.unlock();
  session.reset();
  EXPECT_TRUE(absl::IsCancelled(call.Wait().status()));
  lock.lock();
  let_go = true;
  changed.notify_all();
  lock.unlock();
  market_.Stop();  // Which waits for the call: what it refers to may go then.
}

// With all the time in the world it would never end.
TEST_F(SessionAnswersTest, AStatementEndsWhereThePagesLeadNowhere) {
  for (const uint64_t next : {uint64_t{9}, uint64_t{10}, ~uint64_t{0}}) {
    Answer({Page(9, 9), Page(8, next)});
    const absl::Status status =
        session_->GetStatement(0, 0, {.timeout = absl::InfiniteDuration()}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
  }
}

}  // namespace
}  // namespace nom
