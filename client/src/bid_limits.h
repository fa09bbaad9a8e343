// SPDX-License-Identifier: Apache-2.0
// What a bid must be before it leaves the process, and the limits that the program was given.
//
// Pure functions over policies/bidding. The market checks all of this again: these checks are for
// good messages, and so that a limit holds even where the market would let more pass.

#ifndef CLIENT_SRC_BID_LIMITS_H_
#define CLIENT_SRC_BID_LIMITS_H_

#include <cstdint>
#include <map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nom/types.h"

namespace nom::client {

// OK, or INVALID_ARGUMENT that names the first field that is wrong ("ranges[1].min_units: ...").
// None are refused: a bid that wants nothing is a withdrawal.
absl::Status CheckRanges(const std::vector<BidRange>& ranges);
// The same of a whole bid, whose guest_id is not looked at. One that wants nothing is taken.
absl::Status CheckBid(const Bid& bid);

// The bid lowered so that no unit of a resource can be charged more than its ceiling. Of one for
// several resources: a bundle is worth no more than its units at their ceilings, and is left as it
// is if it needs any of a resource without one; of a sum, a min or a max each curve is lowered by
// itself. Errors: RESOURCE_EXHAUSTED if nothing is left, INVALID_ARGUMENT for a product, whose
// levels have no price. Requires CheckBid(bid).ok().
absl::StatusOr<Bid> CutToCeilings(Bid bid, const std::map<Resource, int64_t>& unit_price_ceilings);

// The curve lowered to at most q * ceiling at each quantity q, so that no rule that charges at most
// the value can charge more than `ceiling` a unit. Empty if the ceiling is below 1. Requires
// CheckRanges(ranges).ok().
std::vector<BidRange> CutToUnitPrice(const std::vector<BidRange>& ranges,
                                     int64_t ceiling_microcredits);

// The highest value on the curve, at least 0: the most that it can ever be charged. Requires
// CheckRanges(ranges).ok().
int64_t HighestValue(const std::vector<BidRange>& ranges);
// Of a whole bid, and at least that much. Requires CheckBid(bid).ok().
int64_t HighestValue(const Bid& bid);

}  // namespace nom::client

#endif  // CLIENT_SRC_BID_LIMITS_H_
