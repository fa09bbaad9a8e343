// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/client/fake_market.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"

namespace nom::client_test {

namespace mpb = market::v1;
namespace opb = operators::v1;

class FakeMarket::MarketImpl final : public mpb::MarketService::Service {
 public:
  explicit MarketImpl(FakeMarket& fake) : fake_(fake) {}

  grpc::Status Watch(grpc::ServerContext* context, const mpb::WatchRequest* request,
                     grpc::ServerWriter<mpb::WatchResponse>* writer) override {
    auto watcher = std::make_shared<Watcher>();
    std::unique_lock lock(fake_.mutex_);
    fake_.watches_.push_back(*request);
    fake_.changed_.notify_all();
    if (grpc::Status status = fake_.Authenticate(*context); !status.ok()) return status;
    if (fake_.has_snapshot_) watcher->queue.push_back(fake_.snapshot_);
    fake_.watchers_.insert(watcher);
    while (!watcher->ended || !watcher->queue.empty()) {
      if (watcher->queue.empty()) {
        if (context->IsCancelled()) break;
        // Wakes up now and then, as a cancelled call is not announced to the synchronous API.
        fake_.changed_.wait_for(lock, std::chrono::milliseconds(5));
        continue;
      }
      const mpb::WatchResponse response = std::move(watcher->queue.front());
      watcher->queue.pop_front();
      lock.unlock();
      const bool written = writer->Write(response);
      lock.lock();
      if (!written) break;
    }
    fake_.watchers_.erase(watcher);
    return watcher->status;
  }

  // As it is among `guests`; one that was admitted and is not among them has ended.
  grpc::Status GetGuest(grpc::ServerContext* context, const mpb::GetGuestRequest* request,
                        mpb::GetGuestResponse* response) override {
    mpb::GetGuestResponse answer;
    {
      std::lock_guard lock(fake_.mutex_);
      answer.mutable_guest()->set_state(mpb::GUEST_STATE_ENDED);
      answer.mutable_guest()->set_exit_reason("exit 3");
      for (const mpb::GuestInfo& guest : fake_.guests.guests()) {
        if (guest.guest_id() == request->guest_id()) *answer.mutable_guest() = guest;
      }
    }
    return fake_.Answer("GetGuest", *context, *request, answer, response);
  }

  grpc::Status PlaceBid(grpc::ServerContext* context, const mpb::PlaceBidRequest* request,
                        mpb::PlaceBidResponse* response) override {
    fake_.Note("PlaceBid", *request);
    std::lock_guard lock(fake_.mutex_);
    ++fake_.bid_calls_;
    fake_.changed_.notify_all();
    if (grpc::Status status = fake_.Authenticate(*context); !status.ok()) return status;
    grpc::Status failure;
    if (!fake_.bid_failures_.empty()) {
      failure = fake_.bid_failures_.front();
      fake_.bid_failures_.pop_front();
      if (!fake_.fail_after_applying_) return failure;
    }
    bool again = false;
    if (grpc::Status status = fake_.Remember(request->request_id(), *request, again);
        !status.ok()) {
      return status;
    }
    if (!again) fake_.bids_.push_back(*request);
    response->set_round_id(fake_.round_id_);
    return failure;
  }

  grpc::Status OpenLease(grpc::ServerContext* context, const mpb::OpenLeaseRequest* request,
                         mpb::OpenLeaseResponse* response) override {
    fake_.Note("OpenLease", *request);
    std::lock_guard lock(fake_.mutex_);
    if (grpc::Status status = fake_.Authenticate(*context); !status.ok()) return status;
    response->set_fence(++fake_.fence_);
    response->set_ledger_id(fake_.snapshot_.state().ledger_id());
    response->set_calls_per_second(100'000);
    response->set_calls_burst(100'000);
    response->set_bids_per_call(256);
    return grpc::Status::OK;
  }

  grpc::Status PlaceBids(grpc::ServerContext* context, const mpb::PlaceBidsRequest* request,
                         mpb::PlaceBidsResponse* response) override {
    fake_.Note("PlaceBids", *request);
    std::lock_guard lock(fake_.mutex_);
    ++fake_.bid_calls_;
    fake_.changed_.notify_all();
    if (grpc::Status status = fake_.Authenticate(*context); !status.ok()) return status;
    grpc::Status failure;
    if (!fake_.bid_failures_.empty()) {
      failure = fake_.bid_failures_.front();
      fake_.bid_failures_.pop_front();
      const bool of_a_bid = failure.error_code() == grpc::StatusCode::FAILED_PRECONDITION;
      if (of_a_bid) {
        for (int i = 0; i < request->bids_size(); ++i) {
          mpb::PlacedBid* const placed = response->add_bids();
          placed->set_code(failure.error_code());
          placed->set_message(failure.error_message());
        }
        return grpc::Status::OK;
      }
      if (!fake_.fail_after_applying_) return failure;
    }
    for (const mpb::Bid& bid : request->bids()) {
      mpb::PlacedBid* const placed = response->add_bids();
      placed->set_round_id(fake_.round_id_);
      const auto key = std::pair(bid.guest_id(), bid.kind());
      if (bid.ranges_size() == 0) {
        mpb::WithdrawBidRequest& one = fake_.withdrawals_.emplace_back();
        one.set_guest_id(bid.guest_id());
        one.set_kind(bid.kind());
        placed->set_removed(fake_.leased_.erase(key) != 0);
      } else {
        *fake_.bids_.emplace_back().mutable_bid() = bid;
        fake_.leased_[key] = request->sequence();
      }
    }
    return failure;
  }

  grpc::Status RenewLease(grpc::ServerContext* context, const mpb::RenewLeaseRequest* request,
                          mpb::RenewLeaseResponse* response) override {
    std::lock_guard lock(fake_.mutex_);
    if (grpc::Status status = fake_.Authenticate(*context); !status.ok()) return status;
    ++fake_.renewals_;
    fake_.changed_.notify_all();
    if (fake_.renewals_to_fail_ > 0) {
      --fake_.renewals_to_fail_;
      return {grpc::StatusCode::UNAVAILABLE, "the market is busy"};
    }
    for (const mpb::BidKey& key : request->bids()) {
      mpb::LeasedBid* const leased = response->add_bids();
      const auto found = fake_.leased_.find({key.guest_id(), key.kind()});
      leased->set_state(found == fake_.leased_.end() ? mpb::LEASED_BID_STATE_NONE
                                                     : mpb::LEASED_BID_STATE_HELD);
      if (found == fake_.leased_.end()) continue;
      leased->set_sequence(found->second);
      leased->set_last_round_id(fake_.round_id_ + 2);
    }
    return grpc::Status::OK;
  }

  grpc::Status WithdrawBid(grpc::ServerContext* context, const mpb::WithdrawBidRequest* request,
                           mpb::WithdrawBidResponse* response) override {
    fake_.Note("WithdrawBid", *request);
    std::lock_guard lock(fake_.mutex_);
    if (grpc::Status status = fake_.Authenticate(*context); !status.ok()) return status;
    bool again = false;
    if (grpc::Status status = fake_.Remember(request->request_id(), *request, again);
        !status.ok()) {
      return status;
    }
    fake_.withdrawals_.push_back(*request);
    fake_.changed_.notify_all();
    response->set_removed(!fake_.bids_.empty());
    return grpc::Status::OK;
  }

  grpc::Status ListGuests(grpc::ServerContext* context, const mpb::ListGuestsRequest* request,
                          mpb::ListGuestsResponse* response) override {
    return fake_.Answer("ListGuests", *context, *request, fake_.guests, response);
  }
  grpc::Status ListRounds(grpc::ServerContext* context, const mpb::ListRoundsRequest* request,
                          mpb::ListRoundsResponse* response) override {
    return fake_.Answer("ListRounds", *context, *request, fake_.rounds, response);
  }
  grpc::Status ListPrices(grpc::ServerContext* context, const mpb::ListPricesRequest* request,
                          mpb::ListPricesResponse* response) override {
    mpb::ListPricesResponse answer;
    {
      std::lock_guard lock(fake_.mutex_);
      const auto page = fake_.prices.find(request->page_token());
      if (page != fake_.prices.end()) answer = page->second;
    }
    return fake_.Answer("ListPrices", *context, *request, answer, response);
  }
  grpc::Status GetAccount(grpc::ServerContext* context, const mpb::GetAccountRequest* request,
                          mpb::GetAccountResponse* response) override {
    return fake_.Answer("GetAccount", *context, *request, fake_.account, response);
  }
  grpc::Status ListEntries(grpc::ServerContext* context, const mpb::ListEntriesRequest* request,
                           mpb::ListEntriesResponse* response) override {
    const auto& pages = fake_.entries;
    const auto page = pages.find(request->before_transaction_id());
    return fake_.Answer("ListEntries", *context, *request,
                        page == pages.end() ? mpb::ListEntriesResponse() : page->second, response);
  }
  grpc::Status ListEvents(grpc::ServerContext* context, const mpb::ListEventsRequest* request,
                          mpb::ListEventsResponse* response) override {
    const auto& pages = fake_.events;
    const auto page = pages.find(request->before_transaction_id());
    return fake_.Answer("ListEvents", *context, *request,
                        page == pages.end() ? mpb::ListEventsResponse() : page->second, response);
  }
  grpc::Status EndGuest(grpc::ServerContext* context, const mpb::EndGuestRequest* request,
                        mpb::EndGuestResponse* response) override {
    return fake_.Answer("EndGuest", *context, *request, mpb::EndGuestResponse(), response);
  }
  grpc::Status StartGuest(grpc::ServerContext* context, const mpb::StartGuestRequest* request,
                          mpb::StartGuestResponse* response) override {
    return fake_.Answer("StartGuest", *context, *request, mpb::StartGuestResponse(), response);
  }
  grpc::Status CreateToken(grpc::ServerContext* context, const mpb::CreateTokenRequest* request,
                           mpb::CreateTokenResponse* response) override {
    mpb::CreateTokenResponse answer;
    answer.set_token("token-for-" + request->label());
    answer.set_token_id(2);
    return fake_.Answer("CreateToken", *context, *request, answer, response);
  }
  grpc::Status ListTokens(grpc::ServerContext* context, const mpb::ListTokensRequest* request,
                          mpb::ListTokensResponse* response) override {
    return fake_.Answer("ListTokens", *context, *request, fake_.tokens, response);
  }
  grpc::Status RevokeToken(grpc::ServerContext* context, const mpb::RevokeTokenRequest* request,
                           mpb::RevokeTokenResponse* response) override {
    return fake_.Answer("RevokeToken", *context, *request, mpb::RevokeTokenResponse(), response);
  }
  grpc::Status GetQuote(grpc::ServerContext* context, const mpb::GetQuoteRequest* request,
                        mpb::GetQuoteResponse* response) override {
    return fake_.Answer("GetQuote", *context, *request, fake_.quote, response);
  }
  grpc::Status OfferSublet(grpc::ServerContext* context, const mpb::OfferSubletRequest* request,
                           mpb::OfferSubletResponse* response) override {
    mpb::OfferSubletResponse answer;
    answer.set_offer_id(fake_.quote.offer_id());
    *answer.mutable_offer() = fake_.quote.offer();
    return fake_.Answer("OfferSublet", *context, *request, answer, response);
  }
  grpc::Status TakeOffer(grpc::ServerContext* context, const mpb::TakeOfferRequest* request,
                         mpb::TakeOfferResponse* response) override {
    mpb::TakeOfferResponse answer;
    answer.set_contract_id(12);
    answer.set_from_round_id(7);
    return fake_.Answer("TakeOffer", *context, *request, answer, response);
  }
  grpc::Status WithdrawOffer(grpc::ServerContext* context, const mpb::WithdrawOfferRequest* request,
                             mpb::WithdrawOfferResponse* response) override {
    return fake_.Answer("WithdrawOffer", *context, *request, mpb::WithdrawOfferResponse(),
                        response);
  }
  grpc::Status LeaveContract(grpc::ServerContext* context, const mpb::LeaveContractRequest* request,
                             mpb::LeaveContractResponse* response) override {
    mpb::LeaveContractResponse answer;
    answer.set_round_id(8);
    return fake_.Answer("LeaveContract", *context, *request, answer, response);
  }
  grpc::Status SetRenewal(grpc::ServerContext* context, const mpb::SetRenewalRequest* request,
                          mpb::SetRenewalResponse* response) override {
    return fake_.Answer("SetRenewal", *context, *request, mpb::SetRenewalResponse(), response);
  }
  grpc::Status ListContracts(grpc::ServerContext* context, const mpb::ListContractsRequest* request,
                             mpb::ListContractsResponse* response) override {
    return fake_.Answer("ListContracts", *context, *request, fake_.contracts, response);
  }
  grpc::Status SetTier(grpc::ServerContext* context, const mpb::SetTierRequest* request,
                       mpb::SetTierResponse* response) override {
    mpb::SetTierResponse answer;
    answer.set_round_id(7);
    return fake_.Answer("SetTier", *context, *request, answer, response);
  }
  grpc::Status ClearTier(grpc::ServerContext* context, const mpb::ClearTierRequest* request,
                         mpb::ClearTierResponse* response) override {
    mpb::ClearTierResponse answer;
    answer.set_removed(true);
    return fake_.Answer("ClearTier", *context, *request, answer, response);
  }
  grpc::Status RequestGuest(grpc::ServerContext* context, const mpb::RequestGuestRequest* request,
                            mpb::RequestGuestResponse* response) override {
    mpb::RequestGuestResponse answer;
    answer.set_guest_id(5);
    if (request->has_bundle()) answer.set_contract_id(12);
    return fake_.Answer("RequestGuest", *context, *request, answer, response);
  }
  grpc::Status GetQuota(grpc::ServerContext* context, const mpb::GetQuotaRequest* request,
                        mpb::GetQuotaResponse* response) override {
    return fake_.Answer("GetQuota", *context, *request, fake_.quota, response);
  }
  grpc::Status ListOffers(grpc::ServerContext* context, const mpb::ListOffersRequest* request,
                          mpb::ListOffersResponse* response) override {
    return fake_.Answer("ListOffers", *context, *request, fake_.offers, response);
  }

 private:
  FakeMarket& fake_;
};

class FakeMarket::OperatorImpl final : public opb::OperatorService::Service {
 public:
  explicit OperatorImpl(FakeMarket& fake) : fake_(fake) {}

  grpc::Status ListHosts(grpc::ServerContext* context, const opb::ListHostsRequest* request,
                         opb::ListHostsResponse* response) override {
    return fake_.Answer("ListHosts", *context, *request, fake_.hosts, response);
  }
  grpc::Status ListTenants(grpc::ServerContext* context, const opb::ListTenantsRequest* request,
                           opb::ListTenantsResponse* response) override {
    return fake_.Answer("ListTenants", *context, *request, fake_.tenants, response);
  }
  grpc::Status CreateTenant(grpc::ServerContext* context, const opb::CreateTenantRequest* request,
                            opb::CreateTenantResponse* response) override {
    opb::CreateTenantResponse answer;
    answer.set_token("token-of-" + request->tenant().tenant_id());
    return fake_.Answer("CreateTenant", *context, *request, answer, response);
  }
  grpc::Status Deposit(grpc::ServerContext* context, const opb::DepositRequest* request,
                       opb::DepositResponse* response) override {
    opb::DepositResponse answer;
    answer.mutable_account()->set_available_microcredits(request->amount_microcredits());
    return fake_.Answer("Deposit", *context, *request, answer, response);
  }
  grpc::Status AdmitGuest(grpc::ServerContext* context, const opb::AdmitGuestRequest* request,
                          opb::AdmitGuestResponse* response) override {
    opb::AdmitGuestResponse answer;
    answer.set_guest_id(7);
    return fake_.Answer("AdmitGuest", *context, *request, answer, response);
  }
  grpc::Status EvictGuest(grpc::ServerContext* context, const opb::EvictGuestRequest* request,
                          opb::EvictGuestResponse* response) override {
    return fake_.Answer("EvictGuest", *context, *request, opb::EvictGuestResponse(), response);
  }
  grpc::Status GetRoundRecord(grpc::ServerContext* context,
                              const opb::GetRoundRecordRequest* request,
                              opb::GetRoundRecordResponse* response) override {
    return fake_.Answer("GetRoundRecord", *context, *request, fake_.record, response);
  }
  grpc::Status Audit(grpc::ServerContext* context, const opb::AuditRequest* request,
                     opb::AuditResponse* response) override {
    return fake_.Answer("Audit", *context, *request, fake_.audit, response);
  }

 private:
  FakeMarket& fake_;
};

FakeMarket::FakeMarket()
    : market_(std::make_unique<MarketImpl>(*this)),
      operator_(std::make_unique<OperatorImpl>(*this)) {
  Start();
}

FakeMarket::~FakeMarket() { Stop(); }

void FakeMarket::Start() {
  grpc::ServerBuilder builder;
  int bound = 0;
  // No SO_REUSEPORT: another test's market must not share the port by accident.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddListeningPort(absl::StrCat("127.0.0.1:", port_), grpc::InsecureServerCredentials(),
                           &bound);
  builder.RegisterService(market_.get());
  builder.RegisterService(operator_.get());
  server_ = builder.BuildAndStart();
  if (server_ == nullptr || bound == 0) {
    std::fprintf(stderr, "the fake market cannot listen on port %d\n", port_);
    std::abort();
  }
  port_ = bound;
  target_ = absl::StrCat("127.0.0.1:", port_);
}

void FakeMarket::Stop() {
  if (server_ == nullptr) return;
  EndStreams(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the market is shutting down"));
  server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(5));
  server_->Wait();
  server_.reset();
}

void FakeMarket::Publish(const mpb::WatchResponse& snapshot) {
  std::lock_guard lock(mutex_);
  snapshot_ = snapshot;
  has_snapshot_ = true;
  for (const auto& watcher : watchers_) watcher->queue.push_back(snapshot);
  changed_.notify_all();
}

void FakeMarket::Tell(const mpb::WatchResponse& response) {
  std::lock_guard lock(mutex_);
  for (const auto& watcher : watchers_) watcher->queue.push_back(response);
  changed_.notify_all();
}

void FakeMarket::EndStreams(const grpc::Status& status) {
  std::lock_guard lock(mutex_);
  for (const auto& watcher : watchers_) {
    watcher->ended = true;
    watcher->status = status;
  }
  changed_.notify_all();
}

void FakeMarket::FailBids(std::vector<grpc::Status> statuses, bool after_applying) {
  std::lock_guard lock(mutex_);
  bid_failures_.assign(statuses.begin(), statuses.end());
  fail_after_applying_ = after_applying;
}

void FakeMarket::FailRenewals(int count) {
  std::lock_guard lock(mutex_);
  renewals_to_fail_ = count;
}

void FakeMarket::ForgetBids() {
  std::lock_guard lock(mutex_);
  leased_.clear();
}

void FakeMarket::RequireToken(const std::string& token) {
  std::lock_guard lock(mutex_);
  token_ = token;
}

void FakeMarket::SetRound(uint64_t round_id) {
  std::lock_guard lock(mutex_);
  round_id_ = round_id;
}

grpc::Status FakeMarket::Authenticate(const grpc::ServerContext& context) const {
  if (token_.empty()) return grpc::Status::OK;
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find("authorization");
  if (found != metadata.end() && found->second == "Bearer " + token_) return grpc::Status::OK;
  return grpc::Status(grpc::StatusCode::UNAUTHENTICATED, "not a token of this market");
}

void FakeMarket::Note(const std::string& method, const google::protobuf::Message& request) const {
  std::function<void(const std::string&)> call;
  {
    std::lock_guard lock(mutex_);
    call = on_request;
  }
  if (call) call(absl::StrCat(method, " ", request.ShortDebugString()));
}

grpc::Status FakeMarket::Remember(const std::string& request_id,
                                  const google::protobuf::Message& request, bool& again) {
  if (request_id.empty() || request_id.size() > 64) {
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "request_id: 1 to 64 characters");
  }
  const auto [found, inserted] = requests_.emplace(request_id, request.ShortDebugString());
  again = !inserted;
  if (again && found->second != request.ShortDebugString()) {
    return grpc::Status(grpc::StatusCode::ALREADY_EXISTS, "request_id: used for another write");
  }
  return grpc::Status::OK;
}

std::vector<mpb::PlaceBidRequest> FakeMarket::bids() const {
  std::lock_guard lock(mutex_);
  return bids_;
}
std::vector<mpb::WithdrawBidRequest> FakeMarket::withdrawals() const {
  std::lock_guard lock(mutex_);
  return withdrawals_;
}
int64_t FakeMarket::bid_calls() const {
  std::lock_guard lock(mutex_);
  return bid_calls_;
}
std::vector<mpb::WatchRequest> FakeMarket::watches() const {
  std::lock_guard lock(mutex_);
  return watches_;
}

int64_t FakeMarket::renewals() const {
  std::lock_guard lock(mutex_);
  return renewals_;
}

void FakeMarket::WaitForRenewals(int64_t count) {
  std::unique_lock lock(mutex_);
  while (renewals_ < count) changed_.wait_for(lock, std::chrono::milliseconds(5));
}
void FakeMarket::WaitForBids(size_t count) {
  std::unique_lock lock(mutex_);
  while (bids_.size() < count) changed_.wait_for(lock, std::chrono::milliseconds(5));
}
void FakeMarket::WaitForBidCalls(int64_t count) {
  std::unique_lock lock(mutex_);
  while (bid_calls_ < count) changed_.wait_for(lock, std::chrono::milliseconds(5));
}
void FakeMarket::WaitForWatches(size_t count) {
  std::unique_lock lock(mutex_);
  while (watches_.size() < count) changed_.wait_for(lock, std::chrono::milliseconds(5));
}

mpb::MarketState MakeState(uint64_t round_id, int64_t cpu_price, int64_t memory_price,
                           absl::Time valid_until) {
  mpb::MarketState state;
  state.set_host_id("m1");
  state.set_round_id(round_id);
  state.set_phase(mpb::ROUND_PHASE_COLLECT);
  state.set_period_ms(2000);
  state.set_priced_round_id(round_id - 1);
  state.mutable_valid_until()->set_seconds(absl::ToUnixSeconds(valid_until));
  const auto add = [&](mpb::ResourceKind kind, int64_t unit_size, int64_t capacity, int64_t price,
                       int64_t reserve) {
    mpb::ResourceInfo* info = state.add_resources();
    info->set_kind(kind);
    info->set_unit_size(unit_size);
    info->set_capacity_units(capacity);
    info->set_policy("uniform_price/1");
    mpb::ResourcePrice* to = state.add_prices();
    to->set_kind(kind);
    to->set_unit_price_microcredits(price);
    to->set_reserve_unit_price_microcredits(reserve);
    to->set_supply_units(capacity - 20);
    to->set_demand_units(capacity);
    to->set_sold_units(capacity - 30);
    to->set_bound_by(price > reserve ? mpb::BOUND_BY_BIDS : mpb::BOUND_BY_RESERVE);
    to->set_policy("uniform_price/1");
    to->set_method(mpb::CLEARING_METHOD_EXACT);
  };
  add(mpb::RESOURCE_KIND_CPU, 10, 300, cpu_price, 50);
  add(mpb::RESOURCE_KIND_MEMORY, 1 << 20, 256, memory_price, 20);
  return state;
}

mpb::GuestInfo MakeGuest(uint64_t guest_id, const std::string& name) {
  mpb::GuestInfo guest;
  guest.set_guest_id(guest_id);
  guest.set_name(name);
  guest.set_host_id("m1");
  guest.set_tenant_id("shop");
  guest.set_state(mpb::GUEST_STATE_RUNNING);
  mpb::Grant* cpu = guest.add_grants();
  cpu->set_kind(mpb::RESOURCE_KIND_CPU);
  cpu->set_seed_units(10);
  mpb::Grant* memory = guest.add_grants();
  memory->set_kind(mpb::RESOURCE_KIND_MEMORY);
  memory->set_seed_units(8);
  return guest;
}

}  // namespace nom::client_test
