#include "marketd/services/authenticator.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/auth_context.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "marketd/services/token.h"

namespace nom::marketd {
namespace {

constexpr size_t kTokenBytesMax = 512;
constexpr size_t kHintsMax = 65'536;

absl::string_view View(const grpc::string_ref& text) { return {text.data(), text.size()}; }

market::Caller Tenant(const market::Tenant& tenant) {
  return {.is_operator = false, .tenant_id = tenant.tenant_id};
}

}  // namespace

Authenticator::Authenticator(absl::string_view operator_token)
    : operator_hash_(HashToken(operator_token)) {}

absl::StatusOr<market::Caller> Authenticator::Identify(const grpc::ServerContextBase& context,
                                                       const market::View& view) {
  std::optional<absl::string_view> authorization;
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find("authorization");
  if (found != metadata.end()) {
    if (metadata.count("authorization") > 1) {
      return absl::UnauthenticatedError("authorization: given more than once");
    }
    authorization = View(found->second);
  }
  std::optional<absl::string_view> certificate_name;
  const std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
  if (auth != nullptr && auth->IsPeerAuthenticated()) {
    const std::vector<grpc::string_ref> names =
        auth->FindPropertyValues(GRPC_X509_CN_PROPERTY_NAME);
    if (names.size() == 1) certificate_name = View(names[0]);
  }
  return Identify(authorization, certificate_name, view);
}

absl::StatusOr<market::Caller> Authenticator::Identify(
    std::optional<absl::string_view> authorization,
    std::optional<absl::string_view> certificate_name, const market::View& view) {
  if (authorization.has_value()) {
    constexpr absl::string_view kScheme = "bearer ";
    if (!absl::StartsWithIgnoreCase(*authorization, kScheme)) {
      return absl::UnauthenticatedError("authorization: must be \"Bearer TOKEN\"");
    }
    const absl::string_view token = authorization->substr(kScheme.size());
    if (token.size() > kTokenBytesMax) {
      return absl::UnauthenticatedError("authorization: not a token of this market");
    }
    // Hashes are compared, so how long it takes tells nothing about a token.
    const std::string hash = HashToken(token);
    if (hash == operator_hash_) return market::Caller{.is_operator = true, .tenant_id = ""};
    const market::Tenant* const tenant = TenantOf(hash, view);
    if (tenant == nullptr) {
      return absl::UnauthenticatedError("authorization: not a token of this market");
    }
    if (certificate_name.has_value() && *certificate_name != tenant->tenant_id) {
      return absl::UnauthenticatedError(
          "authorization: the token is of another tenant than the client certificate");
    }
    return Tenant(*tenant);
  }
  if (certificate_name.has_value()) {
    const market::Tenant* const tenant = view.FindTenant(std::string(*certificate_name));
    if (tenant == nullptr) {
      return absl::UnauthenticatedError(absl::StrCat("client certificate: its common name \"",
                                                     *certificate_name, "\" is no tenant"));
    }
    return Tenant(*tenant);
  }
  return absl::UnauthenticatedError("no credential: send \"authorization: Bearer TOKEN\"");
}

const market::Tenant* Authenticator::TenantOf(const std::string& token_hash,
                                              const market::View& view) {
  {
    std::lock_guard lock(mutex_);
    const auto hint = hints_.find(token_hash);
    if (hint != hints_.end()) {
      const market::Tenant* const tenant = view.FindTenant(hint->second);
      if (tenant != nullptr && tenant->token_hash == token_hash) return tenant;
      hints_.erase(hint);
    }
  }
  for (const market::Tenant& tenant : view.tenants) {
    if (tenant.token_hash != token_hash) continue;
    std::lock_guard lock(mutex_);
    if (hints_.size() >= kHintsMax) hints_.clear();
    hints_[token_hash] = tenant.tenant_id;
    return &tenant;
  }
  return nullptr;
}

}  // namespace nom::marketd
