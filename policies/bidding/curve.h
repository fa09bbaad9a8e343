// SPDX-License-Identifier: Apache-2.0
// From what quantities are worth to a bid: for applications, and for programs straight on nomhv.
//
// No allocation, no exceptions, no floating point, no C++ library; nothing here keeps state or
// touches anything but its arguments, so all of it may be called from any thread.
//
// A curve is a list of points (units, value), read as straight lines between neighbours, from
// (0, 0) on. Five bids can be made from it:
//
//   ExactRanges   the curve itself. The truth, and under mpsp the best bid there is.
//   ConcaveRangesBelow
//                 marginal values never rise, as uniform_price wants it, and nothing is said to be
//                 worth more than it is: no rule can make it lose.
//   ConcaveRanges the smallest such curve above it. On the parts that it fills in it offers too
//                 much for what lies between, and may be served just that.
//   GapRanges     the same, but what lies under a filled-in part is refused: with gaps, no
//                 quantity can be won that is worth less than was bid for it.
//   StepRanges    the points alone; everything between them is refused. For programs that can use
//                 certain quantities only.
//
// A bid has at most kRangesMax ranges and whole unit prices. Where a curve needs more, points are
// left out, the ones that change it least first, and quantities at which the bid would then be too
// high are refused; a price is rounded down. Both make a bid smaller, never larger than described.
// Of steps those are kept that together lose least value over all quantities up to the last point,
// what lies between two points being worth what the lower one is: no other choice loses less. Of a
// straight line of many points that is a sixteenth; of a curve that flattens, less.

#ifndef NOM_POLICIES_BIDDING_CURVE_H_
#define NOM_POLICIES_BIDDING_CURVE_H_

#include "policies/bidding/range.h"

namespace nom::policies {

inline constexpr int kCurvePointsMax = 512;

struct CurvePoint {
  int64_t units = 0;
  Microcredits value_microcredits = 0;
};

enum class [[nodiscard]] CurveError : uint8_t{
    kOk,
    kTooManyPoints,    // More than kCurvePointsMax.
    kUnitsNotRising,   // Each point must lie after the one before it, the first after 0.
    kUnitsOutOfRange,  // Above kUnitsMax.
    kValueOutOfRange,  // Below 0 or above kValueMaxMicrocredits.
};

// For messages; never null.
const char* CurveErrorName(CurveError error);

// The ranges of one bid, in place. Valid by construction if made by the functions below.
struct RangeList {
  Range ranges[kRangesMax] = {};
  int count = 0;
};

// `points` may already begin with (0, 0). On an error `out` is empty.
CurveError ExactRanges(const CurvePoint* points, int point_count, RangeList& out);
CurveError ConcaveRanges(const CurvePoint* points, int point_count, RangeList& out);
CurveError GapRanges(const CurvePoint* points, int point_count, RangeList& out);
CurveError StepRanges(const CurvePoint* points, int point_count, RangeList& out);

// Any quantity from min_units to max_units at one price: work that can stop at any point. Empty if
// nothing sensible is asked for (max_units below min_units or 1, a price below 1). Cut down to what
// kUnitsMax and kValueMaxMicrocredits allow.
RangeList FlatOffer(int64_t min_units, int64_t max_units, Microcredits unit_price_microcredits);
// All or nothing.
RangeList StepOffer(int64_t units, Microcredits value_microcredits);

// False if `units` is refused; else sets `value_microcredits`.
bool ValueAt(const RangeList& bid, int64_t units, Microcredits& value_microcredits);

// The quantity that a price taker would choose: the largest value(q) - price * q, and the smallest
// such q. 0 if nothing is worth its price. Requires 0 <= price <= kValueMaxMicrocredits.
int64_t BestUnitsAt(const RangeList& bid, Microcredits unit_price_microcredits);

// The most that a bid may say. What is not set caps nothing; 0 or less empties the bid.
struct BidCaps {
  Microcredits budget_microcredits = kValueMaxMicrocredits;              // In all.
  Microcredits ceiling_unit_price_microcredits = kValueMaxMicrocredits;  // A unit.
};

// Never bid more than either: value(q) becomes min(value(q), ceiling * q), then the first quantity
// worth the budget or more is bid at exactly the budget, and what lies above it is left out. As no
// rule charges more than the value, no charge is above either. The ceiling comes first, or a large
// quantity that it makes affordable would be lost to the budget. Marginal values that never rise
// still don't. Where more than kRangesMax ranges would be needed, two are made one below them.
//
// A concave bid that fills in parts of its curve ends within such a part if it is cut there, and
// wins what is worth less than it pays: cap its curve instead, by ConcaveRangesWithin.
RangeList Cap(const RangeList& bid, const BidCaps& caps);

// ConcaveRanges of the curve min(value(q), ceiling * q, budget), up to the first quantity that
// reaches the budget. So wherever the marginal value falls, the bid is worth it: who is served all
// that its bid asks for at a price (BestUnitsAt) never pays more than that is worth by the curve.
// Who is served a part of it, at exactly a price that was bid for a part filled in, can: by at most
// AboveCurve.
CurveError ConcaveRangesWithin(const CurvePoint* points, int point_count, const BidCaps& caps,
                               RangeList& out);

// A curve below the given one and below both caps, whose marginal values never rise: whatever it is
// awarded, in whole or in part, at whatever price, under whatever rule, is worth its charge, as no
// rule charges more than was bid. The curve itself where that is such a curve already, but for
// rounding and for points left out above kRangesMax. Where it is not (little is worth anything
// until much is had), such a bid must ask for less, or for nothing: it leaves 97 to 100 % of the
// most that any bid which never loses at one price could, and of what ConcaveRangesWithin leaves
// where that is always served whole 100 % of noisy concave curves, some 75 % of curves at random,
// 66 of S-shaped ones. Takes 17 KB of stack, and time in the square of the points that are not
// concave.
CurveError ConcaveRangesBelow(const CurvePoint* points, int point_count, const BidCaps& caps,
                              RangeList& out);

// The curve itself, rounded down; beyond its last point what that is worth. `points` must be such
// as the functions above take.
Microcredits WorthAt(const CurvePoint* points, int point_count, int64_t units);

// The most by which a bid is above its curve anywhere. 0 for all but those of ConcaveRanges and
// ConcaveRangesWithin.
Microcredits AboveCurve(const RangeList& bid, const CurvePoint* points, int point_count);

}  // namespace nom::policies

#endif  // NOM_POLICIES_BIDDING_CURVE_H_
