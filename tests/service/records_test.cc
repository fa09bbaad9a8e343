// SPDX-License-Identifier: Apache-2.0
// A guest's life by its owner's calls, and what the ledger tells of it, of money and of who did
// what.

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/service/market_fixture.h"

namespace nom::testing {
namespace {

using ::grpc::StatusCode;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr auto kMemory = market_pb::RESOURCE_KIND_MEMORY;
constexpr auto kCpu = market_pb::RESOURCE_KIND_CPU;

// The owner's calls of a guest's life, and what of them is seen from outside.
class LifeTest : public MarketTest {
 protected:
  static grpc::Status End(const Client& client, uint64_t guest_id, const std::string& request_id) {
    market_pb::EndGuestRequest request;
    market_pb::EndGuestResponse response;
    request.set_guest_id(guest_id);
    request.set_request_id(request_id);
    return client.market->EndGuest(client.Context().get(), request, &response);
  }
  static grpc::Status StartAgain(const Client& client, uint64_t guest_id,
                                 const std::string& request_id) {
    market_pb::StartGuestRequest request;
    market_pb::StartGuestResponse response;
    request.set_guest_id(guest_id);
    request.set_request_id(request_id);
    return client.market->StartGuest(client.Context().get(), request, &response);
  }
  market_pb::GuestInfo Get(const Client& client, uint64_t guest_id) {
    market_pb::GetGuestRequest request;
    market_pb::GetGuestResponse response;
    request.set_guest_id(guest_id);
    EXPECT_THAT(client.market->GetGuest(client.Context().get(), request, &response), Succeeds());
    return response.guest();
  }
};

TEST_F(LifeTest, ItsOwnerEndsAndStartsAGuestAndNobodyElseDoes) {
  ASSERT_THAT(PlaceBid(*alice_, BidRequest(alices_guest_, kMemory, 20, 50, "b1")), Succeeds());
  EXPECT_THAT(End(*bob_, alices_guest_, "e"), Fails(StatusCode::NOT_FOUND, "guest_id"));
  EXPECT_THAT(StartAgain(*bob_, alices_guest_, "s"), Fails(StatusCode::NOT_FOUND, "guest_id"));
  EXPECT_THAT(End(Client(marketd_->grpc_address(), "nobody"), alices_guest_, "e"),
              Fails(StatusCode::UNAUTHENTICATED, ""));
  EXPECT_THAT(End(*alice_, alices_guest_, ""), Fails(StatusCode::INVALID_ARGUMENT, "request_id"));
  EXPECT_THAT(StartAgain(*alice_, alices_guest_, "s0"),
              Fails(StatusCode::FAILED_PRECONDITION, "has not ended"));

  ASSERT_THAT(End(*alice_, alices_guest_, "e1"), Succeeds());
  market_pb::GuestInfo guest = Get(*alice_, alices_guest_);
  EXPECT_EQ(guest.state(), market_pb::GUEST_STATE_ENDED);
  EXPECT_EQ(guest.end_cause(), market_pb::END_CAUSE_STOPPED);
  EXPECT_EQ(guest.exit_reason(), "ended by its owner");
  EXPECT_THAT(guest.bids(), IsEmpty());
  for (const market_pb::Grant& grant : guest.grants()) {
    EXPECT_EQ(grant.seed_units() + grant.award_units(), 0) << "it holds nothing";
  }
  EXPECT_THAT(End(*alice_, alices_guest_, "e1"), Succeeds()) << "a retry is answered the same";
  EXPECT_THAT(End(*alice_, alices_guest_, "e2"),
              Fails(StatusCode::FAILED_PRECONDITION, "does not run"));
  EXPECT_THAT(PlaceBid(*alice_, BidRequest(alices_guest_, kMemory, 20, 50, "b2")),
              Fails(StatusCode::FAILED_PRECONDITION, "has ended"));

  ASSERT_THAT(StartAgain(*alice_, alices_guest_, "s1"), Succeeds());
  guest = Get(*alice_, alices_guest_);
  EXPECT_EQ(guest.state(), market_pb::GUEST_STATE_RUNNING);
  EXPECT_EQ(guest.end_cause(), market_pb::END_CAUSE_UNSPECIFIED);
  EXPECT_EQ(guest.exit_reason(), "");
  ASSERT_THAT(guest.grants(), SizeIs(2));
  EXPECT_EQ(guest.grants(0).seed_units(), 5) << "its seed is its own again";
  EXPECT_EQ(guest.grants(1).seed_units(), 4);
  EXPECT_THAT(PlaceBid(*alice_, BidRequest(alices_guest_, kMemory, 20, 50, "b3")), Succeeds());

  // The operator may, too, and the log says who it was.
  ASSERT_THAT(End(*operator_, bobs_guest_, "e3"), Succeeds());
  EXPECT_EQ(Get(*bob_, bobs_guest_).exit_reason(), "ended by the operator");
  ASSERT_THAT(StartAgain(*bob_, bobs_guest_, "s2"), Succeeds());
  const std::string log = marketd_->Output();
  for (const char* line :
       {"event=guest_ended_by_call by=alice ", "event=guest_started by=alice ",
        "event=guest_ended_by_call by=operator ", "event=guest_started by=bob "}) {
    EXPECT_THAT(log, HasSubstr(line));
  }
  operators_pb::AuditResponse audit;
  ASSERT_THAT(Audit(*operator_, &audit), Succeeds());
  EXPECT_TRUE(audit.balanced()) << audit.ShortDebugString();
}

// What becomes of its seed meanwhile is sold, and a start that finds it gone says so.
TEST_F(LifeTest, ASeedThatOthersWerePromisedMeanwhileIsNotThereToStartWith) {
  ASSERT_THAT(End(*alice_, alices_guest_, "e1"), Succeeds());
  operators_pb::AdmitGuestRequest large = AdmitRequest("bob", "large");
  large.mutable_seeds(0)->set_units(60);  // Of 64, of which bob's other guest has 4.
  uint64_t large_id = 0;
  ASSERT_THAT(Admit(*operator_, large, &large_id), Succeeds());
  EXPECT_THAT(StartAgain(*alice_, alices_guest_, "s1"),
              Fails(StatusCode::RESOURCE_EXHAUSTED, "its seed: 4 units of memory"));
  ASSERT_THAT(End(*bob_, large_id, "e2"), Succeeds());
  EXPECT_THAT(StartAgain(*alice_, alices_guest_, "s1"), Succeeds())
      << "what was refused may be tried again under its id";
}

class RecordsTest : public MarketTest {
 protected:
  // All pages of so many transactions.
  static std::vector<market_pb::Entry> Entries(const Client& client, int page_size,
                                               int64_t* balance) {
    std::vector<market_pb::Entry> out;
    market_pb::ListEntriesRequest request;
    request.set_page_size(page_size);
    do {
      market_pb::ListEntriesResponse page;
      EXPECT_THAT(client.market->ListEntries(client.Context().get(), request, &page), Succeeds());
      out.insert(out.end(), page.entries().begin(), page.entries().end());
      if (request.before_transaction_id() == 0) *balance = page.balance_microcredits();
      request.set_before_transaction_id(page.next_before_transaction_id());
    } while (request.before_transaction_id() != 0);
    return out;
  }
  static std::vector<std::string> Events(const Client& client, const std::string& tenant_id,
                                         int page_size) {
    std::vector<std::string> out;
    market_pb::ListEventsRequest request;
    request.set_tenant_id(tenant_id);
    request.set_page_size(page_size);
    do {
      market_pb::ListEventsResponse page;
      EXPECT_THAT(client.market->ListEvents(client.Context().get(), request, &page), Succeeds());
      for (const market_pb::Event& event : page.events()) {
        EXPECT_GT(event.time().seconds(), 0);
        out.push_back(absl::StrCat(event.kind(), " ", event.by(), " ", event.tenant_id(), " ",
                                   event.amount_microcredits(), event.detail()));
      }
      request.set_before_transaction_id(page.next_before_transaction_id());
    } while (request.before_transaction_id() != 0);
    return out;
  }
};

TEST_F(RecordsTest, AStatementAddsUpToTheBalanceAndShowsDeposits) {
  uint64_t round_id = 0;
  ASSERT_THAT(PlaceBid(*alice_, BidRequest(alices_guest_, kMemory, 20, 50, "b1"), &round_id),
              Succeeds());
  ASSERT_GE(WaitForSettled(*alice_, alices_guest_, round_id).round_id(), round_id);
  ASSERT_THAT(Deposit(*operator_, "alice", 700, "d3"), Succeeds());
  ASSERT_THAT(Deposit(*operator_, "alice", -50, "d4"), Succeeds());
  for (const int page_size : {1, 3, 1000}) {
    int64_t balance = 0;
    int64_t sum = 0;
    const std::vector<market_pb::Entry> entries = Entries(*alice_, page_size, &balance);
    std::map<market_pb::EntryKind, int64_t> by_kind;
    // Rounds go on: an entry may come between two pages, and belongs to neither.
    for (const market_pb::Entry& entry : entries) {
      sum += entry.amount_microcredits();
      by_kind[entry.kind()] += entry.amount_microcredits();
      EXPECT_EQ(entry.other(), "");
    }
    EXPECT_EQ(sum, balance) << page_size;
    EXPECT_EQ(by_kind[market_pb::ENTRY_KIND_DEPOSIT], 1'000'000'700);
    EXPECT_EQ(by_kind[market_pb::ENTRY_KIND_WITHDRAWAL], -50);
    EXPECT_LT(by_kind[market_pb::ENTRY_KIND_PAYMENT], 0);
    EXPECT_EQ(entries.back().kind(), market_pb::ENTRY_KIND_DEPOSIT) << "the oldest is last";
  }
  market_pb::ListEntriesRequest request;
  market_pb::ListEntriesResponse response;
  request.set_tenant_id("bob");
  EXPECT_THAT(alice_->market->ListEntries(alice_->Context().get(), request, &response),
              Fails(StatusCode::NOT_FOUND, "tenant_id"));
  EXPECT_THAT(operator_->market->ListEntries(operator_->Context().get(), request, &response),
              Succeeds());
  request.clear_tenant_id();
  EXPECT_THAT(operator_->market->ListEntries(operator_->Context().get(), request, &response),
              Fails(StatusCode::INVALID_ARGUMENT, "tenant_id"));
  request.set_page_size(1001);
  EXPECT_THAT(alice_->market->ListEntries(alice_->Context().get(), request, &response),
              Fails(StatusCode::INVALID_ARGUMENT, "page_size"));
}

TEST_F(RecordsTest, WhoDidWhatIsToldToThoseWhomItConcernsAlsoAfterARestart) {
  market_pb::EndGuestRequest end;
  market_pb::EndGuestResponse ended;
  end.set_guest_id(alices_guest_);
  end.set_request_id("e1");
  ASSERT_THAT(alice_->market->EndGuest(alice_->Context().get(), end, &ended), Succeeds());
  const std::vector<std::string> alices = {
      "guest_ended_by_call alice alice 0cache", "guest_admitted @operator alice 0cache",
      "deposit @operator alice 1000000000", "tenant_created @operator alice 0"};
  for (const int page_size : {1, 2, 0}) EXPECT_EQ(Events(*alice_, "", page_size), alices);
  EXPECT_EQ(Events(*operator_, "alice", 0), alices);
  EXPECT_THAT(Events(*operator_, "", 3), SizeIs(7)) << "of all tenants";
  market_pb::ListEventsRequest request;
  market_pb::ListEventsResponse response;
  request.set_tenant_id("bob");
  EXPECT_THAT(alice_->market->ListEvents(alice_->Context().get(), request, &response),
              Fails(StatusCode::NOT_FOUND, "tenant_id"));
  request.set_tenant_id("nobody");
  EXPECT_THAT(operator_->market->ListEvents(operator_->Context().get(), request, &response),
              Fails(StatusCode::NOT_FOUND, "tenant_id"));
  ASSERT_EQ(marketd_->Terminate().code, 0);
  ASSERT_TRUE(marketd_->Start().ok());
  EXPECT_EQ(Events(Client(marketd_->grpc_address(), alice_->token), "", 1), alices);
}

// What nomctl bids shows: why each bid won what it won.
TEST_F(RecordsTest, EachBidSaysWhatItWonAndWhy) {
  market_pb::PlaceBidRequest below = BidRequest(alices_guest_, kCpu, 20, 19, "b1");
  ASSERT_THAT(PlaceBid(*alice_, BidRequest(alices_guest_, kMemory, 56, 30, "b2")), Succeeds());
  ASSERT_THAT(PlaceBid(*bob_, BidRequest(bobs_guest_, kMemory, 56, 50, "b1")), Succeeds());
  EXPECT_THAT(PlaceBid(*alice_, below), Succeeds());
  const auto context = operator_->Context();
  const auto reader = operator_->market->Watch(context.get(), market_pb::WatchRequest());
  market_pb::WatchResponse response;
  std::map<uint64_t, market_pb::GuestInfo> guests;
  const auto reason = [&guests](uint64_t guest_id, market_pb::ResourceKind kind) {
    for (const market_pb::GuestOutcome& outcome : guests[guest_id].decided()) {
      if (outcome.kind() == kind) return outcome.reason();
    }
    return market_pb::AWARD_REASON_UNSPECIFIED;
  };
  ASSERT_TRUE(ReadUntil(*reader, &response, [&](const market_pb::WatchResponse& r) {
    for (const market_pb::GuestInfo& guest : r.guests()) guests[guest.guest_id()] = guest;
    return reason(bobs_guest_, kMemory) == market_pb::AWARD_REASON_SERVED &&
           reason(alices_guest_, kMemory) == market_pb::AWARD_REASON_OUTBID &&
           reason(alices_guest_, kCpu) == market_pb::AWARD_REASON_BELOW_RESERVE &&
           reason(bobs_guest_, kCpu) == market_pb::AWARD_REASON_NO_BID;
  })) << "a round of these bids has these reasons";
  context->TryCancel();
}

}  // namespace
}  // namespace nom::testing
