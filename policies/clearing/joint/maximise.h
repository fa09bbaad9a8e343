// The whole of one joint problem: prices over all cells, and the best allocation with its proof.
// Inside policies/clearing/joint only.

#ifndef NOM_POLICIES_CLEARING_JOINT_MAXIMISE_H_
#define NOM_POLICIES_CLEARING_JOINT_MAXIMISE_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "policies/clearing/joint/core.h"

namespace nom::policies::joint {

// A problem is a list of cells for every bidder. Lists are shared: a problem without a bidder, or
// with one restricted, differs from another in one pointer.
struct Problem {
  UnitVector capacity_units = {};
  std::vector<std::shared_ptr<const CellList>> lists;
};

// Prices of a problem, and what finding them has taught: which cells of each list were ever a best
// one, and the allocations made of these. Begins anew where it is made for the first problem, and
// goes on from another's where only one list has changed.
class ProblemPrices {
 public:
  ProblemPrices(Context& context, const Problem& problem, double gain_scale);
  // `problem` differs from `before`, that of `other`, in the list of `changed`. `known_gain` is
  // what an allocation is known to gain: the closer to the bound, the finer must prices be.
  ProblemPrices(Context& context, const Problem& problem, const Problem& before,
                const ProblemPrices& other, size_t changed, int64_t known_gain);

  const Prices& prices() const { return prices_; }
  Int128 bound_steps() const { return bound_steps_; }        // Proven.
  const std::vector<double>& best() const { return best_; }  // By bidder; see Pricing.
  // What an allocation gains that fits, made of cells that were best once; below 0 if none was
  // found. `choices` becomes (bidder, cell), kLost among the cells.
  int64_t Repair(const Problem& problem, std::vector<std::pair<uint32_t, uint32_t>>& choices) const;

  // The cells that were ever best, as a core, and the allocations made of them.
  Core EverBest(const Problem& problem) const;
  const Columns& columns() const { return columns_; }

 private:
  void Minimise(Context& context, const Problem& problem, const Goal& goal);

  double gain_scale_;
  Prices prices_ = {};
  Int128 bound_steps_ = 0;
  std::vector<double> best_;
  std::vector<std::vector<uint32_t>> ever_best_;  // By bidder.
  Columns columns_;
};

struct Maximum {
  int64_t gain = 0;        // Of the best allocation found, or known beforehand.
  int64_t gain_bound = 0;  // Proven: no allocation gains more. Equal unless work ran out.
  // What every bidder wins that gains `gain`; nothing if it was known beforehand or was not asked
  // for.
  std::vector<Units> awards;
};

// The most that an allocation of the problem gains. `known_gain`: what one is known to gain.
Maximum Maximise(Context& context, const Problem& problem, const ProblemPrices& prices,
                 int64_t known_gain, bool with_choices);

}  // namespace nom::policies::joint

#endif  // NOM_POLICIES_CLEARING_JOINT_MAXIMISE_H_
