// SPDX-License-Identifier: Apache-2.0
// Between the SDK's ranges and those of policies/bidding, which are the same numbers.

#ifndef CLIENT_SRC_RANGE_LIST_H_
#define CLIENT_SRC_RANGE_LIST_H_

#include <vector>

#include "nom/types.h"
#include "policies/bidding/curve.h"

namespace nom::client {

static_assert(kBidRangesMax == policies::kRangesMax);
static_assert(kBidUnitsMax == policies::kUnitsMax);
static_assert(kBidValueMaxMicrocredits == policies::kValueMaxMicrocredits);

// Requires at most kBidRangesMax ranges.
inline policies::RangeList ToRangeList(const std::vector<BidRange>& ranges) {
  policies::RangeList list;
  for (const BidRange& range : ranges) {
    list.ranges[list.count++] = {range.min_units, range.max_units, range.value_at_min_microcredits,
                                 range.unit_price_microcredits};
  }
  return list;
}

inline std::vector<BidRange> FromRangeList(const policies::RangeList& list) {
  std::vector<BidRange> ranges;
  for (int i = 0; i < list.count; ++i) {
    const policies::Range& range = list.ranges[i];
    ranges.push_back({range.min_units, range.max_units, range.value_at_min_microcredits,
                      range.unit_price_microcredits});
  }
  return ranges;
}

}  // namespace nom::client

#endif  // CLIENT_SRC_RANGE_LIST_H_
