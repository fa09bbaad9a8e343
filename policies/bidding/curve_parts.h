// SPDX-License-Identifier: Apache-2.0
// What the makers of bids from curves share. Inside policies/bidding only.

#ifndef NOM_POLICIES_BIDDING_CURVE_PARTS_H_
#define NOM_POLICIES_BIDDING_CURVE_PARTS_H_

#include "policies/bidding/curve.h"

namespace nom::policies::curve {

using Wide = __int128;  // Only multiplied and compared: division would need a library.

inline int64_t Min(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t Max(int64_t a, int64_t b) { return a > b ? a : b; }

// Rounds towards minus infinity; divisor > 0, as units rise from point to point (Check).
inline int64_t FloorDivide(int64_t dividend, int64_t divisor) {
  if (divisor <= 0) __builtin_trap();
  const int64_t quotient = dividend / divisor;
  return dividend % divisor < 0 ? quotient - 1 : quotient;
}

inline CurveError Check(const CurvePoint* points, int point_count) {
  if (point_count > kCurvePointsMax) return CurveError::kTooManyPoints;
  int64_t last_units = -1;
  for (int i = 0; i < point_count; ++i) {
    const CurvePoint& p = points[i];
    if (p.units <= last_units || (p.units == 0 && p.value_microcredits != 0)) {
      return CurveError::kUnitsNotRising;
    }
    if (p.units > kUnitsMax) return CurveError::kUnitsOutOfRange;
    if (p.value_microcredits < 0 || p.value_microcredits > kValueMaxMicrocredits) {
      return CurveError::kValueOutOfRange;
    }
    last_units = p.units;
  }
  return CurveError::kOk;
}

// Of the straight line from `a` to `b` at `units`, which lie between them; rounded down.
inline Microcredits Between(const CurvePoint& a, const CurvePoint& b, int64_t units) {
  const int64_t width = b.units - a.units;
  const Microcredits rise = b.value_microcredits - a.value_microcredits;
  const Microcredits price = FloorDivide(rise, width);
  // Both factors of the second product are below kUnitsMax.
  return a.value_microcredits + (units - a.units) * price +
         (units - a.units) * (rise - width * price) / width;
}

}  // namespace nom::policies::curve

#endif  // NOM_POLICIES_BIDDING_CURVE_PARTS_H_
