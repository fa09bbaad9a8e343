// SPDX-License-Identifier: Apache-2.0
// Who is calling: decided by the credential alone, never by what a message says.
//
//   authorization: Bearer TOKEN   the operator's token, or one of a tenant's
//   a verified client certificate its common name is the tenant; only with tls.client_ca
//
// Where a caller shows both, a tenant's token must be of the tenant that the certificate names.

#ifndef MARKETD_SERVICES_AUTHENTICATOR_H_
#define MARKETD_SERVICES_AUTHENTICATOR_H_

#include <grpcpp/server_context.h>

#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "marketd/market/event.h"
#include "marketd/market/view.h"
#include "marketd/server/credentials.h"
#include "marketd/server/tls.h"

namespace nom::marketd {

// A caller, and what it showed: what lives longer than a call is asked again whether that is still
// good.
struct Identity {
  market::Caller caller;
  std::string token_hash;       // Empty: it showed no token.
  std::string certificate_pem;  // Empty: it showed no certificate.
};

// Thread-safe.
class Authenticator {
 public:
  explicit Authenticator(absl::string_view operator_token);

  // From now on the operator's token is this one, and certificates are good by this material.
  void SetOperatorToken(absl::string_view operator_token);
  void SetTls(const TlsMaterial& material) { certificates_.Set(material); }

  // Errors: UNAUTHENTICATED says what is missing or wrong, never what would be right.
  absl::StatusOr<Identity> Identify(const grpc::ServerContextBase& context,
                                    const market::View& view, absl::Time now);

  // The same of a call whose body has not come yet.
  absl::StatusOr<Identity> Identify(const CallHead& head, const market::View& view, absl::Time now);

  // The same by the common name of the certificate, if any.
  absl::StatusOr<market::Caller> Identify(std::optional<absl::string_view> authorization,
                                          std::optional<absl::string_view> certificate_name,
                                          const market::View& view, absl::Time now);

  // UNAUTHENTICATED once the token was revoked or replaced, or it or the certificate has expired,
  // or the certificate was revoked.
  absl::Status StillGood(const Identity& identity, const market::View& view, absl::Time now);

 private:
  struct Shown {
    const market::Tenant* tenant = nullptr;
    const market::Token* token = nullptr;
  };

  bool IsOperators(const std::string& token_hash);
  // Both null if the hash is no tenant's.
  Shown Find(const std::string& token_hash, const market::View& view);

  ClientCertificates certificates_;
  std::mutex mutex_;
  std::string operator_hash_;
  // Where a hash was last found: a hint that is checked, as tokens are replaced and revoked.
  std::unordered_map<std::string, market::TenantId> hints_;
};

}  // namespace nom::marketd

#endif  // MARKETD_SERVICES_AUTHENTICATOR_H_
