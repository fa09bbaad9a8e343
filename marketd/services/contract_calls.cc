// SPDX-License-Identifier: Apache-2.0
// The calls of MarketService about contracts and offers.

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/services/call_log.h"
#include "marketd/services/contract_messages.h"
#include "marketd/services/convert.h"
#include "marketd/services/market_service.h"

namespace nom::marketd {

template <typename Call, typename Answer>
grpc::ServerUnaryReactor* MarketService::WriteContract(grpc::CallbackServerContext* context,
                                                       absl::StatusOr<Call> call, const char* event,
                                                       Answer answer) {
  const UnaryCall unary(services_, context);
  market::Caller caller;
  if (!unary.Begin(*services_->runtime.view(), &caller)) return unary.reactor();
  const absl::Status status = call.ok() ? TakeBidToken(caller) : call.status();
  if (!status.ok()) {
    unary.Finish(status);
    return unary.reactor();
  }
  market::Caller who = caller;
  services_->runtime.Submit(
      std::move(caller), *std::move(call),
      [unary, event, answer, who = std::move(who)](const market::Reply& reply) {
        LogDone(event, *unary.context(), NameOf(who), reply.status,
                {{"offer", reply.offer_id}, {"contract", reply.contract_id}});
        if (reply.status.ok()) answer(reply, who);
        unary.Finish(reply.status);
      });
  return unary.reactor();
}

namespace {

// What is answered of an offer that was made.
template <typename Response>
auto OfferAnswer(Response* response) {
  return [response](const market::Reply& reply, const market::Caller& caller) {
    response->set_offer_id(reply.offer_id);
    if (reply.offer != nullptr) *response->mutable_offer() = ToProto(*reply.offer, caller);
  };
}

void SayNothing(const market::Reply& /*reply*/, const market::Caller& /*caller*/) {}

}  // namespace

grpc::ServerUnaryReactor* MarketService::GetQuote(grpc::CallbackServerContext* context,
                                                  const market_pb::GetQuoteRequest* request,
                                                  market_pb::GetQuoteResponse* response) {
  return WriteContract(context, FromProto(*request), "quote_given", OfferAnswer(response));
}

grpc::ServerUnaryReactor* MarketService::OfferSublet(grpc::CallbackServerContext* context,
                                                     const market_pb::OfferSubletRequest* request,
                                                     market_pb::OfferSubletResponse* response) {
  return WriteContract(context, FromProto(*request), "sublet_offered", OfferAnswer(response));
}

grpc::ServerUnaryReactor* MarketService::TakeOffer(grpc::CallbackServerContext* context,
                                                   const market_pb::TakeOfferRequest* request,
                                                   market_pb::TakeOfferResponse* response) {
  absl::StatusOr<market::TakeOffer> call =
      market::TakeOffer{.request_id = request->request_id(),
                        .offer_id = request->offer_id(),
                        .guest_id = request->guest_id(),
                        .renew_ceiling_microcredits = request->renew_ceiling_microcredits()};
  return WriteContract(context, std::move(call), "contract_bought",
                       [response](const market::Reply& reply, const market::Caller& /*caller*/) {
                         response->set_contract_id(reply.contract_id);
                         response->set_from_round_id(reply.round_id);
                       });
}

grpc::ServerUnaryReactor* MarketService::WithdrawOffer(
    grpc::CallbackServerContext* context, const market_pb::WithdrawOfferRequest* request,
    market_pb::WithdrawOfferResponse* /*response*/) {
  absl::StatusOr<market::WithdrawOffer> call =
      market::WithdrawOffer{request->request_id(), request->offer_id()};
  return WriteContract(context, std::move(call), "offer_withdrawn", SayNothing);
}

grpc::ServerUnaryReactor* MarketService::LeaveContract(
    grpc::CallbackServerContext* context, const market_pb::LeaveContractRequest* request,
    market_pb::LeaveContractResponse* response) {
  absl::StatusOr<market::LeaveContract> call =
      market::LeaveContract{request->request_id(), request->contract_id()};
  return WriteContract(context, std::move(call), "contract_left",
                       [response](const market::Reply& reply, const market::Caller& /*caller*/) {
                         response->set_round_id(reply.round_id);
                       });
}

grpc::ServerUnaryReactor* MarketService::SetRenewal(grpc::CallbackServerContext* context,
                                                    const market_pb::SetRenewalRequest* request,
                                                    market_pb::SetRenewalResponse* /*response*/) {
  absl::StatusOr<market::SetRenewal> call = market::SetRenewal{
      request->request_id(), request->contract_id(), request->renew_ceiling_microcredits()};
  return WriteContract(context, std::move(call), "renewal_set", SayNothing);
}

grpc::ServerUnaryReactor* MarketService::ListContracts(
    grpc::CallbackServerContext* context, const market_pb::ListContractsRequest* request,
    market_pb::ListContractsResponse* response) {
  const UnaryCall call(services_, context);
  const std::shared_ptr<const market::View> view = services_->runtime.view();
  market::Caller caller;
  if (!call.BeginRead(*view, &caller)) return call.reactor();
  if (request->state() == market_pb::CONTRACT_STATE_ENDED) {
    const market::TenantId tenant_id = caller.is_operator ? "" : caller.tenant_id;
    auto job = [this, call, response, tenant_id, asked = *request] {
      call.Finish(call.cancelled()
                      ? absl::CancelledError("the caller went away")
                      : AddEndedContracts(services_->reader, tenant_id, asked, response));
    };
    if (absl::Status status = services_->PostRead(caller, std::move(job)); !status.ok()) {
      call.Finish(status);
    }
    return call.reactor();
  }
  if (request->state() != market_pb::CONTRACT_STATE_UNSPECIFIED &&
      request->state() != market_pb::CONTRACT_STATE_OPEN) {
    call.Finish(absl::InvalidArgumentError(
        absl::StrCat("state: ", static_cast<int>(request->state()), " is none")));
    return call.reactor();
  }
  call.Finish(AddContracts(*view, caller, *request, response));
  return call.reactor();
}

grpc::ServerUnaryReactor* MarketService::ListOffers(grpc::CallbackServerContext* context,
                                                    const market_pb::ListOffersRequest* request,
                                                    market_pb::ListOffersResponse* response) {
  const UnaryCall call(services_, context);
  const std::shared_ptr<const market::View> view = services_->runtime.view();
  market::Caller caller;
  if (!call.BeginRead(*view, &caller)) return call.reactor();
  call.Finish(AddOffers(*view, caller, services_->clock.Now(), *request, response));
  return call.reactor();
}

}  // namespace nom::marketd
