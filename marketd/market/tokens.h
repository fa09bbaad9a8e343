// SPDX-License-Identifier: Apache-2.0
// Bearer tokens of tenants: made, revoked, and what those who show one may ask for. What each call
// promises is in event.h.
//
// Not thread-safe: the engine's thread owns it.

#ifndef MARKETD_MARKET_TOKENS_H_
#define MARKETD_MARKET_TOKENS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "marketd/market/event.h"
#include "marketd/market/live_book.h"

namespace nom::market {

class Tokens {
 public:
  // `book` outlives it.
  explicit Tokens(LiveBook& book) : book_(book) {}

  // Whether the caller's token may change anything, now: PERMISSION_DENIED, UNAUTHENTICATED.
  absl::Status Check(const Caller& caller) const;

  // `request` is remembered if they succeed.
  Reply Create(const CreateToken& call, const Caller& caller, const Request& request);
  Reply Revoke(const RevokeToken& call, const Caller& caller, const Request& request);
  // A retry of the call that made it, which was answered `reply`: the token gets the new hash.
  Reply Replace(const TenantId& tenant_id, uint64_t token_id, const std::string& hash,
                const Caller& caller, const Reply& reply);

 private:
  LiveBook& book_;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_TOKENS_H_
