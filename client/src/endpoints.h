// SPDX-License-Identifier: Apache-2.0
// The ways to a market, one of which is in use. Thread-safe.

#ifndef CLIENT_SRC_ENDPOINTS_H_
#define CLIENT_SRC_ENDPOINTS_H_

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "client/src/channel.h"
#include "nom/market/v1/market.grpc.pb.h"

namespace nom::client {

class Endpoints {
 public:
  using Stub = market::v1::MarketService::Stub;

  // At least one. Connects to none yet.
  explicit Endpoints(std::vector<Endpoint> endpoints) : endpoints_(std::move(endpoints)) {}

  // Opens a new connection to the one in use; `next`: to the one after it, if there are several. A
  // stream that ended without a word of the market's own leaves its connection under suspicion: it
  // may be cut off without knowing, or the market's certificate may be of a new authority. Errors
  // as OpenChannel.
  absl::Status Reopen(bool next) {
    std::lock_guard lock(mutex_);
    if (next) current_ = (current_ + 1) % endpoints_.size();
    absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = OpenChannel(endpoints_[current_]);
    if (!channel.ok()) return channel.status();
    stub_ = market::v1::MarketService::NewStub(*std::move(channel));
    return absl::OkStatus();
  }

  // Whoever calls it holds it, so that it outlives the call. Null before the first Reopen().
  std::shared_ptr<Stub> stub() const {
    std::lock_guard lock(mutex_);
    return stub_;
  }
  std::string target() const {
    std::lock_guard lock(mutex_);
    return endpoints_[current_].target;
  }

 private:
  const std::vector<Endpoint> endpoints_;
  mutable std::mutex mutex_;
  size_t current_ = 0;
  std::shared_ptr<Stub> stub_;
};

}  // namespace nom::client

#endif  // CLIENT_SRC_ENDPOINTS_H_
