// SPDX-License-Identifier: Apache-2.0
// What a host's guests hold at this moment, as far as anybody was told: the machine's own word when
// it is attached, then what it was made to hold.
//
// It may differ from what the ledger says: a machine goes on while marketd is away, and an Apply
// may have been carried out that nobody heard of. What a guest really holds is where the next
// change starts from, so that nothing is taken from it without a notice.

#ifndef MARKETD_MARKET_HOLDINGS_H_
#define MARKETD_MARKET_HOLDINGS_H_

#include <cstdint>
#include <map>
#include <vector>

#include "marketd/market/types.h"

namespace nom::market {

class HostHoldings {
 public:
  // The guest holds so many units (seed plus award) of each kind named, and nothing else.
  void Set(GuestId guest_id, const std::vector<Holding>& holdings);
  // It is gone or holds nothing.
  void Remove(GuestId guest_id);
  void Clear();

  bool Has(GuestId guest_id) const { return guests_.contains(guest_id); }
  // 0 of what it does not hold.
  int64_t Units(GuestId guest_id, ResourceKind kind) const;
  // Over all guests.
  int64_t Sum(ResourceKind kind) const;

 private:
  std::map<GuestId, std::map<ResourceKind, int64_t>> guests_;
  std::map<ResourceKind, int64_t> sums_;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_HOLDINGS_H_
