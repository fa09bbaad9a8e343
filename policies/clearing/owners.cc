// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/owners.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace nom::policies {

std::vector<std::vector<size_t>> SharedOwners(const Auction& auction) {
  if (std::all_of(auction.bids.begin(), auction.bids.end(),
                  [](const Bid& bid) { return bid.owner_id == 0; })) {
    return {};
  }
  std::vector<std::tuple<OwnerId, uint64_t, size_t>> owned;
  owned.reserve(auction.bids.size());
  for (size_t i = 0; i < auction.bids.size(); ++i) {
    const Bid& bid = auction.bids[i];
    if (bid.owner_id == 0) continue;
    owned.emplace_back(bid.owner_id, TieOrder(auction.seed, bid.guest_id), i);
  }
  std::sort(owned.begin(), owned.end());
  std::vector<std::vector<size_t>> shared;
  for (size_t begin = 0, end = 0; begin < owned.size(); begin = end) {
    while (end < owned.size() && std::get<0>(owned[end]) == std::get<0>(owned[begin])) ++end;
    if (end - begin < 2) continue;
    std::vector<size_t>& bids = shared.emplace_back();
    for (size_t k = begin; k < end; ++k) bids.push_back(std::get<2>(owned[k]));
  }
  return shared;
}

std::vector<Microcredits> SplitExcess(Int128 excess, std::span<const Microcredits> surpluses) {
  Int128 sum = 0;
  for (Microcredits surplus : surpluses) sum += surplus;
  std::vector<Microcredits> shares(surpluses.size(), 0);
  if (sum == 0) return shares;
  std::vector<std::pair<Int128, size_t>> remainders;
  Int128 left = excess;
  for (size_t k = 0; k < surpluses.size(); ++k) {
    // Below 2^50 for each of at most 2^16 guests, times 2^50.
    const Int128 product = excess * surpluses[k];
    shares[k] = static_cast<Microcredits>(product / sum);
    left -= shares[k];
    remainders.emplace_back(-(product % sum), k);
  }
  // Those who get one more stand in front; in which order does not matter.
  std::nth_element(remainders.begin(), remainders.begin() + static_cast<std::ptrdiff_t>(left),
                   remainders.end());
  // All remainders together are `left` times the sum and each is less than the sum, so more than
  // `left` of them are above zero unless it is 0; and whoever has a remainder has surplus left.
  for (size_t k = 0; left > 0; ++k, --left) ++shares[remainders[k].second];
  return shares;
}

}  // namespace nom::policies
