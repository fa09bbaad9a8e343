// SPDX-License-Identifier: Apache-2.0
// What to do when the exact rule would take too long: the declared chain.
//
//   exact        the rule itself.
//   coarser      mpsp in lots of several units (ClearMpspInLots). How large a lot is depends on
//                the capacity, how many bids there are and the budget, on nothing that a bid says:
//                see LotUnits. So the truth is as good a bid as in the rule itself.
//   greedy       ClearGreedy: the concave relaxation, rounded down to what is allowed.
//   repeat last  every guest keeps what it holds, cut to what it still bids for, at the reserve.
//
// The budget is a count of work, never a clock, so the same auction with the same budget is cleared
// in the same way on every machine, and a replay agrees. Work is counted while it is done: the next
// link is taken when its turn's share of the budget is used up, not when it might be, so a bid that
// decides nothing costs what reading it costs and moves nobody to another link. The exact rule may
// take what coarser is sure not to need: half of the budget or more. Greedy costs little more than
// reading the bids; it may take half of the budget once more, so that all links together take at
// most one and a half of it, and what repeating takes, which is there whatever the budget is. Which
// link clears depends on the work, and so on all bids together; greedy and repeating are not
// truthful (who repeats is sold the most that it holds, even where less is worth more to it). A
// result that is not exact carries the bound it can prove (Clearing::welfare_bound_microcredits).

#ifndef NOM_POLICIES_CLEARING_FALLBACK_H_
#define NOM_POLICIES_CLEARING_FALLBACK_H_

#include <cstdint>
#include <string_view>

#include "policies/clearing/auction.h"

namespace nom::policies {

// The version of the chain, this one's and the joint rule's (joint/joint_fallback.h): which links
// there are, in which order, and what each may take. A record of a round says it; a change of any
// of that is a new version.
inline constexpr int kFallbackChain = 1;

// Fewer lots than this are no auction any more.
inline constexpr int64_t kLotsMin = 16;

// What one core of about 2.6 GHz does in a second: for choosing a budget from a round's period. A
// budget is part of what a recorded round means, so it is a setting, not a measurement.
inline constexpr int64_t kWorkASecond = 500'000'000;
inline constexpr int64_t kWorkMaxDefault = 4 * kWorkASecond;

// Clears by `rule`, or by the next in the chain that the budget allows; Clearing::method says which
// it was. `work_steps`, which may be null, becomes the steps that were taken. Errors: those of
// Clear.
absl::StatusOr<Clearing> ClearWithin(std::string_view rule, const Auction& auction,
                                     int64_t work_max = kWorkMaxDefault,
                                     int64_t* work_steps = nullptr);

// The units of a lot in `coarser`: the smallest power of two, at least 2, for which the tables of
// so many bids of as many ranges as a bid may have would take at most half of the budget. 0 if then
// less than kLotsMin lots would be left.
int64_t LotUnits(int64_t capacity_units, size_t bids, int64_t work_max);

// The last link of the chain. Each guest keeps at most what it holds: rounded down to a quantity
// that its bid accepts and values at the reserve or more, and first scaled down if the guests
// together hold more than the capacity. It pays the reserve.
absl::StatusOr<Clearing> RepeatLast(const Auction& auction);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_FALLBACK_H_
