// SPDX-License-Identifier: Apache-2.0
// What a call says, as one number: a retry says the same as the call before it under its id, and
// another call does not.

#ifndef MARKETD_MARKET_FINGERPRINT_H_
#define MARKETD_MARKET_FINGERPRINT_H_

#include <cstdint>

#include "marketd/market/event.h"

namespace nom::market {

// Kept in ledgers: the same call has the same for ever. What a token is is no part of it
// (event.h), and the calls of leases, which fences tell apart, are all the same.
uint64_t FingerprintOf(const Call& call);

}  // namespace nom::market

#endif  // MARKETD_MARKET_FINGERPRINT_H_
