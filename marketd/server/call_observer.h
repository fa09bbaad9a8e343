// SPDX-License-Identifier: Apache-2.0
// Times and counts every call that the server answers, whatever service it belongs to.

#ifndef MARKETD_SERVER_CALL_OBSERVER_H_
#define MARKETD_SERVER_CALL_OBSERVER_H_

#include <grpcpp/support/server_interceptor.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "marketd/server/gate.h"

namespace nom::marketd {

// A call has ended. `method` is "nom.market.v1.MarketService/PlaceBid"; `code` is gRPC's name of
// the status, "CANCELLED" if the caller went away before one was sent. Called from many threads.
using CallDone =
    std::function<void(absl::string_view method, absl::string_view code, absl::Duration took)>;

// "package.Service/Method" of a path; "other" if it is none that this program has a descriptor of.
std::string MethodName(absl::string_view path);

// Methods of services that this program has no descriptor of are reported as "other": the names of
// those that do not exist are the caller's, and would become as many as it likes. `done` may be
// empty. Every call is inside `in_hand`, which must outlive the server, until its answer was given
// to the network.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> NewCallObserver(
    CallDone done, Gate* in_hand);

}  // namespace nom::marketd

#endif  // MARKETD_SERVER_CALL_OBSERVER_H_
