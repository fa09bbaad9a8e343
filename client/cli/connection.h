// SPDX-License-Identifier: Apache-2.0
// One market, as nomctl talks to it.

#ifndef CLIENT_CLI_CONNECTION_H_
#define CLIENT_CLI_CONNECTION_H_

#include <memory>
#include <string>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/cli/errors.h"
#include "client/cli/settings.h"
#include "client/src/channel.h"
#include "client/src/convert.h"
#include "nom/market/v1/market.grpc.pb.h"
#include "nom/operators/v1/operators.grpc.pb.h"

namespace nom::cli {

// 128 random bits in hex.
std::string NewRequestId();

class Connection {
 public:
  // Errors: as of ReadTokenFile and OpenChannel. Does not connect yet.
  static absl::StatusOr<Connection> Open(const Settings& settings, absl::Duration timeout);

  market::v1::MarketService::Stub& market() { return *market_; }
  operators::v1::OperatorService::Stub& operators() { return *operators_; }
  const std::string& target() const { return target_; }
  bool has_token() const { return !token_.empty(); }

  // For a stream: no deadline.
  void Prepare(grpc::ClientContext& context) const { client::AddToken(token_, context); }

  void SetDeadline(grpc::ClientContext& context) const;

  // One unary call: Call(&Stub::Method, request, &response), with a deadline.
  template <typename Stub, typename Request, typename Response>
  absl::Status Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext context;
    Prepare(context);
    SetDeadline(context);
    if constexpr (std::is_same_v<Stub, market::v1::MarketService::Stub>) {
      return client::ToAbsl(((*market_).*method)(&context, request, response));
    } else {
      return client::ToAbsl(((*operators_).*method)(&context, request, response));
    }
  }

  // Likewise for a call that changes something. The market does what has one id once, however often
  // it is asked: `request_id` is the user's for a second try, empty for a new one. See
  // WithRequestId().
  template <typename Stub, typename Request, typename Response>
  absl::Status Write(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                     Request request, Response* response, const std::string& request_id) {
    request.set_request_id(request_id.empty() ? NewRequestId() : request_id);
    return WithRequestId(Call(method, request, response), request.request_id());
  }

 private:
  Connection() = default;

  std::string target_;
  std::string token_;
  absl::Duration timeout_;
  std::unique_ptr<market::v1::MarketService::Stub> market_;
  std::unique_ptr<operators::v1::OperatorService::Stub> operators_;
};

}  // namespace nom::cli

#endif  // CLIENT_CLI_CONNECTION_H_
