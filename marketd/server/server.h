// SPDX-License-Identifier: Apache-2.0
// The gRPC server's life: bind, serve, say how healthy it is, stop.
//
// Knows no service by name but their registration; what they do is theirs (marketd/services).

#ifndef MARKETD_SERVER_SERVER_H_
#define MARKETD_SERVER_SERVER_H_

#include <grpcpp/impl/service_type.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "marketd/server/call_observer.h"
#include "marketd/server/credentials.h"
#include "marketd/server/front_door.h"

namespace nom::marketd {

struct ServerOptions {
  FrontDoor* front_door = nullptr;       // Where it listens; opened here. Must outlive the server.
  std::shared_ptr<const TlsSource> tls;  // Null: plain text.
  std::vector<grpc::Service*> services;  // Must outlive the server.
  std::vector<std::string> service_names;  // For the health service.
  int message_max_bytes = 1 << 18;
  int streams_per_connection_max = 128;
  size_t connections_max = 4'096;
  size_t descriptors_kept = 0;                  // For whom else this process serves.
  size_t memory_max_bytes = size_t{512} << 20;  // For what is read and not yet understood.
  bool reflection = false;
  CheckCall check_call;   // May be empty; not asked of health and reflection.
  CallDone on_call_done;  // May be empty.
};

class Server {
 public:
  // Listens and answers when it returns; health says NOT_SERVING until SetServing(true).
  // Errors: those of FrontDoor::Open; UNAVAILABLE if gRPC does not start.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options);

  virtual ~Server() = default;  // Shuts down at once.

  // The empty name and every service name at once.
  virtual void SetServing(bool serving) = 0;

  // Waits for the calls in hand until the time-out, ends all connections, so that whatever call is
  // still under way fails UNAVAILABLE, and waits for the reactions. Whoever wants new calls refused
  // meanwhile refuses them. Idempotent.
  virtual void Shutdown(absl::Duration timeout) = 0;
};

}  // namespace nom::marketd

#endif  // MARKETD_SERVER_SERVER_H_
