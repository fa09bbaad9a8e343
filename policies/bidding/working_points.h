// SPDX-License-Identifier: Apache-2.0
// Working points: the ways in which one program can run, what each is worth and what it needs.
//
// A program knows the settings of its own knobs: how much to cache, how many threads, how far to
// degrade. Each setting is a point: the extra units of every resource it uses, and what running so
// for one round is worth (profile.h works that out from a utility and the load). When a price
// moves, BestAt says which setting now leaves the most after paying; CurveFor says what one
// resource is worth, so that it can be bid for; BestWithin says how to run on what was won.
//
//   PointBlock room[PointBlocksFor(24)];
//   WorkingPointTable table(room, PointBlocksFor(24));
//   for (...) if (table.Add({.knob = 3, .units = {40, 16}, .value_microcredits = 9'000}) != ...)
//   const int best = table.BestAt(unit_prices);
//
// No allocation, no exceptions, no floating point, no C++ library. A table belongs to one thread.

#ifndef NOM_POLICIES_BIDDING_WORKING_POINTS_H_
#define NOM_POLICIES_BIDDING_WORKING_POINTS_H_

#include "policies/bidding/curve.h"
#include "policies/bidding/point_block.h"
#include "policies/bidding/range.h"

namespace nom::policies {

inline constexpr int kWorkingPointsMax = 4096;  // In one table.

// As a unit price: the resource is not on sale, and no point that needs any of it can be had. No
// value is above the price of one such unit.
inline constexpr Microcredits kNotOnSale = kValueMaxMicrocredits;

struct WorkingPoint {
  int64_t knob = 0;                        // The program's own name for the setting.
  int64_t units[kPointResourcesMax] = {};  // Extra units of each resource, beyond the seed.
  Microcredits value_microcredits = 0;     // For one round at today's load.
};

enum class [[nodiscard]] PointError : uint8_t{
    kOk,
    kFull,             // There is no room for one more.
    kUnitsOutOfRange,  // Outside [0, kUnitsMax].
    kValueOutOfRange,  // Outside [0, kValueMaxMicrocredits].
};

class WorkingPointTable {
 public:
  // `blocks` outlive the table and are nobody else's; what is in them does not matter. Blocks
  // beyond kWorkingPointsMax points are not used.
  WorkingPointTable(PointBlock* blocks, int block_count);
  WorkingPointTable(const WorkingPointTable&) = delete;
  WorkingPointTable& operator=(const WorkingPointTable&) = delete;

  // A point that another one beats or equals (needs no more of anything, is worth no less) is not
  // kept, and points that a new one beats are dropped: what is left is the Pareto front, in the
  // order in which it was added. Adding a dominated point is therefore OK and changes nothing.
  PointError Add(const WorkingPoint& point);
  void Clear();

  int count() const { return count_; }
  int capacity() const { return capacity_; }
  WorkingPoint point(int i) const;  // 0 <= i < count()

  // The point that leaves the most after paying `unit_prices_microcredits` (kPointResourcesMax of
  // them, each in [0, kValueMaxMicrocredits] or kNotOnSale); among equals the first added. -1 if
  // none leaves more than 0: then it is best to use the seed alone.
  int BestAt(const Microcredits* unit_prices_microcredits) const;

  // The point worth most among those that need no more than `held_units` (kPointResourcesMax of
  // them) of anything; among equals the first added. -1 if none fits or none is worth more than 0.
  int BestWithin(const int64_t* held_units) const;

  // What each quantity of `resource` is worth if the rest is bought at the prices given (of that of
  // `resource` itself only whether it is on sale; no curve if not): for every quantity that some
  // point uses, the most that a point using no more of it leaves, above what points that use none
  // of it leave. Rising units and values; quantities that add nothing are left out. A step curve:
  // what lies between two points is worth what the lower one is, so bid with StepRanges. Returns
  // how many points were written to `out`, which must have room for count(): at most
  // kCurvePointsMax. Of more, those are kept, the last one among them, that lie evenly along the
  // curve: it is only lowered, and what is lost over all quantities is at most 1 % of the largest
  // one times its value.
  int CurveFor(int resource, const Microcredits* unit_prices_microcredits, CurvePoint* out) const;

 private:
  void Put(int i, const WorkingPoint& point);

  PointBlock* blocks_;
  int capacity_;
  int count_ = 0;
  int64_t units_most_[kPointResourcesMax] = {};  // No point needs more.
};

}  // namespace nom::policies

#endif  // NOM_POLICIES_BIDDING_WORKING_POINTS_H_
