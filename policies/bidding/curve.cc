// SPDX-License-Identifier: Apache-2.0
#include "policies/bidding/curve.h"

#include "policies/bidding/curve_parts.h"

namespace nom::policies {
namespace {

using curve::Check;
using curve::FloorDivide;
using curve::Max;
using curve::Min;
using curve::Wide;

// The points of a curve with (0, 0) in front, some of them left out. Small enough for the stacks
// of programs on nomhv.
struct Outline {
  const CurvePoint* points;
  int16_t index[kCurvePointsMax + 4];  // -1 is (0, 0). Caps may add three corners.
  int count = 0;

  CurvePoint At(int i) const { return index[i] < 0 ? CurvePoint{} : points[index[i]]; }
};

// Above 0 if b lies above the straight line from a to c, 0 if on it.
Wide AboveChord(const CurvePoint& a, const CurvePoint& b, const CurvePoint& c) {
  return Wide{b.value_microcredits - a.value_microcredits} * (c.units - a.units) -
         Wide{c.value_microcredits - a.value_microcredits} * (b.units - a.units);
}

// The smallest concave curve above the points, as its corners.
void MakeHull(const CurvePoint* points, int point_count, Outline& out) {
  out.points = points;
  out.count = 0;
  out.index[out.count++] = -1;
  for (int i = 0; i < point_count; ++i) {
    if (points[i].units == 0) continue;
    while (out.count >= 2 &&
           AboveChord(out.At(out.count - 2), out.At(out.count - 1), points[i]) <= 0) {
      --out.count;
    }
    out.index[out.count++] = static_cast<int16_t>(i);
  }
  // A part that only falls can't be worth bidding for: no rule would sell it at a reserve.
  while (out.count >= 2 &&
         out.At(out.count - 1).value_microcredits <= out.At(out.count - 2).value_microcredits) {
    --out.count;
  }
}

// Leaves out corners until `segments_max` straight parts remain: each time the first one among
// those that change the curve least, by the area of the triangle that goes.
void Simplify(int segments_max, Outline& outline) {
  while (outline.count - 1 > segments_max) {
    int best = 0;
    Wide best_change = 0;
    for (int i = 1; i + 1 < outline.count; ++i) {
      Wide change = AboveChord(outline.At(i - 1), outline.At(i), outline.At(i + 1));
      if (change < 0) change = -change;
      if (best == 0 || change < best_change) {
        best_change = change;
        best = i;
      }
    }
    for (int i = best; i + 1 < outline.count; ++i) outline.index[i] = outline.index[i + 1];
    --outline.count;
  }
}

Microcredits ValueIn(const Range& r, int64_t units) {
  return r.value_at_min_microcredits + (units - r.min_units) * r.unit_price_microcredits;
}

// Appends a range, or makes the one before longer where it simply goes on. False if full.
bool Push(const Range& range, RangeList& out) {
  if (out.count > 0) {
    Range& last = out.ranges[out.count - 1];
    const bool goes_on = range.min_units <= last.max_units + 1 &&
                         ValueIn(last, last.max_units) + (range.min_units - last.max_units) *
                                                             last.unit_price_microcredits ==
                             range.value_at_min_microcredits &&
                         (range.unit_price_microcredits == last.unit_price_microcredits ||
                          range.min_units == range.max_units) &&
                         last.min_units != last.max_units;
    if (goes_on) {
      last.max_units = range.max_units;
      return true;
    }
  }
  if (out.count == kRangesMax) return false;
  out.ranges[out.count++] = range;
  return true;
}

Range Step(int64_t units, Microcredits value) { return {units, units, value, 0}; }

// No point between two corners lies below the straight line between them: to bid along the line is
// never to bid too much.
bool ChordIsSafe(const Outline& outline, int segment) {
  const CurvePoint a = outline.At(segment);
  const CurvePoint b = outline.At(segment + 1);
  for (int i = outline.index[segment] + 1; i < outline.index[segment + 1]; ++i) {
    const CurvePoint& p = outline.points[i];
    if (p.units > 0 && AboveChord(a, p, b) < 0) return false;
  }
  return true;
}

// At most one range for each straight part and one for the last corner. A range runs to the unit
// before its next corner, where exact values take over again from rounded prices.
void Emit(const Outline& outline, RangeList& out) {
  for (int i = 0; i + 1 < outline.count; ++i) {
    const CurvePoint a = outline.At(i);
    const CurvePoint b = outline.At(i + 1);
    if (ChordIsSafe(outline, i)) {
      const Microcredits price =
          FloorDivide(b.value_microcredits - a.value_microcredits, b.units - a.units);
      // 0 units are free for everybody and need no range of their own.
      const int64_t begin = a.units == 0 ? 1 : a.units;
      const Microcredits value = a.value_microcredits + (begin - a.units) * price;
      int64_t end = b.units - 1;
      if (price < 0) end = Min(end, begin + value / -price);  // Rounded down, but never below 0.
      if (begin <= end) (void)Push({begin, end, value, price}, out);
    } else if (a.units > 0) {
      (void)Push(Step(a.units, a.value_microcredits), out);
    }
    if (i + 2 == outline.count) (void)Push(Step(b.units, b.value_microcredits), out);
  }
}

// Touching ranges along the hull; rounding down each slope keeps them in order and below it.
void EmitConcave(const CurvePoint* points, int point_count, RangeList& out) {
  Outline hull;
  MakeHull(points, point_count, hull);
  Simplify(kRangesMax, hull);
  Microcredits value = 0;
  for (int i = 0; i + 1 < hull.count; ++i) {
    const CurvePoint a = hull.At(i);
    const CurvePoint b = hull.At(i + 1);
    const int64_t width = b.units - a.units;
    const Microcredits price = FloorDivide(b.value_microcredits - a.value_microcredits, width);
    if (price == 0) break;
    // Cannot fail: at most kRangesMax parts.
    (void)Push({a.units, b.units, value, price}, out);
    value += width * price;
  }
}

void KeepAll(const CurvePoint* points, int point_count, Outline& out) {
  out.points = points;
  out.count = 0;
  out.index[out.count++] = -1;
  for (int i = 0; i < point_count; ++i) {
    if (points[i].units > 0) out.index[out.count++] = static_cast<int16_t>(i);
  }
}

// Chooses, of points that rise in units and in value, those whose steps leave the largest area
// below them, and so lose least value over all quantities up to the last point, which is kept.
//
// A path from (0, 0) to the last point, whose step from i to j has the area value_i * (units_j -
// units_i): best_k(j) = max over i < j of best_(k-1)(i) + that. As values rise, the best i never
// falls when j rises (the area has Monge's property), so a level of all j costs O(n log n) (Galil
// and Park, "Dynamic programming with convexity, concavity and sparsity", 1992). Only the middle of
// each path is remembered, and the two halves are solved again (Hirschberg, 1975): 11 KB instead
// of 25, for the stacks of programs on nomhv.
class StepChooser {
 public:
  // `outline` has (0, 0) and `count` points more.
  explicit StepChooser(const Outline& outline) : outline_(outline) {
    // So that areas fit in 64 bits; what is lost is less than 2^-36 of the largest value.
    const CurvePoint last = outline.At(outline.count - 1);
    int bits = 0;
    for (int64_t v = last.value_microcredits; v > 0; v >>= 1) ++bits;
    for (int64_t u = last.units; u > 0; u >>= 1) ++bits;
    if (bits > 62) shift_ = bits - 62;
  }

  // The places of `steps` points in the outline, the last one's included. Requires 1 <= steps <
  // outline.count.
  void Choose(int steps, int16_t* chosen) {
    chosen[steps - 1] = static_cast<int16_t>(outline_.count - 1);
    Between(0, outline_.count - 1, steps, chosen);
  }

 private:
  // Sets chosen[0] to chosen[steps - 2]: what lies on the best path of so many steps.
  void Between(int from, int to, int steps, int16_t* chosen) {
    if (steps == 1) return;
    const int half = steps / 2;
    int64_t* before = areas_[0];
    int64_t* now = areas_[1];
    int16_t* middle_before = middles_[0];
    int16_t* middle_now = middles_[1];
    for (int j = from; j <= to; ++j) before[j] = Area(from, j);
    for (int j = from; j <= to; ++j) middle_before[j] = static_cast<int16_t>(j);
    for (int step = 2; step <= steps; ++step) {
      Level(from + step, to, from + step - 1, to - 1, before, now, middle_before, middle_now,
            step > half);
      Swap(before, now);
      Swap(middle_before, middle_now);
    }
    const int middle = middle_before[to];
    chosen[half - 1] = static_cast<int16_t>(middle);
    Between(from, middle, half, chosen);
    Between(middle, to, steps - half, chosen + half);
  }

  // One step more to each place from `low` to `high`, the place before it being one from `least` to
  // `most`.
  void Level(int low, int high, int least, int most, const int64_t* before, int64_t* now,
             const int16_t* middle_before, int16_t* middle_now, bool beyond_middle) const {
    if (low > high) return;
    const int j = low + (high - low) / 2;
    int best = least;
    int64_t best_area = -1;
    for (int i = least; i <= most && i < j; ++i) {
      const int64_t area = before[i] + Area(i, j);
      if (area <= best_area) continue;
      best_area = area;
      best = i;
    }
    now[j] = best_area;
    middle_now[j] = beyond_middle ? middle_before[best] : static_cast<int16_t>(j);
    Level(low, j - 1, least, best, before, now, middle_before, middle_now, beyond_middle);
    Level(j + 1, high, best, most, before, now, middle_before, middle_now, beyond_middle);
  }

  int64_t Area(int i, int j) const {
    const CurvePoint a = outline_.At(i);
    return (a.value_microcredits >> shift_) * (outline_.At(j).units - a.units);
  }

  template <typename T>
  static void Swap(T*& a, T*& b) {
    T* const c = a;
    a = b;
    b = c;
  }

  const Outline& outline_;
  int shift_ = 0;
  int64_t areas_[2][kCurvePointsMax + 1];
  int16_t middles_[2][kCurvePointsMax + 1];
};

// Leaves out the points that another one beats: no fewer units, and worth no less.
void KeepRising(Outline& outline) {
  int kept = 1;
  for (int i = 1; i < outline.count; ++i) {
    if (outline.At(i).value_microcredits <= outline.At(kept - 1).value_microcredits) continue;
    outline.index[kept++] = outline.index[i];
  }
  outline.count = kept;
}

void KeepBestSteps(int steps_max, Outline& outline) {
  if (outline.count - 1 <= steps_max) return;
  KeepRising(outline);
  if (outline.count - 1 <= steps_max) return;
  int16_t chosen[kRangesMax];
  StepChooser(outline).Choose(steps_max, chosen);
  for (int i = 0; i < steps_max; ++i) outline.index[i + 1] = outline.index[chosen[i]];
  outline.count = steps_max + 1;
}

}  // namespace

const char* CurveErrorName(CurveError error) {
  switch (error) {
    case CurveError::kOk:
      return "ok";
    case CurveError::kTooManyPoints:
      return "too many points";
    case CurveError::kUnitsNotRising:
      return "units do not rise from (0, 0)";
    case CurveError::kUnitsOutOfRange:
      return "units out of range";
    case CurveError::kValueOutOfRange:
      return "value out of range";
  }
  return "unknown";
}

CurveError ConcaveRanges(const CurvePoint* points, int point_count, RangeList& out) {
  out = RangeList{};
  if (CurveError e = Check(points, point_count); e != CurveError::kOk) return e;
  EmitConcave(points, point_count, out);
  return CurveError::kOk;
}

CurveError GapRanges(const CurvePoint* points, int point_count, RangeList& out) {
  out = RangeList{};
  if (CurveError e = Check(points, point_count); e != CurveError::kOk) return e;
  Outline hull;
  MakeHull(points, point_count, hull);
  Simplify(kRangesMax - 1, hull);
  Emit(hull, out);
  return CurveError::kOk;
}

CurveError ExactRanges(const CurvePoint* points, int point_count, RangeList& out) {
  out = RangeList{};
  if (CurveError e = Check(points, point_count); e != CurveError::kOk) return e;
  Outline outline;
  KeepAll(points, point_count, outline);
  Simplify(kRangesMax - 1, outline);
  Emit(outline, out);
  return CurveError::kOk;
}

CurveError StepRanges(const CurvePoint* points, int point_count, RangeList& out) {
  out = RangeList{};
  if (CurveError e = Check(points, point_count); e != CurveError::kOk) return e;
  Outline outline;
  KeepAll(points, point_count, outline);
  KeepBestSteps(kRangesMax, outline);
  for (int i = 1; i < outline.count; ++i) {
    const CurvePoint p = outline.At(i);
    (void)Push(Step(p.units, p.value_microcredits), out);
  }
  return CurveError::kOk;
}

RangeList FlatOffer(int64_t min_units, int64_t max_units, Microcredits unit_price_microcredits) {
  RangeList out;
  if (max_units < 1 || max_units < min_units || unit_price_microcredits < 1) return out;
  const int64_t price = Min(unit_price_microcredits, kValueMaxMicrocredits);
  const int64_t begin = Max(1, min_units);
  const int64_t end = Min(Min(max_units, kUnitsMax), kValueMaxMicrocredits / price);
  if (begin > end) return out;
  out.ranges[0] = {begin, end, begin * price, price};
  out.count = 1;
  return out;
}

RangeList StepOffer(int64_t units, Microcredits value_microcredits) {
  RangeList out;
  if (units < 1 || units > kUnitsMax || value_microcredits < 1) return out;
  out.ranges[0] = Step(units, Min(value_microcredits, kValueMaxMicrocredits));
  out.count = 1;
  return out;
}

bool ValueAt(const RangeList& bid, int64_t units, Microcredits& value_microcredits) {
  value_microcredits = 0;
  if (units == 0) return true;
  for (int i = 0; i < bid.count; ++i) {
    const Range& r = bid.ranges[i];
    if (units >= r.min_units && units <= r.max_units) {
      value_microcredits = ValueIn(r, units);
      return true;
    }
  }
  return false;
}

int64_t BestUnitsAt(const RangeList& bid, Microcredits unit_price_microcredits) {
  int64_t best_units = 0;
  Wide best = 0;
  for (int i = 0; i < bid.count; ++i) {
    const Range& r = bid.ranges[i];
    // The surplus is a straight line on a range, so one of its ends is best.
    for (int end = 0; end < 2; ++end) {
      const int64_t units = end == 0 ? r.min_units : r.max_units;
      const Wide surplus = ValueIn(r, units) - Wide{units} * unit_price_microcredits;
      if (surplus > best) {
        best = surplus;
        best_units = units;
      }
    }
  }
  return best_units;
}

namespace {

RangeList CapToBudget(const RangeList& bid, Microcredits budget) {
  RangeList out;
  if (budget <= 0) return out;
  for (int i = 0; i < bid.count; ++i) {
    const Range& r = bid.ranges[i];
    if (r.value_at_min_microcredits >= budget) {
      (void)Push(Step(r.min_units, budget), out);
      return out;
    }
    if (r.min_units == r.max_units || r.unit_price_microcredits <= 0 ||
        ValueIn(r, r.max_units) < budget) {
      (void)Push(r, out);
      continue;
    }
    // The first quantity here that is worth the budget.
    const int64_t below = budget - 1 - r.value_at_min_microcredits;
    const int64_t last_below = r.min_units + below / r.unit_price_microcredits;
    Range part = {r.min_units, last_below, r.value_at_min_microcredits, r.unit_price_microcredits};
    if (out.count + 2 > kRangesMax) {
      // No room for the step: one range below both, if it reaches further.
      const int64_t width = last_below + 1 - r.min_units;
      const Microcredits price = (budget - r.value_at_min_microcredits) / width;
      if (r.value_at_min_microcredits + width * price >= ValueIn(part, last_below)) {
        part.max_units = last_below + 1;
        part.unit_price_microcredits = price;
      }
      (void)Push(part, out);
      return out;
    }
    (void)Push(part, out);
    (void)Push(Step(last_below + 1, budget), out);
    return out;
  }
  return out;
}

// The lower of a range and ceiling * q, as one or two ranges. Returns how many.
int CutRange(const Range& r, Microcredits ceiling, Range* pieces) {
  const Microcredits slope = r.min_units == r.max_units ? 0 : r.unit_price_microcredits;
  const Wide over_at_min = r.value_at_min_microcredits - Wide{r.min_units} * ceiling;
  const Wide over_at_max = ValueIn(r, r.max_units) - Wide{r.max_units} * ceiling;
  if (over_at_min <= 0 && over_at_max <= 0) {
    pieces[0] = r;
    return 1;
  }
  // At most value(q) somewhere on the range, so ceiling * q fits there; `over` fits too.
  int64_t capped_begin = r.min_units;
  int64_t capped_end = r.max_units;
  if (over_at_min > 0 && over_at_max <= 0) {  // slope < ceiling
    const int64_t over = static_cast<int64_t>(over_at_min);
    capped_end = r.min_units + over / (ceiling - slope);
  } else if (over_at_min <= 0) {  // slope > ceiling
    const int64_t under = static_cast<int64_t>(-over_at_min);
    if (under > 0) capped_begin = r.min_units + under / (slope - ceiling) + 1;
  }
  int count = 0;
  if (capped_begin > r.min_units) {
    pieces[count++] = {r.min_units, capped_begin - 1, r.value_at_min_microcredits, slope};
  }
  pieces[count++] = {capped_begin, capped_end, capped_begin * ceiling, ceiling};
  if (capped_end < r.max_units) {
    pieces[count++] = {capped_end + 1, r.max_units, ValueIn(r, capped_end + 1), slope};
  }
  return count;
}

RangeList CapToCeiling(const RangeList& bid, Microcredits ceiling) {
  RangeList out;
  if (ceiling < 1) return out;
  // By so much ranges that touch are lower than they might be, so that they touch still.
  Microcredits lower = 0;
  for (int i = 0; i < bid.count; ++i) {
    const Range& r = bid.ranges[i];
    if (i == 0 || bid.ranges[i - 1].max_units < r.min_units) lower = 0;
    Range pieces[2];
    int count = CutRange(r, ceiling, pieces);
    const Microcredits lower_at_min = lower;
    if (count == 2 && out.count + 2 + bid.count - 1 - i > kRangesMax) {
      // No room for both: the straight line between their ends, which lies below them.
      const Microcredits begin = pieces[0].value_at_min_microcredits;
      const Microcredits end = ValueIn(pieces[1], r.max_units);
      const int64_t width = r.max_units - r.min_units;
      const Microcredits price = FloorDivide(end - begin, width);
      pieces[0] = {r.min_units, r.max_units, begin, price};
      count = 1;
      lower += end - begin - width * price;
    }
    for (int k = 0; k < count; ++k) {
      Range& piece = pieces[k];
      piece.value_at_min_microcredits -= lower_at_min;
      if (piece.value_at_min_microcredits < 0) continue;
      const Microcredits price = piece.unit_price_microcredits;
      if (price < 0 && piece.min_units < piece.max_units) {
        piece.max_units =
            Min(piece.max_units, piece.min_units + piece.value_at_min_microcredits / -price);
      }
      (void)Push(piece, out);
    }
  }
  return out;
}

// A curve with two caps on it, at whole quantities, rounded down.
class CappedCurve {
 public:
  CappedCurve(const CurvePoint* points, int point_count, const BidCaps& caps)
      : points_(points), count_(point_count), caps_(caps) {}

  // The straight parts between points, the first of them from (0, 0). `visit` is given the ends.
  template <typename Visit>
  void ForEachPart(const Visit& visit) const {
    CurvePoint a{};
    for (int i = 0; i < count_; ++i) {
      const CurvePoint b = points_[i];
      if (b.units == 0) continue;
      if (!visit(a, b)) return;
      a = b;
    }
  }

  // The first quantity at which the curve and the ceiling both reach the budget; 0: none.
  int64_t UnitsAtBudget() const {
    const Microcredits ceiling = caps_.ceiling_unit_price_microcredits;
    const int64_t least = (caps_.budget_microcredits - 1) / ceiling + 1;
    int64_t found = 0;
    ForEachPart([&](const CurvePoint& a, const CurvePoint& b) {
      // Where a part reaches the budget it does so from one place to its end, or falls below it
      // again: by halves for the one, by its beginning for the other.
      const int64_t begin = Max(Max(a.units, 1), least);
      if (begin > b.units) return true;
      if (curve::Between(a, b, begin) >= caps_.budget_microcredits) {
        found = begin;
      } else if (b.value_microcredits >= caps_.budget_microcredits) {
        int64_t below = begin;
        found = b.units;
        while (below + 1 < found) {
          const int64_t middle = below + (found - below) / 2;
          (curve::Between(a, b, middle) >= caps_.budget_microcredits ? found : below) = middle;
        }
      }
      return found == 0;
    });
    return found;
  }

  // The last quantity up to `end` at which the curve reaches the ceiling; 0: none.
  int64_t LastUnitsAtCeiling(int64_t end) const {
    const Microcredits ceiling = caps_.ceiling_unit_price_microcredits;
    const auto reaches = [&](const CurvePoint& a, const CurvePoint& b, int64_t units) {
      return curve::Between(a, b, units) >= Wide{units} * ceiling;
    };
    int64_t last = 0;
    ForEachPart([&](const CurvePoint& a, const CurvePoint& b) {
      const int64_t begin = Max(a.units, 1);
      int64_t below = Min(b.units, end);
      if (begin > below) return false;
      if (reaches(a, b, below)) {
        last = below;
      } else if (reaches(a, b, begin)) {
        last = begin;
        while (last + 1 < below) {
          const int64_t middle = last + (below - last) / 2;
          (reaches(a, b, middle) ? last : below) = middle;
        }
      }
      return true;
    });
    return last;
  }

  Microcredits At(int64_t units) const {
    Microcredits value = 0;
    ForEachPart([&](const CurvePoint& a, const CurvePoint& b) {
      if (units > b.units) return true;
      value = curve::Between(a, b, units);
      return false;
    });
    const Wide ceiling = Wide{units} * caps_.ceiling_unit_price_microcredits;
    return value > ceiling ? static_cast<Microcredits>(ceiling) : value;
  }

 private:
  const CurvePoint* points_;
  int count_;
  BidCaps caps_;
};

}  // namespace

RangeList Cap(const RangeList& bid, const BidCaps& caps) {
  return CapToBudget(
      CapToCeiling(bid, Min(caps.ceiling_unit_price_microcredits, kValueMaxMicrocredits)),
      caps.budget_microcredits);
}

CurveError ConcaveRangesWithin(const CurvePoint* points, int point_count, const BidCaps& caps,
                               RangeList& out) {
  out = RangeList{};
  if (CurveError e = Check(points, point_count); e != CurveError::kOk) return e;
  if (caps.budget_microcredits <= 0 || caps.ceiling_unit_price_microcredits <= 0) {
    return CurveError::kOk;
  }
  if (point_count == 0) return CurveError::kOk;
  const CappedCurve capped(
      points, point_count,
      {caps.budget_microcredits, Min(caps.ceiling_unit_price_microcredits, kValueMaxMicrocredits)});
  // Of the smallest concave curve above the capped one only these can be corners: where the curve
  // is at the ceiling for the last time, and just after; its points from there on; and the quantity
  // at which the budget is reached, and the one before.
  const int64_t budget_units = capped.UnitsAtBudget();
  const int64_t end = budget_units > 0 ? budget_units - 1 : points[point_count - 1].units;
  const int64_t ceiling_units = capped.LastUnitsAtCeiling(end);
  CurvePoint corners[kCurvePointsMax + 3];
  int count = 0;
  const auto add = [&](int64_t units, Microcredits value) {
    if (count == 0 || units > corners[count - 1].units) corners[count++] = {units, value};
  };
  if (ceiling_units > 0) {
    add(ceiling_units, capped.At(ceiling_units));
    if (ceiling_units < end) add(ceiling_units + 1, capped.At(ceiling_units + 1));
  }
  for (int i = 0; i < point_count; ++i) {
    // Beyond the ceiling's last quantity the curve is below it.
    if (points[i].units > 0 && points[i].units <= end) {
      add(points[i].units, points[i].value_microcredits);
    }
  }
  if (budget_units > 0) {
    if (end > 0) add(end, capped.At(end));
    add(budget_units, caps.budget_microcredits);
  }
  EmitConcave(corners, count, out);
  return CurveError::kOk;
}

Microcredits WorthAt(const CurvePoint* points, int point_count, int64_t units) {
  CurvePoint a{};
  for (int i = 0; i < point_count; ++i) {
    const CurvePoint& b = points[i];
    if (b.units == 0) continue;
    if (units <= b.units) return curve::Between(a, b, units);
    a = b;
  }
  return a.value_microcredits;
}

Microcredits AboveCurve(const RangeList& bid, const CurvePoint* points, int point_count) {
  Microcredits most = 0;
  for (int i = 0; i < point_count; ++i) {
    Microcredits value = 0;
    if (!ValueAt(bid, points[i].units, value)) continue;
    most = Max(most, value - points[i].value_microcredits);
  }
  return most;
}

}  // namespace nom::policies
