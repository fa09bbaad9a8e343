#include "marketd/services/authenticator.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/auth_context.h>

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"
#include "marketd/services/token.h"

namespace nom::marketd {
namespace {

constexpr absl::string_view kScheme = "bearer ";
constexpr size_t kTokenBytesMax = 512;
constexpr size_t kHintsMax = 65'536;

absl::string_view View(const grpc::string_ref& text) { return {text.data(), text.size()}; }

market::Caller Tenant(const market::Tenant& tenant) {
  return {.is_operator = false, .tenant_id = tenant.tenant_id};
}

}  // namespace

Authenticator::Authenticator(absl::string_view operator_token)
    : operator_hash_(HashToken(operator_token)) {}

void Authenticator::SetOperatorToken(absl::string_view operator_token) {
  std::lock_guard lock(mutex_);
  operator_hash_ = HashToken(operator_token);
}

bool Authenticator::IsOperators(const std::string& token_hash) {
  std::lock_guard lock(mutex_);
  return token_hash == operator_hash_;
}

absl::StatusOr<Identity> Authenticator::Identify(const grpc::ServerContextBase& context,
                                                 const market::View& view, absl::Time now) {
  CallHead head;
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find("authorization");
  if (found != metadata.end()) {
    head.authorization = View(found->second);
    head.authorization_twice = metadata.count("authorization") > 1;
  }
  const std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
  std::vector<grpc::string_ref> pems;
  if (auth != nullptr && auth->IsPeerAuthenticated()) {
    pems = auth->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
    if (pems.size() == 1) head.certificate = View(pems[0]);
  }
  return Identify(head, view, now);
}

absl::StatusOr<Identity> Authenticator::Identify(const CallHead& head, const market::View& view,
                                                 absl::Time now) {
  if (head.authorization_twice) {
    return absl::UnauthenticatedError("authorization: given more than once");
  }
  Identity out;
  std::optional<std::string> name;
  if (head.certificate.has_value()) {
    out.certificate_pem = std::string(*head.certificate);
    NOM_ASSIGN_OR_RETURN(name, certificates_.NameIn(*head.certificate, now));
  }
  NOM_ASSIGN_OR_RETURN(out.caller, Identify(head.authorization, name, view));
  if (head.authorization.has_value()) {
    out.token_hash = HashToken(head.authorization->substr(kScheme.size()));
  }
  return out;
}

absl::Status Authenticator::StillGood(const Identity& identity, const market::View& view,
                                      absl::Time now) {
  if (!identity.certificate_pem.empty()) {
    NOM_RETURN_IF_ERROR(certificates_.NameIn(identity.certificate_pem, now).status());
  }
  if (identity.token_hash.empty()) return absl::OkStatus();
  const market::Tenant* const tenant = view.FindTenant(identity.caller.tenant_id);
  const bool good = identity.caller.is_operator
                        ? IsOperators(identity.token_hash)
                        : tenant != nullptr && tenant->token_hash == identity.token_hash;
  return good ? absl::OkStatus()
              : absl::UnauthenticatedError("authorization: the token is good no longer");
}

absl::StatusOr<market::Caller> Authenticator::Identify(
    std::optional<absl::string_view> authorization,
    std::optional<absl::string_view> certificate_name, const market::View& view) {
  if (authorization.has_value()) {
    if (!absl::StartsWithIgnoreCase(*authorization, kScheme)) {
      return absl::UnauthenticatedError("authorization: must be \"Bearer TOKEN\"");
    }
    const absl::string_view token = authorization->substr(kScheme.size());
    if (token.size() > kTokenBytesMax) {
      return absl::UnauthenticatedError("authorization: not a token of this market");
    }
    // Hashes are compared, so how long it takes tells nothing about a token.
    const std::string hash = HashToken(token);
    if (IsOperators(hash)) return market::Caller{.is_operator = true, .tenant_id = ""};
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
