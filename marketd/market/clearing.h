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

// Clears `auction` by the named rule; policies::Clear unless a test says otherwise.
using ClearFunction = std::function<absl::StatusOr<policies::Clearing>(
    const std::string& rule, const policies::Auction& auction)>;

// What every clearing promises: awards within the bids and the capacity, each guest at most once by
// rising id, 0 <= charge <= value. INTERNAL says which was broken.
absl::Status CheckClearing(const policies::Auction& auction, const policies::Clearing& clearing);

// The declared fallback: each guest keeps what it holds (Bid::held_units), scaled down if that is
// more than the capacity, and rounded down to a quantity that its present bid allows and values at
// no less than the reserve. It pays the reserve for each unit: no more than its value, and within
// its means as the bid was cut to them.
policies::Clearing RepeatLast(const policies::Auction& auction);

// Clears by `rule`; if the rule fails or breaks a promise, RepeatLast, and `fault` says why.
policies::Clearing ClearOrRepeat(const ClearFunction& clear, const std::string& rule,
                                 const policies::Auction& auction, std::string* fault);

// The seed that orders ties: the same for the same market, host, round and resource.
uint64_t AuctionSeed(uint64_t market_seed, const HostId& host_id, RoundId round_id,
                     ResourceKind kind);

}  // namespace nom::market

#endif  // MARKETD_MARKET_CLEARING_H_
