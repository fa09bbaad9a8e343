// SPDX-License-Identifier: Apache-2.0
// The bid language for one resource, as plain data that also compiles without a C++ library.
//
// A bid is a list of ranges in rising order. Programs straight on nomhv, the SDK, marketd and the
// clearing rules all speak it; this header is all that the smallest of them needs.

#ifndef NOM_POLICIES_BIDDING_RANGE_H_
#define NOM_POLICIES_BIDDING_RANGE_H_

#include <stdint.h>

namespace nom::policies {

// Whole micro-credits. Never floating point; every sum is overflow-checked.
using Microcredits = int64_t;

inline constexpr Microcredits kValueMaxMicrocredits = 1'000'000'000'000'000;  // 10^15, one bid.
inline constexpr int64_t kUnitsMax = int64_t{1} << 24;
inline constexpr int kRangesMax = 16;

// Quantities [min_units, max_units] that the guest accepts, worth
//   value(q) = value_at_min + (q - min_units) * unit_price.
// A step is min_units == max_units; its unit_price says nothing and is ignored.
//
// What a list of ranges must satisfy (ValidateBid):
//  - 0 <= min_units <= max_units <= kUnitsMax;
//  - 0 <= value(q) <= kValueMaxMicrocredits at both ends. unit_price may be negative: values need
//    not rise, they only must not fall below zero;
//  - |unit_price| <= kValueMaxMicrocredits;
//  - a range that begins at 0 is worth 0 there;
//  - each range begins after the one before it ends, or touches it: begins exactly at its end with
//    the same value there. A range that touches carries a curve on with another slope.
struct Range {
  int64_t min_units = 0;
  int64_t max_units = 0;
  Microcredits value_at_min_microcredits = 0;
  Microcredits unit_price_microcredits = 0;

  friend bool operator==(const Range&, const Range&) = default;
};

}  // namespace nom::policies

#endif  // NOM_POLICIES_BIDDING_RANGE_H_
