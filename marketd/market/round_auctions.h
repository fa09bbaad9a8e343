// SPDX-License-Identifier: Apache-2.0
// The auctions of one round: all kinds of a host, cleared so that whoever wins can pay.
//
// Every bid goes into its auction with its whole curve, up to its own budget and its owner's means.
// How that is seen to: means_pacing.h.

#ifndef MARKETD_MARKET_ROUND_AUCTIONS_H_
#define MARKETD_MARKET_ROUND_AUCTIONS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "marketd/market/clearing.h"
#include "marketd/market/means_pacing.h"
#include "marketd/market/types.h"
#include "policies/clearing/auction.h"

namespace nom::market {

// As many as the work allows with kMeansTryWork steps each, if that is more than kMeansTriesMin.
inline constexpr int kMeansTries = 32;
inline constexpr int64_t kMeansTryWork = 500'000;

// One kind's auction and how it was cleared.
struct KindAuction {
  const Resource* resource = nullptr;
  policies::Auction auction;   // As cleared: the bids may be worth less than they came in with.
  std::string reserve_policy;  // Whose reserve that is, and what it asks for the next time.
  Microcredits reserve_change_microcredits = 0;
  int64_t work_max = 0;  // Of the last clearing.
  policies::Clearing clearing;
  std::string fault;  // See ClearOrRepeat.
};

// Fills in the clearings, within `work_max` steps for each auction, the repetitions included.
// `means` is what each owner of a bid can pay; every bid has an owner, and is in its auction once.
void ClearWithinMeans(std::vector<KindAuction>& auctions,
                      const std::map<policies::OwnerId, Microcredits>& means, int64_t work_max,
                      const ClearFunction& clear);

// The curve with every value times numerator / denominator (at most 1), rounded down; it stays
// valid, and concave if it was.
std::vector<policies::Range> ScaleValues(const std::vector<policies::Range>& ranges,
                                         int64_t numerator, int64_t denominator);

}  // namespace nom::market

#endif  // MARKETD_MARKET_ROUND_AUCTIONS_H_
