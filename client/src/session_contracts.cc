// SPDX-License-Identifier: Apache-2.0
// Calls about contracts: each an errand of its own (errands.h).

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "client/src/contracts.h"
#include "client/src/session_impl.h"
#include "client/src/session_send.h"

namespace nom {
namespace {

namespace pb = market::v1;
using client::Async;
using client::Method;
using client::RequestIdOf;

absl::StatusOr<ContractsPage> ReadPage(const pb::ListContractsResponse& response) {
  ContractsPage page{.contracts = {}, .next_after_contract_id = response.next_after_contract_id()};
  for (const pb::Contract& contract : response.contracts()) {
    page.contracts.push_back(client::FromProto(contract));
  }
  return page;
}

absl::StatusOr<Offer> ReadOffer(uint64_t offer_id, bool has_offer, const pb::Offer& offer) {
  if (has_offer) return client::FromProto(offer);
  return absl::FailedPreconditionError(
      absl::StrCat("offer ", offer_id, " was made by an earlier try, and is open no more"));
}

}  // namespace

AsyncCall<Offer> Session::Impl::GetQuote(const QuoteOptions& quote, Told<Offer> done,
                                         const CallOptions& options) {
  return Send<Offer>(
      static_cast<Method<pb::GetQuoteRequest, pb::GetQuoteResponse>>(&Async::GetQuote),
      ForGuest(client::ToProto(quote), quote.guest_id, options), pb::GetQuoteResponse(),
      [](const pb::GetQuoteResponse& response) {
        return ReadOffer(response.offer_id(), response.has_offer(), response.offer());
      },
      std::move(done), options);
}

AsyncCall<Taken> Session::Impl::TakeOffer(const TakeOptions& take, Told<Taken> done,
                                          const CallOptions& options) {
  return Send<Taken>(
      static_cast<Method<pb::TakeOfferRequest, pb::TakeOfferResponse>>(&Async::TakeOffer),
      ForGuest(client::ToProto(take), take.guest_id, options), pb::TakeOfferResponse(),
      [](const pb::TakeOfferResponse& response) -> absl::StatusOr<Taken> {
        return Taken{response.contract_id(), response.from_round_id()};
      },
      std::move(done), options);
}

AsyncCall<uint64_t> Session::Impl::LeaveContract(uint64_t contract_id, Told<uint64_t> done,
                                                 const CallOptions& options) {
  pb::LeaveContractRequest request;
  request.set_contract_id(contract_id);
  request.set_request_id(RequestIdOf(options));
  return Send<uint64_t>(
      static_cast<Method<pb::LeaveContractRequest, pb::LeaveContractResponse>>(
          &Async::LeaveContract),
      absl::StatusOr<pb::LeaveContractRequest>(request), pb::LeaveContractResponse(),
      [](const pb::LeaveContractResponse& response) -> absl::StatusOr<uint64_t> {
        return response.round_id();
      },
      std::move(done), options);
}

AsyncCall<Done> Session::Impl::SetRenewal(uint64_t contract_id, int64_t ceiling_microcredits,
                                          Told<Done> done, const CallOptions& options) {
  pb::SetRenewalRequest request;
  request.set_contract_id(contract_id);
  request.set_renew_ceiling_microcredits(ceiling_microcredits);
  request.set_request_id(RequestIdOf(options));
  return Send<Done>(
      static_cast<Method<pb::SetRenewalRequest, pb::SetRenewalResponse>>(&Async::SetRenewal),
      absl::StatusOr<pb::SetRenewalRequest>(request), pb::SetRenewalResponse(),
      [](const pb::SetRenewalResponse&) -> absl::StatusOr<Done> { return Done{}; }, std::move(done),
      options);
}

AsyncCall<Offer> Session::Impl::OfferSublet(const SubletOptions& sublet, Told<Offer> done,
                                            const CallOptions& options) {
  absl::StatusOr<pb::OfferSubletRequest> request = client::ToProto(sublet);
  if (request.ok()) request->set_request_id(RequestIdOf(options));
  return Send<Offer>(
      static_cast<Method<pb::OfferSubletRequest, pb::OfferSubletResponse>>(&Async::OfferSublet),
      std::move(request), pb::OfferSubletResponse(),
      [](const pb::OfferSubletResponse& response) {
        return ReadOffer(response.offer_id(), response.has_offer(), response.offer());
      },
      std::move(done), options);
}

AsyncCall<Done> Session::Impl::WithdrawOffer(uint64_t offer_id, Told<Done> done,
                                             const CallOptions& options) {
  pb::WithdrawOfferRequest request;
  request.set_offer_id(offer_id);
  request.set_request_id(RequestIdOf(options));
  return Send<Done>(
      static_cast<Method<pb::WithdrawOfferRequest, pb::WithdrawOfferResponse>>(
          &Async::WithdrawOffer),
      absl::StatusOr<pb::WithdrawOfferRequest>(request), pb::WithdrawOfferResponse(),
      [](const pb::WithdrawOfferResponse&) -> absl::StatusOr<Done> { return Done{}; },
      std::move(done), options);
}

AsyncCall<ContractsPage> Session::Impl::ListContracts(uint64_t after_contract_id,
                                                      Told<ContractsPage> done,
                                                      const CallOptions& options) {
  pb::ListContractsRequest request;
  request.set_after_contract_id(after_contract_id);
  return Send<ContractsPage>(
      static_cast<Method<pb::ListContractsRequest, pb::ListContractsResponse>>(
          &Async::ListContracts),
      absl::StatusOr<pb::ListContractsRequest>(request), pb::ListContractsResponse(), ReadPage,
      std::move(done), options);
}

AsyncCall<OffersPage> Session::Impl::ListOffers(uint64_t after_offer_id, Told<OffersPage> done,
                                                const CallOptions& options) {
  pb::ListOffersRequest request;
  request.set_after_offer_id(after_offer_id);
  return Send<OffersPage>(
      static_cast<Method<pb::ListOffersRequest, pb::ListOffersResponse>>(&Async::ListOffers),
      absl::StatusOr<pb::ListOffersRequest>(request), pb::ListOffersResponse(),
      [](const pb::ListOffersResponse& response) -> absl::StatusOr<OffersPage> {
        OffersPage page{.offers = {}, .next_after_offer_id = response.next_after_offer_id()};
        for (const pb::Offer& offer : response.offers()) {
          page.offers.push_back(client::FromProto(offer));
        }
        return page;
      },
      std::move(done), options);
}

AsyncCall<EndedContractsPage> Session::Impl::ListEndedContracts(uint64_t before_contract_id,
                                                                Told<EndedContractsPage> done,
                                                                const CallOptions& options) {
  pb::ListContractsRequest request;
  request.set_state(pb::CONTRACT_STATE_ENDED);
  request.set_before_contract_id(before_contract_id);
  return Send<EndedContractsPage>(
      static_cast<Method<pb::ListContractsRequest, pb::ListContractsResponse>>(
          &Async::ListContracts),
      absl::StatusOr<pb::ListContractsRequest>(request), pb::ListContractsResponse(),
      [](const pb::ListContractsResponse& response) -> absl::StatusOr<EndedContractsPage> {
        EndedContractsPage page{.contracts = {},
                                .next_before_contract_id = response.next_before_contract_id()};
        for (const pb::Contract& contract : response.contracts()) {
          page.contracts.push_back(client::FromProto(contract));
        }
        return page;
      },
      std::move(done), options);
}

}  // namespace nom
