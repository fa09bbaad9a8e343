// SPDX-License-Identifier: Apache-2.0
#include "marketd/services/market_service.h"

#include <google/protobuf/io/coded_stream.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"
#include "marketd/services/call_log.h"
#include "marketd/services/convert.h"
#include "marketd/services/pages.h"

namespace nom::marketd {
namespace {

constexpr int kWatchedGuestsMax = 4096;
constexpr int kPageSizeDefault = 20;
constexpr int kPageSizeMax = 1000;

absl::Status NoGuest(market::GuestId guest_id) {
  return absl::NotFoundError(absl::StrCat("guest_id: you have no guest ", guest_id));
}

market_pb::GuestInfo Info(const market::View& view, const market::GuestView& guest) {
  const market::HostView* const host = view.FindHost(guest.guest.host_id);
  return ToProto(guest, host == nullptr ? 0 : host->round_id);
}

absl::StatusOr<WatchRequestChecked> CheckWatch(const grpc::ByteBuffer& bytes, Identity identity,
                                               const market::View& view) {
  market_pb::WatchRequest request;
  grpc::ByteBuffer copy = bytes;  // Slices are shared.
  if (!grpc::SerializationTraits<market_pb::WatchRequest>::Deserialize(&copy, &request).ok()) {
    return absl::InvalidArgumentError("not a WatchRequest");
  }
  const absl::StatusOr<const market::HostView*> host = HostOrOnly(view, request.host_id());
  if (!host.ok()) return host.status();
  if (request.guest_ids_size() > kWatchedGuestsMax) {
    return absl::InvalidArgumentError(absl::StrCat("guest_ids: at most ", kWatchedGuestsMax,
                                                   "; leave it empty for all of yours"));
  }
  WatchRequestChecked out{.identity = std::move(identity),
                          .host_id = (*host)->host_id,
                          .guest_ids = {},
                          .after_sequence = request.after_sequence()};
  for (int i = 0; i < request.guest_ids_size(); ++i) {
    const market::GuestId guest_id = request.guest_ids(i);
    const market::GuestView* const guest = view.FindGuest(guest_id);
    if (guest == nullptr || !Owns(out.identity.caller, guest->guest) ||
        guest->guest.host_id != out.host_id) {
      return absl::NotFoundError(absl::StrCat("guest_ids[", i, "]: you have no guest ", guest_id,
                                              " on host ", out.host_id));
    }
    out.guest_ids.insert(guest_id);
  }
  return out;
}

absl::Status NoTenant() {
  return absl::NotFoundError("tenant_id: there is no such tenant, or it is not you");
}

}  // namespace

absl::StatusOr<const market::HostView*> HostOrOnly(const market::View& view,
                                                   const market::HostId& host_id) {
  if (host_id.empty()) {
    if (view.hosts.size() == 1) return view.hosts[0].get();
    return absl::InvalidArgumentError(
        absl::StrCat("host_id: must be given, as there are ", view.hosts.size(), " hosts"));
  }
  const market::HostView* const host = view.FindHost(host_id);
  if (host == nullptr) return absl::NotFoundError("host_id: there is no such host");
  return host;
}

std::string NameOf(const market::Caller& caller) {
  return caller.is_operator ? "operator" : caller.tenant_id;
}

absl::StatusOr<market::TenantId> OwnTenant(const market::Caller& caller,
                                           const std::string& tenant_id) {
  if (!caller.is_operator) {
    if (tenant_id.empty() || tenant_id == caller.tenant_id) return caller.tenant_id;
    return NoTenant();
  }
  if (!tenant_id.empty()) return tenant_id;
  return absl::InvalidArgumentError("tenant_id: an operator must say whose");
}

absl::StatusOr<const market::TenantView*> OwnTenantView(const market::View& view,
                                                        const market::Caller& caller,
                                                        const std::string& tenant_id) {
  const absl::StatusOr<market::TenantId> own = OwnTenant(caller, tenant_id);
  if (!own.ok()) return own.status();
  const market::TenantView* const tenant = view.FindTenant(*own);
  if (tenant == nullptr) return NoTenant();
  return tenant;
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* MarketService::Watch(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request) {
  const std::shared_ptr<const market::View> view = services_->runtime.view();
  absl::StatusOr<Identity> identity = services_->Identify(*context, *view);
  if (!identity.ok()) return NewRefusedWatch(identity.status());
  absl::StatusOr<WatchRequestChecked> checked = CheckWatch(*request, *std::move(identity), *view);
  if (!checked.ok()) return NewRefusedWatch(checked.status());
  const market::Caller caller = checked->identity.caller;
  const absl::StatusOr<WatchHub::Reactor*> watch = services_->hub.Watch(*std::move(checked));
  if (!watch.ok()) return NewRefusedWatch(services_->Noted(caller, "watches", watch.status()));
  return *watch;
}

absl::Status MarketService::TakeBidToken(const market::Caller& caller) {
  if (services_->bids.Take(caller.is_operator ? "" : caller.tenant_id, services_->clock.Now())) {
    return absl::OkStatus();
  }
  return services_->Noted(caller, "bids",
                          absl::ResourceExhaustedError("too many bids a second; try again later"));
}

grpc::ServerUnaryReactor* MarketService::PlaceBid(grpc::CallbackServerContext* context,
                                                  const market_pb::PlaceBidRequest* request,
                                                  market_pb::PlaceBidResponse* response) {
  const UnaryCall call(services_, context);
  market::Caller caller;
  if (!call.Begin(*services_->runtime.view(), &caller)) return call.reactor();
  absl::StatusOr<market::PlaceBid> bid = FromProto(*request);
  const absl::Status status = bid.ok() ? TakeBidToken(caller) : bid.status();
  if (!status.ok()) {
    call.Finish(status);
    return call.reactor();
  }
  services_->runtime.Submit(std::move(caller), *std::move(bid),
                            [call, response](const market::Reply& reply) {
                              response->set_round_id(reply.round_id);
                              call.Finish(reply.status);
                            });
  return call.reactor();
}

grpc::ServerUnaryReactor* MarketService::WithdrawBid(grpc::CallbackServerContext* context,
                                                     const market_pb::WithdrawBidRequest* request,
                                                     market_pb::WithdrawBidResponse* response) {
  const UnaryCall call(services_, context);
  market::Caller caller;
  if (!call.Begin(*services_->runtime.view(), &caller)) return call.reactor();
  absl::StatusOr<market::WithdrawBid> withdrawal = FromProto(*request);
  const absl::Status status = withdrawal.ok() ? TakeBidToken(caller) : withdrawal.status();
  if (!status.ok()) {
    call.Finish(status);
    return call.reactor();
  }
  services_->runtime.Submit(std::move(caller), *std::move(withdrawal),
                            [call, response](const market::Reply& reply) {
                              response->set_removed(reply.removed);
                              call.Finish(reply.status);
                            });
  return call.reactor();
}

grpc::ServerUnaryReactor* MarketService::OpenLease(grpc::CallbackServerContext* context,
                                                   const market_pb::OpenLeaseRequest* /*request*/,
                                                   market_pb::OpenLeaseResponse* response) {
  const UnaryCall call(services_, context);
  const std::shared_ptr<const market::View> view = services_->runtime.view();
  market::Caller caller;
  if (!call.Begin(*view, &caller)) return call.reactor();
  if (absl::Status status = TakeBidToken(caller); !status.ok()) {
    call.Finish(status);
    return call.reactor();
  }
  if (!view->hosts.empty()) response->set_ledger_id(view->hosts[0]->ledger_id);
  response->set_calls_per_second(services_->bids.per_second());
  response->set_calls_burst(services_->bids.burst());
  response->set_bids_per_call(static_cast<int32_t>(market::kBidsPerCallMax));
  services_->runtime.Submit(std::move(caller), market::OpenLease{},
                            [call, response](const market::Reply& reply) {
                              response->set_fence(reply.fence);
                              call.Finish(reply.status);
                            });
  return call.reactor();
}

grpc::ServerUnaryReactor* MarketService::PlaceBids(grpc::CallbackServerContext* context,
                                                   const market_pb::PlaceBidsRequest* request,
                                                   market_pb::PlaceBidsResponse* response) {
  const UnaryCall call(services_, context);
  market::Caller caller;
  if (!call.Begin(*services_->runtime.view(), &caller)) return call.reactor();
  absl::StatusOr<market::PlaceBids> bids = FromProto(*request);
  const absl::Status status = bids.ok() ? TakeBidToken(caller) : bids.status();
  if (!status.ok()) {
    call.Finish(status);
    return call.reactor();
  }
  services_->runtime.Submit(std::move(caller), *std::move(bids),
                            [call, response](const market::Reply& reply) {
                              for (const market::PlacedBid& placed : reply.placed_bids) {
                                *response->add_bids() = ToProto(placed);
                              }
                              call.Finish(reply.status);
                            });
  return call.reactor();
}

grpc::ServerUnaryReactor* MarketService::RenewLease(grpc::CallbackServerContext* context,
                                                    const market_pb::RenewLeaseRequest* request,
                                                    market_pb::RenewLeaseResponse* response) {
  const UnaryCall call(services_, context);
  market::Caller caller;
  if (!call.Begin(*services_->runtime.view(), &caller)) return call.reactor();
  absl::StatusOr<market::RenewLease> renewal = FromProto(*request);
  const absl::Status status = renewal.ok() ? TakeBidToken(caller) : renewal.status();
  if (!status.ok()) {
    call.Finish(status);
    return call.reactor();
  }
  services_->runtime.Submit(std::move(caller), *std::move(renewal),
                            [call, response](const market::Reply& reply) {
                              for (const market::LeasedBid& leased : reply.leased_bids) {
                                *response->add_bids() = ToProto(leased);
                              }
                              call.Finish(reply.status);
                            });
  return call.reactor();
}

grpc::ServerUnaryReactor* MarketService::GetGuest(grpc::CallbackServerContext* context,
                                                  const market_pb::GetGuestRequest* request,
                                                  market_pb::GetGuestResponse* response) {
  const UnaryCall call(services_, context);
  const std::shared_ptr<const market::View> view = services_->runtime.view();
  market::Caller caller;
  if (!call.BeginRead(*view, &caller)) return call.reactor();
  const market::GuestView* const guest = view->FindGuest(request->guest_id());
  if (guest != nullptr) {
    const bool is_theirs = Owns(caller, guest->guest);
    if (is_theirs) *response->mutable_guest() = Info(*view, *guest);
    call.Finish(is_theirs ? absl::OkStatus() : NoGuest(request->guest_id()));
    return call.reactor();
  }
  // The view forgets who was evicted; the ledger does not, nor why.
  auto job = [this, call, caller, response, guest_id = request->guest_id()] {
    const absl::StatusOr<market::Guest> evicted = services_->reader.GetEvictedGuest(guest_id);
    if (evicted.ok() && Owns(caller, *evicted)) {
      *response->mutable_guest() = ToProto(market::GuestView{.guest = *evicted}, /*round_id=*/0);
      call.Finish(absl::OkStatus());
    } else {
      const bool is_hidden = evicted.ok() || absl::IsNotFound(evicted.status());
      call.Finish(is_hidden ? NoGuest(guest_id) : evicted.status());
    }
  };
  if (absl::Status status = services_->PostRead(caller, std::move(job)); !status.ok()) {
    call.Finish(status);
  }
  return call.reactor();
}

template <typename Call>
grpc::ServerUnaryReactor* MarketService::ChangeGuest(grpc::CallbackServerContext* context,
                                                     Call change, const char* event) {
  const UnaryCall call(services_, context);
  market::Caller caller;
  if (!call.Begin(*services_->runtime.view(), &caller)) return call.reactor();
  // A create or a destroy costs its host more than a bid, and counts like one.
  if (absl::Status status = TakeBidToken(caller); !status.ok()) {
    call.Finish(status);
    return call.reactor();
  }
  const std::string by = NameOf(caller);
  const market::GuestId guest_id = change.guest_id;
  services_->runtime.Submit(
      std::move(caller), std::move(change),
      [call, by, guest_id, event](const market::Reply& reply) {
        LogDone(event, *call.context(), by, reply.status, {{"guest", guest_id}});
        call.Finish(reply.status);
      });
  return call.reactor();
}

grpc::ServerUnaryReactor* MarketService::EndGuest(grpc::CallbackServerContext* context,
                                                  const market_pb::EndGuestRequest* request,
                                                  market_pb::EndGuestResponse* /*response*/) {
  return ChangeGuest(
      context, market::EndGuest{request->request_id(), request->guest_id(), request->for_good()},
      request->for_good() ? "guest_given_back" : "guest_ended_by_call");
}

grpc::ServerUnaryReactor* MarketService::StartGuest(grpc::CallbackServerContext* context,
                                                    const market_pb::StartGuestRequest* request,
                                                    market_pb::StartGuestResponse* /*response*/) {
  return ChangeGuest(context, market::StartGuest{request->request_id(), request->guest_id()},
                     "guest_started");
}

grpc::ServerUnaryReactor* MarketService::ListGuests(grpc::CallbackServerContext* context,
                                                    const market_pb::ListGuestsRequest* request,
                                                    market_pb::ListGuestsResponse* response) {
  const UnaryCall call(services_, context);
  const std::shared_ptr<const market::View> view = services_->runtime.view();
  market::Caller caller;
  if (!call.BeginRead(*view, &caller)) return call.reactor();
  call.Finish(AddGuests(*view, caller, request->host_id(), request->after_guest_id(),
                        request->page_size(), response));
  return call.reactor();
}

grpc::ServerUnaryReactor* MarketService::ListRounds(grpc::CallbackServerContext* context,
                                                    const market_pb::ListRoundsRequest* request,
                                                    market_pb::ListRoundsResponse* response) {
  const UnaryCall call(services_, context);
  const std::shared_ptr<const market::View> view = services_->runtime.view();
  market::Caller caller;
  if (!call.BeginRead(*view, &caller)) return call.reactor();
  const absl::StatusOr<const market::HostView*> host = HostOrOnly(*view, request->host_id());
  if (!host.ok()) {
    call.Finish(host.status());
    return call.reactor();
  }
  if (request->page_size() < 0 || request->page_size() > kPageSizeMax) {
    call.Finish(absl::InvalidArgumentError(absl::StrCat(
        "page_size: must be from 0 to ", kPageSizeMax, ", is ", request->page_size())));
    return call.reactor();
  }
  const int page_size = request->page_size() == 0 ? kPageSizeDefault : request->page_size();
  const bool border = caller.is_operator || (*host)->publish_border_prices;
  auto job = [this, call, caller, border, page_size, response, host_id = (*host)->host_id,
              before = request->before_round_id()] {
    if (call.cancelled()) {
      call.Finish(absl::CancelledError("the caller went away"));
      return;
    }
    const absl::Status status =
        AddRounds([&](market::RoundId below,
                      int count) { return services_->reader.ListRounds(host_id, below, count); },
                  before, page_size, caller, border, response);
    if (!status.ok()) {
      call.Finish(status);
      return;
    }
    call.Finish(absl::OkStatus());
  };
  if (absl::Status status = services_->PostRead(caller, std::move(job)); !status.ok()) {
    call.Finish(status);
  }
  return call.reactor();
}

grpc::ServerUnaryReactor* MarketService::GetAccount(grpc::CallbackServerContext* context,
                                                    const market_pb::GetAccountRequest* request,
                                                    market_pb::GetAccountResponse* response) {
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
  *response->mutable_account() = ToProto((*tenant)->tenant_id, market::Summarize((*tenant)->purse));
  call.Finish(absl::OkStatus());
  return call.reactor();
}

}  // namespace nom::marketd
