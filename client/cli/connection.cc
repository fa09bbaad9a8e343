// SPDX-License-Identifier: Apache-2.0
#include "client/cli/connection.h"

#include <chrono>
#include <random>
#include <utility>

#include "absl/strings/str_format.h"

namespace nom::cli {

absl::StatusOr<Connection> Connection::Open(const Settings& settings, absl::Duration timeout) {
  Connection connection;
  if (settings.token_file) {
    absl::StatusOr<std::string> token = client::ReadTokenFile(*settings.token_file);
    if (!token.ok()) return token.status();
    connection.token_ = *std::move(token);
  }
  const client::Endpoint endpoint = ToEndpoint(settings);
  absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = client::OpenChannel(endpoint);
  if (!channel.ok()) return channel.status();
  connection.target_ = endpoint.target;
  connection.timeout_ = timeout;
  connection.market_ = market::v1::MarketService::NewStub(*channel);
  connection.operators_ = operators::v1::OperatorService::NewStub(*channel);
  return connection;
}

void Connection::SetDeadline(grpc::ClientContext& context) const {
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMicroseconds(timeout_));
}

std::string NewRequestId() {
  std::random_device device;
  return absl::StrFormat("%08x%08x%08x%08x", device(), device(), device(), device());
}

}  // namespace nom::cli
