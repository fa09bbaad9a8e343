// What a bid must be before it leaves the process, and the limits that the program was given.
//
// Pure functions over policies/bidding. The market checks all of this again: these checks are for
// good messages, and so that a limit holds even where the market would let more pass.

#ifndef CLIENT_SRC_BID_LIMITS_H_
#define CLIENT_SRC_BID_LIMITS_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "nom/types.h"

namespace nom::client {

// OK, or INVALID_ARGUMENT that names the first field that is wrong ("ranges[1].min_units: ...").
// None are refused: a bid that wants nothing is a withdrawal.
absl::Status CheckRanges(const std::vector<BidRange>& ranges);

// The curve lowered to at most q * ceiling at each quantity q, so that no rule that charges at most
// the value can charge more than `ceiling` a unit. Empty if the ceiling is below 1. Requires
// CheckRanges(ranges).ok().
std::vector<BidRange> CutToUnitPrice(const std::vector<BidRange>& ranges,
                                     int64_t ceiling_microcredits);

// The highest value on the curve, at least 0: the most that it can ever be charged. Requires
// CheckRanges(ranges).ok().
int64_t HighestValue(const std::vector<BidRange>& ranges);

}  // namespace nom::client

#endif  // CLIENT_SRC_BID_LIMITS_H_
