// SPDX-License-Identifier: Apache-2.0
#include "marketd/services/services.h"

#include <utility>

#include "marketd/base/status.h"
#include "marketd/services/context.h"
#include "marketd/services/market_service.h"
#include "marketd/services/operator_service.h"

namespace nom::marketd {
namespace {

constexpr size_t kReadsQueuedPerOwnerMax = 32;
constexpr size_t kAuditsQueuedMax = 2;
constexpr size_t kBackupsQueuedMax = 1;

}  // namespace

class Services::Impl {
 public:
  Impl(const ServicesOptions& options, market::Runtime& runtime, market::LedgerReader& reader,
       const Clock& clock, WatchHub& hub)
      : context{.runtime = runtime,
                .reader = reader,
                .clock = clock,
                .clear = options.clear,
                .hub = hub,
                .on_identified = options.on_identified,
                .authenticator = Authenticator(options.operator_token),
                .bids = RateLimiter(options.bids_per_second, options.bids_burst),
                .gate = {},
                .read_rate = RateLimiter(options.reads_per_second, options.reads_burst),
                .refusals = {},
                .reads = FairWorker(kReadsQueuedPerOwnerMax),
                .audits = Worker(kAuditsQueuedMax),
                .audited = {},
                .back_up = options.back_up,
                .backups = Worker(kBackupsQueuedMax),
                .stopping = false},
        market(&context),
        operators(&context) {}

  ServiceContext context;
  MarketService market;
  OperatorService operators;
};

Services::Services(const ServicesOptions& options, market::Runtime& runtime,
                   market::LedgerReader& reader, const Clock& clock, WatchHub& hub)
    : impl_(std::make_unique<Impl>(options, runtime, reader, clock, hub)) {
  hub.SetStillGood([context = &impl_->context](const Identity& identity, const market::View& view) {
    return context->authenticator.StillGood(identity, view, context->clock.Now());
  });
  hub.OnView(runtime.view());
}

absl::Status Services::Check(const CallHead& head) { return Identify(head).status(); }

absl::StatusOr<market::Caller> Services::Identify(const CallHead& head) {
  ServiceContext& context = impl_->context;
  const absl::Time now = context.clock.Now();
  absl::StatusOr<Identity> identity =
      context.authenticator.Identify(head, *context.runtime.view(), now);
  if (!identity.ok()) {
    // All of them together: who has shown nothing has no name, and gRPC tells no address before a
    // call begins.
    context.refusals.Note("stranger", head.authorization.has_value() ? "token" : "credential",
                          identity.status().message(), now);
    return identity.status();
  }
  return std::move(identity->caller);
}

absl::Status Services::TakeRead(const market::Caller& caller) {
  return impl_->context.TakeRead(caller);
}

bool Services::PostRead(const std::string& owner, std::function<void()> job) {
  return impl_->context.reads.Post(owner, std::move(job));
}

void Services::SetOperatorToken(absl::string_view operator_token) {
  impl_->context.authenticator.SetOperatorToken(operator_token);
  impl_->context.hub.Recheck();
}

void Services::SetTls(const TlsMaterial& material) {
  impl_->context.authenticator.SetTls(material);
  impl_->context.hub.Recheck();
}

Services::~Services() { impl_->context.hub.SetStillGood(nullptr); }

std::vector<grpc::Service*> Services::services() { return {&impl_->market, &impl_->operators}; }

std::vector<std::string> Services::names() {
  return {nom::market::v1::MarketService::service_full_name(),
          nom::operators::v1::OperatorService::service_full_name()};
}

void Services::SetBidLimits(int64_t bids_per_second, int64_t bids_burst) {
  impl_->context.bids.SetLimits(bids_per_second, bids_burst);
}

void Services::SetReadLimits(int64_t reads_per_second, int64_t reads_burst) {
  impl_->context.read_rate.SetLimits(reads_per_second, reads_burst);
}

bool Services::Drain(absl::Duration timeout) {
  impl_->context.gate.Close();
  impl_->context.stopping = true;
  impl_->context.hub.Close();
  return impl_->context.gate.WaitEmpty(timeout);
}

}  // namespace nom::marketd
