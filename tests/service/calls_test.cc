// SPDX-License-Identifier: Apache-2.0
// Every call of both services over real gRPC: what it answers, and what it refuses and how.

#include <limits>

#include "absl/strings/str_cat.h"
#include "tests/service/market_fixture.h"

namespace nom::testing {
namespace {

using ::grpc::StatusCode;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr auto kMemory = market_pb::RESOURCE_KIND_MEMORY;
constexpr auto kCpu = market_pb::RESOURCE_KIND_CPU;
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

class CallsTest : public MarketTest {
 protected:
  grpc::Status WatchOnce(const Client& client, const market_pb::WatchRequest& request) {
    const auto context = client.Context();
    const auto reader = client.market->Watch(context.get(), request);
    market_pb::WatchResponse response;
    if (reader->Read(&response)) {
      context->TryCancel();
      while (reader->Read(&response)) {
      }
    }
    return reader->Finish();
  }
};

TEST_F(CallsTest, ABidWinsIsDeliveredAndPaidFor) {
  uint64_t round_id = 0;
  ASSERT_THAT(PlaceBid(*alice_, BidRequest(alices_guest_, kMemory, 20, 50, "b1"), &round_id),
              Succeeds());
  EXPECT_GT(round_id, 0u);
  const market_pb::Round round = WaitForSettled(*alice_, alices_guest_, round_id);
  ASSERT_GE(round.round_id(), round_id);
  EXPECT_EQ(round.host_id(), "sim");
  ASSERT_THAT(round.prices(), SizeIs(2));
  for (const market_pb::ResourcePrice& price : round.prices()) {
    if (price.kind() != kMemory) continue;
    // Nobody competes for 56 units: the reserve sets the price.
    EXPECT_EQ(price.unit_price_microcredits(), 10);
    EXPECT_EQ(price.supply_units(), 56);
    EXPECT_EQ(price.demand_units(), 20);
    EXPECT_EQ(price.sold_units(), 20);
    EXPECT_EQ(price.bound_by(), market_pb::BOUND_BY_RESERVE);
    EXPECT_EQ(price.method(), market_pb::CLEARING_METHOD_EXACT);
    EXPECT_EQ(price.policy(), "uniform_price/1");
    EXPECT_FALSE(price.has_highest_rejected_unit_price_microcredits());
  }
  int found = 0;
  for (const market_pb::GuestOutcome& outcome : round.outcomes()) {
    EXPECT_EQ(outcome.guest_id(), alices_guest_) << "a tenant sees only its own";
    if (outcome.kind() != kMemory) continue;
    ++found;
    EXPECT_EQ(outcome.seed_units(), 4);
    EXPECT_EQ(outcome.award_units(), 20);
    EXPECT_EQ(outcome.charge_microcredits(), 200);
    EXPECT_TRUE(outcome.settled());
    EXPECT_LE(outcome.settled_microcredits(), 200);
    EXPECT_GT(outcome.settled_microcredits(), 0);
  }
  EXPECT_EQ(found, 1);

  operators_pb::GetRoundRecordRequest request;
  operators_pb::GetRoundRecordResponse record;
  request.set_host_id("sim");
  request.set_round_id(round.round_id());
  request.set_kind(kMemory);
  ASSERT_THAT(operator_->operators->GetRoundRecord(operator_->Context().get(), request, &record),
              Succeeds());
  EXPECT_THAT(record.auction(), HasSubstr("56"));
  EXPECT_GT(record.decided_time().seconds(), 0);
  EXPECT_EQ(record.policy(), "uniform_price/1");
  EXPECT_EQ(record.method(), market_pb::CLEARING_METHOD_EXACT);
  EXPECT_EQ(record.work_max(), 12'500'000)
      << "a tenth of a second, for two resources, half of it for clearing again";
  EXPECT_EQ(record.fault(), "");

  operators_pb::AuditResponse audit;
  ASSERT_THAT(Audit(*operator_, &audit), Succeeds());
  EXPECT_TRUE(audit.balanced());
  EXPECT_EQ(audit.head_digest().size(), 64u);
  EXPECT_GT(audit.head_transaction_id(), 0u);
  EXPECT_THAT(audit.findings(), IsEmpty());
  EXPECT_EQ(audit.deposits_microcredits(), 2'000'000'000);
  EXPECT_GT(audit.operator_revenue_microcredits(), 0);
  EXPECT_GT(audit.rounds_replayed(), 0u);

  market_pb::GetAccountResponse account;
  ASSERT_THAT(alice_->market->GetAccount(alice_->Context().get(), {}, &account), Succeeds());
  EXPECT_EQ(account.account().tenant_id(), "alice");
  EXPECT_GT(account.account().spent_microcredits(), 0);
  EXPECT_EQ(account.account().available_microcredits() + account.account().escrow_microcredits() +
                account.account().spent_microcredits(),
            1'000'000'000);
}

TEST_F(CallsTest, CompetingBidsSetThePrice) {
  uint64_t round_id = 0;
  ASSERT_THAT(PlaceBid(*alice_, BidRequest(alices_guest_, kMemory, 40, 50, "b1")), Succeeds());
  ASSERT_THAT(PlaceBid(*bob_, BidRequest(bobs_guest_, kMemory, 40, 30, "b1"), &round_id),
              Succeeds());
  const market_pb::Round round = WaitForSettled(*bob_, bobs_guest_, round_id);
  ASSERT_GE(round.round_id(), round_id);
  for (const market_pb::ResourcePrice& price : round.prices()) {
    if (price.kind() != kMemory) continue;
    EXPECT_EQ(price.bound_by(), market_pb::BOUND_BY_BIDS);
    EXPECT_EQ(price.unit_price_microcredits(), 30);
    EXPECT_EQ(price.sold_units(), 56);
  }
  for (const market_pb::GuestOutcome& outcome : round.outcomes()) {
    if (outcome.kind() == kMemory) {
      EXPECT_EQ(outcome.award_units(), 16);
    }
  }
}

TEST_F(CallsTest, StandingBidIsShownReplacedAndWithdrawn) {
  ASSERT_THAT(PlaceBid(*alice_, BidRequest(alices_guest_, kCpu, 20, 50, "b1")), Succeeds());
  market_pb::PlaceBidRequest second = BidRequest(alices_guest_, kCpu, 10, 40, "b2");
  second.mutable_bid()->set_budget_microcredits(5'000);
  second.mutable_bid()->set_expires_after_rounds(1000);
  ASSERT_THAT(PlaceBid(*alice_, second), Succeeds());

  market_pb::GetGuestRequest get;
  get.set_guest_id(alices_guest_);
  market_pb::GetGuestResponse guest;
  ASSERT_THAT(alice_->market->GetGuest(alice_->Context().get(), get, &guest), Succeeds());
  EXPECT_EQ(guest.guest().name(), "cache");
  EXPECT_EQ(guest.guest().tenant_id(), "alice");
  EXPECT_EQ(guest.guest().state(), market_pb::GUEST_STATE_RUNNING);
  ASSERT_THAT(guest.guest().grants(), SizeIs(2));
  ASSERT_THAT(guest.guest().bids(), SizeIs(1));
  const market_pb::Bid& bid = guest.guest().bids(0);
  EXPECT_EQ(bid.kind(), kCpu);
  EXPECT_EQ(bid.budget_microcredits(), 5'000);
  EXPECT_GT(bid.expires_after_rounds(), 900u);
  ASSERT_THAT(bid.ranges(), SizeIs(1));
  EXPECT_EQ(bid.ranges(0).max_units(), 10);

  market_pb::WithdrawBidRequest withdraw;
  withdraw.set_guest_id(alices_guest_);
  withdraw.set_kind(kCpu);
  withdraw.set_request_id("w1");
  market_pb::WithdrawBidResponse withdrawn;
  ASSERT_THAT(alice_->market->WithdrawBid(alice_->Context().get(), withdraw, &withdrawn),
              Succeeds());
  EXPECT_TRUE(withdrawn.removed());
  withdraw.set_request_id("w2");
  ASSERT_THAT(alice_->market->WithdrawBid(alice_->Context().get(), withdraw, &withdrawn),
              Succeeds());
  EXPECT_FALSE(withdrawn.removed());
}

TEST_F(CallsTest, RetriesChangeNothing) {
  const market_pb::PlaceBidRequest bid = BidRequest(alices_guest_, kMemory, 20, 50, "same");
  uint64_t first = 0;
  uint64_t again = 0;
  ASSERT_THAT(PlaceBid(*alice_, bid, &first), Succeeds());
  ASSERT_THAT(PlaceBid(*alice_, bid, &again), Succeeds());
  EXPECT_EQ(first, again);
  EXPECT_THAT(PlaceBid(*alice_, BidRequest(alices_guest_, kMemory, 21, 50, "same")),
              Fails(StatusCode::ALREADY_EXISTS, "request_id"));
  // Ids are each tenant's own.
  EXPECT_THAT(PlaceBid(*bob_, BidRequest(bobs_guest_, kMemory, 21, 50, "same")), Succeeds());

  market_pb::Account account;
  ASSERT_THAT(Deposit(*operator_, "bob", 5, "d9", &account), Succeeds());
  market_pb::Account same;
  ASSERT_THAT(Deposit(*operator_, "bob", 5, "d9", &same), Succeeds());
  EXPECT_EQ(account.available_microcredits(), same.available_microcredits());
  EXPECT_THAT(Deposit(*operator_, "bob", 6, "d9"), Fails(StatusCode::ALREADY_EXISTS, "request_id"));
  operators_pb::AuditResponse audit;
  ASSERT_THAT(Audit(*operator_, &audit), Succeeds());
  EXPECT_EQ(audit.deposits_microcredits(), 2'000'000'005);

  uint64_t guest_id = 0;
  ASSERT_THAT(Admit(*operator_, AdmitRequest("alice", "cache"), &guest_id), Succeeds());
  EXPECT_EQ(guest_id, alices_guest_);

  // The first answer may have been lost with its token: the retry's token is the one that counts.
  std::string token;
  ASSERT_THAT(CreateTenant(*operator_, "alice", "t1", &token), Succeeds());
  EXPECT_NE(token, alice_->token);
  const Client with_new_token(marketd_->grpc_address(), token);
  market_pb::GetAccountResponse response;
  EXPECT_THAT(with_new_token.market->GetAccount(with_new_token.Context().get(), {}, &response),
              Succeeds());
  EXPECT_THAT(alice_->market->GetAccount(alice_->Context().get(), {}, &response),
              Fails(StatusCode::UNAUTHENTICATED, "not a token"));
}

TEST_F(CallsTest, BadBids) {
  const market_pb::PlaceBidRequest good = BidRequest(alices_guest_, kMemory, 20, 50, "b");
  struct Case {
    const char* what;
    StatusCode code;
    const char* piece;
    market_pb::PlaceBidRequest request;
  };
  std::vector<Case> cases;
  const auto add = [&](const char* what, StatusCode code, const char* piece, auto change) {
    cases.push_back({what, code, piece, good});
    change(cases.back().request, *cases.back().request.mutable_bid());
  };
  using Request = market_pb::PlaceBidRequest;
  using Bid = market_pb::Bid;
  constexpr StatusCode kBad = StatusCode::INVALID_ARGUMENT;
  add("no bid", kBad, "bid: missing", [](Request& r, Bid&) { r.clear_bid(); });
  add("no id", kBad, "request_id: must have 1 to 64",
      [](Request& r, Bid&) { r.clear_request_id(); });
  add("long id", kBad, "request_id: must have 1 to 64",
      [](Request& r, Bid&) { r.set_request_id(std::string(65, 'x')); });
  add("no such guest", StatusCode::NOT_FOUND, "guest_id: no guest 999999",
      [](Request&, Bid& b) { b.set_guest_id(999'999); });
  add("guest 0", StatusCode::NOT_FOUND, "guest_id", [](Request&, Bid& b) { b.set_guest_id(0); });
  add("no kind", kBad, "bid.kind: 0 is no kind", [](Request&, Bid& b) { b.clear_kind(); });
  add("unknown kind", kBad, "bid.kind: 77 is no kind",
      [](Request&, Bid& b) { b.set_kind(static_cast<market_pb::ResourceKind>(77)); });
  add("not sold here", kBad, "cache is not sold on host sim",
      [](Request&, Bid& b) { b.set_kind(market_pb::RESOURCE_KIND_CACHE); });
  add("negative units", kBad, "ranges[0].min_units",
      [](Request&, Bid& b) { b.mutable_ranges(0)->set_min_units(-1); });
  add("upside down", kBad, "ranges[0]",
      [](Request&, Bid& b) { b.mutable_ranges(0)->set_min_units(21); });
  add("huge units", kBad, "ranges[0]",
      [](Request&, Bid& b) { b.mutable_ranges(0)->set_max_units(kMax); });
  add("negative value", kBad, "ranges[0]",
      [](Request&, Bid& b) { b.mutable_ranges(0)->set_value_at_min_microcredits(-1); });
  add("huge value", kBad, "ranges[0]",
      [](Request&, Bid& b) { b.mutable_ranges(0)->set_value_at_min_microcredits(kMax); });
  add("overflowing value", kBad, "ranges[0]",
      [](Request&, Bid& b) { b.mutable_ranges(0)->set_unit_price_microcredits(kMax); });
  add("lowest value", kBad, "ranges[0]",
      [](Request&, Bid& b) { b.mutable_ranges(0)->set_unit_price_microcredits(kMin); });
  add("overlapping ranges", kBad, "ranges[1]", [](Request&, Bid& b) {
    market_pb::BidRange* const range = b.add_ranges();
    *range = b.ranges(0);
    range->set_min_units(10);
    range->set_max_units(30);
  });
  add("too many ranges", kBad, "ranges", [](Request&, Bid& b) {
    b.clear_ranges();
    for (int i = 1; i <= 17; ++i) {
      market_pb::BidRange* const range = b.add_ranges();
      range->set_min_units(2 * i);
      range->set_max_units(2 * i);
      range->set_value_at_min_microcredits(20 * i);
    }
  });
  add("far too many ranges", kBad, "bid.ranges: 2001 are too many", [](Request&, Bid& b) {
    for (int i = 0; i < 2000; ++i) *b.add_ranges() = b.ranges(0);
  });
  add("negative budget", kBad, "budget", [](Request&, Bid& b) { b.set_budget_microcredits(-1); });
  add("budget below the reserve", StatusCode::FAILED_PRECONDITION, "budget",
      [](Request&, Bid& b) { b.set_budget_microcredits(9); });
  for (size_t i = 0; i < cases.size(); ++i) {
    EXPECT_THAT(PlaceBid(*alice_, cases[i].request), Fails(cases[i].code, cases[i].piece))
        << cases[i].what;
  }
  // None of them left a trace.
  market_pb::ListGuestsResponse guests;
  ASSERT_THAT(alice_->market->ListGuests(alice_->Context().get(), {}, &guests), Succeeds());
  ASSERT_THAT(guests.guests(), SizeIs(1));
  EXPECT_THAT(guests.guests(0).bids(), IsEmpty());
  EXPECT_THAT(PlaceBid(*alice_, good), Succeeds()) << "a refused request id may be used again";
}

TEST_F(CallsTest, ABidBeyondTheAccountIsRefused) {
  std::string token;
  ASSERT_THAT(CreateTenant(*operator_, "poor", "t3", &token), Succeeds());
  uint64_t guest_id = 0;
  ASSERT_THAT(Admit(*operator_, AdmitRequest("poor", "poor"), &guest_id), Succeeds());
  const Client poor(marketd_->grpc_address(), token);
  EXPECT_THAT(PlaceBid(poor, BidRequest(guest_id, kMemory, 20, 50, "b")),
              Fails(StatusCode::FAILED_PRECONDITION, ""));
  ASSERT_THAT(Deposit(*operator_, "poor", 1000, "d3"), Succeeds());
  EXPECT_THAT(PlaceBid(poor, BidRequest(guest_id, kMemory, 20, 50, "b")), Succeeds());
}

TEST_F(CallsTest, OversizedMessageIsRefusedAndOthersGoOn) {
  market_pb::PlaceBidRequest request = BidRequest(alices_guest_, kMemory, 20, 50, "b");
  request.set_request_id(std::string(2 << 20, 'x'));
  EXPECT_THAT(PlaceBid(*alice_, request), Fails(StatusCode::RESOURCE_EXHAUSTED, "larger than max"));
  EXPECT_THAT(PlaceBid(*alice_, BidRequest(alices_guest_, kMemory, 20, 50, "b")), Succeeds());
}

TEST_F(CallsTest, ATenantSeesOnlyItsOwn) {
  EXPECT_THAT(PlaceBid(*alice_, BidRequest(bobs_guest_, kMemory, 1, 50, "b")),
              Fails(StatusCode::NOT_FOUND, "guest_id"));
  market_pb::WithdrawBidRequest withdraw;
  withdraw.set_guest_id(bobs_guest_);
  withdraw.set_kind(kMemory);
  withdraw.set_request_id("w");
  market_pb::WithdrawBidResponse withdrawn;
  EXPECT_THAT(alice_->market->WithdrawBid(alice_->Context().get(), withdraw, &withdrawn),
              Fails(StatusCode::NOT_FOUND, "guest_id"));
  market_pb::GetGuestRequest get;
  get.set_guest_id(bobs_guest_);
  market_pb::GetGuestResponse guest;
  EXPECT_THAT(alice_->market->GetGuest(alice_->Context().get(), get, &guest),
              Fails(StatusCode::NOT_FOUND, "guest_id"));
  EXPECT_THAT(operator_->market->GetGuest(operator_->Context().get(), get, &guest), Succeeds());
  market_pb::GetAccountRequest account;
  account.set_tenant_id("bob");
  market_pb::GetAccountResponse balance;
  EXPECT_THAT(alice_->market->GetAccount(alice_->Context().get(), account, &balance),
              Fails(StatusCode::NOT_FOUND, "tenant_id"));
  EXPECT_THAT(operator_->market->GetAccount(operator_->Context().get(), account, &balance),
              Succeeds());
  market_pb::WatchRequest watch;
  watch.add_guest_ids(bobs_guest_);
  EXPECT_THAT(WatchOnce(*alice_, watch), Fails(StatusCode::NOT_FOUND, "guest_ids[0]"));
  market_pb::ListGuestsResponse guests;
  ASSERT_THAT(alice_->market->ListGuests(alice_->Context().get(), {}, &guests), Succeeds());
  ASSERT_THAT(guests.guests(), SizeIs(1));
  EXPECT_EQ(guests.guests(0).guest_id(), alices_guest_);
  ASSERT_THAT(operator_->market->ListGuests(operator_->Context().get(), {}, &guests), Succeeds());
  EXPECT_THAT(guests.guests(), SizeIs(2));
}

TEST_F(CallsTest, BadReads) {
  market_pb::ListRoundsRequest rounds;
  market_pb::ListRoundsResponse listed;
  rounds.set_page_size(-1);
  EXPECT_THAT(alice_->market->ListRounds(alice_->Context().get(), rounds, &listed),
              Fails(StatusCode::INVALID_ARGUMENT, "page_size"));
  rounds.set_page_size(1001);
  EXPECT_THAT(alice_->market->ListRounds(alice_->Context().get(), rounds, &listed),
              Fails(StatusCode::INVALID_ARGUMENT, "page_size"));
  rounds.set_page_size(10);
  rounds.set_host_id("nowhere");
  EXPECT_THAT(alice_->market->ListRounds(alice_->Context().get(), rounds, &listed),
              Fails(StatusCode::NOT_FOUND, "host_id"));
  market_pb::ListGuestsRequest guests;
  guests.set_host_id("nowhere");
  market_pb::ListGuestsResponse guests_listed;
  EXPECT_THAT(alice_->market->ListGuests(alice_->Context().get(), guests, &guests_listed),
              Fails(StatusCode::NOT_FOUND, "host_id"));
  market_pb::WatchRequest watch;
  watch.set_host_id("nowhere");
  EXPECT_THAT(WatchOnce(*alice_, watch), Fails(StatusCode::NOT_FOUND, "host_id"));
  market_pb::GetAccountResponse account;
  EXPECT_THAT(operator_->market->GetAccount(operator_->Context().get(), {}, &account),
              Fails(StatusCode::INVALID_ARGUMENT, "tenant_id"));
  operators_pb::GetRoundRecordRequest record;
  operators_pb::GetRoundRecordResponse recorded;
  record.set_host_id("sim");
  record.set_round_id(std::numeric_limits<uint64_t>::max());
  record.set_kind(kMemory);
  EXPECT_THAT(operator_->operators->GetRoundRecord(operator_->Context().get(), record, &recorded),
              Fails(StatusCode::NOT_FOUND, ""));
  record.clear_kind();
  EXPECT_THAT(operator_->operators->GetRoundRecord(operator_->Context().get(), record, &recorded),
              Fails(StatusCode::INVALID_ARGUMENT, "kind"));
}

TEST_F(CallsTest, RoundsComeInPages) {
  ASSERT_THAT(PlaceBid(*alice_, BidRequest(alices_guest_, kMemory, 20, 50, "b1")), Succeeds());
  // By then two rounds at least were decided.
  const uint64_t enough = WaitForSettled(*alice_, alices_guest_, 2).round_id();
  ASSERT_GE(enough, 2u);
  market_pb::ListRoundsRequest request;
  request.set_page_size(1);
  request.set_before_round_id(enough + 1);
  market_pb::ListRoundsResponse first;
  ASSERT_THAT(alice_->market->ListRounds(alice_->Context().get(), request, &first), Succeeds());
  ASSERT_THAT(first.rounds(), SizeIs(1));
  EXPECT_EQ(first.rounds(0).round_id(), enough);
  ASSERT_EQ(first.next_before_round_id(), enough);
  request.set_before_round_id(first.next_before_round_id());
  market_pb::ListRoundsResponse second;
  ASSERT_THAT(alice_->market->ListRounds(alice_->Context().get(), request, &second), Succeeds());
  ASSERT_THAT(second.rounds(), SizeIs(1));
  EXPECT_EQ(second.rounds(0).round_id(), enough - 1);
  request.set_page_size(1000);
  market_pb::ListRoundsResponse rest;
  ASSERT_THAT(alice_->market->ListRounds(alice_->Context().get(), request, &rest), Succeeds());
  EXPECT_EQ(rest.next_before_round_id(), 0u) << "there are no more";
}

TEST_F(CallsTest, OperatorCallsAreForOperators) {
  EXPECT_THAT(Deposit(*alice_, "alice", 1, "d"), Fails(StatusCode::PERMISSION_DENIED, "operator"));
  EXPECT_THAT(CreateTenant(*alice_, "mallory", "t", nullptr),
              Fails(StatusCode::PERMISSION_DENIED, "operator"));
  EXPECT_THAT(Admit(*alice_, AdmitRequest("alice", "more"), nullptr),
              Fails(StatusCode::PERMISSION_DENIED, "operator"));
  operators_pb::EvictGuestResponse evicted;
  EXPECT_THAT(alice_->operators->EvictGuest(alice_->Context().get(), {}, &evicted),
              Fails(StatusCode::PERMISSION_DENIED, "operator"));
  operators_pb::AuditResponse audit;
  EXPECT_THAT(Audit(*alice_, &audit), Fails(StatusCode::PERMISSION_DENIED, "operator"));
  operators_pb::ListHostsResponse hosts;
  EXPECT_THAT(alice_->operators->ListHosts(alice_->Context().get(), {}, &hosts),
              Fails(StatusCode::PERMISSION_DENIED, "operator"));
  operators_pb::ListTenantsResponse tenants;
  EXPECT_THAT(alice_->operators->ListTenants(alice_->Context().get(), {}, &tenants),
              Fails(StatusCode::PERMISSION_DENIED, "operator"));
  operators_pb::GetRoundRecordResponse record;
  EXPECT_THAT(alice_->operators->GetRoundRecord(alice_->Context().get(), {}, &record),
              Fails(StatusCode::PERMISSION_DENIED, "operator"));
}

TEST_F(CallsTest, HostsAndTenants) {
  operators_pb::ListHostsResponse hosts;
  ASSERT_THAT(operator_->operators->ListHosts(operator_->Context().get(), {}, &hosts), Succeeds());
  ASSERT_THAT(hosts.hosts(), SizeIs(1));
  EXPECT_EQ(hosts.hosts(0).host_id(), "sim");
  EXPECT_EQ(hosts.hosts(0).kind(), "simulated");
  EXPECT_TRUE(hosts.hosts(0).connected());
  EXPECT_EQ(hosts.hosts(0).period_ms(), 1000);
  EXPECT_THAT(hosts.hosts(0).resources(), SizeIs(2));
  operators_pb::ListTenantsResponse tenants;
  ASSERT_THAT(operator_->operators->ListTenants(operator_->Context().get(), {}, &tenants),
              Succeeds());
  ASSERT_THAT(tenants.tenants(), SizeIs(2));
  ASSERT_THAT(tenants.accounts(), SizeIs(2));
  EXPECT_EQ(tenants.tenants(0).tenant_id(), "alice");
  EXPECT_EQ(tenants.accounts(0).tenant_id(), "alice");
}

TEST_F(CallsTest, BadTenantsAndDeposits) {
  EXPECT_THAT(CreateTenant(*operator_, "Alice", "t9", nullptr),
              Fails(StatusCode::INVALID_ARGUMENT, "tenant_id"));
  EXPECT_THAT(CreateTenant(*operator_, "", "t9", nullptr),
              Fails(StatusCode::INVALID_ARGUMENT, "tenant_id"));
  std::string token = "not touched";
  EXPECT_THAT(CreateTenant(*operator_, "alice", "t9", &token),
              Fails(StatusCode::ALREADY_EXISTS, "alice"));
  EXPECT_THAT(token, IsEmpty());
  EXPECT_THAT(Deposit(*operator_, "nobody", 1, "d9"), Fails(StatusCode::NOT_FOUND, "tenant"));
  EXPECT_THAT(Deposit(*operator_, "alice", 0, "d9"), Fails(StatusCode::INVALID_ARGUMENT, "amount"));
  EXPECT_THAT(Deposit(*operator_, "alice", kMax, "d9"), Fails(StatusCode::INVALID_ARGUMENT, ""));
  EXPECT_THAT(Deposit(*operator_, "alice", kMin, "d9"), ::testing::Not(Succeeds()));
  EXPECT_THAT(Deposit(*operator_, "alice", -1'000'000'001, "d9"),
              Fails(StatusCode::FAILED_PRECONDITION, ""));
  market_pb::Account account;
  EXPECT_THAT(Deposit(*operator_, "alice", -1'000'000'000, "d9", &account), Succeeds());
  EXPECT_EQ(account.available_microcredits(), 0);
}

TEST_F(CallsTest, BadAdmissions) {
  const operators_pb::AdmitGuestRequest good = AdmitRequest("alice", "third");
  using Request = operators_pb::AdmitGuestRequest;
  struct Case {
    const char* what;
    StatusCode code;
    const char* piece;
    Request request;
  };
  std::vector<Case> cases;
  const auto add = [&](const char* what, StatusCode code, const char* piece, auto change) {
    cases.push_back({what, code, piece, good});
    change(cases.back().request);
  };
  constexpr StatusCode kBad = StatusCode::INVALID_ARGUMENT;
  add("host", StatusCode::NOT_FOUND, "host_id", [](Request& r) { r.set_host_id("nowhere"); });
  add("tenant", StatusCode::NOT_FOUND, "tenant_id", [](Request& r) { r.set_tenant_id("nobody"); });
  add("name", kBad, "name", [](Request& r) { r.set_name("No Name"); });
  add("name taken", StatusCode::ALREADY_EXISTS, "cache", [](Request& r) { r.set_name("cache"); });
  add("image path", kBad, "image", [](Request& r) { r.set_image("../../etc/passwd"); });
  add("no image", kBad, "image", [](Request& r) { r.clear_image(); });
  add("arguments", kBad, "arguments", [](Request& r) { r.set_arguments(std::string(256, 'x')); });
  add("seed kind", kBad, "seeds[0].kind: 9 is no kind",
      [](Request& r) { r.mutable_seeds(0)->set_kind(static_cast<market_pb::ResourceKind>(9)); });
  add("seed not sold", kBad, "seeds[0]",
      [](Request& r) { r.mutable_seeds(0)->set_kind(market_pb::RESOURCE_KIND_DISK); });
  add("seed twice", kBad, "seeds[1]", [](Request& r) { r.mutable_seeds(1)->set_kind(kMemory); });
  add("negative seed", kBad, "seeds[0]", [](Request& r) { r.mutable_seeds(0)->set_units(-4); });
  add("huge seed", kBad, "seeds[0]", [](Request& r) { r.mutable_seeds(0)->set_units(kMax); });
  add("too big a seed", StatusCode::RESOURCE_EXHAUSTED, "seeds",
      [](Request& r) { r.mutable_seeds(0)->set_units(57); });
  add("window", kBad, "memory_max_units", [](Request& r) { r.set_memory_max_units(-1); });
  add("no request id", kBad, "request_id", [](Request& r) { r.clear_request_id(); });
  for (const Case& c : cases) {
    EXPECT_THAT(Admit(*operator_, c.request, nullptr), Fails(c.code, c.piece)) << c.what;
  }
  EXPECT_THAT(Admit(*operator_, good, nullptr), Succeeds());
}

TEST_F(CallsTest, EvictedGuestIsGone) {
  ASSERT_THAT(PlaceBid(*alice_, BidRequest(alices_guest_, kMemory, 20, 50, "b1")), Succeeds());
  operators_pb::EvictGuestRequest evict;
  operators_pb::EvictGuestResponse evicted;
  evict.set_request_id("e1");
  evict.set_guest_id(777);
  EXPECT_THAT(operator_->operators->EvictGuest(operator_->Context().get(), evict, &evicted),
              Fails(StatusCode::NOT_FOUND, "777"));
  evict.set_guest_id(alices_guest_);
  ASSERT_THAT(operator_->operators->EvictGuest(operator_->Context().get(), evict, &evicted),
              Succeeds());
  EXPECT_THAT(operator_->operators->EvictGuest(operator_->Context().get(), evict, &evicted),
              Succeeds())
      << "a retry is answered the same";
  EXPECT_THAT(PlaceBid(*alice_, BidRequest(alices_guest_, kMemory, 20, 50, "b2")),
              Fails(StatusCode::NOT_FOUND, "guest_id"));
  market_pb::GetGuestRequest get;
  get.set_guest_id(alices_guest_);
  market_pb::GetGuestResponse guest;
  ASSERT_THAT(alice_->market->GetGuest(alice_->Context().get(), get, &guest), Succeeds());
  EXPECT_EQ(guest.guest().state(), market_pb::GUEST_STATE_EVICTED);
  EXPECT_EQ(guest.guest().end_cause(), market_pb::END_CAUSE_EVICTED);
  EXPECT_EQ(guest.guest().exit_reason(), "evicted by the operator");
  EXPECT_THAT(bob_->market->GetGuest(bob_->Context().get(), get, &guest),
              Fails(StatusCode::NOT_FOUND, "guest_id"))
      << "nobody is told of another's, alive or gone";
  get.set_guest_id(777);
  EXPECT_THAT(operator_->market->GetGuest(operator_->Context().get(), get, &guest),
              Fails(StatusCode::NOT_FOUND, "777"));
  // Its money is back: nothing of a guest that is gone is held.
  market_pb::GetAccountResponse account;
  ASSERT_THAT(alice_->market->GetAccount(alice_->Context().get(), {}, &account), Succeeds());
  EXPECT_EQ(account.account().escrow_microcredits(), 0);
  operators_pb::AuditResponse audit;
  ASSERT_THAT(Audit(*operator_, &audit), Succeeds());
  EXPECT_TRUE(audit.balanced());
}

class BidRateTest : public CallsTest {
 protected:
  std::string Config() override {
    return SampleConfig(dir_) + "limits: {bids_per_second: 1, bids_burst: 3}\n";
  }
};

TEST_F(BidRateTest, ATenantThatBidsTooFastIsToldAndOthersAreNot) {
  int taken = 0;
  grpc::Status status;
  // More than the burst in less than it takes to refill it, however slow this machine is.
  for (int i = 0; i < 1000 && status.ok(); ++i) {
    status = PlaceBid(*alice_, BidRequest(alices_guest_, kMemory, 1, 50, absl::StrCat("b", i)));
    if (status.ok()) ++taken;
  }
  EXPECT_THAT(status, Fails(StatusCode::RESOURCE_EXHAUSTED, "too many bids a second"));
  EXPECT_GE(taken, 3);
  EXPECT_THAT(PlaceBid(*bob_, BidRequest(bobs_guest_, kMemory, 1, 50, "b")), Succeeds());
}

TEST_F(CallsTest, GuestsAndTenantsComeInPages) {
  uint64_t third = 0;
  ASSERT_THAT(Admit(*operator_, AdmitRequest("alice", "third"), &third), Succeeds());
  market_pb::ListGuestsRequest request;
  request.set_page_size(1);
  std::vector<uint64_t> ids;
  do {
    market_pb::ListGuestsResponse page;
    ASSERT_THAT(operator_->market->ListGuests(operator_->Context().get(), request, &page),
                Succeeds());
    ASSERT_EQ(page.guests_size(), 1);
    ids.push_back(page.guests(0).guest_id());
    request.set_after_guest_id(page.next_after_guest_id());
  } while (request.after_guest_id() != 0);
  EXPECT_EQ(ids, (std::vector<uint64_t>{alices_guest_, bobs_guest_, third}));
  // A tenant's pages have its own guests only, and none after the last.
  market_pb::ListGuestsResponse page;
  ASSERT_THAT(alice_->market->ListGuests(alice_->Context().get(), request, &page), Succeeds());
  EXPECT_EQ(page.guests(0).guest_id(), alices_guest_);
  EXPECT_EQ(page.next_after_guest_id(), alices_guest_);
  request.set_page_size(-1);
  EXPECT_THAT(alice_->market->ListGuests(alice_->Context().get(), request, &page),
              Fails(StatusCode::INVALID_ARGUMENT, "page_size"));
  operators_pb::ListTenantsRequest after;
  after.set_after_tenant_id("alice");
  operators_pb::ListTenantsResponse tenants;
  ASSERT_THAT(operator_->operators->ListTenants(operator_->Context().get(), after, &tenants),
              Succeeds());
  ASSERT_EQ(tenants.tenants_size(), 1);
  EXPECT_EQ(tenants.tenants(0).tenant_id(), "bob");
  EXPECT_EQ(tenants.next_after_tenant_id(), "");
}

TEST_F(CallsTest, TheLogSaysWhatWasDoneAndNobodyForgesIt) {
  ASSERT_THAT(Deposit(*operator_, "alice", 7, "the-deposit"), Succeeds());
  EXPECT_FALSE(Deposit(*operator_, "nobody level=error event=forged\nevent=forged", 7, "d7").ok());
  const std::string log = marketd_->Output();
  EXPECT_THAT(log, ::testing::ContainsRegex(
                       "level=info event=tenant_created by=operator peer=ipv4:127.0.0.1:[0-9]+ "
                       "tenant=alice\n"));
  EXPECT_THAT(log, ::testing::HasSubstr("tenant=alice microcredits=7 request_id=the-deposit\n"));
  EXPECT_THAT(log, ::testing::ContainsRegex(
                       "event=guest_admitted by=operator .*tenant=bob name=batch guest=[0-9]+\n"));
  EXPECT_THAT(log,
              ::testing::HasSubstr("tenant=\"nobody level=error event=forged\\nevent=forged\""));
  EXPECT_THAT(log, ::testing::Not(::testing::HasSubstr("\nevent=forged")));
}

class ReadRateTest : public CallsTest {
 protected:
  std::string Config() override {
    return SampleConfig(dir_) + "limits: {reads_per_second: 1, reads_burst: 3}\n";
  }
};

TEST_F(ReadRateTest, ATenantsReadsHaveAQuotaAndTheOperatorsHaveNone) {
  market_pb::GetAccountResponse account;
  grpc::Status status;
  int taken = 0;
  for (; taken < 1000; ++taken) {
    status = alice_->market->GetAccount(alice_->Context().get(), {}, &account);
    if (!status.ok()) break;
  }
  EXPECT_THAT(status, Fails(StatusCode::RESOURCE_EXHAUSTED, "too many reads a second"));
  EXPECT_GE(taken, 3);
  EXPECT_THAT(bob_->market->GetAccount(bob_->Context().get(), {}, &account), Succeeds());
  market_pb::ListGuestsResponse guests;
  for (int i = 0; i < 20; ++i) {
    EXPECT_THAT(operator_->market->ListGuests(operator_->Context().get(), {}, &guests), Succeeds());
  }
}

}  // namespace
}  // namespace nom::testing
