// SPDX-License-Identifier: Apache-2.0
#include "client/src/channel.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <tuple>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"

namespace nom::client {
namespace {

constexpr size_t kTokenBytesMax = 4096;
constexpr int kMessageBytesMax = 64 << 20;
constexpr size_t kPemBytesMax = size_t{1} << 20;
constexpr char kByteOrderMark[] = "\xef\xbb\xbf";  // Some editors begin every file with it.

absl::StatusOr<std::string> ReadSmallFile(const std::string& path, size_t bytes_max) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  if (!file) {
    const std::string message = absl::StrCat(path, ": ", std::strerror(errno));
    if (errno == ENOENT) return absl::NotFoundError(message);
    if (errno == EACCES) return absl::PermissionDeniedError(message);
    return absl::InvalidArgumentError(message);
  }
  std::string bytes(bytes_max + 1, '\0');
  bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file.get()));
  if (std::ferror(file.get()) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": cannot be read"));
  }
  if (bytes.size() > bytes_max) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": larger than ", bytes_max, " bytes"));
  }
  return bytes;
}

bool IsLoopbackIpv4(absl::string_view host) {
  const std::vector<absl::string_view> parts = absl::StrSplit(host, '.');
  if (parts.size() != 4 || parts[0] != "127") return false;
  for (absl::string_view part : parts) {
    uint32_t value = 0;
    if (part.empty() || part.size() > 3 || !absl::SimpleAtoi(part, &value) || value > 255) {
      return false;
    }
  }
  return true;
}

// gRPC takes what it does not understand for a name to be looked up, and no port for 443.
absl::Status CheckTarget(absl::string_view target) {
  if (target.empty()) return absl::InvalidArgumentError("target: none was given");
  // Whoever names one of gRPC's own ways to find a server gets what gRPC makes of it.
  for (absl::string_view scheme : {"unix:", "unix-abstract:", "dns:", "ipv4:", "ipv6:"}) {
    if (absl::StartsWith(target, scheme)) return absl::OkStatus();
  }
  const auto wrong = [target](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat(
        "target ", target, ": ", why, "; it must be host:port, [v6]:port or unix:PATH"));
  };
  if (absl::StrContains(target, "://")) return wrong("a market is no web page");
  const size_t colon = target.rfind(':');
  if (colon == absl::string_view::npos || absl::EndsWith(target, "]")) {
    return wrong("it has no port");
  }
  const absl::string_view host = target.substr(0, colon);
  const bool in_brackets = absl::StartsWith(host, "[") && absl::EndsWith(host, "]");
  if (absl::StrContains(host, ':') && !in_brackets) {
    return wrong("an address of IPv6 stands in brackets");
  }
  uint32_t port = 0;
  const absl::string_view digits = target.substr(colon + 1);
  const bool is_number = std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit);
  if (!is_number || !absl::SimpleAtoi(digits, &port) || port < 1 || port > 65'535) {
    return wrong(absl::StrCat("\"", digits, "\" is no port"));
  }
  return host.empty() ? wrong("it has no host") : absl::OkStatus();
}

}  // namespace

bool IsLoopback(absl::string_view target) {
  if (absl::StartsWith(target, "unix:") || absl::StartsWith(target, "unix-abstract:")) return true;
  for (absl::string_view scheme : {"dns:///", "dns:", "ipv4:", "ipv6:"}) {
    if (absl::ConsumePrefix(&target, scheme)) break;
  }
  if (absl::StartsWith(target, "[::1]")) return target.size() == 5 || target[5] == ':';
  // A list of addresses, as ipv4: allows, is not looked through.
  if (absl::StrContains(target, ',')) return false;
  const absl::string_view host = target.substr(0, target.rfind(':'));
  return host == "localhost" || host == "::1" || IsLoopbackIpv4(host);
}

absl::Status CheckToken(absl::string_view token) {
  if (token.empty()) return absl::InvalidArgumentError("the token is empty");
  if (token.size() > kTokenBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("the token is longer than ", kTokenBytesMax, " bytes"));
  }
  for (char c : token) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) {
      return absl::InvalidArgumentError("the token is not one line of printable characters");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadTokenFile(const std::string& path) {
  absl::StatusOr<std::string> bytes = ReadSmallFile(path, kTokenBytesMax + 5);
  if (!bytes.ok()) {
    return absl::Status(bytes.status().code(),
                        absl::StrCat("token file ", bytes.status().message()));
  }
  absl::string_view token = *bytes;
  absl::ConsumePrefix(&token, kByteOrderMark);
  token = absl::StripAsciiWhitespace(token);
  if (absl::Status status = CheckToken(token); !status.ok()) {
    return absl::Status(status.code(), absl::StrCat("token file ", path, ": ", status.message()));
  }
  return std::string(token);
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenChannel(const Endpoint& endpoint) {
  if (absl::Status status = CheckTarget(endpoint.target); !status.ok()) return status;
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  if (endpoint.plaintext) {
    if (!IsLoopback(endpoint.target)) {
      return absl::FailedPreconditionError(
          absl::StrCat("target ", endpoint.target,
                       ": plaintext is for this machine only (localhost, 127.0.0.0/8, [::1], "
                       "unix:); use TLS"));
    }
    credentials = grpc::InsecureChannelCredentials();
  } else {
    if (endpoint.tls_cert_file.empty() != endpoint.tls_key_file.empty()) {
      return absl::InvalidArgumentError("tls_cert_file, tls_key_file: give both or none");
    }
    grpc::SslCredentialsOptions options;
    for (const auto& [what, file, text] :
         {std::tuple("TLS roots file ", &endpoint.tls_roots_file, &options.pem_root_certs),
          std::tuple("TLS certificate file ", &endpoint.tls_cert_file, &options.pem_cert_chain),
          std::tuple("TLS key file ", &endpoint.tls_key_file, &options.pem_private_key)}) {
      if (file->empty()) continue;
      absl::StatusOr<std::string> pem = ReadSmallFile(*file, kPemBytesMax);
      if (!pem.ok()) {
        return absl::Status(pem.status().code(), absl::StrCat(what, pem.status().message()));
      }
      *text = *std::move(pem);
    }
    credentials = grpc::SslCredentials(options);
  }
  grpc::ChannelArguments arguments;
  // The callers have back-off of their own; gRPC's must not hide a market that is up again.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 3000);  // For one attempt.
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // A page of rounds may be large; the market splits what it pushes.
  arguments.SetMaxReceiveMessageSize(kMessageBytesMax);
  // A peer that is gone without a word is noticed, also while nothing is asked of it.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, endpoint.keepalive.ping_interval_ms);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, endpoint.keepalive.ping_timeout_ms);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);  // As many as it takes.
  // http_proxy is for the world outside: a proxy would read what is sent to this machine.
  if (IsLoopback(endpoint.target)) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // One connection for each session, not one for the process: sessions fail on their own.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(endpoint.target, credentials, arguments);
}

void AddToken(absl::string_view token, grpc::ClientContext& context) {
  if (!token.empty()) context.AddMetadata("authorization", absl::StrCat("Bearer ", token));
}

}  // namespace nom::client
