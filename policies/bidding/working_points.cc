#include "policies/bidding/working_points.h"

namespace nom::policies {
namespace {

using Wide = __int128;

// No more of anything, and worth no less.
bool Beats(const WorkingPoint& a, const WorkingPoint& b) {
  if (a.value_microcredits < b.value_microcredits) return false;
  for (int r = 0; r < kPointResourcesMax; ++r) {
    if (a.units[r] > b.units[r]) return false;
  }
  return true;
}

// `without` is left out of the bill; -1 leaves out nothing.
Wide Surplus(const WorkingPoint& point, const Microcredits* prices, int without) {
  Wide surplus = point.value_microcredits;
  for (int r = 0; r < kPointResourcesMax; ++r) {
    if (r != without) surplus -= Wide{point.units[r]} * prices[r];
  }
  return surplus;
}

}  // namespace

PointError WorkingPointTable::Add(const WorkingPoint& point) {
  if (point.value_microcredits < 0 || point.value_microcredits > kValueMaxMicrocredits) {
    return PointError::kValueOutOfRange;
  }
  for (int r = 0; r < kPointResourcesMax; ++r) {
    if (point.units[r] < 0 || point.units[r] > kUnitsMax) return PointError::kUnitsOutOfRange;
  }
  for (int i = 0; i < count_; ++i) {
    if (Beats(points_[i], point)) return PointError::kOk;
  }
  int kept = 0;
  for (int i = 0; i < count_; ++i) {
    if (!Beats(point, points_[i])) points_[kept++] = points_[i];
  }
  // If it beats any, there is room; if the table is full, it beat none and nothing has moved.
  if (kept == kWorkingPointsMax) return PointError::kFull;
  points_[kept] = point;
  count_ = kept + 1;
  return PointError::kOk;
}

int WorkingPointTable::BestAt(const Microcredits* unit_prices_microcredits) const {
  int best = -1;
  Wide best_surplus = 0;
  for (int i = 0; i < count_; ++i) {
    const Wide surplus = Surplus(points_[i], unit_prices_microcredits, -1);
    if (surplus > best_surplus) {
      best_surplus = surplus;
      best = i;
    }
  }
  return best;
}

int WorkingPointTable::CurveFor(int resource, const Microcredits* unit_prices_microcredits,
                                CurvePoint* out) const {
  int count = 0;
  int64_t above_units = -1;
  Wide best_so_far = 0;
  Wide with_none =
      0;  // What is left with none of the resource; only what is above it is worth paying.
  for (;;) {
    // The next quantity that some point uses, and the most that a point leaves with it.
    int64_t units = -1;
    for (int i = 0; i < count_; ++i) {
      const int64_t u = points_[i].units[resource];
      if (u > above_units && (units < 0 || u < units)) units = u;
    }
    if (units < 0) return count;
    above_units = units;
    Wide best = best_so_far;
    for (int i = 0; i < count_; ++i) {
      if (points_[i].units[resource] != units) continue;
      const Wide surplus = Surplus(points_[i], unit_prices_microcredits, resource);
      if (surplus > best) best = surplus;
    }
    if (best == best_so_far) continue;
    best_so_far = best;
    if (units == 0) {
      with_none = best;
    } else {
      out[count++] = {units, static_cast<Microcredits>(best - with_none)};
    }
  }
}

}  // namespace nom::policies
