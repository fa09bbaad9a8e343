// The SDK and its example against a real marketd: leases, restarts, outages.

#include "nom/session.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "absl/strings/str_replace.h"
#include "tests/service/market_fixture.h"

namespace nom::testing {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

void Until(const std::function<bool()>& so) {
  while (!so()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

class SessionServiceTest : public MarketTest {
 protected:
  // A socket that is the same after a restart.
  std::string Config() override {
    return absl::StrReplaceAll(SampleConfig(dir_),
                               {{"listen: 127.0.0.1:0\nplaintext",
                                 "listen: unix:" + dir_.File("socket") + "\nplaintext"}});
  }
  SessionOptions Options() {
    SessionOptions options;
    options.target = marketd_->grpc_address();
    options.plaintext = true;
    options.token = alice_->token;
    options.connect_timeout = absl::Seconds(60);
    options.call_timeout = absl::Seconds(60);
    return options;
  }
  std::unique_ptr<Session> Connect() {
    absl::StatusOr<std::unique_ptr<Session>> session = Session::Connect(Options());
    EXPECT_TRUE(session.ok()) << session.status();
    return session.ok() ? *std::move(session) : nullptr;
  }
  static Bid MemoryBid(int64_t units) {
    return {.resource = Resource::kMemory, .ranges = {{1, units, 100, 100}}};
  }
  // Of alice's guest, as she is told by another call.
  std::vector<market_pb::Bid> Standing() {
    market_pb::GetGuestRequest request;
    market_pb::GetGuestResponse response;
    request.set_guest_id(alices_guest_);
    EXPECT_THAT(alice_->market->GetGuest(alice_->Context().get(), request, &response), Succeeds());
    return {response.guest().bids().begin(), response.guest().bids().end()};
  }
  // The next so many rounds' awards of memory, as the session is told.
  static std::vector<int64_t> NextAwards(Session& session, size_t count) {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<int64_t> awards;
    session.OnRound([&](const Round& round) {
      std::lock_guard lock(mutex);
      if (awards.size() < count) awards.push_back(round.award_units(Resource::kMemory));
      changed.notify_all();
    });
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return awards.size() == count; });
    lock.unlock();
    session.OnRound(nullptr);
    return awards;
  }
};

TEST_F(SessionServiceTest, ABidStandsWhileItsSessionLivesAndTheNewerSessionTakesOver) {
  const auto older = Connect();
  ASSERT_TRUE(older->Bid(MemoryBid(5)).ok());
  (void)NextAwards(*older, 1);
  EXPECT_THAT(NextAwards(*older, 5), ::testing::Each(5)) << "beyond its lifetime of three rounds";
  EXPECT_EQ(older->counters().write_calls, 1u);
  const auto newer = Connect();
  ASSERT_TRUE(newer->Bid(MemoryBid(40)).ok());
  Until([&] { return older->standing_bids().empty(); });
  (void)NextAwards(*newer, 1);
  EXPECT_THAT(NextAwards(*newer, 4), ::testing::Each(40)) << "nobody fights";
  EXPECT_EQ(older->Bid(MemoryBid(5)).status().code(), absl::StatusCode::kAborted);
}

TEST_F(SessionServiceTest, AWithdrawalWithoutALeaseStands) {
  const auto session = Connect();
  ASSERT_TRUE(session->Bid(MemoryBid(5)).ok());
  ASSERT_THAT(Standing(), SizeIs(1));
  market_pb::WithdrawBidRequest request;
  market_pb::WithdrawBidResponse response;
  request.set_guest_id(alices_guest_);
  request.set_kind(market_pb::RESOURCE_KIND_MEMORY);
  request.set_request_id("by-hand");
  ASSERT_THAT(alice_->market->WithdrawBid(alice_->Context().get(), request, &response), Succeeds());
  Until([&] { return session->standing_bids().empty(); });
  (void)NextAwards(*session, 2);
  EXPECT_THAT(Standing(), IsEmpty());
  session->TakeOver();
  EXPECT_TRUE(session->Bid(MemoryBid(6)).ok());
}

TEST_F(SessionServiceTest, ARestartAndAnOutageAreSurvived) {
  const auto session = Connect();
  ASSERT_TRUE(session->Bid(MemoryBid(5)).ok());
  (void)NextAwards(*session, 2);
  marketd_->Kill();
  Until([&] { return session->stale(); });
  EXPECT_EQ(session->Bid(MemoryBid(6)).status().code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(marketd_->Start().ok());
  Until([&] { return !session->stale(); });
  (void)NextAwards(*session, 1);
  EXPECT_THAT(NextAwards(*session, 4), ::testing::Each(5));
  EXPECT_EQ(session->counters().write_calls, 1u) << "the bid was not even written again";
  EXPECT_TRUE(session->Close({.bids = CloseOptions::Bids::kWithdraw}).ok());
  EXPECT_THAT(Standing(), IsEmpty());
}

TEST_F(SessionServiceTest, AMarketWithAnotherLedgerGetsNoneOfTheBids) {
  std::atomic<bool> told{false};
  SessionOptions options = Options();
  options.token = kOperatorToken;  // The same for both ledgers.
  absl::StatusOr<std::unique_ptr<Session>> session = Session::Connect(options);
  ASSERT_TRUE(session.ok()) << session.status();
  (*session)->OnSessionEvent([&](const SessionEvent& event) {
    if (event.change == SessionChange::kOtherLedger) told = true;
  });
  Bid bid = MemoryBid(5);
  bid.guest_id = alices_guest_;
  ASSERT_TRUE((*session)->Bid(bid).ok());
  marketd_->Terminate();
  for (const char* end : {"", "-wal", "-shm", ".lock"}) {
    unlink((dir_.File("ledger.sqlite") + end).c_str());
  }
  SetUp();
  ASSERT_EQ(alices_guest_, bid.guest_id) << "the same ids";
  Until([&] { return told.load(); });
  EXPECT_THAT((*session)->standing_bids(), IsEmpty());
  (void)NextAwards(**session, 2);
  EXPECT_THAT(Standing(), IsEmpty());
}

TEST_F(SessionServiceTest, TheHostedBidderSurvivesARestart) {
  const std::string token_file = dir_.Write("alice-token", alice_->token + "\n");
  Exit bidder;
  std::thread runs([&] {
    bidder = RunToEnd({NOM_HOSTED_BIDDER, "--target", marketd_->grpc_address(), "--token-file",
                       token_file, "--guest-name", "cache", "--rounds", "6"});
  });
  // Rounds are of a second each.
  std::this_thread::sleep_for(std::chrono::seconds(2));
  marketd_->Kill();
  EXPECT_TRUE(marketd_->Start().ok());
  runs.join();
  EXPECT_EQ(bidder.code, 0) << bidder.out;
  EXPECT_THAT(bidder.out, ::testing::HasSubstr("safe mode: "));
  EXPECT_THAT(bidder.out, ::testing::HasSubstr("round "));
  EXPECT_THAT(Standing(), IsEmpty()) << "it takes its bids along when it goes";
}

}  // namespace
}  // namespace nom::testing
