// SPDX-License-Identifier: Apache-2.0
// The two services as one thing: made on a market, registered with a server, drained at the end.

#ifndef MARKETD_SERVICES_SERVICES_H_
#define MARKETD_SERVICES_SERVICES_H_

#include <grpcpp/impl/service_type.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "marketd/base/clock.h"
#include "marketd/market/clearing.h"
#include "marketd/market/ledger.h"
#include "marketd/market/runtime.h"
#include "marketd/server/credentials.h"
#include "marketd/server/tls.h"
#include "marketd/services/backup_stream.h"
#include "marketd/services/watch_hub.h"

namespace nom::marketd {

struct ServicesOptions {
  std::string operator_token;
  int64_t bids_per_second = 50;
  int64_t bids_burst = 200;
  int64_t reads_per_second = 500;
  int64_t reads_burst = 2'000;
  market::ClearFunction clear;  // For audits.
  // Makes a backup of the ledger as files, which whoever asked for them removes. Takes its time;
  // one call at a time. Empty: there is none to be had.
  BackUp back_up;
  // May be empty. RESOURCE_EXHAUSTED refuses the call.
  std::function<absl::Status(const std::string& peer, const market::Caller& caller)> on_identified;
};

class Services {
 public:
  // `runtime`, `reader`, `clock` and `hub` must outlive it.
  Services(const ServicesOptions& options, market::Runtime& runtime, market::LedgerReader& reader,
           const Clock& clock, WatchHub& hub);
  ~Services();

  std::vector<grpc::Service*> services();
  static std::vector<std::string> names();

  // Whether a call may go on, by its headers: Server's CheckCall. UNAUTHENTICATED.
  absl::Status Check(const CallHead& head);

  // For what reads the market in another way than by gRPC (marketd/page): who asks, whether it may
  // ask so often (RESOURCE_EXHAUSTED), and the queue in which reads of the ledger take turns;
  // false, and `job` is dropped, if the owner's part of it is full. `owner` is "" for the operator.
  absl::StatusOr<market::Caller> Identify(const CallHead& head);
  absl::Status TakeRead(const market::Caller& caller);
  bool PostRead(const std::string& owner, std::function<void()> job);

  // From now on credentials are good by these, and streams whose credential is not end.
  void SetOperatorToken(absl::string_view operator_token);
  void SetTls(const TlsMaterial& material);

  void SetBidLimits(int64_t bids_per_second, int64_t bids_burst);
  void SetReadLimits(int64_t reads_per_second, int64_t reads_burst);

  // Refuses new calls, ends all streams, and waits for the calls in hand until the time-out. True
  // if none is left. What is left is answered when the runtime is stopped.
  bool Drain(absl::Duration timeout);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nom::marketd

#endif  // MARKETD_SERVICES_SERVICES_H_
