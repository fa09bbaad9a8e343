// SPDX-License-Identifier: Apache-2.0
#include "marketd/services/operator_service.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "marketd/services/call_log.h"
#include "marketd/services/convert.h"
#include "marketd/services/pages.h"
#include "marketd/services/token.h"

namespace nom::marketd {
grpc::ServerUnaryReactor* OperatorService::ListHosts(
    grpc::CallbackServerContext* context, const operators_pb::ListHostsRequest* /*request*/,
    operators_pb::ListHostsResponse* response) {
  const UnaryCall call(services_, context);
  const std::shared_ptr<const market::View> view = services_->runtime.view();
  market::Caller caller;
  if (!call.BeginAsOperator(*view, &caller)) return call.reactor();
  for (const std::shared_ptr<const market::HostView>& host : view->hosts) {
    *response->add_hosts() = ToProto(*host);
  }
  call.Finish(absl::OkStatus());
  return call.reactor();
}

grpc::ServerUnaryReactor* OperatorService::CreateTenant(
    grpc::CallbackServerContext* context, const operators_pb::CreateTenantRequest* request,
    operators_pb::CreateTenantResponse* response) {
  const UnaryCall call(services_, context);
  market::Caller caller;
  if (!call.BeginAsOperator(*services_->runtime.view(), &caller)) return call.reactor();
  // Nobody but the caller ever sees the token: the market is told its hash.
  std::string token = NewToken();
  market::CreateTenant create{.request_id = request->request_id(),
                              .tenant_id = request->tenant().tenant_id(),
                              .display_name = request->tenant().display_name(),
                              .token_hash = HashToken(token)};
  const std::string tenant_id = create.tenant_id;
  services_->runtime.Submit(
      std::move(caller), std::move(create),
      [call, response, tenant_id, token = std::move(token)](const market::Reply& reply) {
        LogDone("tenant_created", *call.context(), "operator", reply.status,
                {{"tenant", tenant_id}});
        if (reply.status.ok()) response->set_token(token);
        call.Finish(reply.status);
      });
  return call.reactor();
}

grpc::ServerUnaryReactor* OperatorService::ListTenants(
    grpc::CallbackServerContext* context, const operators_pb::ListTenantsRequest* request,
    operators_pb::ListTenantsResponse* response) {
  const UnaryCall call(services_, context);
  const std::shared_ptr<const market::View> view = services_->runtime.view();
  market::Caller caller;
  if (!call.BeginAsOperator(*view, &caller)) return call.reactor();
  AddTenants(*view, request->after_tenant_id(), response);
  call.Finish(absl::OkStatus());
  return call.reactor();
}

grpc::ServerUnaryReactor* OperatorService::Deposit(grpc::CallbackServerContext* context,
                                                   const operators_pb::DepositRequest* request,
                                                   operators_pb::DepositResponse* response) {
  const UnaryCall call(services_, context);
  market::Caller caller;
  if (!call.BeginAsOperator(*services_->runtime.view(), &caller)) return call.reactor();
  market::Deposit deposit{.request_id = request->request_id(),
                          .tenant_id = request->tenant_id(),
                          .amount_microcredits = request->amount_microcredits()};
  services_->runtime.Submit(
      std::move(caller), std::move(deposit),
      [call, response, tenant_id = request->tenant_id(), request_id = request->request_id(),
       amount = request->amount_microcredits()](const market::Reply& reply) {
        LogDone("deposit", *call.context(), "operator", reply.status,
                {{"tenant", tenant_id}, {"microcredits", amount}, {"request_id", request_id}});
        if (reply.status.ok()) *response->mutable_account() = ToProto(tenant_id, reply.account);
        call.Finish(reply.status);
      });
  return call.reactor();
}

grpc::ServerUnaryReactor* OperatorService::AdmitGuest(
    grpc::CallbackServerContext* context, const operators_pb::AdmitGuestRequest* request,
    operators_pb::AdmitGuestResponse* response) {
  const UnaryCall call(services_, context);
  market::Caller caller;
  if (!call.BeginAsOperator(*services_->runtime.view(), &caller)) return call.reactor();
  absl::StatusOr<market::AdmitGuest> admission = FromProto(*request);
  if (!admission.ok()) {
    call.Finish(admission.status());
    return call.reactor();
  }
  services_->runtime.Submit(
      std::move(caller), *std::move(admission),
      [call, response, host_id = request->host_id(), tenant_id = request->tenant_id(),
       name = request->name()](const market::Reply& reply) {
        LogDone(
            "guest_admitted", *call.context(), "operator", reply.status,
            {{"host", host_id}, {"tenant", tenant_id}, {"name", name}, {"guest", reply.guest_id}});
        response->set_guest_id(reply.guest_id);
        response->set_contract_id(reply.contract_id);
        call.Finish(reply.status);
      });
  return call.reactor();
}

grpc::ServerUnaryReactor* OperatorService::EvictGuest(
    grpc::CallbackServerContext* context, const operators_pb::EvictGuestRequest* request,
    operators_pb::EvictGuestResponse* /*response*/) {
  const UnaryCall call(services_, context);
  market::Caller caller;
  if (!call.BeginAsOperator(*services_->runtime.view(), &caller)) return call.reactor();
  services_->runtime.Submit(
      std::move(caller),
      market::EvictGuest{.request_id = request->request_id(), .guest_id = request->guest_id()},
      [call, guest_id = request->guest_id()](const market::Reply& reply) {
        LogDone("guest_evicted", *call.context(), "operator", reply.status, {{"guest", guest_id}});
        call.Finish(reply.status);
      });
  return call.reactor();
}

grpc::ServerUnaryReactor* OperatorService::Audit(grpc::CallbackServerContext* context,
                                                 const operators_pb::AuditRequest* /*request*/,
                                                 operators_pb::AuditResponse* response) {
  const UnaryCall call(services_, context);
  market::Caller caller;
  if (!call.BeginAsOperator(*services_->runtime.view(), &caller)) return call.reactor();
  auto job = [this, call, response] {
    if (call.cancelled()) {
      call.Finish(absl::CancelledError("the caller went away"));
      return;
    }
    // From where the last one ended, and no longer than somebody waits for it.
    const absl::StatusOr<market::AuditResult> audit =
        market::Audit(services_->reader, services_->clear, services_->audited,
                      [this, &call] { return call.cancelled() || services_->stopping; });
    if (audit.ok()) *response = ToProto(*audit);
    call.Finish(audit.status());
  };
  if (!services_->audits.Post(std::move(job))) {
    call.Finish(absl::ResourceExhaustedError("other audits are under way; try again later"));
  }
  return call.reactor();
}

BackupWriter* OperatorService::BackUp(grpc::CallbackServerContext* context,
                                      const operators_pb::BackUpRequest* request) {
  return NewBackupStream(services_, context, request->with_archive());
}

grpc::ServerUnaryReactor* OperatorService::GetRoundRecord(
    grpc::CallbackServerContext* context, const operators_pb::GetRoundRecordRequest* request,
    operators_pb::GetRoundRecordResponse* response) {
  const UnaryCall call(services_, context);
  const std::shared_ptr<const market::View> view = services_->runtime.view();
  market::Caller caller;
  if (!call.BeginAsOperator(*view, &caller)) return call.reactor();
  const absl::StatusOr<const market::HostView*> host = HostOrOnly(*view, request->host_id());
  const absl::StatusOr<market::ResourceKind> kind = KindFromProto(request->kind(), "kind");
  if (!host.ok() || !kind.ok()) {
    call.Finish(host.ok() ? kind.status() : host.status());
    return call.reactor();
  }
  auto job = [this, call, response, host_id = (*host)->host_id, kind = *kind,
              round_id = request->round_id()] {
    if (call.cancelled()) {
      call.Finish(absl::CancelledError("the caller went away"));
      return;
    }
    const absl::StatusOr<market::AuctionRecord> record =
        services_->reader.GetAuction(host_id, round_id, kind);
    if (!record.ok()) {
      call.Finish(record.status());
      return;
    }
    // The newest round below the next one is this one.
    const absl::StatusOr<std::vector<market::Round>> rounds =
        services_->reader.ListRounds(host_id, round_id + 1, 1);
    if (!rounds.ok()) {
      call.Finish(rounds.status());
      return;
    }
    response->set_auction(record->auction);
    response->set_policy(record->rule);
    response->set_work_max(record->work_max);
    response->set_method(ToProto(record->method));
    response->set_fault(record->fault);
    if (!rounds->empty() && rounds->front().round_id == round_id) {
      *response->mutable_decided_time() = ToProto(rounds->front().decided_time);
      for (const market::Outcome& outcome : rounds->front().outcomes) {
        if (outcome.kind == kind) *response->add_outcomes() = ToProto(outcome);
      }
    }
    call.Finish(absl::OkStatus());
  };
  if (absl::Status status = services_->PostRead(caller, std::move(job)); !status.ok()) {
    call.Finish(status);
  }
  return call.reactor();
}

}  // namespace nom::marketd
