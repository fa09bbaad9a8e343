// SPDX-License-Identifier: Apache-2.0
// One resource's auction: made from the state, cleared, checked, and what to do when a rule fails.

#ifndef MARKETD_MARKET_CLEARING_H_
#define MARKETD_MARKET_CLEARING_H_

#include <functional>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "marketd/market/state.h"
#include "policies/clearing/auction.h"

namespace nom::market {

// Clears `auction` by the named rule within `work_max` steps; ClearByRule unless a test says
// otherwise.
using ClearFunction = std::function<absl::StatusOr<policies::Clearing>(
    const std::string& rule, const policies::Auction& auction, int64_t work_max)>;

// policies::ClearWithin: by the rule, or by the next in the declared chain that takes no more work.
// 0: by the rule, whatever work that is, as rounds were cleared before their limit was recorded.
absl::StatusOr<policies::Clearing> ClearByRule(const std::string& rule,
                                               const policies::Auction& auction, int64_t work_max);

// What every clearing promises: awards within the bids and the capacity, each guest at most once by
// rising id, 0 <= charge <= value. INTERNAL says which was broken.
absl::Status CheckClearing(const policies::Auction& auction, const policies::Clearing& clearing);

// Clears by `rule` within `work_max`; if that fails or breaks a promise, by policies::RepeatLast,
// and `fault` says why. If not even the last awards can be repeated, nobody is awarded anything.
policies::Clearing ClearOrRepeat(const ClearFunction& clear, const std::string& rule,
                                 const policies::Auction& auction, int64_t work_max,
                                 std::string* fault);

// The seed that orders ties: the same for the same market, host, round and resource.
uint64_t AuctionSeed(uint64_t market_seed, const HostId& host_id, RoundId round_id,
                     ResourceKind kind);

}  // namespace nom::market

#endif  // MARKETD_MARKET_CLEARING_H_
