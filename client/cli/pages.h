// SPDX-License-Identifier: Apache-2.0
// Lists that come in pages, whole.

#ifndef CLIENT_CLI_PAGES_H_
#define CLIENT_CLI_PAGES_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/connection.h"

namespace nom::cli {

// All guests of the request, whatever page it asks for. Errors: as of Connection::Call.
absl::Status ListAllGuests(Connection& connection, market::v1::ListGuestsRequest request,
                           market::v1::ListGuestsResponse* response);

// The first response of a watch: what there is now. Errors: as of Connection::Call.
absl::StatusOr<market::v1::WatchResponse> ReadWatchOnce(Connection& connection,
                                                        const market::v1::WatchRequest& request);

// All tenants.
absl::Status ListAllTenants(Connection& connection, operators::v1::ListTenantsResponse* response);

}  // namespace nom::cli

#endif  // CLIENT_CLI_PAGES_H_
