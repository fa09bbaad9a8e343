// Working points: the ways in which one program can run, what each is worth and what it needs.
//
// A program knows the settings of its own knobs: how much to cache, how many threads, how far to
// degrade. Each setting is a point: the extra units of every resource it uses, and what running so
// for one round is worth. When a price or the load moves, BestAt says which setting now leaves the
// most after paying; CurveFor says what one resource is worth, so that it can be bid for.
//
// No allocation, no exceptions, no floating point, no C++ library. A table belongs to one thread.

#ifndef NOM_POLICIES_BIDDING_WORKING_POINTS_H_
#define NOM_POLICIES_BIDDING_WORKING_POINTS_H_

#include "policies/bidding/curve.h"
#include "policies/bidding/range.h"

namespace nom::policies {

// Resources in whatever order the program likes, the same everywhere in one table.
inline constexpr int kPointResourcesMax = 6;
inline constexpr int kWorkingPointsMax = 64;

struct WorkingPoint {
  int64_t knob = 0;                        // The program's own name for the setting.
  int64_t units[kPointResourcesMax] = {};  // Extra units of each resource, beyond the seed.
  Microcredits value_microcredits = 0;     // For one round at today's load.
};

enum class [[nodiscard]] PointError : uint8_t{
    kOk,
    kFull,             // kWorkingPointsMax points are in the table.
    kUnitsOutOfRange,  // Outside [0, kUnitsMax].
    kValueOutOfRange,  // Outside [0, kValueMaxMicrocredits].
};

class WorkingPointTable {
 public:
  // A point that another one beats or equals (needs no more of anything, is worth no less) is not
  // kept, and points that a new one beats are dropped: what is left is the Pareto front. Adding a
  // dominated point is therefore OK and changes nothing.
  PointError Add(const WorkingPoint& point);
  void Clear() { count_ = 0; }

  int count() const { return count_; }
  const WorkingPoint& point(int i) const { return points_[i]; }  // 0 <= i < count()

  // The point that leaves the most after paying `unit_prices_microcredits` (kPointResourcesMax of
  // them, each in [0, kValueMaxMicrocredits]); among equals the first added. -1 if none leaves
  // more than 0: then it is best to use the seed alone.
  int BestAt(const Microcredits* unit_prices_microcredits) const;

  // What each quantity of `resource` is worth if the rest is bought at the prices given (that of
  // `resource` itself is not looked at): for every quantity that some point uses, the most that a
  // point using no more of it leaves, above what points that use none of it leave. Rising units and
  // values; quantities that add nothing are left out. A step curve: what lies between two points is
  // worth what the lower one is, so bid with StepRanges. Returns how many points were written to
  // `out`, which must have room for kWorkingPointsMax.
  int CurveFor(int resource, const Microcredits* unit_prices_microcredits, CurvePoint* out) const;

 private:
  WorkingPoint points_[kWorkingPointsMax] = {};
  int count_ = 0;
};

}  // namespace nom::policies

#endif  // NOM_POLICIES_BIDDING_WORKING_POINTS_H_
