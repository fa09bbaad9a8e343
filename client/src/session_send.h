// SPDX-License-Identifier: Apache-2.0
// How a session makes a call that goes on by itself (errands.h). Inside session_*.cc only.

#ifndef CLIENT_SRC_SESSION_SEND_H_
#define CLIENT_SRC_SESSION_SEND_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "client/src/session_impl.h"

namespace nom {
namespace client {

using Async = market::v1::MarketService::StubInterface::async_interface;

// The call of that name that tells its end to a function. There is another that takes a reactor.
template <typename Request, typename Response>
using Method = void (Async::*)(grpc::ClientContext*, const Request*, Response*,
                               std::function<void(grpc::Status)>);

// That of the options, or a new one.
std::string RequestIdOf(const CallOptions& options);

}  // namespace client

template <typename Request>
absl::StatusOr<Request> Session::Impl::ForGuest(Request request, uint64_t guest_id,
                                                const CallOptions& options) {
  const absl::StatusOr<uint64_t> resolved =
      Locked([&](const SessionCore& core) { return core.ResolveGuest(guest_id); });
  if (!resolved.ok()) return resolved.status();
  request.set_guest_id(*resolved);
  request.set_request_id(client::RequestIdOf(options));
  return request;
}

template <typename Answer, typename Method, typename Request, typename Response, typename Read>
AsyncCall<Answer> Session::Impl::Send(Method method, absl::StatusOr<Request> request,
                                      const Response& /*response*/, const Read& read,
                                      Told<Answer> done, const CallOptions& options) {
  struct Exchange {
    Request request;
    Response response;
  };
  auto state = std::make_shared<typename AsyncCall<Answer>::State>();
  auto exchange = std::make_shared<Exchange>();
  const auto finish = [this, state, exchange, read,
                       done = std::move(done)](const absl::Status& status) {
    absl::StatusOr<Answer> answer =
        status.ok() ? read(exchange->response) : absl::StatusOr<Answer>(status);
    if (!state->Finish(answer) || !done) return;
    dispatcher_.Run([done, answer = std::move(answer)] { done(answer); });
  };
  {
    std::lock_guard lock(mutex_);
    if (closing_) request = Closed();
  }
  if (!request.ok()) {
    finish(request.status());
    return AsyncCall<Answer>(state);
  }
  exchange->request = *std::move(request);
  const uint64_t id = errands_->Send(
      [exchange, method](client::Endpoints::Stub& stub, grpc::ClientContext* context,
                         std::function<void(grpc::Status)> came_back) {
        exchange->response.Clear();
        (static_cast<client::Async*>(stub.async())->*method)(
            context, &exchange->request, &exchange->response, std::move(came_back));
      },
      finish, clock_.Steady() + options.timeout.value_or(options_.call_timeout));
  if (id != 0) {
    state->SetCancel([errands = std::weak_ptr<client::Errands>(errands_), id] {
      if (const auto alive = errands.lock()) alive->Cancel(id);
    });
  }
  return AsyncCall<Answer>(state);
}

}  // namespace nom

#endif  // CLIENT_SRC_SESSION_SEND_H_
