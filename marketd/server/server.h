// The gRPC server's life: bind, serve, say how healthy it is, stop.
//
// Knows no service by name but their registration; what they do is theirs (marketd/services).

#ifndef MARKETD_SERVER_SERVER_H_
#define MARKETD_SERVER_SERVER_H_

#include <grpcpp/impl/service_type.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "marketd/server/call_observer.h"

namespace nom::marketd {

// PEM texts, not file names.
struct TlsMaterial {
  std::string cert;
  std::string key;
  std::string client_ca;  // Not empty: clients must show a certificate that it signed.
};

// Reads the three files (client_ca may be empty). Errors name the file: NOT_FOUND;
// INVALID_ARGUMENT if it is no certificate or key, or the key is another certificate's.
absl::StatusOr<TlsMaterial> LoadTls(const std::string& cert_file, const std::string& key_file,
                                    const std::string& client_ca_file);

struct ServerOptions {
  std::string listen;                      // "host:port" or "unix:path"; port 0: any.
  const TlsMaterial* tls = nullptr;        // Null: plain text.
  std::vector<grpc::Service*> services;    // Must outlive the server.
  std::vector<std::string> service_names;  // For the health service.
  int message_max_bytes = 1 << 20;
  bool reflection = false;
  CallDone on_call_done;  // May be empty.
};

class Server {
 public:
  // Listens and answers when it returns; health says NOT_SERVING until SetServing(true).
  // Errors: UNAVAILABLE if the address can't be listened on; INVALID_ARGUMENT if it is none.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options);

  virtual ~Server() = default;  // Shuts down at once.

  // With the port that was bound: "127.0.0.1:41234".
  virtual const std::string& address() const = 0;

  // The empty name and every service name at once.
  virtual void SetServing(bool serving) = 0;

  // Waits for the calls in hand until the time-out, ends all connections, so that whatever call is
  // still under way fails UNAVAILABLE, and waits for the reactions. Whoever wants new calls refused
  // meanwhile refuses them. Idempotent.
  virtual void Shutdown(absl::Duration timeout) = 0;
};

}  // namespace nom::marketd

#endif  // MARKETD_SERVER_SERVER_H_
