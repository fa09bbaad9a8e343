// SPDX-License-Identifier: Apache-2.0
// The concave bid that never says more than its curve.
//
// Two bounds make it. A bid that is charged one price for all its units may be awarded any quantity
// q at the price of its q-th unit, so it never loses only if no unit is bid at more than
//
//   R(q) = min over r <= q of curve(r) / r
//
// (r and not q alone, as prices never rise). Of all quantities with R(q) >= p, the one that leaves
// most at a price p is a corner of the curve, and grows as p falls: one walk over the corners with
// a stack, like that of a hull whose slopes are held to R, finds the best of these bids at all
// prices at once. No bid that never loses leaves more, at any price (`Bound`).
//
// But a rule that charges by harm, or holds a penalty for a holder, may charge all that was bid for
// q units together. So the bid itself has to stay below the curve: it follows the bound from
// (0, 0), and where it meets the curve it takes the curve's slope. How steeply it begins decides
// how far it gets; each R(q) is tried, and the one that leaves most over all prices is taken.

#include "policies/bidding/curve.h"
#include "policies/bidding/curve_parts.h"

namespace nom::policies {
namespace {

using curve::FloorDivide;
using curve::Min;
using curve::Wide;

// Where the price of a bid falls.
struct Corner {
  int64_t units = 0;
  Microcredits worth_microcredits = 0;  // By the curve.
  Microcredits price_microcredits = 0;  // Of each unit since the corner before.
};

// Twice what a corner leaves in all, at each price from `low` to `high`: what it is worth less what
// it costs.
Wide TwiceLeft(const Corner& corner, Microcredits low, Microcredits high) {
  return Wide{high - low} *
         (2 * Wide{corner.worth_microcredits} - Wide{corner.units} * (Wide{high} + low));
}

// Sums up what a bid leaves over all prices, as its corners come.
class SumOfLeft {
 public:
  void operator()(const Corner& corner) {
    Close(corner.price_microcredits);
    last_ = corner;
  }
  Wide twice() {
    Close(0);
    return twice_;
  }

 private:
  void Close(Microcredits price) {
    if (last_.units > 0) twice_ += TwiceLeft(last_, price, last_.price_microcredits);
    last_ = {};
  }
  Corner last_;
  Wide twice_ = 0;
};

class ConcaveBelow {
 public:
  ConcaveBelow(const CurvePoint* points, int count, const BidCaps& caps)
      : points_(points), count_(count), caps_(caps) {
    SetBound();
  }

  void Make(RangeList& out) {
    Wide best = 0;
    Microcredits best_start = 0;
    Microcredits start = caps_.ceiling_unit_price_microcredits + 1;
    for (int i = 0; i < count_; ++i) {
      const Microcredits average = Average(i);
      if (average >= start) continue;
      start = average;
      SumOfLeft sum;
      const bool is_bound = Walk(start, sum);
      if (const Wide twice = sum.twice(); twice > best) {
        best = twice;
        best_start = start;
      }
      if (is_bound) break;  // Nothing that never loses leaves more.
    }
    if (best_start == 0) return;
    corner_count_ = 0;
    (void)Walk(best_start, [this](const Corner& corner) { corners_[corner_count_++] = corner; });
    while (corner_count_ > kRangesMax) Merge(Cheapest());
    Emit(out);
  }

 private:
  // The most that each unit up to the i-th point may be bid at by that point; 0 if it has none.
  Microcredits Average(int i) const {
    if (points_[i].units == 0) return caps_.ceiling_unit_price_microcredits;
    return Min(caps_.ceiling_unit_price_microcredits,
               points_[i].value_microcredits / points_[i].units);
  }

  void SetBound() {
    int16_t kept[kCurvePointsMax];
    int kept_count = 0;
    Microcredits least = caps_.ceiling_unit_price_microcredits;
    for (int i = 0; i < count_; ++i) {
      bound_[i] = 0;
      if (points_[i].units == 0) continue;
      least = Min(least, Average(i));
      Microcredits price = 0;
      for (;; --kept_count) {
        const CurvePoint before = kept_count == 0 ? CurvePoint{} : points_[kept[kept_count - 1]];
        price = Min(least, FloorDivide(points_[i].value_microcredits - before.value_microcredits,
                                       points_[i].units - before.units));
        if (kept_count == 0 || price < bound_[kept[kept_count - 1]]) break;
      }
      if (price <= 0) continue;
      kept[kept_count++] = static_cast<int16_t>(i);
      bound_[i] = price;
    }
    // So far only of the corners that are kept, each at its own place.
    int next = kept_count - 1;
    Microcredits price = 0;
    for (int i = count_ - 1; i >= 0; --i) {
      if (next >= 0 && kept[next] == i) {
        price = bound_[i];
        --next;
      }
      bound_[i] = price;
    }
  }

  // Hands out the corners of the bid that begins with at most `start` a unit. True if it never had
  // to leave the bound.
  template <typename Visit>
  bool Walk(Microcredits start, Visit&& visit) const {
    bool is_bound = true;
    Corner corner{.price_microcredits = start};
    Microcredits bid = 0;
    for (int i = 0; i < count_; ++i) {
      const CurvePoint& point = points_[i];
      if (point.units == 0) continue;
      const int64_t width = point.units - corner.units;
      const Microcredits below = FloorDivide(point.value_microcredits - bid, width);
      const Microcredits price = Min(Min(corner.price_microcredits, bound_[i]), below);
      is_bound = is_bound && price == bound_[i];
      if (price <= 0) break;
      if (corner.units > 0 && price != corner.price_microcredits) visit(corner);
      if (price * width > caps_.budget_microcredits - bid) {
        Spend(corner, price, bid, visit);
        return is_bound;
      }
      bid += price * width;
      corner = {point.units, point.value_microcredits, price};
    }
    if (corner.units > 0) visit(corner);
    return is_bound;
  }

  // The last units that the budget pays for, and one for what is left of it.
  template <typename Visit>
  void Spend(Corner last, Microcredits price, Microcredits bid, Visit& visit) const {
    const Microcredits left = caps_.budget_microcredits - bid;
    const int64_t more = left / price;
    const bool goes_on = last.price_microcredits == price && last.units > 0;
    if (more > 0) {
      last = {last.units + more, bid + more * price, price};
      visit(last);
    } else if (goes_on) {
      visit(last);
    }
    const Microcredits rest = left - more * price;
    if (rest == 0) return;
    visit(Corner{last.units + 1, caps_.budget_microcredits, rest});
  }

  // The price of both parts, if the i-th corner is left out: in all no more than before, and as the
  // prices fall, never above the bid as it was.
  Microcredits MergedPrice(int i) const {
    const int64_t begin = i == 0 ? 0 : corners_[i - 1].units;
    const int64_t first = corners_[i].units - begin;
    const int64_t second = corners_[i + 1].units - corners_[i].units;
    return FloorDivide(
        first * corners_[i].price_microcredits + second * corners_[i + 1].price_microcredits,
        first + second);
  }

  // Without which the least is lost. The last one stays: what is asked for in all.
  int Cheapest() const {
    int cheapest = 0;
    Wide least = 0;
    for (int i = 0; i + 1 < corner_count_; ++i) {
      const Corner before = i == 0 ? Corner{} : corners_[i - 1];
      const Corner& here = corners_[i];
      const Corner& after = corners_[i + 1];
      const Microcredits price = MergedPrice(i);
      const Wide lost = TwiceLeft(here, after.price_microcredits, here.price_microcredits) -
                        TwiceLeft(after, after.price_microcredits, price) -
                        TwiceLeft(before, price, here.price_microcredits);
      if (i == 0 || lost < least) {
        least = lost;
        cheapest = i;
      }
    }
    return cheapest;
  }

  void Merge(int i) {
    corners_[i + 1].price_microcredits = MergedPrice(i);
    for (int k = i; k + 1 < corner_count_; ++k) corners_[k] = corners_[k + 1];
    --corner_count_;
  }

  void Emit(RangeList& out) const {
    int64_t units = 0;
    Microcredits bid = 0;
    for (int i = 0; i < corner_count_; ++i) {
      const Corner& corner = corners_[i];
      if (corner.price_microcredits == 0) break;
      out.ranges[out.count++] = {units, corner.units, bid, corner.price_microcredits};
      bid += (corner.units - units) * corner.price_microcredits;
      units = corner.units;
    }
  }

  const CurvePoint* points_;
  int count_;
  BidCaps caps_;
  Microcredits bound_[kCurvePointsMax];  // Of the units up to each point.
  Corner corners_[kCurvePointsMax + 2];  // A budget adds two.
  int corner_count_ = 0;
};

}  // namespace

CurveError ConcaveRangesBelow(const CurvePoint* points, int point_count, const BidCaps& caps,
                              RangeList& out) {
  out = RangeList{};
  if (CurveError e = curve::Check(points, point_count); e != CurveError::kOk) return e;
  if (caps.budget_microcredits <= 0 || caps.ceiling_unit_price_microcredits <= 0) {
    return CurveError::kOk;
  }
  ConcaveBelow(
      points, point_count,
      {caps.budget_microcredits, Min(caps.ceiling_unit_price_microcredits, kValueMaxMicrocredits)})
      .Make(out);
  return CurveError::kOk;
}

}  // namespace nom::policies
