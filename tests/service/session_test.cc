// SPDX-License-Identifier: Apache-2.0
// The SDK and its example against a real marketd: leases, restarts, outages.

#include "nom/session.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "nom/joint.h"
#include "tests/net/forwarder.h"
#include "tests/net/http_get.h"
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
  // Also of rounds that were decided by the process before.
  const absl::StatusOr<RoundsPage> rounds = session->ListRounds(0, 100);
  ASSERT_TRUE(rounds.ok()) << rounds.status();
  int served = 0;
  for (const Round& round : rounds->rounds) {
    for (const Award& award : round.awards) {
      EXPECT_NE(award.reason, AwardReason::kUnknown) << "round " << round.round_id;
      if (award.resource != Resource::kMemory || award.award_units == 0) continue;
      EXPECT_EQ(award.reason, AwardReason::kServed) << "round " << round.round_id;
      ++served;
    }
  }
  EXPECT_GE(served, 6);
  // The account goes on: it says at least as much as the rounds that were settled before.
  const absl::StatusOr<Statement> statement = session->GetStatement(0);
  ASSERT_TRUE(statement.ok()) << statement.status();
  EXPECT_GT(statement->charge_microcredits(), 0);
  EXPECT_GT(statement->settled_rounds, 3);
  market_pb::GetAccountResponse account;
  ASSERT_THAT(alice_->market->GetAccount(alice_->Context().get(), {}, &account), Succeeds());
  EXPECT_LE(statement->charge_microcredits() + statement->rent_microcredits(),
            account.account().spent_microcredits() + account.account().arrears_microcredits());
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
  // It need not bid in its first rounds, but it listens.
  Until([&] {
    return absl::StrContains(HttpGet(marketd_->metrics_address(), "/metrics"),
                             "\nnom_market_watchers 1\n");
  });
  marketd_->Kill();
  EXPECT_TRUE(marketd_->Start().ok());
  runs.join();
  EXPECT_EQ(bidder.code, 0) << bidder.out;
  EXPECT_THAT(bidder.out, ::testing::HasSubstr("safe mode: "));
  EXPECT_THAT(bidder.out, ::testing::HasSubstr("round "));
  EXPECT_THAT(Standing(), IsEmpty()) << "it takes its bids along when it goes";
}

class OutageTest : public MarketTest {};

// The line goes dead without a word from anybody, as when a cable is pulled.
TEST_F(OutageTest, TheHostedBidderSurvivesAnOutage) {
  Forwarder line(marketd_->grpc_address());
  const std::string token_file = dir_.Write("alice-token", alice_->token + "\n");
  Exit bidder;
  std::thread runs([&] {
    bidder = RunToEnd({NOM_HOSTED_BIDDER, "--target", line.address(), "--token-file", token_file,
                       "--guest-name", "cache", "--rounds", "6"});
  });
  Until([&] {
    return absl::StrContains(HttpGet(marketd_->metrics_address(), "/metrics"),
                             "\nnom_market_watchers 1\n");
  });
  line.Freeze();
  runs.join();
  EXPECT_EQ(bidder.code, 0) << bidder.out;
  EXPECT_GE(line.connections(), 2) << "it came back by another connection";
  EXPECT_THAT(bidder.out, ::testing::HasSubstr("safe mode: no fresh prices"));
  EXPECT_THAT(bidder.out, ::testing::HasSubstr("\nround "));
}

// On a host that clears all resources together.
class JointSessionTest : public SessionServiceTest {
 protected:
  std::string Config() override {
    return absl::StrReplaceAll(SessionServiceTest::Config(),
                               {{"period_ms: 1000", "period_ms: 1000\n    clearing: joint_vcg/1"},
                                {"        rule: uniform_price/1\n", ""}});
  }
  // Running wide needs both resources; running narrow, a little of each.
  static std::vector<WorkingPoint> Points() {
    return {{.knob = 1,
             .units = {{Resource::kCpu, 20}, {Resource::kMemory, 10}},
             .value_microcredits = 30'000},
            {.knob = 2,
             .units = {{Resource::kCpu, 60}, {Resource::kMemory, 40}},
             .value_microcredits = 90'000}};
  }
  static std::vector<std::pair<int64_t, int64_t>> NextPairs(Session& session, size_t count) {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::pair<int64_t, int64_t>> awards;
    session.OnRound([&](const Round& round) {
      std::lock_guard lock(mutex);
      if (awards.size() < count) {
        awards.emplace_back(round.award_units(Resource::kCpu),
                            round.award_units(Resource::kMemory));
      }
      changed.notify_all();
    });
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return awards.size() == count; });
    lock.unlock();
    session.OnRound(nullptr);
    return awards;
  }
};

TEST_F(JointSessionTest, WorkingPointsAreBidForTogetherRenewedTakenOverAndWithdrawn) {
  using ::testing::Each;
  using ::testing::Pair;
  const auto session = Connect();
  Until([&] { return session->prices().UnitPrice(Resource::kCpu).has_value(); });
  ASSERT_TRUE(session->Bid(MemoryBid(5)).ok());
  const Bid bundles{.valuation = BundlesOf(Points(), session->prices())};
  ASSERT_THAT(bundles.valuation->bundles, SizeIs(2));
  const absl::StatusOr<uint64_t> round = session->Bid(bundles);
  ASSERT_TRUE(round.ok()) << round.status();
  ASSERT_THAT(Standing(), SizeIs(1)) << "in the place of the one for memory";
  EXPECT_TRUE(Standing()[0].has_valuation());
  ASSERT_THAT(session->standing_bids(), SizeIs(1));
  (void)NextPairs(*session, 1);
  EXPECT_THAT(NextPairs(*session, 4), Each(Pair(60, 40))) << "beyond its lifetime of three rounds";
  EXPECT_EQ(session->counters().write_calls, 2u) << "renewed, not written again";

  const auto newer = Connect();
  ASSERT_TRUE(newer->Bid(MemoryBid(7)).ok());
  Until([&] { return session->standing_bids().empty(); });
  (void)NextPairs(*newer, 1);
  EXPECT_THAT(NextPairs(*newer, 3), Each(Pair(0, 7))) << "nobody fights";
  EXPECT_EQ(session->Bid(bundles).status().code(), absl::StatusCode::kAborted);

  marketd_->Kill();
  Until([&] { return newer->stale(); });
  ASSERT_TRUE(marketd_->Start().ok());
  Until([&] { return !newer->stale(); });
  ASSERT_TRUE(newer->Bid(bundles).ok());
  (void)NextPairs(*newer, 1);
  EXPECT_THAT(NextPairs(*newer, 2), Each(Pair(60, 40)));
  const absl::StatusOr<bool> removed = newer->WithdrawSeveral();
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_TRUE(*removed);
  EXPECT_THAT(Standing(), IsEmpty());
}

// A tenant with so many guests and bids that what is told of them fits into no one message.
class LargeStateTest : public SessionServiceTest {
 protected:
  static constexpr int kGuests = 1'700;
  static constexpr int kThreads = 4;
  // A part ends at a mebibyte, at the guest that goes beyond it.
  static constexpr size_t kPartBytesMax = (size_t{1} << 20) + 65'536;

  std::string Config() override {
    std::string more = "        reserve_unit_price_microcredits: 20\n";
    for (const char* kind : {"cache", "network", "disk", "device"}) {
      absl::StrAppend(&more, "      - kind: ", kind,
                      "\n        unit_size: 1\n        capacity_units: 100\n"
                      "        rule: uniform_price/1\n"
                      "        reserve_unit_price_microcredits: 10\n");
    }
    return absl::StrReplaceAll(SessionServiceTest::Config(),
                               {{"        reserve_unit_price_microcredits: 20\n", more},
                                {"capacity_units: 64", "capacity_units: 4096"},
                                {"period_ms: 1000", "period_ms: 600000\n    guests_max: 4096"}});
  }
  // Concave, and as long in the wire format as one can be.
  static std::vector<BidRange> SixteenRanges() {
    int64_t value = 300'000'000'000'000;
    std::vector<BidRange> ranges = {{0, 3'000'000, 0, value / 3'000'000}};
    for (int64_t i = 0; i < 15; ++i) {
      const int64_t price = 40'000'000 - i * 1'000'000;
      ranges.push_back({3'000'000 + i * 100'000, 3'100'000 + i * 100'000, value, price});
      value += 100'000 * price;
    }
    return ranges;
  }
};

TEST_F(LargeStateTest, ComesInPartsAndWhole) {
  std::vector<std::thread> admitting;
  for (int t = 0; t < kThreads; ++t) {
    admitting.emplace_back([&, t] {
      for (int i = t; i < kGuests; i += kThreads) {
        operators_pb::AdmitGuestRequest request = AdmitRequest("alice", absl::StrCat("guest-", i));
        request.clear_seeds();
        operators_pb::Seed* const memory = request.add_seeds();
        memory->set_kind(market_pb::RESOURCE_KIND_MEMORY);
        memory->set_units(1);
        uint64_t guest_id = 0;
        ASSERT_THAT(Admit(*operator_, request, &guest_id), Succeeds());
      }
    });
  }
  for (std::thread& thread : admitting) thread.join();
  SessionOptions options = Options();
  options.call_timeout = absl::Minutes(3);
  absl::StatusOr<std::unique_ptr<Session>> first = Session::Connect(options);
  ASSERT_TRUE(first.ok()) << first.status();
  Until([&] { return (*first)->guests().size() == kGuests + 1; });
  std::vector<Bid> bids;
  for (const GuestStatus& guest : (*first)->guests()) {
    for (const Resource resource : kAllResources) {
      bids.push_back({.guest_id = guest.guest_id, .resource = resource, .ranges = SixteenRanges()});
    }
  }
  // More than one session keeps.
  constexpr size_t kBidsOfASession = 4'096;
  std::vector<std::unique_ptr<Session>> bidders;
  for (size_t begin = 0; begin < bids.size(); begin += kBidsOfASession) {
    const size_t end = std::min(bids.size(), begin + kBidsOfASession);
    absl::StatusOr<std::unique_ptr<Session>> bidder = Session::Connect(options);
    ASSERT_TRUE(bidder.ok()) << bidder.status();
    const auto at = [&bids](size_t i) { return bids.begin() + static_cast<std::ptrdiff_t>(i); };
    for (const absl::StatusOr<uint64_t>& result :
         (*bidder)->BidAll(std::vector<Bid>(at(begin), at(end)))) {
      ASSERT_TRUE(result.ok()) << result.status();
    }
    bidders.push_back(*std::move(bidder));
  }

  size_t bytes = 0;
  int pages = 0;
  market_pb::ListGuestsRequest request;
  do {
    market_pb::ListGuestsResponse page;
    ASSERT_THAT(alice_->market->ListGuests(alice_->Context().get(), request, &page), Succeeds());
    bytes += page.ByteSizeLong();
    ++pages;
    request.set_after_guest_id(page.next_after_guest_id());
  } while (request.after_guest_id() != 0);
  EXPECT_GT(bytes, size_t{4} << 20) << "more than a message of gRPC's may hold";
  EXPECT_GT(pages, 4);

  // The operator's list and stream, which have the guests of all tenants.
  std::set<uint64_t> listed;
  request.Clear();
  do {
    market_pb::ListGuestsResponse page;
    ASSERT_THAT(operator_->market->ListGuests(operator_->Context().get(), request, &page),
                Succeeds());
    EXPECT_LT(page.ByteSizeLong(), kPartBytesMax);
    for (const market_pb::GuestInfo& guest : page.guests()) listed.insert(guest.guest_id());
    request.set_after_guest_id(page.next_after_guest_id());
  } while (request.after_guest_id() != 0);
  EXPECT_EQ(listed.size(), static_cast<size_t>(kGuests) + 2) << "bob's, too";
  const auto context = operator_->Context();
  const auto reader = operator_->market->Watch(context.get(), market_pb::WatchRequest());
  market_pb::WatchResponse part;
  std::set<uint64_t> told;
  int parts = 0;
  std::set<std::string> accounts;
  do {
    ASSERT_TRUE(reader->Read(&part));
    EXPECT_LT(part.ByteSizeLong(), kPartBytesMax);
    for (const market_pb::GuestInfo& guest : part.guests()) told.insert(guest.guest_id());
    for (const market_pb::Account& account : part.accounts()) accounts.insert(account.tenant_id());
    ++parts;
  } while (part.more());
  EXPECT_EQ(told, listed) << "whole with the first part that says that no more comes";
  EXPECT_EQ(accounts, (std::set<std::string>{"alice", "bob"}));
  EXPECT_GT(parts, 4);
  context->TryCancel();

  absl::StatusOr<std::unique_ptr<Session>> second = Session::Connect(options);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ((*second)->guests().size(), kGuests + 1) << "the first word is the whole of it";
  EXPECT_GT((*second)->counters().responses, 4u);
  EXPECT_TRUE((*second)->account().has_value());
}

TEST_F(SessionServiceTest, AHostThatClearsEachResourceByItselfRefusesValuations) {
  const auto session = Connect();
  ASSERT_TRUE(session->Bid(MemoryBid(5)).ok());
  Bid several;
  several.valuation = {.bundles = {{.units = {{Resource::kCpu, 2}}, .value_microcredits = 900}}};
  const absl::Status status = session->Bid(several).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              ::testing::HasSubstr("clears each resource by itself"));
  ASSERT_THAT(session->standing_bids(), SizeIs(1)) << "what stood still does";
  EXPECT_TRUE(session->standing_bids()[0].confirmed);
  EXPECT_THAT(Standing(), SizeIs(1));
}

}  // namespace
}  // namespace nom::testing
