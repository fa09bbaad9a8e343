// SPDX-License-Identifier: Apache-2.0
// The calls of MarketService about tokens.

#include <memory>
#include <string>
#include <utility>

#include "marketd/services/call_log.h"
#include "marketd/services/convert.h"
#include "marketd/services/market_service.h"
#include "marketd/services/token.h"

namespace nom::marketd {
namespace {

absl::StatusOr<market::CreateToken> CallOf(const market_pb::CreateTokenRequest& request) {
  market::CreateToken out{.request_id = request.request_id(), .label = request.label()};
  switch (request.scope()) {
    case market_pb::TOKEN_SCOPE_UNSPECIFIED:
    case market_pb::TOKEN_SCOPE_FULL:
      break;
    case market_pb::TOKEN_SCOPE_READ_ONLY:
      out.scope = market::TokenScope::kReadOnly;
      break;
    default:
      return absl::InvalidArgumentError("scope: must be full or read only");
  }
  if (request.lifetime_seconds() != 0) out.lifetime = absl::Seconds(request.lifetime_seconds());
  return out;
}

market_pb::TokenInfo InfoOf(const market::Token& token, const market::Caller& caller,
                            absl::Time now) {
  market_pb::TokenInfo out;
  out.set_token_id(token.token_id);
  out.set_label(token.label);
  out.set_scope(token.scope == market::TokenScope::kReadOnly ? market_pb::TOKEN_SCOPE_READ_ONLY
                                                             : market_pb::TOKEN_SCOPE_FULL);
  if (token.created_time != absl::UnixEpoch()) {
    *out.mutable_created_time() = ToProto(token.created_time);
  }
  if (token.expire_time != absl::UnixEpoch()) {
    *out.mutable_expire_time() = ToProto(token.expire_time);
  }
  out.set_expired(!IsGood(token, now));
  out.set_shown(!caller.is_operator && caller.token_id == token.token_id);
  return out;
}

}  // namespace

grpc::ServerUnaryReactor* MarketService::CreateToken(grpc::CallbackServerContext* context,
                                                     const market_pb::CreateTokenRequest* request,
                                                     market_pb::CreateTokenResponse* response) {
  const UnaryCall call(services_, context);
  market::Caller caller;
  if (!call.Begin(*services_->runtime.view(), &caller)) return call.reactor();
  absl::StatusOr<market::CreateToken> create = CallOf(*request);
  const absl::StatusOr<market::TenantId> tenant_id = OwnTenant(caller, request->tenant_id());
  absl::Status status = tenant_id.ok() ? create.status() : tenant_id.status();
  if (status.ok()) status = TakeBidToken(caller);
  if (!status.ok()) {
    call.Finish(status);
    return call.reactor();
  }
  // Nobody but the caller ever sees the token: the market is told its hash.
  std::string token = NewToken();
  create->tenant_id = *tenant_id;
  create->token_hash = HashToken(token);
  const std::string by = NameOf(caller);
  services_->runtime.Submit(std::move(caller), *std::move(create),
                            [call, response, by, tenant_id = *tenant_id,
                             token = std::move(token)](const market::Reply& reply) {
                              LogDone("token_created", *call.context(), by, reply.status,
                                      {{"tenant", tenant_id}, {"token", reply.token_id}});
                              if (reply.status.ok()) {
                                response->set_token(token);
                                response->set_token_id(reply.token_id);
                              }
                              call.Finish(reply.status);
                            });
  return call.reactor();
}

grpc::ServerUnaryReactor* MarketService::ListTokens(grpc::CallbackServerContext* context,
                                                    const market_pb::ListTokensRequest* request,
                                                    market_pb::ListTokensResponse* response) {
  const UnaryCall call(services_, context);
  const std::shared_ptr<const market::View> view = services_->runtime.view();
  market::Caller caller;
  if (!call.BeginRead(*view, &caller)) return call.reactor();
  const absl::StatusOr<const market::TenantView*> tenant =
      OwnTenantView(*view, caller, request->tenant_id());
  if (!tenant.ok()) {
    call.Finish(tenant.status());
    return call.reactor();
  }
  const absl::Time now = services_->clock.Now();
  for (const market::Token& token : (*tenant)->tokens) {
    *response->add_tokens() = InfoOf(token, caller, now);
  }
  call.Finish(absl::OkStatus());
  return call.reactor();
}

grpc::ServerUnaryReactor* MarketService::RevokeToken(grpc::CallbackServerContext* context,
                                                     const market_pb::RevokeTokenRequest* request,
                                                     market_pb::RevokeTokenResponse* /*response*/) {
  const UnaryCall call(services_, context);
  market::Caller caller;
  if (!call.Begin(*services_->runtime.view(), &caller)) return call.reactor();
  absl::StatusOr<market::TenantId> tenant_id = OwnTenant(caller, request->tenant_id());
  const absl::Status status = tenant_id.ok() ? TakeBidToken(caller) : tenant_id.status();
  if (!status.ok()) {
    call.Finish(status);
    return call.reactor();
  }
  const std::string by = NameOf(caller);
  services_->runtime.Submit(std::move(caller),
                            market::RevokeToken{.request_id = request->request_id(),
                                                .tenant_id = *tenant_id,
                                                .token_id = request->token_id()},
                            [call, by, tenant_id = *tenant_id,
                             token_id = request->token_id()](const market::Reply& reply) {
                              LogDone("token_revoked", *call.context(), by, reply.status,
                                      {{"tenant", tenant_id}, {"token", token_id}});
                              call.Finish(reply.status);
                            });
  return call.reactor();
}

}  // namespace nom::marketd
