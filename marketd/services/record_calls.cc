// SPDX-License-Identifier: Apache-2.0
// The calls of MarketService about what the ledger has recorded of money and of who did what.

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"
#include "marketd/services/convert.h"
#include "marketd/services/market_service.h"
#include "marketd/services/pages.h"

namespace nom::marketd {
namespace {

constexpr int kPageSizeDefault = 100;
constexpr int kPageSizeMax = 1000;
constexpr int kTransactionsAtOnce = 32;

market_pb::Entry EntryOf(const market::LoggedEntry& logged, const market::TenantId& tenant_id) {
  const market::Entry& entry = logged.entry;
  const bool is_out = entry.from.owner == tenant_id;
  const market::Account& own = is_out ? entry.from : entry.to;
  const market::Account& other = is_out ? entry.to : entry.from;
  market_pb::Entry out;
  out.set_transaction_id(logged.transaction_id);
  *out.mutable_time() = ToProto(logged.time);
  out.set_amount_microcredits(is_out ? -entry.amount_microcredits : entry.amount_microcredits);
  out.set_guest_id(entry.guest_id);
  if (other.owner != market::kOperator) out.set_other(other.owner);
  if (other.kind == market::AccountKind::kIssued) {
    out.set_kind(is_out ? market_pb::ENTRY_KIND_WITHDRAWAL : market_pb::ENTRY_KIND_DEPOSIT);
  } else if (!is_out) {
    out.set_kind(market_pb::ENTRY_KIND_RECEIVED);
  } else {
    out.set_kind(own.kind == market::AccountKind::kArrears ? market_pb::ENTRY_KIND_OWED
                                                           : market_pb::ENTRY_KIND_PAYMENT);
  }
  return out;
}

market_pb::Event EventOf(const market::LoggedEvent& logged) {
  const market::AuditEvent& event = logged.event;
  market_pb::Event out;
  out.set_transaction_id(logged.transaction_id);
  *out.mutable_time() = ToProto(logged.time);
  out.set_kind(event.kind);
  out.set_by(event.by);
  out.set_by_token_id(event.by_token_id);
  out.set_tenant_id(event.tenant_id);
  out.set_host_id(event.host_id);
  out.set_guest_id(event.guest_id);
  out.set_token_id(event.token_id);
  out.set_amount_microcredits(event.amount_microcredits);
  out.set_detail(event.detail);
  return out;
}

// What a request's page_size means. INVALID_ARGUMENT.
absl::StatusOr<int> PageSize(int asked) {
  if (asked >= 0 && asked <= kPageSizeMax) return asked == 0 ? kPageSizeDefault : asked;
  return absl::InvalidArgumentError(
      absl::StrCat("page_size: must be from 0 to ", kPageSizeMax, ", is ", asked));
}

// Fills a page with what `read(before, count)` says, newest first: `size` transactions, or fewer if
// that would be too many bytes, each whole. `add` says how many bytes one takes. Where the next
// page begins; 0: no more. The first transaction goes whatever its size: who asks must get on.
template <typename Read, typename Add>
absl::StatusOr<uint64_t> FillPage(uint64_t before, int size, const Read& read, const Add& add) {
  size_t bytes = 0;
  for (;;) {
    // In pieces, so that no more is held than is sent; one more, to know whether there are more.
    const int wanted = std::min(kTransactionsAtOnce, size);
    NOM_ASSIGN_OR_RETURN(const auto piece, read(market::NewestBelow{before, wanted + 1}));
    int taken = 0;
    uint64_t last = 0;
    bool more = false;
    for (const auto& logged : piece) {
      if (logged.transaction_id != last) {
        if (bytes > kPageBytesMax) return last == 0 ? before : last;
        more = taken == wanted;
        if (more) break;
        ++taken;
        last = logged.transaction_id;
      }
      bytes += add(logged);
    }
    if (!more) return 0;
    before = last;
    size -= taken;
    if (size == 0) return before;
  }
}

absl::Status AddEntries(market::LedgerReader& reader, const market::TenantId& tenant_id,
                        uint64_t before, int size, market_pb::ListEntriesResponse* response) {
  NOM_ASSIGN_OR_RETURN(const auto look, reader.Look(market::kMarketBook));
  market::Purse purse;
  NOM_ASSIGN_OR_RETURN(const uint64_t next,
                       FillPage(
                           before, size,
                           [&](const market::NewestBelow& which)
                               -> absl::StatusOr<std::vector<market::LoggedEntry>> {
                             NOM_ASSIGN_OR_RETURN(market::AccountStatement statement,
                                                  look->ReadStatement(tenant_id, which));
                             purse = statement.purse;
                             return std::move(statement.entries);
                           },
                           [&](const market::LoggedEntry& logged) {
                             market_pb::Entry* const entry = response->add_entries();
                             *entry = EntryOf(logged, tenant_id);
                             return entry->ByteSizeLong();
                           }));
  response->set_next_before_transaction_id(next);
  response->set_balance_microcredits(purse.available + purse.escrow + purse.arrears +
                                     purse.transit);
  return absl::OkStatus();
}

absl::Status AddEvents(market::LedgerReader& reader, const market::TenantId& tenant_id,
                       uint64_t before, int size, market_pb::ListEventsResponse* response) {
  NOM_ASSIGN_OR_RETURN(const auto look, reader.Look(market::kMarketBook));
  NOM_ASSIGN_OR_RETURN(
      const uint64_t next,
      FillPage(
          before, size,
          [&](const market::NewestBelow& which) { return look->ReadEvents(tenant_id, which); },
          [&](const market::LoggedEvent& logged) {
            market_pb::Event* const event = response->add_events();
            *event = EventOf(logged);
            return event->ByteSizeLong();
          }));
  response->set_next_before_transaction_id(next);
  return absl::OkStatus();
}

}  // namespace

template <typename Request, typename Response, typename Add>
grpc::ServerUnaryReactor* MarketService::ListRecords(grpc::CallbackServerContext* context,
                                                     const Request* request, Response* response,
                                                     bool all_for_operators, Add add) {
  const UnaryCall call(services_, context);
  const std::shared_ptr<const market::View> view = services_->runtime.view();
  market::Caller caller;
  if (!call.BeginRead(*view, &caller)) return call.reactor();
  const absl::StatusOr<int> size = PageSize(request->page_size());
  absl::StatusOr<market::TenantId> tenant_id = market::TenantId();
  if (!all_for_operators || !caller.is_operator || !request->tenant_id().empty()) {
    const auto tenant = OwnTenantView(*view, caller, request->tenant_id());
    if (tenant.ok()) {
      tenant_id = (*tenant)->tenant_id;
    } else {
      tenant_id = tenant.status();
    }
  }
  if (!size.ok() || !tenant_id.ok()) {
    call.Finish(size.ok() ? tenant_id.status() : size.status());
    return call.reactor();
  }
  auto job = [this, call, response, add, tenant_id = *std::move(tenant_id), size = *size,
              before = request->before_transaction_id()] {
    call.Finish(call.cancelled() ? absl::CancelledError("the caller went away")
                                 : add(services_->reader, tenant_id, before, size, response));
  };
  if (absl::Status status = services_->PostRead(caller, std::move(job)); !status.ok()) {
    call.Finish(status);
  }
  return call.reactor();
}

grpc::ServerUnaryReactor* MarketService::ListEntries(grpc::CallbackServerContext* context,
                                                     const market_pb::ListEntriesRequest* request,
                                                     market_pb::ListEntriesResponse* response) {
  return ListRecords(context, request, response, /*all_for_operators=*/false, AddEntries);
}

grpc::ServerUnaryReactor* MarketService::ListEvents(grpc::CallbackServerContext* context,
                                                    const market_pb::ListEventsRequest* request,
                                                    market_pb::ListEventsResponse* response) {
  return ListRecords(context, request, response, /*all_for_operators=*/true, AddEvents);
}

}  // namespace nom::marketd
