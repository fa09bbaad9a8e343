// SPDX-License-Identifier: Apache-2.0
#include "nom/session.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/src/session_impl.h"
#include "client/src/session_options.h"

namespace nom {

bool BidCall::done() const { return state_->done(); }
BidResults BidCall::Wait() const { return state_->Wait(); }
void BidCall::Cancel() const {
  std::lock_guard lock(state_->link->mutex);
  if (state_->link->cancel) state_->link->cancel(state_);
}

bool PlaintextAllowed(const std::string& target) { return client::IsLoopback(target); }

absl::StatusOr<std::unique_ptr<Session>> Session::Connect(SessionOptions options) {
  if (absl::Status status = client::CheckOptions(options); !status.ok()) return status;
  if (!options.token_file.empty()) {
    if (absl::Status status = client::ReadTokenFile(options.token_file).status(); !status.ok()) {
      return status;
    }
  }
  const client::SignalsBlocked blocked;
  for (const client::Endpoint& endpoint : client::EndpointsOf(options)) {
    if (absl::Status status = client::OpenChannel(endpoint).status(); !status.ok()) return status;
  }
  const bool wait = options.connect_timeout > absl::ZeroDuration();
  auto impl = std::make_unique<Impl>(std::move(options));
  if (absl::Status status = impl->Start(); !status.ok()) return status;
  if (wait) {
    if (absl::Status status = impl->WaitUntilConnected(); !status.ok()) return status;
  }
  return std::unique_ptr<Session>(new Session(std::move(impl)));
}

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;

absl::Status Session::Close(const CloseOptions& options) { return impl_->Close(options); }

Prices Session::prices() const { return impl_->prices(); }
std::optional<int64_t> Session::UnitPrice(Resource resource) const {
  return impl_->UnitPrice(resource);
}
bool Session::stale() const { return impl_->stale(); }

SessionState Session::state() const { return impl_->state(); }
SessionCounters Session::counters() const { return impl_->counters(); }
absl::Status Session::last_error() const {
  return impl_->Locked([](const client::SessionCore& core) { return core.last_error(); });
}
MarketStatus Session::market() const {
  return impl_->Locked([](const client::SessionCore& core) { return core.market(); });
}
std::vector<GuestStatus> Session::guests() const {
  return impl_->Locked([](const client::SessionCore& core) { return core.guests(); });
}
std::vector<Grant> Session::grants(uint64_t guest_id) const {
  return impl_->Locked([&](const client::SessionCore& core) -> std::vector<Grant> {
    const absl::StatusOr<uint64_t> resolved = core.ResolveGuest(guest_id);
    if (!resolved.ok()) return {};
    for (const GuestStatus& guest : core.guests()) {
      if (guest.guest_id == *resolved) return guest.grants;
    }
    return {};
  });
}
std::optional<AccountStatus> Session::account() const {
  return impl_->Locked([](const client::SessionCore& core) { return core.account(); });
}

void Session::OnNotice(std::function<void(const Notice&)> callback) {
  const Impl::Inside inside(*impl_);
  impl_->dispatcher().SetNotice(std::move(callback));
}
void Session::OnPrices(std::function<void(const Prices&)> callback) {
  const Impl::Inside inside(*impl_);
  impl_->dispatcher().SetPrices(std::move(callback), [this] {
    const Prices present = impl_->told_prices();
    return present.round_id != 0 ? std::optional<Prices>(present) : std::nullopt;
  });
}
void Session::OnStale(std::function<void(const Staleness&)> callback) {
  const Impl::Inside inside(*impl_);
  impl_->dispatcher().SetStale(std::move(callback), [this] {
    return std::optional<Staleness>(
        impl_->Locked([](const client::SessionCore& core) { return core.staleness(); }));
  });
}
void Session::OnRound(std::function<void(const Round&)> callback) {
  const Impl::Inside inside(*impl_);
  impl_->dispatcher().SetRound(std::move(callback));
}
void Session::OnBidEvent(std::function<void(const BidEvent&)> callback) {
  const Impl::Inside inside(*impl_);
  impl_->dispatcher().SetBidEvent(std::move(callback));
}
void Session::OnSessionEvent(std::function<void(const SessionEvent&)> callback) {
  const Impl::Inside inside(*impl_);
  impl_->dispatcher().SetSessionEvent(std::move(callback));
}

absl::StatusOr<uint64_t> Session::Bid(nom::Bid bid, const CallOptions& options) {
  return BidAll({std::move(bid)}, options)[0];
}
BidResults Session::BidAll(std::vector<nom::Bid> bids, const CallOptions& options) {
  const Impl::Inside inside(*impl_);
  return impl_->Start(std::move(bids), nullptr, options)->Wait();
}
BidCall Session::BidAsync(std::vector<nom::Bid> bids, std::function<void(const BidResults&)> done,
                          const CallOptions& options) {
  const Impl::Inside inside(*impl_);
  return BidCall(impl_->Start(std::move(bids), std::move(done), options));
}
absl::StatusOr<bool> Session::Withdraw(Resource resource, uint64_t guest_id,
                                       const CallOptions& options) {
  return impl_->Withdraw({.guest_id = guest_id, .resource = resource}, options);
}
absl::StatusOr<bool> Session::WithdrawSeveral(uint64_t guest_id, const CallOptions& options) {
  return impl_->Withdraw({.guest_id = guest_id, .valuation = Valuation{}}, options);
}
void Session::TakeOver() { impl_->TakeOver(); }
std::vector<StandingBid> Session::standing_bids() const {
  return impl_->Locked([](const client::SessionCore& core) { return core.bids().standing_bids(); });
}
absl::StatusOr<RoundsPage> Session::ListRounds(uint64_t before_round_id, int page_size,
                                               const CallOptions& options) const {
  const Impl::Inside inside(*impl_);
  return impl_->ListRounds(before_round_id, page_size,
                           options.timeout.value_or(impl_->options().call_timeout));
}
absl::StatusOr<PricesPage> Session::ListPrices(const PriceQuery& query,
                                               const CallOptions& options) const {
  const Impl::Inside inside(*impl_);
  return impl_->ListPrices(query, options.timeout.value_or(impl_->options().call_timeout));
}
AsyncCall<Offer> Session::GetQuote(const QuoteOptions& quote,
                                   std::function<void(const absl::StatusOr<Offer>&)> done,
                                   const CallOptions& options) {
  const Impl::Inside inside(*impl_);
  return impl_->GetQuote(quote, std::move(done), options);
}
AsyncCall<Taken> Session::TakeOffer(const TakeOptions& take,
                                    std::function<void(const absl::StatusOr<Taken>&)> done,
                                    const CallOptions& options) {
  const Impl::Inside inside(*impl_);
  return impl_->TakeOffer(take, std::move(done), options);
}
AsyncCall<uint64_t> Session::LeaveContract(
    uint64_t contract_id, std::function<void(const absl::StatusOr<uint64_t>&)> done,
    const CallOptions& options) {
  const Impl::Inside inside(*impl_);
  return impl_->LeaveContract(contract_id, std::move(done), options);
}
AsyncCall<Done> Session::SetRenewal(uint64_t contract_id, int64_t ceiling_microcredits,
                                    std::function<void(const absl::StatusOr<Done>&)> done,
                                    const CallOptions& options) {
  const Impl::Inside inside(*impl_);
  return impl_->SetRenewal(contract_id, ceiling_microcredits, std::move(done), options);
}
AsyncCall<Offer> Session::OfferSublet(const SubletOptions& sublet,
                                      std::function<void(const absl::StatusOr<Offer>&)> done,
                                      const CallOptions& options) {
  const Impl::Inside inside(*impl_);
  return impl_->OfferSublet(sublet, std::move(done), options);
}
AsyncCall<Done> Session::WithdrawOffer(uint64_t offer_id,
                                       std::function<void(const absl::StatusOr<Done>&)> done,
                                       const CallOptions& options) {
  const Impl::Inside inside(*impl_);
  return impl_->WithdrawOffer(offer_id, std::move(done), options);
}
AsyncCall<ContractsPage> Session::ListContracts(
    uint64_t after_contract_id, std::function<void(const absl::StatusOr<ContractsPage>&)> done,
    const CallOptions& options) {
  const Impl::Inside inside(*impl_);
  return impl_->ListContracts(after_contract_id, std::move(done), options);
}
AsyncCall<OffersPage> Session::ListOffers(
    uint64_t after_offer_id, std::function<void(const absl::StatusOr<OffersPage>&)> done,
    const CallOptions& options) {
  const Impl::Inside inside(*impl_);
  return impl_->ListOffers(after_offer_id, std::move(done), options);
}
AsyncCall<EndedContractsPage> Session::ListEndedContracts(
    uint64_t before_contract_id,
    std::function<void(const absl::StatusOr<EndedContractsPage>&)> done,
    const CallOptions& options) {
  const Impl::Inside inside(*impl_);
  return impl_->ListEndedContracts(before_contract_id, std::move(done), options);
}
AsyncCall<uint64_t> Session::SetTier(const TierOptions& tier,
                                     std::function<void(const absl::StatusOr<uint64_t>&)> done,
                                     const CallOptions& options) {
  const Impl::Inside inside(*impl_);
  return impl_->SetTier(tier, std::move(done), options);
}
AsyncCall<bool> Session::ClearTier(uint64_t guest_id,
                                   std::function<void(const absl::StatusOr<bool>&)> done,
                                   const CallOptions& options) {
  const Impl::Inside inside(*impl_);
  return impl_->ClearTier(guest_id, std::move(done), options);
}
AsyncCall<RequestedGuest> Session::RequestGuest(
    const GuestRequest& guest, std::function<void(const absl::StatusOr<RequestedGuest>&)> done,
    const CallOptions& options) {
  const Impl::Inside inside(*impl_);
  return impl_->RequestGuest(guest, std::move(done), options);
}
AsyncCall<GuestQuota> Session::GetQuota(std::function<void(const absl::StatusOr<GuestQuota>&)> done,
                                        const CallOptions& options) {
  const Impl::Inside inside(*impl_);
  return impl_->GetQuota(std::move(done), options);
}
absl::StatusOr<Statement> Session::GetStatement(uint64_t first_round_id, uint64_t last_round_id,
                                                const CallOptions& options) const {
  const Impl::Inside inside(*impl_);
  return impl_->GetStatement(first_round_id, last_round_id,
                             options.timeout.value_or(impl_->options().call_timeout));
}

}  // namespace nom
