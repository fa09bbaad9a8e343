// SPDX-License-Identifier: Apache-2.0
#include "client/cli/pages.h"

namespace nom::cli {

absl::Status ListAllGuests(Connection& connection, market::v1::ListGuestsRequest request,
                           market::v1::ListGuestsResponse* response) {
  for (;;) {
    market::v1::ListGuestsResponse page;
    const absl::Status status =
        connection.Call(&market::v1::MarketService::Stub::ListGuests, request, &page);
    if (!status.ok()) return status;
    response->mutable_guests()->MergeFrom(page.guests());
    if (page.next_after_guest_id() <= request.after_guest_id()) return absl::OkStatus();
    request.set_after_guest_id(page.next_after_guest_id());
  }
}

absl::StatusOr<market::v1::WatchResponse> ReadWatchOnce(Connection& connection,
                                                        const market::v1::WatchRequest& request) {
  grpc::ClientContext context;
  connection.Prepare(context);
  connection.SetDeadline(context);
  const auto stream = connection.market().Watch(&context, request);
  market::v1::WatchResponse response;
  if (!stream->Read(&response)) {
    const absl::Status status = client::ToAbsl(stream->Finish());
    return status.ok() ? absl::UnavailableError("the market ended the stream") : status;
  }
  context.TryCancel();
  static_cast<void>(stream->Finish());  // Cancelled, by us.
  return response;
}

absl::Status ListAllTenants(Connection& connection, operators::v1::ListTenantsResponse* response) {
  operators::v1::ListTenantsRequest request;
  for (;;) {
    operators::v1::ListTenantsResponse page;
    const absl::Status status =
        connection.Call(&operators::v1::OperatorService::Stub::ListTenants, request, &page);
    if (!status.ok()) return status;
    response->mutable_tenants()->MergeFrom(page.tenants());
    response->mutable_accounts()->MergeFrom(page.accounts());
    if (page.next_after_tenant_id() <= request.after_tenant_id()) return absl::OkStatus();
    request.set_after_tenant_id(page.next_after_tenant_id());
  }
}

}  // namespace nom::cli
