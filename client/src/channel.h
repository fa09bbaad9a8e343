// SPDX-License-Identifier: Apache-2.0
// How this process reaches a market and says who it is. Used by the SDK and by nomctl.

#ifndef CLIENT_SRC_CHANNEL_H_
#define CLIENT_SRC_CHANNEL_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "nom/market/v1/keepalive.h"

namespace nom::client {

struct Endpoint {
  std::string target;
  std::string tls_roots_file;  // Empty: the system's.
  // Where the market asks for one: our certificate (with those between it and the authority, if
  // any) and its key, PEM. Both or none.
  std::string tls_cert_file;
  std::string tls_key_file;
  bool plaintext = false;
  market::v1::Keepalive keepalive = market::v1::kKeepalive;
};

// True if `target` can only be this machine, by its spelling alone: no name is looked up but
// "localhost".
bool IsLoopback(absl::string_view target);

// A token from a file: one line, printable, without blanks, at most 4096 bytes. A byte order mark
// before it and what ends lines elsewhere are no part of it.
// Errors: NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT (names the file and what is wrong, never
// the token).
absl::StatusOr<std::string> ReadTokenFile(const std::string& path);
// The same checks for a token that came otherwise.
absl::Status CheckToken(absl::string_view token);

// A connection of its own, whose peer is given up when it answers no ping. Targets on this machine
// are never reached through a proxy, whatever http_proxy says: they would get the token in plain
// text. Others may be, inside TLS.
//
// Does not connect yet, and reads the roots anew each time. Errors: INVALID_ARGUMENT (no target, or
// one that is no address), FAILED_PRECONDITION (plaintext to what is not loopback), NOT_FOUND or
// PERMISSION_DENIED (roots file).
absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenChannel(const Endpoint& endpoint);

// Nothing if the token is empty.
void AddToken(absl::string_view token, grpc::ClientContext& context);

}  // namespace nom::client

#endif  // CLIENT_SRC_CHANNEL_H_
