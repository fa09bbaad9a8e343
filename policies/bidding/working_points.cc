// SPDX-License-Identifier: Apache-2.0
#include "policies/bidding/working_points.h"

#include "policies/bidding/sort.h"

namespace nom::policies {
namespace {

__extension__ using Wide = __int128;

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

// Keeps the last point of each 512th part of the way along the curve, a way that is as long in
// units as in value: between two points that are kept the curve then rises by no more than two
// parts in units and value together, and what lies between them is at most a 65,536th of units
// times value.
int Thin(CurvePoint* steps, int count) {
  constexpr int kWholeBits = 12;  // Values times this fit in 64 bits.
  constexpr int kPartBits = kWholeBits + 1 - 9;
  static_assert(kCurvePointsMax == 1 << 9);
  const CurvePoint last = steps[count - 1];
  const auto part = [&](const CurvePoint& step) {
    const int64_t way = (step.units << kWholeBits) / last.units +
                        (step.value_microcredits << kWholeBits) / last.value_microcredits;
    return way == 0 ? 0 : (way - 1) >> kPartBits;
  };
  int kept = 0;
  for (int i = 0; i < count; ++i) {
    if (i + 1 < count && part(steps[i]) == part(steps[i + 1])) continue;
    steps[kept++] = steps[i];
  }
  return kept;
}

}  // namespace

WorkingPointTable::WorkingPointTable(PointBlock* blocks, int block_count)
    : blocks_(blocks),
      capacity_(block_count > PointBlocksFor(kWorkingPointsMax) ? kWorkingPointsMax
                                                                : block_count * kBlockPoints) {}

void WorkingPointTable::Clear() {
  count_ = 0;
  for (int64_t& most : units_most_) most = 0;
}

WorkingPoint WorkingPointTable::point(int i) const {
  const PointBlock& block = blocks_[i / kBlockPoints];
  const int place = i % kBlockPoints;
  WorkingPoint point{.knob = block.knobs[place], .value_microcredits = block.values[place]};
  for (int r = 0; r < kPointResourcesMax; ++r) point.units[r] = block.Units(r, place);
  return point;
}

void WorkingPointTable::Put(int i, const WorkingPoint& point) {
  PointBlock& block = blocks_[i / kBlockPoints];
  const int place = i % kBlockPoints;
  block.values[place] = point.value_microcredits;
  block.knobs[place] = point.knob;
  constexpr int kWords = kBlockPoints / 2;
  for (int r = 0; r < kPointResourcesMax; ++r) {
    uint64_t& word = block.units[r][place % kWords];
    const auto units = static_cast<uint64_t>(point.units[r]);
    word =
        place < kWords ? (word & ~uint64_t{0xffffffff}) | units : (word & 0xffffffff) | units << 32;
  }
}

PointError WorkingPointTable::Add(const WorkingPoint& point) {
  if (point.value_microcredits < 0 || point.value_microcredits > kValueMaxMicrocredits) {
    return PointError::kValueOutOfRange;
  }
  for (int r = 0; r < kPointResourcesMax; ++r) {
    if (point.units[r] < 0 || point.units[r] > kUnitsMax) return PointError::kUnitsOutOfRange;
  }
  // The front has no two points of which one beats the other: if one beats the new point, then the
  // new point beats none, and nothing has moved yet.
  int kept = 0;
  for (int i = 0; i < count_; ++i) {
    const WorkingPoint other = this->point(i);
    if (Beats(other, point)) return PointError::kOk;
    if (Beats(point, other)) continue;
    if (kept != i) Put(kept, other);
    ++kept;
  }
  // If it beats any, there is room; if the table is full, it beat none and nothing has moved.
  if (kept == capacity_) return PointError::kFull;
  Put(kept, point);
  count_ = kept + 1;
  // What is left of the last block must not win.
  constexpr WorkingPoint kNone{.value_microcredits = -1};
  for (int i = count_; i % kBlockPoints != 0; ++i) Put(i, kNone);
  for (int r = 0; r < kPointResourcesMax; ++r) {
    if (point.units[r] > units_most_[r]) units_most_[r] = point.units[r];
  }
  return PointError::kOk;
}

int WorkingPointTable::BestAt(const Microcredits* unit_prices_microcredits) const {
  PricedResource priced[kPointResourcesMax];
  int priced_count = 0;
  Wide most = 0;
  for (int r = 0; r < kPointResourcesMax; ++r) {
    const Wide bill = Wide{units_most_[r]} * unit_prices_microcredits[r];
    if (bill == 0) continue;
    most += bill;
    priced[priced_count++] = {r, unit_prices_microcredits[r]};
  }
  if (most <= kBillMax) {
    return BestPlace(blocks_, PointBlocksFor(count_), priced, priced_count);
  }
  // At such prices 64 bits do not do.
  int best = -1;
  Wide best_surplus = 0;
  for (int i = 0; i < count_; ++i) {
    const Wide surplus = Surplus(point(i), unit_prices_microcredits, -1);
    if (surplus > best_surplus) {
      best_surplus = surplus;
      best = i;
    }
  }
  return best;
}

int WorkingPointTable::BestWithin(const int64_t* held_units) const {
  int best = -1;
  Microcredits best_value = 0;
  for (int i = 0; i < count_; ++i) {
    const WorkingPoint candidate = point(i);
    bool fits = candidate.value_microcredits > best_value;
    for (int r = 0; r < kPointResourcesMax; ++r) fits &= candidate.units[r] <= held_units[r];
    if (!fits) continue;
    best_value = candidate.value_microcredits;
    best = i;
  }
  return best;
}

int WorkingPointTable::CurveFor(int resource, const Microcredits* unit_prices_microcredits,
                                CurvePoint* out) const {
  if (unit_prices_microcredits[resource] >= kNotOnSale) return 0;
  // What is left with none of the resource; only what is above it is worth paying for.
  Microcredits best = 0;
  int count = 0;
  for (int i = 0; i < count_; ++i) {
    const WorkingPoint candidate = point(i);
    const Wide wide = Surplus(candidate, unit_prices_microcredits, resource);
    if (wide <= 0) continue;
    const auto surplus = static_cast<Microcredits>(wide);
    if (candidate.units[resource] > 0) {
      out[count++] = {candidate.units[resource], surplus};
    } else if (surplus > best) {
      best = surplus;
    }
  }
  Sort(out, count, [](const CurvePoint& a, const CurvePoint& b) {
    return a.units != b.units ? a.units < b.units : a.value_microcredits > b.value_microcredits;
  });
  const Microcredits with_none = best;
  int steps = 0;
  for (int i = 0; i < count; ++i) {
    if (out[i].value_microcredits <= best) continue;
    best = out[i].value_microcredits;
    out[steps++] = {out[i].units, best - with_none};
  }
  return steps <= kCurvePointsMax ? steps : Thin(out, steps);
}

}  // namespace nom::policies
