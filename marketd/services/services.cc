#include "marketd/services/services.h"

#include "marketd/services/context.h"
#include "marketd/services/market_service.h"
#include "marketd/services/operator_service.h"

namespace nom::marketd {
namespace {

constexpr size_t kReadsQueuedMax = 256;
constexpr size_t kAuditsQueuedMax = 2;

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
                .authenticator = Authenticator(options.operator_token),
                .bids = RateLimiter(options.bids_per_second, options.bids_burst),
                .gate = {},
                .reads = Worker(kReadsQueuedMax),
                .audits = Worker(kAuditsQueuedMax),
                .audited = {},
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
  hub.OnView(runtime.view());
}

Services::~Services() = default;

std::vector<grpc::Service*> Services::services() { return {&impl_->market, &impl_->operators}; }

std::vector<std::string> Services::names() {
  return {nom::market::v1::MarketService::service_full_name(),
          nom::operators::v1::OperatorService::service_full_name()};
}

bool Services::Drain(absl::Duration timeout) {
  impl_->context.gate.Close();
  impl_->context.stopping = true;
  impl_->context.hub.Close();
  return impl_->context.gate.WaitEmpty(timeout);
}

}  // namespace nom::marketd
