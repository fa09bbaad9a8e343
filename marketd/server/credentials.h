// SPDX-License-Identifier: Apache-2.0
// What gRPC asks of a connection and of a call before anything else of it is read.

#ifndef MARKETD_SERVER_CREDENTIALS_H_
#define MARKETD_SERVER_CREDENTIALS_H_

#include <grpcpp/security/server_credentials.h>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "marketd/server/tls.h"

namespace nom::marketd {

// What a call shows in its headers and on its connection, before its body has come.
struct CallHead {
  absl::string_view path;  // "/package.Service/Method"
  std::optional<absl::string_view> authorization;
  bool authorization_twice = false;
  // The verified client certificate, PEM; none if none was asked for.
  std::optional<absl::string_view> certificate;
};

// Whether the call may go on. Anything but OK is its answer; its body is never read. Called from
// many threads; must not block.
using CheckCall = std::function<absl::Status(const CallHead& head)>;

// The key and certificates that new connections are made with; they can be replaced while a server
// runs. Thread-safe.
class TlsSource {
 public:
  explicit TlsSource(TlsMaterial material) : material_(std::move(material)) {}

  void Set(TlsMaterial material) {
    std::lock_guard lock(mutex_);
    material_ = std::move(material);
    ++version_;
  }
  // The material, unless it is that of `version` still; `version` becomes its.
  std::optional<TlsMaterial> NewerThan(uint64_t* version) const {
    std::lock_guard lock(mutex_);
    if (*version == version_) return std::nullopt;
    *version = version_;
    return material_;
  }

 private:
  mutable std::mutex mutex_;
  TlsMaterial material_;
  uint64_t version_ = 1;
};

// Plain text if `tls` is null. Whether clients must show a certificate is decided by the first
// material. `check` may be empty.
std::shared_ptr<grpc::ServerCredentials> NewServerCredentials(
    const std::shared_ptr<const TlsSource>& tls, CheckCall check);

}  // namespace nom::marketd

#endif  // MARKETD_SERVER_CREDENTIALS_H_
