// SPDX-License-Identifier: Apache-2.0
// The calls of MarketService about guests that do not bid, and guests that tenants ask for.

#include <memory>
#include <string>
#include <utility>

#include "marketd/services/call_log.h"
#include "marketd/services/convert.h"
#include "marketd/services/guest_messages.h"
#include "marketd/services/market_service.h"

namespace nom::marketd {

template <typename Call, typename Answer>
grpc::ServerUnaryReactor* MarketService::WriteTier(grpc::CallbackServerContext* context,
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
  const std::string by = NameOf(caller);
  const market::GuestId guest_id = call->guest_id;
  services_->runtime.Submit(
      std::move(caller), *std::move(call),
      [unary, event, answer, by, guest_id](const market::Reply& reply) {
        LogDone(event, *unary.context(), by, reply.status, {{"guest", guest_id}});
        if (reply.status.ok()) answer(reply);
        unary.Finish(reply.status);
      });
  return unary.reactor();
}

grpc::ServerUnaryReactor* MarketService::SetTier(grpc::CallbackServerContext* context,
                                                 const market_pb::SetTierRequest* request,
                                                 market_pb::SetTierResponse* response) {
  return WriteTier(context, FromProto(*request), "tier_set",
                   [response](const auto& reply) { response->set_round_id(reply.round_id); });
}

grpc::ServerUnaryReactor* MarketService::ClearTier(grpc::CallbackServerContext* context,
                                                   const market_pb::ClearTierRequest* request,
                                                   market_pb::ClearTierResponse* response) {
  absl::StatusOr<market::ClearTier> call =
      market::ClearTier{request->request_id(), request->guest_id()};
  return WriteTier(context, std::move(call), "tier_cleared",
                   [response](const auto& reply) { response->set_removed(reply.removed); });
}

grpc::ServerUnaryReactor* MarketService::RequestGuest(grpc::CallbackServerContext* context,
                                                      const market_pb::RequestGuestRequest* request,
                                                      market_pb::RequestGuestResponse* response) {
  const UnaryCall call(services_, context);
  const std::shared_ptr<const market::View> view = services_->runtime.view();
  market::Caller caller;
  if (!call.Begin(*view, &caller)) return call.reactor();
  const absl::StatusOr<const market::HostView*> host = HostOrOnly(*view, request->host_id());
  absl::StatusOr<market::AdmitGuest> admission = FromProto(*request);
  absl::Status status = admission.status();
  if (status.ok()) status = host.status();
  // It costs its host more than a bid, and counts like one.
  if (status.ok()) status = TakeBidToken(caller);
  if (!status.ok()) {
    call.Finish(status);
    return call.reactor();
  }
  admission->host_id = (*host)->host_id;
  admission->tenant_id = caller.tenant_id;
  const std::string by = NameOf(caller);
  services_->runtime.Submit(std::move(caller), *std::move(admission),
                            [call, response, by, host_id = (*host)->host_id,
                             name = request->name()](const market::Reply& reply) {
                              LogDone("guest_requested", *call.context(), by, reply.status,
                                      {{"host", host_id},
                                       {"name", name},
                                       {"guest", reply.guest_id},
                                       {"contract", reply.contract_id}});
                              response->set_guest_id(reply.guest_id);
                              response->set_contract_id(reply.contract_id);
                              call.Finish(reply.status);
                            });
  return call.reactor();
}

grpc::ServerUnaryReactor* MarketService::GetQuota(grpc::CallbackServerContext* context,
                                                  const market_pb::GetQuotaRequest* request,
                                                  market_pb::GetQuotaResponse* response) {
  const UnaryCall call(services_, context);
  const std::shared_ptr<const market::View> view = services_->runtime.view();
  market::Caller caller;
  if (!call.BeginRead(*view, &caller)) return call.reactor();
  const absl::StatusOr<const market::HostView*> host = HostOrOnly(*view, request->host_id());
  absl::Status status = host.status();
  if (status.ok() && caller.is_operator) {
    status = absl::InvalidArgumentError("an operator admits guests, and has no quota");
  }
  if (status.ok()) *response = QuotaToProto(*view, **host, caller.tenant_id);
  call.Finish(status);
  return call.reactor();
}

}  // namespace nom::marketd
