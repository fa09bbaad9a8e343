// SPDX-License-Identifier: Apache-2.0
// The one place where absl::Status becomes grpc::Status. (gRPC 1.51 has no such conversion.)

#ifndef MARKETD_SERVER_STATUS_H_
#define MARKETD_SERVER_STATUS_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace nom::marketd {

// The same code and message. Messages longer than what HTTP/2 peers accept in trailers are cut.
grpc::Status ToGrpcStatus(const absl::Status& status);

// "OK", "NOT_FOUND", ...: as gRPC names its codes.
absl::string_view CodeName(grpc::StatusCode code);

}  // namespace nom::marketd

#endif  // MARKETD_SERVER_STATUS_H_
