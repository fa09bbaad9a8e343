// SPDX-License-Identifier: Apache-2.0
// What a bid wins where prices are posted: the rule of nom::testing::FakeMarket.

#ifndef CLIENT_TESTING_POSTED_PRICES_H_
#define CLIENT_TESTING_POSTED_PRICES_H_

#include <cstdint>
#include <map>

#include "nom/market/v1/market.pb.h"

namespace nom::testing {

struct Offer {
  int64_t price = 0;
  int64_t units_left = 0;
};
using Units = std::map<market::v1::ResourceKind, int64_t>;

// The quantity that leaves the most at this price within the bid's budget, and the least of those
// that leave as much. Looks at the ends of ranges.
int64_t BestUnits(const market::v1::Bid& bid, Offer offer);

// The same of a bid with a valuation: at most one bundle, whole, or ends of the curves' ranges.
// Empty: it wins nothing. Time in the product of the curves' ranges, unless they are a sum.
Units BestUnitsOfSeveral(const market::v1::Bid& bid,
                         const std::map<market::v1::ResourceKind, Offer>& offers);

}  // namespace nom::testing

#endif  // CLIENT_TESTING_POSTED_PRICES_H_
