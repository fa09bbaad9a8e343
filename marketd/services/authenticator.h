// Who is calling: decided by the credential alone, never by what a message says.
//
//   authorization: Bearer TOKEN   the operator's token, or a tenant's
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
#include "marketd/market/event.h"
#include "marketd/market/view.h"

namespace nom::marketd {

// Thread-safe.
class Authenticator {
 public:
  explicit Authenticator(absl::string_view operator_token);

  // Errors: UNAUTHENTICATED says what is missing or wrong, never what would be right.
  absl::StatusOr<market::Caller> Identify(const grpc::ServerContextBase& context,
                                          const market::View& view);

  // The same from what the context holds: the value of `authorization`, if any, and the common name
  // of the verified client certificate, if any.
  absl::StatusOr<market::Caller> Identify(std::optional<absl::string_view> authorization,
                                          std::optional<absl::string_view> certificate_name,
                                          const market::View& view);

 private:
  // Null if the hash is no tenant's.
  const market::Tenant* TenantOf(const std::string& token_hash, const market::View& view);

  const std::string operator_hash_;
  std::mutex mutex_;
  // Where a hash was last found: a hint that is checked, as tokens are replaced.
  std::unordered_map<std::string, market::TenantId> hints_;
};

}  // namespace nom::marketd

#endif  // MARKETD_SERVICES_AUTHENTICATOR_H_
