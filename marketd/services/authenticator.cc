// SPDX-License-Identifier: Apache-2.0
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

const market::Token* FindToken(const market::Tenant& tenant, const std::string& hash) {
  for (const market::Token& token : tenant.tokens) {
    if (token.hash == hash) return &token;
  }
  return nullptr;
}

absl::Status GoodNoLonger() {
  return absl::UnauthenticatedError("authorization: the token is good no longer");
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
  NOM_ASSIGN_OR_RETURN(out.caller, Identify(head.authorization, name, view, now));
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
  if (identity.caller.is_operator) {
    return IsOperators(identity.token_hash) ? absl::OkStatus() : GoodNoLonger();
  }
  const market::Tenant* const tenant = view.FindTenant(identity.caller.tenant_id);
  const market::Token* const token =
      tenant == nullptr ? nullptr : FindToken(*tenant, identity.token_hash);
  return token != nullptr && market::IsGood(*token, now) ? absl::OkStatus() : GoodNoLonger();
}

absl::StatusOr<market::Caller> Authenticator::Identify(
    std::optional<absl::string_view> authorization,
    std::optional<absl::string_view> certificate_name, const market::View& view, absl::Time now) {
  if (authorization.has_value()) {
    if (!absl::StartsWithIgnoreCase(*authorization, kScheme)) {
      return absl::UnauthenticatedError("authorization: must be \"Bearer TOKEN\"");
    }
    const absl::string_view text = authorization->substr(kScheme.size());
    if (text.size() > kTokenBytesMax) {
      return absl::UnauthenticatedError("authorization: not a token of this market");
    }
    // Hashes are compared, so how long it takes tells nothing about a token.
    const std::string hash = HashToken(text);
    if (IsOperators(hash)) return market::Caller{.is_operator = true, .tenant_id = ""};
    const auto [tenant, token] = Find(hash, view);
    if (tenant == nullptr) {
      return absl::UnauthenticatedError("authorization: not a token of this market");
    }
    if (!market::IsGood(*token, now)) {
      return absl::UnauthenticatedError("authorization: the token has expired");
    }
    if (certificate_name.has_value() && *certificate_name != tenant->tenant_id) {
      return absl::UnauthenticatedError(
          "authorization: the token is of another tenant than the client certificate");
    }
    return market::Caller{.is_operator = false,
                          .tenant_id = tenant->tenant_id,
                          .token_id = token->token_id,
                          .read_only = token->scope == market::TokenScope::kReadOnly};
  }
  if (certificate_name.has_value()) {
    const market::Tenant* const tenant = view.FindTenant(std::string(*certificate_name));
    if (tenant == nullptr) {
      return absl::UnauthenticatedError(absl::StrCat("client certificate: its common name \"",
                                                     *certificate_name, "\" is no tenant"));
    }
    return market::Caller{.is_operator = false, .tenant_id = tenant->tenant_id};
  }
  return absl::UnauthenticatedError("no credential: send \"authorization: Bearer TOKEN\"");
}

Authenticator::Shown Authenticator::Find(const std::string& token_hash, const market::View& view) {
  {
    std::lock_guard lock(mutex_);
    const auto hint = hints_.find(token_hash);
    if (hint != hints_.end()) {
      const market::Tenant* const tenant = view.FindTenant(hint->second);
      const market::Token* const token =
          tenant == nullptr ? nullptr : FindToken(*tenant, token_hash);
      if (token != nullptr) return {tenant, token};
      hints_.erase(hint);
    }
  }
  for (const market::Tenant& tenant : view.tenants) {
    const market::Token* const token = FindToken(tenant, token_hash);
    if (token == nullptr) continue;
    std::lock_guard lock(mutex_);
    if (hints_.size() >= kHintsMax) hints_.clear();
    hints_[token_hash] = tenant.tenant_id;
    return {&tenant, token};
  }
  return {};
}

}  // namespace nom::marketd
