// SPDX-License-Identifier: Apache-2.0
#include "tests/service/market_fixture.h"

namespace nom::testing {

grpc::Status CreateTenant(const Client& client, const std::string& tenant_id,
                          const std::string& request_id, std::string* token) {
  operators_pb::CreateTenantRequest request;
  operators_pb::CreateTenantResponse response;
  request.mutable_tenant()->set_tenant_id(tenant_id);
  request.set_request_id(request_id);
  const grpc::Status status =
      client.operators->CreateTenant(client.Context().get(), request, &response);
  if (token != nullptr) *token = response.token();
  return status;
}

grpc::Status Deposit(const Client& client, const std::string& tenant_id, int64_t microcredits,
                     const std::string& request_id, market_pb::Account* account) {
  operators_pb::DepositRequest request;
  operators_pb::DepositResponse response;
  request.set_tenant_id(tenant_id);
  request.set_amount_microcredits(microcredits);
  request.set_request_id(request_id);
  const grpc::Status status = client.operators->Deposit(client.Context().get(), request, &response);
  if (account != nullptr) *account = response.account();
  return status;
}

operators_pb::AdmitGuestRequest AdmitRequest(const std::string& tenant_id,
                                             const std::string& name) {
  operators_pb::AdmitGuestRequest request;
  request.set_host_id("sim");
  request.set_tenant_id(tenant_id);
  request.set_name(name);
  request.set_image("image");
  operators_pb::Seed* const memory = request.add_seeds();
  memory->set_kind(market_pb::RESOURCE_KIND_MEMORY);
  memory->set_units(4);
  operators_pb::Seed* const cpu = request.add_seeds();
  cpu->set_kind(market_pb::RESOURCE_KIND_CPU);
  cpu->set_units(5);
  request.set_request_id("admit-" + name);
  return request;
}

grpc::Status Admit(const Client& client, const operators_pb::AdmitGuestRequest& request,
                   uint64_t* guest_id) {
  operators_pb::AdmitGuestResponse response;
  const grpc::Status status =
      client.operators->AdmitGuest(client.Context().get(), request, &response);
  if (guest_id != nullptr) *guest_id = response.guest_id();
  return status;
}

market_pb::PlaceBidRequest BidRequest(uint64_t guest_id, market_pb::ResourceKind kind,
                                      int64_t max_units, int64_t unit_price,
                                      const std::string& request_id) {
  market_pb::PlaceBidRequest request;
  request.mutable_bid()->set_guest_id(guest_id);
  request.mutable_bid()->set_kind(kind);
  market_pb::BidRange* const range = request.mutable_bid()->add_ranges();
  range->set_min_units(1);
  range->set_max_units(max_units);
  range->set_value_at_min_microcredits(unit_price);
  range->set_unit_price_microcredits(unit_price);
  request.set_request_id(request_id);
  return request;
}

grpc::Status PlaceBid(const Client& client, const market_pb::PlaceBidRequest& request,
                      uint64_t* round_id) {
  market_pb::PlaceBidResponse response;
  const grpc::Status status = client.market->PlaceBid(client.Context().get(), request, &response);
  if (round_id != nullptr) *round_id = response.round_id();
  return status;
}

grpc::Status Audit(const Client& client, operators_pb::AuditResponse* response) {
  return client.operators->Audit(client.Context().get(), {}, response);
}

MarketTest::MarketTest() = default;

void MarketTest::SetUp() {
  marketd_ = std::make_unique<MarketdProcess>(dir_, Config());
  const absl::Status started = marketd_->Start();
  ASSERT_TRUE(started.ok()) << started;
  operator_ = std::make_unique<Client>(marketd_->grpc_address());
  std::string token;
  ASSERT_THAT(CreateTenant(*operator_, "alice", "t1", &token), Succeeds());
  alice_ = std::make_unique<Client>(marketd_->grpc_address(), token);
  ASSERT_THAT(CreateTenant(*operator_, "bob", "t2", &token), Succeeds());
  bob_ = std::make_unique<Client>(marketd_->grpc_address(), token);
  ASSERT_THAT(Deposit(*operator_, "alice", 1'000'000'000, "d1"), Succeeds());
  ASSERT_THAT(Deposit(*operator_, "bob", 1'000'000'000, "d2"), Succeeds());
  ASSERT_THAT(Admit(*operator_, AdmitRequest("alice", "cache"), &alices_guest_), Succeeds());
  ASSERT_THAT(Admit(*operator_, AdmitRequest("bob", "batch"), &bobs_guest_), Succeeds());
}

market_pb::Round MarketTest::WaitForSettled(const Client& client, uint64_t guest_id,
                                            uint64_t from_round_id) {
  const auto context = client.Context();
  const auto reader = client.market->Watch(context.get(), market_pb::WatchRequest());
  market_pb::WatchResponse response;
  market_pb::Round found;
  // Each response is a moment at which to look.
  ReadUntil(*reader, &response, [&](const market_pb::WatchResponse&) {
    market_pb::ListRoundsResponse rounds;
    if (!client.market->ListRounds(client.Context().get(), {}, &rounds).ok()) return false;
    for (const market_pb::Round& round : rounds.rounds()) {
      if (round.phase() != market_pb::ROUND_PHASE_SETTLED || round.round_id() < from_round_id) {
        continue;
      }
      for (const market_pb::GuestOutcome& outcome : round.outcomes()) {
        if (outcome.guest_id() != guest_id || outcome.award_units() == 0) continue;
        found = round;
        return true;
      }
    }
    return false;
  });
  context->TryCancel();
  return found;
}

}  // namespace nom::testing
