// SPDX-License-Identifier: Apache-2.0
// Why a guest won what it won of a resource in a round, and no more: for its owner, in words that a
// program can read. Pure.

#ifndef MARKETD_MARKET_AWARD_REASON_H_
#define MARKETD_MARKET_AWARD_REASON_H_

#include <vector>

#include "marketd/market/decision.h"
#include "marketd/market/state.h"

namespace nom::market {

// `state` is the market as the round was decided, `outcome` what the guest got of one kind.
AwardReason ReasonOf(const RoundSnapshot& snapshot, const std::vector<ResourcePrice>& prices,
                     const State& state, const Guest& guest, const Outcome& outcome);

}  // namespace nom::market

#endif  // MARKETD_MARKET_AWARD_REASON_H_
