// SPDX-License-Identifier: Apache-2.0
// Does a utility behave as anybody would who pays for a service? More throughput is never worse;
// a higher price, latency or jitter is never better. The adviser relies on it, and so does whoever
// drops a working point because another is better in all respects.
//
//   AxiomViolation v = FindAxiomViolation(grid, [&](const Performance& p, Microcredits price) {
//     return ProfitPerSecond(utility, p, price);
//   });
//   if (v.axiom != Axiom::kNone) ...
//
// Whatever the utility returns must be comparable; where it is floating point, NaN violates.
// No allocation, no floating point of its own, no C++ library. Thread-safe if the utility is.

#ifndef NOM_POLICIES_BIDDING_AXIOMS_H_
#define NOM_POLICIES_BIDDING_AXIOMS_H_

#include "policies/bidding/range.h"
#include "policies/bidding/utility.h"

namespace nom::policies {

// The numbers to be tried on one axis, rising: then violations between neighbours are all there
// are. A grid has an evaluation for each combination, and one for each neighbour.
struct GridAxis {
  const int64_t* numbers = nullptr;
  int count = 0;
};

struct UtilityGrid {
  GridAxis throughputs_kbps;
  GridAxis prices_microcredits;
  GridAxis latencies_ns;
  GridAxis jitters_ns;
};

enum class Axiom : uint8_t {
  kNone,                 // All hold.
  kRisesWithThroughput,  // Weakly; the others fall, weakly.
  kFallsWithPrice,
  kFallsWithLatency,
  kFallsWithJitter,
};

// For messages; never null.
constexpr const char* AxiomName(Axiom axiom) {
  switch (axiom) {
    case Axiom::kNone:
      return "none";
    case Axiom::kRisesWithThroughput:
      return "weakly rising in throughput";
    case Axiom::kFallsWithPrice:
      return "weakly falling in price";
    case Axiom::kFallsWithLatency:
      return "weakly falling in latency";
    case Axiom::kFallsWithJitter:
      return "weakly falling in jitter";
  }
  return "unknown";
}

// Two neighbours of the grid that differ in one number, which is larger in the second.
template <typename Value>
struct AxiomViolation {
  Axiom axiom = Axiom::kNone;
  Performance first;
  Performance second;
  Microcredits first_price_microcredits = 0;
  Microcredits second_price_microcredits = 0;
  Value first_utility = {};
  Value second_utility = {};
};

// The first violation, in the order of the axes in UtilityGrid, the last one fastest. An empty axis
// leaves nothing to try. `utility(performance, price)` is called with the grid's numbers alone.
template <typename Function>
auto FindAxiomViolation(const UtilityGrid& grid, const Function& utility) {
  using Value = decltype(utility(Performance{}, Microcredits{}));
  AxiomViolation<Value> found;
  const GridAxis axes[] = {grid.throughputs_kbps, grid.prices_microcredits, grid.latencies_ns,
                           grid.jitters_ns};
  constexpr Axiom kAxioms[] = {Axiom::kRisesWithThroughput, Axiom::kFallsWithPrice,
                               Axiom::kFallsWithLatency, Axiom::kFallsWithJitter};
  constexpr int kAxes = 4;
  for (const GridAxis& axis : axes) {
    if (axis.count <= 0) return found;
  }
  const auto performance = [&](const int* at) {
    return Performance{axes[0].numbers[at[0]], axes[2].numbers[at[2]], axes[3].numbers[at[3]]};
  };
  int at[kAxes] = {};
  for (;;) {
    const Performance first = performance(at);
    const Microcredits first_price = axes[1].numbers[at[1]];
    const Value first_utility = utility(first, first_price);
    for (int axis = 0; axis < kAxes; ++axis) {
      if (at[axis] + 1 == axes[axis].count) continue;
      ++at[axis];
      const Performance second = performance(at);
      const Microcredits second_price = axes[1].numbers[at[1]];
      --at[axis];
      const Value second_utility = utility(second, second_price);
      const bool holds =
          axis == 0 ? second_utility >= first_utility : second_utility <= first_utility;
      if (holds) continue;
      found = {kAxioms[axis], first,         second,        first_price,
               second_price,  first_utility, second_utility};
      return found;
    }
    int axis = kAxes - 1;
    while (axis >= 0 && ++at[axis] == axes[axis].count) at[axis--] = 0;
    if (axis < 0) return found;
  }
}

}  // namespace nom::policies

#endif  // NOM_POLICIES_BIDDING_AXIOMS_H_
