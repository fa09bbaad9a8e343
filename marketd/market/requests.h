// SPDX-License-Identifier: Apache-2.0
// What is kept of a call that was done, so that a retry gets its answer again.

#ifndef MARKETD_MARKET_REQUESTS_H_
#define MARKETD_MARKET_REQUESTS_H_

#include <utility>

#include "marketd/market/state.h"
#include "marketd/market/transaction.h"

namespace nom::market {

// `request` was answered `reply`, by what the same transaction does.
inline void Remember(Scribe& scribe, Request request, const Reply& reply) {
  request.reply = reply;
  request.transaction_id = scribe.transaction_id();
  scribe.Write(PutRequest{std::move(request)});
}

}  // namespace nom::market

#endif  // MARKETD_MARKET_REQUESTS_H_
