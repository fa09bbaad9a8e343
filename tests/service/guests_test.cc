// SPDX-License-Identifier: Apache-2.0
// Guests that do not bid and guests that tenants ask for, over real gRPC: tiers, bundles, requests
// and quotas, contracts that have ended, and what each call refuses and how.

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/service/market_fixture.h"

namespace nom::testing {
namespace {

using ::grpc::StatusCode;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr auto kMemory = market_pb::RESOURCE_KIND_MEMORY;
constexpr auto kCpu = market_pb::RESOURCE_KIND_CPU;
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

// Two tiers, of which the lowest has a floor in each second round; memory is sold forward up to
// half of its 64 units at the reserve of 10; alice may have two guests and bob none by himself.
class GuestsTest : public MarketTest {
 protected:
  std::string Config() override {
    const std::string config = MarketTest::Config();
    const std::string changed = absl::StrReplaceAll(
        config, {{"    period_ms: 1000\n", R"(    period_ms: 1000
    quotes_valid_ms: 3600000
    tiers:
      - {name: economy, price_percent: 100, floor: {memory: 3, cpu: 2}, floor_every_rounds: 2}
      - {name: gold, price_percent: 300}
    guest_requests:
      tenants:
        - {id: alice, guests_max: 2, seeds: {memory: 12, cpu: 10}}
)"},
                 {"reserve_unit_price_microcredits: 10",
                  "reserve_unit_price_microcredits: 10\n        forward: {share_percent: 50, "
                  "term_premium_ppm: 0, scarcity_premium_ppm: 0}"}});
    EXPECT_THAT(changed, HasSubstr("gold"));
    return changed;
  }

  static void AddQuantity(market_pb::ResourceKind kind, int64_t units,
                          google::protobuf::RepeatedPtrField<market_pb::Quantity>* to) {
    market_pb::Quantity* const quantity = to->Add();
    quantity->set_kind(kind);
    quantity->set_units(units);
  }
  static market_pb::SetTierRequest TierRequest(uint64_t guest_id, const std::string& tier,
                                               int64_t memory, const std::string& request_id) {
    market_pb::SetTierRequest request;
    request.set_guest_id(guest_id);
    request.set_tier(tier);
    AddQuantity(kMemory, memory, request.mutable_most());
    request.set_ceiling_microcredits(1'000'000);
    request.set_request_id(request_id);
    return request;
  }
  static grpc::Status SetTier(const Client& client, const market_pb::SetTierRequest& request,
                              uint64_t* round_id = nullptr) {
    market_pb::SetTierResponse response;
    const grpc::Status status = client.market->SetTier(client.Context().get(), request, &response);
    if (round_id != nullptr) *round_id = response.round_id();
    return status;
  }
  static grpc::Status ClearTier(const Client& client, uint64_t guest_id,
                                const std::string& request_id, bool* removed = nullptr) {
    market_pb::ClearTierRequest request;
    request.set_guest_id(guest_id);
    request.set_request_id(request_id);
    market_pb::ClearTierResponse response;
    const grpc::Status status =
        client.market->ClearTier(client.Context().get(), request, &response);
    if (removed != nullptr) *removed = response.removed();
    return status;
  }
  static market_pb::RequestGuestRequest GuestRequest(const std::string& name, int64_t memory) {
    market_pb::RequestGuestRequest request;
    request.set_name(name);
    request.set_image("image");
    if (memory > 0) AddQuantity(kMemory, memory, request.mutable_seeds());
    request.set_request_id("request-" + name);
    return request;
  }
  static grpc::Status Request(const Client& client, const market_pb::RequestGuestRequest& request,
                              market_pb::RequestGuestResponse* response = nullptr) {
    market_pb::RequestGuestResponse ignored;
    return client.market->RequestGuest(client.Context().get(), request,
                                       response == nullptr ? &ignored : response);
  }
  // What a refusal says to programs.
  static std::optional<market_pb::Shortage> ShortageOf(const grpc::Status& status) {
    market_pb::StatusDetails details;
    if (status.error_details().empty() || !details.ParseFromString(status.error_details())) {
      return std::nullopt;
    }
    EXPECT_EQ(details.code(), status.error_code());
    EXPECT_EQ(details.message(), status.error_message());
    market_pb::Shortage shortage;
    if (details.details_size() != 1 || !details.details(0).UnpackTo(&shortage)) return std::nullopt;
    return shortage;
  }
  static std::vector<market_pb::Contract> Contracts(const Client& client, bool ended,
                                                    uint64_t guest_id = 0) {
    market_pb::ListContractsRequest request;
    request.set_guest_id(guest_id);
    request.set_state(ended ? market_pb::CONTRACT_STATE_ENDED : market_pb::CONTRACT_STATE_OPEN);
    market_pb::ListContractsResponse response;
    EXPECT_THAT(client.market->ListContracts(client.Context().get(), request, &response),
                Succeeds());
    return {response.contracts().begin(), response.contracts().end()};
  }
  template <typename Wanted>
  bool WaitFor(const Client& client, const Wanted& wanted) {
    const auto context = client.Context();
    const auto reader = client.market->Watch(context.get(), market_pb::WatchRequest());
    market_pb::WatchResponse response;
    const bool came = ReadUntil(*reader, &response, wanted);
    context->TryCancel();
    return came;
  }
  static const market_pb::GuestInfo* Find(const market_pb::WatchResponse& response,
                                          uint64_t guest_id) {
    for (const market_pb::GuestInfo& guest : response.guests()) {
      if (guest.guest_id() == guest_id) return &guest;
    }
    return nullptr;
  }
  // -1: the response does not tell it.
  static int64_t MemoryOf(const market_pb::WatchResponse& response, uint64_t guest_id) {
    const market_pb::GuestInfo* const guest = Find(response, guest_id);
    if (guest == nullptr) return -1;
    for (const market_pb::Grant& grant : guest->grants()) {
      if (grant.kind() == kMemory) return grant.seed_units() + grant.award_units();
    }
    return -1;
  }
  void ExpectBalanced() {
    operators_pb::AuditResponse audit;
    ASSERT_THAT(Audit(*operator_, &audit), Succeeds());
    EXPECT_TRUE(audit.balanced()) << audit.ShortDebugString();
  }
};

TEST_F(GuestsTest, ATierBidsForItsGuestAndIsSeen) {
  ASSERT_THAT(PlaceBid(*alice_, BidRequest(alices_guest_, kMemory, 9, 11, "b1")), Succeeds());
  uint64_t round_id = 0;
  const market_pb::SetTierRequest request = TierRequest(alices_guest_, "gold", 20, "t1");
  ASSERT_THAT(SetTier(*alice_, request, &round_id), Succeeds());
  EXPECT_GT(round_id, 0u);
  uint64_t again = 0;
  EXPECT_THAT(SetTier(*alice_, request, &again), Succeeds());
  EXPECT_EQ(again, round_id);
  ASSERT_TRUE(WaitFor(*alice_, [&](const market_pb::WatchResponse& response) {
    const market_pb::GuestInfo* const guest = Find(response, alices_guest_);
    if (guest == nullptr || !guest->has_tier()) return false;
    EXPECT_EQ(guest->tier().tier(), "gold");
    EXPECT_THAT(guest->tier().most(), SizeIs(1));
    EXPECT_EQ(guest->tier().most(0).units(), 20);
    EXPECT_EQ(guest->tier().ceiling_microcredits(), 1'000'000);
    EXPECT_THAT(guest->bids(), IsEmpty()) << "its bids went";
    return MemoryOf(response, alices_guest_) == 24;
  }));
  ASSERT_TRUE(WaitFor(*bob_, [&](const market_pb::WatchResponse& response) {
    EXPECT_THAT(response.state().tiers(), SizeIs(2)) << "the table is everybody's to see";
    EXPECT_EQ(response.state().tiers(0).name(), "economy");
    EXPECT_EQ(response.state().tiers(0).floor_every_rounds(), 2);
    EXPECT_EQ(response.state().tiers(1).price_multiple_ppm(), 3'000'000);
    EXPECT_EQ(Find(response, alices_guest_), nullptr) << "whose guest has which is not";
    return true;
  }));
  const market_pb::Round round = WaitForSettled(*alice_, alices_guest_, round_id);
  for (const market_pb::GuestOutcome& outcome : round.outcomes()) {
    const bool is_asked_for = outcome.kind() == kMemory;
    EXPECT_EQ(outcome.award_units(), is_asked_for ? 20 : 0);
    EXPECT_EQ(outcome.charge_microcredits(), is_asked_for ? 200 : 0) << "at the reserve";
  }
  // A real bid is refused until the tier is cleared.
  EXPECT_THAT(PlaceBid(*alice_, BidRequest(alices_guest_, kMemory, 9, 11, "b2")),
              Fails(StatusCode::FAILED_PRECONDITION, "has tier gold"));
  bool removed = false;
  ASSERT_THAT(ClearTier(*alice_, alices_guest_, "c1", &removed), Succeeds());
  EXPECT_TRUE(removed);
  ASSERT_THAT(ClearTier(*alice_, alices_guest_, "c1", &removed), Succeeds());
  EXPECT_TRUE(removed) << "a retry is answered the same";
  ASSERT_THAT(ClearTier(*alice_, alices_guest_, "c2", &removed), Succeeds());
  EXPECT_FALSE(removed);
  EXPECT_THAT(PlaceBid(*alice_, BidRequest(alices_guest_, kMemory, 9, 11, "b2")), Succeeds());
  ExpectBalanced();
}

TEST_F(GuestsTest, TheLowestTierHasItsFloorWhoeverBidsMore) {
  ASSERT_THAT(PlaceBid(*bob_, BidRequest(bobs_guest_, kMemory, 64, 100'000, "b1")), Succeeds());
  ASSERT_THAT(SetTier(*alice_, TierRequest(alices_guest_, "economy", 30, "t1")), Succeeds());
  int64_t most = 0;
  int64_t least = kMax;
  ASSERT_TRUE(WaitFor(*alice_, [&](const market_pb::WatchResponse& response) {
    const int64_t units = MemoryOf(response, alices_guest_);
    if (units < 0 || units > 7) return false;
    most = std::max(most, units);
    least = std::min(least, units);
    for (const market_pb::ResourcePrice& price : response.state().prices()) {
      if (price.kind() != kMemory) continue;
      EXPECT_EQ(price.supply_units() + price.contracted_units(), 64 - 8)
          << "with the seeds all there is";
    }
    return most == 7 && least == 4;
  })) << "three on top of its seed, in each second round";
  ExpectBalanced();
}

TEST_F(GuestsTest, TiersThatCannotBeSet) {
  const auto refused = [&](const market_pb::SetTierRequest& request) {
    return SetTier(*alice_, request);
  };
  const market_pb::SetTierRequest good = TierRequest(alices_guest_, "gold", 5, "t");
  EXPECT_THAT(SetTier(Client(marketd_->grpc_address(), "nobody"), good),
              Fails(StatusCode::UNAUTHENTICATED, ""));
  for (const uint64_t guest_id : {uint64_t{0}, uint64_t{777}, bobs_guest_}) {
    market_pb::SetTierRequest bad = good;
    bad.set_guest_id(guest_id);
    EXPECT_THAT(refused(bad), Fails(StatusCode::NOT_FOUND, "guest_id")) << guest_id;
    EXPECT_THAT(ClearTier(*alice_, guest_id, "c"), Fails(StatusCode::NOT_FOUND, "guest_id"));
  }
  market_pb::SetTierRequest bad = good;
  bad.set_request_id("");
  EXPECT_THAT(refused(bad), Fails(StatusCode::INVALID_ARGUMENT, "request_id"));
  bad = good;
  bad.set_tier("platinum");
  EXPECT_THAT(refused(bad), Fails(StatusCode::INVALID_ARGUMENT, "it has economy, gold"));
  bad = good;
  bad.clear_most();
  EXPECT_THAT(refused(bad), Fails(StatusCode::INVALID_ARGUMENT, "most"));
  for (const int64_t units : {int64_t{0}, int64_t{-1}, kMax}) {
    bad = good;
    bad.mutable_most(0)->set_units(units);
    EXPECT_THAT(refused(bad), Fails(StatusCode::INVALID_ARGUMENT, "most[0].units"));
  }
  bad = good;
  bad.mutable_most(0)->set_kind(static_cast<market_pb::ResourceKind>(99));
  EXPECT_THAT(refused(bad), Fails(StatusCode::INVALID_ARGUMENT, "most[0].kind"));
  bad = good;
  for (int i = 0; i < 20; ++i) *bad.add_most() = good.most(0);
  EXPECT_THAT(refused(bad), Fails(StatusCode::INVALID_ARGUMENT, "most: 21 are too many"));
  for (const int64_t ceiling : {int64_t{0}, int64_t{-1}, kMax}) {
    bad = good;
    bad.set_ceiling_microcredits(ceiling);
    EXPECT_THAT(refused(bad), Fails(StatusCode::INVALID_ARGUMENT, "ceiling_microcredits"));
  }
  EXPECT_THAT(refused(good), Succeeds()) << "under an id that was refused before";
  bad = good;
  bad.set_ceiling_microcredits(7);
  EXPECT_THAT(refused(bad), Fails(StatusCode::ALREADY_EXISTS, "request_id"));
}

TEST_F(GuestsTest, ATenantAsksForAGuestWithinItsQuota) {
  market_pb::GetQuotaRequest ask;
  market_pb::GetQuotaResponse quota;
  ASSERT_THAT(alice_->market->GetQuota(alice_->Context().get(), ask, &quota), Succeeds());
  EXPECT_EQ(quota.guests_max(), 2);
  EXPECT_EQ(quota.guests(), 1);
  ASSERT_THAT(quota.seeds(), SizeIs(2));
  EXPECT_THAT(operator_->market->GetQuota(operator_->Context().get(), ask, &quota),
              Fails(StatusCode::INVALID_ARGUMENT, "operator"));
  ask.set_host_id("nowhere");
  EXPECT_THAT(alice_->market->GetQuota(alice_->Context().get(), ask, &quota),
              Fails(StatusCode::NOT_FOUND, "host_id"));

  // Of its quota of 12 of memory it has 4 in a guest.
  market_pb::RequestGuestRequest request = GuestRequest("own", 9);
  grpc::Status refused = Request(*alice_, request);
  EXPECT_THAT(refused, Fails(StatusCode::RESOURCE_EXHAUSTED, "has 8 left"));
  std::optional<market_pb::Shortage> shortage = ShortageOf(refused);
  ASSERT_TRUE(shortage.has_value()) << "a program reads why";
  EXPECT_EQ(shortage->short_of(), market_pb::SHORT_OF_QUOTA_SEEDS);
  EXPECT_EQ(shortage->kind(), kMemory);
  EXPECT_EQ(shortage->asked(), 9);
  EXPECT_EQ(shortage->free(), 8);
  request = GuestRequest("own", 8);
  market_pb::RequestGuestResponse admitted;
  ASSERT_THAT(Request(*alice_, request, &admitted), Succeeds());
  EXPECT_EQ(admitted.contract_id(), 0u);
  market_pb::RequestGuestResponse again;
  ASSERT_THAT(Request(*alice_, request, &again), Succeeds());
  EXPECT_EQ(again.guest_id(), admitted.guest_id());
  refused = Request(*alice_, GuestRequest("third", 0));
  EXPECT_THAT(refused, Fails(StatusCode::RESOURCE_EXHAUSTED, "may have 2"));
  shortage = ShortageOf(refused);
  ASSERT_TRUE(shortage.has_value());
  EXPECT_EQ(shortage->short_of(), market_pb::SHORT_OF_QUOTA_GUESTS);
  EXPECT_THAT(Request(*bob_, GuestRequest("own2", 0)),
              Fails(StatusCode::PERMISSION_DENIED, "no quota"));
  EXPECT_THAT(Request(*operator_, GuestRequest("own2", 0)),
              Fails(StatusCode::PERMISSION_DENIED, "operator"));
  EXPECT_THAT(Request(Client(marketd_->grpc_address(), "nobody"), GuestRequest("own2", 0)),
              Fails(StatusCode::UNAUTHENTICATED, ""));
  // It is alice's as any other.
  ASSERT_TRUE(WaitFor(*alice_, [&](const market_pb::WatchResponse& response) {
    return MemoryOf(response, admitted.guest_id()) == 8;
  }));
  ASSERT_TRUE(WaitFor(*bob_, [&](const market_pb::WatchResponse& response) {
    EXPECT_EQ(Find(response, admitted.guest_id()), nullptr);
    return true;
  }));
  market_pb::ListEventsRequest events;
  market_pb::ListEventsResponse told;
  ASSERT_THAT(alice_->market->ListEvents(alice_->Context().get(), events, &told), Succeeds());
  bool is_told = false;
  for (const market_pb::Event& event : told.events()) {
    is_told |= event.kind() == "guest_requested" && event.by() == "alice";
  }
  EXPECT_TRUE(is_told);

  // It is given back, with what the quota counts.
  market_pb::EndGuestRequest back;
  market_pb::EndGuestResponse gone;
  back.set_guest_id(admitted.guest_id());
  back.set_for_good(true);
  back.set_request_id("back");
  EXPECT_THAT(bob_->market->EndGuest(bob_->Context().get(), back, &gone),
              Fails(StatusCode::NOT_FOUND, ""));
  ASSERT_THAT(alice_->market->EndGuest(alice_->Context().get(), back, &gone), Succeeds());
  ASSERT_THAT(alice_->market->EndGuest(alice_->Context().get(), back, &gone), Succeeds());
  ask.clear_host_id();
  EXPECT_THAT(alice_->market->GetQuota(alice_->Context().get(), ask, &quota), Succeeds());
  EXPECT_EQ(quota.guests(), 1);
  EXPECT_THAT(Request(*alice_, GuestRequest("next", 8), &admitted), Succeeds());
  ExpectBalanced();
}

TEST_F(GuestsTest, GuestsThatCannotBeAskedFor) {
  const auto refused = [&](const market_pb::RequestGuestRequest& request) {
    return Request(*alice_, request);
  };
  const market_pb::RequestGuestRequest good = GuestRequest("own", 2);
  market_pb::RequestGuestRequest bad = good;
  bad.set_request_id("");
  EXPECT_THAT(refused(bad), Fails(StatusCode::INVALID_ARGUMENT, "request_id"));
  bad = good;
  bad.set_host_id("nowhere");
  EXPECT_THAT(refused(bad), Fails(StatusCode::NOT_FOUND, "host"));
  bad = good;
  bad.set_name("Not a name");
  EXPECT_THAT(refused(bad), Fails(StatusCode::INVALID_ARGUMENT, "name"));
  bad = good;
  bad.set_image("../../etc/passwd");
  EXPECT_THAT(refused(bad), Fails(StatusCode::INVALID_ARGUMENT, "image"));
  bad = good;
  bad.set_arguments(std::string(256, 'x'));
  EXPECT_THAT(refused(bad), Fails(StatusCode::INVALID_ARGUMENT, "arguments"));
  for (const int64_t units : {int64_t{-1}, kMax}) {
    bad = good;
    bad.mutable_seeds(0)->set_units(units);
    EXPECT_FALSE(refused(bad).ok()) << units;
  }
  bad = good;
  bad.mutable_seeds(0)->set_kind(static_cast<market_pb::ResourceKind>(99));
  EXPECT_THAT(refused(bad), Fails(StatusCode::INVALID_ARGUMENT, "seeds[0].kind"));
  bad = good;
  bad.mutable_bundle();
  EXPECT_THAT(refused(bad), Fails(StatusCode::INVALID_ARGUMENT, "bundle.lots"));
  AddQuantity(kMemory, 10, bad.mutable_bundle()->mutable_lots());
  EXPECT_THAT(refused(bad), Fails(StatusCode::INVALID_ARGUMENT, "bundle.ceiling_microcredits"));
  bad.mutable_bundle()->set_ceiling_microcredits(kMax);
  EXPECT_THAT(refused(bad), Fails(StatusCode::INVALID_ARGUMENT, "bundle.ceiling_microcredits"));
  bad.mutable_bundle()->set_ceiling_microcredits(99);
  EXPECT_THAT(refused(bad), Fails(StatusCode::INVALID_ARGUMENT, "bundle.rounds"));
  bad.mutable_bundle()->set_rounds(kMax);
  EXPECT_THAT(refused(bad), Fails(StatusCode::INVALID_ARGUMENT, "bundle.rounds"));
  // Ten units cost a hundred a round.
  bad.mutable_bundle()->set_rounds(10);
  grpc::Status status = refused(bad);
  EXPECT_THAT(status, Fails(StatusCode::FAILED_PRECONDITION, "above the ceiling of 99"));
  std::optional<market_pb::Shortage> shortage = ShortageOf(status);
  ASSERT_TRUE(shortage.has_value());
  EXPECT_EQ(shortage->short_of(), market_pb::SHORT_OF_CEILING);
  EXPECT_EQ(shortage->asked(), 100);
  bad.mutable_bundle()->mutable_lots(0)->set_units(33);
  bad.mutable_bundle()->set_ceiling_microcredits(1'000'000);
  status = refused(bad);
  EXPECT_THAT(status, Fails(StatusCode::RESOURCE_EXHAUSTED, "sold forward"));
  shortage = ShortageOf(status);
  ASSERT_TRUE(shortage.has_value());
  EXPECT_EQ(shortage->short_of(), market_pb::SHORT_OF_SHARE);
  EXPECT_EQ(shortage->free(), 32);
  bad.mutable_bundle()->mutable_lots(0)->set_kind(kCpu);
  EXPECT_THAT(refused(bad), Fails(StatusCode::FAILED_PRECONDITION, "no cpu forward"));
  EXPECT_THAT(Contracts(*alice_, /*ended=*/false), IsEmpty()) << "nothing is left of all that";
  EXPECT_THAT(refused(good), Succeeds());
  ExpectBalanced();
}

TEST_F(GuestsTest, ABundleComesWithItsGuestIsRenewedAndListedOnceItHasEnded) {
  operators_pb::AdmitGuestRequest request = AdmitRequest("bob", "legacy");
  AddQuantity(kMemory, 10, request.mutable_bundle()->mutable_lots());
  request.mutable_bundle()->set_rounds(2);
  request.mutable_bundle()->set_ceiling_microcredits(100);
  operators_pb::AdmitGuestResponse admitted;
  ASSERT_THAT(operator_->operators->AdmitGuest(operator_->Context().get(), request, &admitted),
              Succeeds());
  ASSERT_NE(admitted.contract_id(), 0u);
  operators_pb::AdmitGuestResponse again;
  ASSERT_THAT(operator_->operators->AdmitGuest(operator_->Context().get(), request, &again),
              Succeeds());
  EXPECT_EQ(again.contract_id(), admitted.contract_id());
  request.mutable_bundle()->set_rounds(3);
  EXPECT_THAT(operator_->operators->AdmitGuest(operator_->Context().get(), request, &again),
              Fails(StatusCode::ALREADY_EXISTS, "request_id"));
  ASSERT_TRUE(WaitFor(*bob_, [&](const market_pb::WatchResponse& response) {
    return MemoryOf(response, admitted.guest_id()) == 14;
  }));
  // Renewed at least once, for the price has not changed.
  ASSERT_TRUE(WaitFor(*bob_, [&](const market_pb::WatchResponse&) {
    return !Contracts(*bob_, /*ended=*/true).empty();
  }));
  market_pb::Contract first = Contracts(*bob_, /*ended=*/true).back();
  EXPECT_EQ(first.contract_id(), admitted.contract_id());
  EXPECT_EQ(first.end(), market_pb::CONTRACT_END_OVER);
  EXPECT_EQ(first.kind(), market_pb::CONTRACT_KIND_FORWARD);
  ASSERT_THAT(Contracts(*bob_, /*ended=*/false), SizeIs(1));
  // Then the ceiling is too low for it.
  ASSERT_TRUE(WaitFor(*bob_, [&](const market_pb::WatchResponse&) {
    const std::vector<market_pb::Contract> open = Contracts(*bob_, /*ended=*/false);
    if (open.empty()) return true;
    market_pb::SetRenewalRequest lower;
    lower.set_contract_id(open[0].contract_id());
    lower.set_renew_ceiling_microcredits(99);
    lower.set_request_id(absl::StrCat("lower-", open[0].contract_id()));
    market_pb::SetRenewalResponse response;
    bob_->market->SetRenewal(bob_->Context().get(), lower, &response);
    return false;
  }));
  ASSERT_TRUE(WaitFor(*bob_, [&](const market_pb::WatchResponse&) {
    const market_pb::Contract last = Contracts(*bob_, /*ended=*/true).front();
    if (last.end() != market_pb::CONTRACT_END_NOT_RENEWED) return false;
    EXPECT_THAT(last.end_reason(), HasSubstr("above the ceiling of 99"));
    return true;
  }));
  EXPECT_THAT(Contracts(*alice_, /*ended=*/true), IsEmpty());
  EXPECT_THAT(Contracts(*bob_, /*ended=*/true, bobs_guest_), IsEmpty());
  EXPECT_EQ(Contracts(*operator_, /*ended=*/true).size(), Contracts(*bob_, true).size());

  // In pages, newest first.
  market_pb::ListContractsRequest list;
  list.set_state(market_pb::CONTRACT_STATE_ENDED);
  list.set_page_size(1);
  std::vector<uint64_t> ids;
  do {
    market_pb::ListContractsResponse page;
    ASSERT_THAT(bob_->market->ListContracts(bob_->Context().get(), list, &page), Succeeds());
    ASSERT_THAT(page.contracts(), SizeIs(1));
    ids.push_back(page.contracts(0).contract_id());
    list.set_before_contract_id(page.next_before_contract_id());
  } while (list.before_contract_id() != 0);
  EXPECT_GE(ids.size(), 2u);
  EXPECT_TRUE(std::is_sorted(ids.rbegin(), ids.rend()));
  market_pb::ListContractsResponse ignored;
  const auto wrong = [&](const auto& change) {
    market_pb::ListContractsRequest bad;
    bad.set_state(market_pb::CONTRACT_STATE_ENDED);
    change(bad);
    return bob_->market->ListContracts(bob_->Context().get(), bad, &ignored);
  };
  EXPECT_THAT(wrong([](auto& r) { r.set_awards(true); }),
              Fails(StatusCode::INVALID_ARGUMENT, "awards"));
  EXPECT_THAT(wrong([](auto& r) { r.set_after_contract_id(1); }),
              Fails(StatusCode::INVALID_ARGUMENT, "after_contract_id"));
  EXPECT_THAT(wrong([](auto& r) { r.set_page_size(1'001); }),
              Fails(StatusCode::INVALID_ARGUMENT, "page_size"));
  EXPECT_THAT(wrong([](auto& r) { r.set_state(static_cast<market_pb::ContractState>(9)); }),
              Fails(StatusCode::INVALID_ARGUMENT, "state"));
  EXPECT_THAT(wrong([](auto& r) {
                r.set_state(market_pb::CONTRACT_STATE_OPEN);
                r.set_before_contract_id(1);
              }),
              Fails(StatusCode::INVALID_ARGUMENT, "before_contract_id"));
  ExpectBalanced();
}

// A lessor that leaves and a lessee that takes, a guest that ends and its contract that is sublet,
// all at one moment: each is done wholly or not, in whatever order, and the books balance.
TEST_F(GuestsTest, EndsInTheSameInstant) {
  for (int i = 0; i < 5; ++i) {
    market_pb::GetQuoteRequest quote;
    quote.set_guest_id(alices_guest_);
    AddQuantity(kMemory, 8, quote.mutable_lots());
    quote.set_rounds(100);
    quote.set_request_id(absl::StrCat("q", i));
    market_pb::GetQuoteResponse quoted;
    ASSERT_THAT(alice_->market->GetQuote(alice_->Context().get(), quote, &quoted), Succeeds());
    market_pb::TakeOfferRequest take;
    take.set_offer_id(quoted.offer_id());
    take.set_guest_id(alices_guest_);
    take.set_request_id(absl::StrCat("t", i));
    market_pb::TakeOfferResponse bought;
    ASSERT_THAT(alice_->market->TakeOffer(alice_->Context().get(), take, &bought), Succeeds());
    market_pb::OfferSubletRequest offer;
    offer.set_contract_id(bought.contract_id());
    market_pb::Lot* const lot = offer.add_lots();
    lot->set_kind(kMemory);
    lot->set_units(3);
    lot->set_charge_microcredits(30);
    offer.set_rounds(20);
    offer.set_request_id(absl::StrCat("o", i));
    market_pb::OfferSubletResponse offered;
    ASSERT_THAT(alice_->market->OfferSublet(alice_->Context().get(), offer, &offered), Succeeds());

    grpc::Status left;
    grpc::Status taken;
    grpc::Status withdrawn;
    std::thread leaver([&] {
      market_pb::LeaveContractRequest request;
      request.set_contract_id(bought.contract_id());
      request.set_request_id(absl::StrCat("l", i));
      market_pb::LeaveContractResponse response;
      left = alice_->market->LeaveContract(alice_->Context().get(), request, &response);
    });
    std::thread withdrawer([&] {
      market_pb::WithdrawOfferRequest request;
      request.set_offer_id(offered.offer_id());
      request.set_request_id(absl::StrCat("w", i));
      market_pb::WithdrawOfferResponse response;
      withdrawn = alice_->market->WithdrawOffer(alice_->Context().get(), request, &response);
    });
    std::thread taker([&] {
      market_pb::TakeOfferRequest request;
      request.set_offer_id(offered.offer_id());
      request.set_guest_id(bobs_guest_);
      request.set_request_id(absl::StrCat("s", i));
      market_pb::TakeOfferResponse response;
      taken = bob_->market->TakeOffer(bob_->Context().get(), request, &response);
    });
    leaver.join();
    withdrawer.join();
    taker.join();
    EXPECT_THAT(left, Succeeds()) << "whatever became of the offer";
    EXPECT_FALSE(taken.ok() && withdrawn.ok()) << "an offer is taken or withdrawn";
    EXPECT_TRUE(withdrawn.ok() || withdrawn.error_code() == StatusCode::NOT_FOUND);
    EXPECT_TRUE(taken.ok() || taken.error_code() == StatusCode::NOT_FOUND ||
                taken.error_code() == StatusCode::INVALID_ARGUMENT)
        << taken.error_message();
  }
  // And its guest ends while all that is not yet over.
  market_pb::EndGuestRequest end;
  end.set_guest_id(alices_guest_);
  end.set_request_id("end");
  market_pb::EndGuestResponse ended;
  ASSERT_THAT(alice_->market->EndGuest(alice_->Context().get(), end, &ended), Succeeds());
  ASSERT_TRUE(WaitFor(*alice_, [&](const market_pb::WatchResponse&) {
    return Contracts(*alice_, /*ended=*/false).empty();
  }));
  EXPECT_THAT(Contracts(*alice_, /*ended=*/true), SizeIs(5));
  for (const market_pb::Contract& contract : Contracts(*alice_, /*ended=*/true)) {
    EXPECT_NE(contract.end(), market_pb::CONTRACT_END_UNSPECIFIED) << contract.ShortDebugString();
    EXPECT_EQ(contract.escrow_microcredits(), 0);
  }
  ExpectBalanced();
}

}  // namespace
}  // namespace nom::testing
