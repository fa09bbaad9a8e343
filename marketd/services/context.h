// SPDX-License-Identifier: Apache-2.0
// What every service needs, and the way of a unary call through it.

#ifndef MARKETD_SERVICES_CONTEXT_H_
#define MARKETD_SERVICES_CONTEXT_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "marketd/base/clock.h"
#include "marketd/base/status.h"
#include "marketd/market/audit.h"
#include "marketd/market/clearing.h"
#include "marketd/market/ledger.h"
#include "marketd/market/runtime.h"
#include "marketd/server/gate.h"
#include "marketd/server/status.h"
#include "marketd/services/authenticator.h"
#include "marketd/services/backup_stream.h"
#include "marketd/services/fair_worker.h"
#include "marketd/services/guest_messages.h"
#include "marketd/services/rate_limiter.h"
#include "marketd/services/refusal_log.h"
#include "marketd/services/watch_hub.h"
#include "marketd/services/worker.h"

namespace nom::marketd {

// What becomes of a connection when it is known whose it is: see FrontDoor::Identify.
using OnIdentified =
    std::function<absl::Status(const std::string& peer, const market::Caller& caller)>;

// "operator" or the tenant's id, for the log.
std::string NameOf(const market::Caller& caller);

struct ServiceContext {
  // Who calls, told to whoever counts connections.
  absl::StatusOr<Identity> Identify(const grpc::CallbackServerContext& context,
                                    const market::View& view) {
    NOM_ASSIGN_OR_RETURN(Identity identity, authenticator.Identify(context, view, clock.Now()));
    if (on_identified) {
      NOM_RETURN_IF_ERROR(
          Noted(identity.caller, "connections", on_identified(context.peer(), identity.caller)));
    }
    return identity;
  }

  // The status as it is; one that is no OK also goes to the log of refusals.
  absl::Status Noted(const market::Caller& caller, const char* what, absl::Status status) {
    if (!status.ok()) refusals.Note(NameOf(caller), what, status.message(), clock.Now());
    return status;
  }

  // Tenants may read so often; the operator's reads have no quota.
  absl::Status TakeRead(const market::Caller& caller) {
    if (caller.is_operator || read_rate.Take(caller.tenant_id, clock.Now())) {
      return absl::OkStatus();
    }
    return Noted(caller, "reads",
                 absl::ResourceExhaustedError("too many reads a second; try again later"));
  }

  // Has `job` read the ledger when the caller's turn comes. RESOURCE_EXHAUSTED, and `job` is
  // dropped, if too much of the caller's waits already.
  absl::Status PostRead(const market::Caller& caller, std::function<void()> job) {
    if (reads.Post(caller.is_operator ? "" : caller.tenant_id, std::move(job))) {
      return absl::OkStatus();
    }
    return Noted(caller, "reads",
                 absl::ResourceExhaustedError("too many reads at once; try again later"));
  }

  market::Runtime& runtime;
  market::LedgerReader& reader;
  const Clock& clock;
  const market::ClearFunction clear;
  WatchHub& hub;
  const OnIdentified on_identified;
  Authenticator authenticator;
  RateLimiter bids;
  Gate gate;
  RateLimiter read_rate;
  RefusalLog refusals;
  FairWorker reads;           // Rounds and records.
  Worker audits;              // Long: apart from the others.
  market::AuditMark audited;  // Used by jobs of `audits` only.
  const BackUp back_up;
  Worker backups;
  std::atomic<bool> stopping{false};  // Long work ends early.
};

// A unary call in hand. Copies share it; Finish is called once, by whoever is done with it.
class UnaryCall {
 public:
  UnaryCall(ServiceContext* services, grpc::CallbackServerContext* context)
      : services_(services), context_(context), reactor_(context->DefaultReactor()) {}

  grpc::ServerUnaryReactor* reactor() const { return reactor_; }
  const grpc::CallbackServerContext* context() const { return context_; }
  bool cancelled() const { return context_->IsCancelled(); }

  // Who calls, if the server still takes calls: then Finish must follow. Otherwise it was finished
  // here, and nothing is to be done.
  bool Begin(const market::View& view, market::Caller* caller) const {
    if (!services_->gate.Enter()) {
      reactor_->Finish(ToGrpcStatus(absl::UnavailableError("the market is shutting down")));
      return false;
    }
    absl::StatusOr<Identity> identity = services_->Identify(*context_, view);
    if (!identity.ok()) {
      Finish(identity.status());
      return false;
    }
    *caller = std::move(identity->caller);
    return true;
  }

  // The same for what only reads, of which a tenant may have so many a second.
  bool BeginRead(const market::View& view, market::Caller* caller) const {
    if (!Begin(view, caller)) return false;
    const absl::Status status = services_->TakeRead(*caller);
    if (!status.ok()) Finish(status);
    return status.ok();
  }

  // Begin for what only operators may do: PERMISSION_DENIED for others.
  bool BeginAsOperator(const market::View& view, market::Caller* caller) const {
    if (!Begin(view, caller)) return false;
    if (caller->is_operator) return true;
    Finish(services_->Noted(*caller, "operator_calls",
                            absl::PermissionDeniedError("this call is for operators")));
    return false;
  }

  void Finish(const absl::Status& status) const {
    Gate& gate = services_->gate;
    reactor_->Finish(ToAnswer(status));
    gate.Leave();
  }

 private:
  ServiceContext* services_;
  grpc::CallbackServerContext* context_;
  grpc::ServerUnaryReactor* reactor_;
};

// The host of that id; if it is empty, the only host.
// Errors: NOT_FOUND; INVALID_ARGUMENT if it is empty and there are several.
absl::StatusOr<const market::HostView*> HostOrOnly(const market::View& view,
                                                   const market::HostId& host_id);

// Whose account or tokens a call is about: the caller's own, or those of whom an operator names.
// Errors: NOT_FOUND (a tenant that is not the caller), INVALID_ARGUMENT (an operator names none).
absl::StatusOr<market::TenantId> OwnTenant(const market::Caller& caller,
                                           const std::string& tenant_id);
// The same tenant as it is shown, if it is. It lives as long as the view. Errors: those of
// OwnTenant and NOT_FOUND, of a tenant that there is not in the same words as of one that is not
// the caller.
absl::StatusOr<const market::TenantView*> OwnTenantView(const market::View& view,
                                                        const market::Caller& caller,
                                                        const std::string& tenant_id);
}  // namespace nom::marketd

#endif  // MARKETD_SERVICES_CONTEXT_H_
