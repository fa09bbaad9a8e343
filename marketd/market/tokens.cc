// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/tokens.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/market/requests.h"

namespace nom::market {
namespace {

constexpr size_t kLabelBytesMax = 128;
constexpr size_t kHashBytesMax = 128;
constexpr absl::Duration kLifetimeMax = absl::Hours(24 * 366 * 100);

Reply Refused(absl::Status status) { return Reply{.status = std::move(status)}; }

absl::Status CheckTokenForm(const CreateToken& call) {
  if (call.label.size() > kLabelBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("label: longer than ", kLabelBytesMax, " bytes"));
  }
  if (call.token_hash.size() > kHashBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("token_hash: longer than ", kHashBytesMax, " bytes"));
  }
  if (call.scope != TokenScope::kFull && call.scope != TokenScope::kReadOnly) {
    return absl::InvalidArgumentError("scope: must be full or read only");
  }
  if (call.lifetime != absl::InfiniteDuration() &&
      (call.lifetime < absl::Seconds(1) || call.lifetime > kLifetimeMax)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "lifetime: must be from 1 to ", absl::ToInt64Seconds(kLifetimeMax), " seconds, or none"));
  }
  return absl::OkStatus();
}

// Whose tokens a caller may change: null if there is no such tenant, or it is another's.
const Tenant* FindTenant(const State& state, const TenantId& tenant_id, const Caller& caller) {
  if (!caller.is_operator && tenant_id != caller.tenant_id) return nullptr;
  const auto tenant = state.tenants.find(tenant_id);
  return tenant == state.tenants.end() ? nullptr : &tenant->second;
}

absl::Status NoSuchTenant(const TenantId& tenant_id) {
  return absl::NotFoundError(absl::StrCat("tenant_id: no tenant '", tenant_id, "'"));
}

// When a token ends that is asked for now. PERMISSION_DENIED if that is later than the token ends
// that it is asked for with: else whoever got hold of that one would have it for ever.
absl::StatusOr<absl::Time> ExpireTime(const CreateToken& call, const Tenant& tenant,
                                      const Caller& caller, absl::Time now) {
  const bool is_for_ever = call.lifetime == absl::InfiniteDuration();
  const absl::Time end = is_for_ever ? absl::UnixEpoch() : now + call.lifetime;
  const Token* const shown = caller.is_operator ? nullptr : tenant.FindToken(caller.token_id);
  if (shown == nullptr || shown->expire_time == absl::UnixEpoch()) return end;
  if (!is_for_ever && end <= shown->expire_time) return end;
  return absl::PermissionDeniedError(
      absl::StrCat("lifetime: longer than that of the token that asks for it, which ends at ",
                   absl::FormatTime(absl::RFC3339_sec, shown->expire_time, absl::UTCTimeZone())));
}

LogEvent EventOf(const char* kind, const Caller& caller, const TenantId& tenant_id,
                 uint64_t token_id, std::string detail) {
  return LogEvent{{.kind = kind,
                   .by = caller.is_operator ? kOperator : caller.tenant_id,
                   .by_token_id = caller.token_id,
                   .tenant_id = tenant_id,
                   .token_id = token_id,
                   .detail = std::move(detail)}};
}

std::string Describe(const Token& token) {
  return absl::StrCat(
      token.label, token.label.empty() ? "" : ", ",
      token.scope == TokenScope::kReadOnly ? "read only" : "full",
      token.expire_time == absl::UnixEpoch()
          ? ""
          : absl::StrCat(", until ", absl::FormatTime(absl::RFC3339_sec, token.expire_time,
                                                      absl::UTCTimeZone())));
}

}  // namespace

absl::Status Tokens::Check(const Caller& caller) const {
  if (caller.read_only) {
    return absl::PermissionDeniedError("this token may look and change nothing");
  }
  if (caller.is_operator || caller.token_id == 0) return absl::OkStatus();
  const Tenant* const tenant = FindTenant(book_.state(), caller.tenant_id, caller);
  if (tenant != nullptr && tenant->FindToken(caller.token_id) != nullptr) return absl::OkStatus();
  return absl::UnauthenticatedError("authorization: the token is good no longer");
}

Reply Tokens::Create(const CreateToken& call, const Caller& caller, const Request& request) {
  const Tenant* const found = FindTenant(book_.state(), call.tenant_id, caller);
  if (found == nullptr) return Refused(NoSuchTenant(call.tenant_id));
  if (absl::Status s = CheckTokenForm(call); !s.ok()) return Refused(std::move(s));
  Scribe scribe = book_.Begin("token created");
  const absl::StatusOr<absl::Time> end = ExpireTime(call, *found, caller, scribe.now());
  if (!end.ok()) return Refused(end.status());
  Tenant tenant = *found;
  // Those that have ended make room: nobody has to revoke them.
  std::erase_if(tenant.tokens, [this](const Token& token) { return !IsGood(token, book_.now()); });
  if (tenant.tokens.size() >= kTokensPerTenantMax) {
    return Refused(absl::ResourceExhaustedError(absl::StrCat(
        "tenant ", tenant.tenant_id, " has ", kTokensPerTenantMax, " tokens; revoke one")));
  }
  const Token& token = tenant.tokens.emplace_back(Token{.token_id = ++tenant.last_token_id,
                                                        .hash = call.token_hash,
                                                        .label = call.label,
                                                        .scope = call.scope,
                                                        .created_time = scribe.now(),
                                                        .expire_time = *end});
  const Reply reply{.token_id = token.token_id};
  scribe.Write(PutTenant{tenant});
  scribe.Write(EventOf("token_created", caller, tenant.tenant_id, token.token_id, Describe(token)));
  Remember(scribe, request, reply);
  book_.Commit(std::move(scribe));
  return reply;
}

Reply Tokens::Revoke(const RevokeToken& call, const Caller& caller, const Request& request) {
  const Tenant* const found = FindTenant(book_.state(), call.tenant_id, caller);
  if (found == nullptr) return Refused(NoSuchTenant(call.tenant_id));
  const Token* const token = found->FindToken(call.token_id);
  if (token == nullptr) {
    return Refused(absl::NotFoundError(
        absl::StrCat("token_id: tenant ", call.tenant_id, " has no token ", call.token_id)));
  }
  const LogEvent event =
      EventOf("token_revoked", caller, call.tenant_id, call.token_id, token->label);
  Tenant tenant = *found;
  std::erase_if(tenant.tokens,
                [&call](const Token& each) { return each.token_id == call.token_id; });
  Scribe scribe = book_.Begin("token revoked");
  scribe.Write(PutTenant{tenant});
  scribe.Write(event);
  const Reply reply{.token_id = call.token_id};
  Remember(scribe, request, reply);
  book_.Commit(std::move(scribe));
  return reply;
}

Reply Tokens::Replace(const TenantId& tenant_id, uint64_t token_id, const std::string& hash,
                      const Caller& caller, const Reply& reply) {
  if (!reply.status.ok()) return reply;
  Tenant tenant = book_.state().tenants.at(tenant_id);
  const auto token =
      std::find_if(tenant.tokens.begin(), tenant.tokens.end(),
                   [token_id](const Token& each) { return each.token_id == token_id; });
  if (token == tenant.tokens.end()) {
    return Refused(absl::FailedPreconditionError(absl::StrCat(
        "request_id: the token ", token_id, " that this made was revoked since; make another")));
  }
  // The same answer was lost twice: who asks has the token that stands.
  if (token->hash == hash) return reply;
  token->hash = hash;
  Scribe scribe = book_.Begin("token replaced");
  scribe.Write(PutTenant{tenant});
  scribe.Write(EventOf("token_replaced", caller, tenant_id, token_id, token->label));
  book_.Commit(std::move(scribe));
  return reply;
}

}  // namespace nom::market
