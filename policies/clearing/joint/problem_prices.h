// SPDX-License-Identifier: Apache-2.0
// Prices of the resources that bound a whole problem best. Inside policies/clearing/joint only.

#ifndef NOM_POLICIES_CLEARING_JOINT_PROBLEM_PRICES_H_
#define NOM_POLICIES_CLEARING_JOINT_PROBLEM_PRICES_H_

#include <cstdint>
#include <vector>

#include "policies/clearing/joint/problem.h"
#include "policies/clearing/joint/shortlist_prices.h"

namespace nom::policies::joint {

// For any prices, what every bidder's best cell leaves, summed, and what the whole capacity costs
// are together a bound on what any allocation gains. The prices here are those at which that bound
// is lowest, nearly.
//
// Finding them teaches two more things that the search begins from, and that are kept: which cells
// of each list were best at some prices on the way ("ever best": few, and the optimum is mostly
// made of them), and the allocations that were seen (Columns).
class ProblemPrices {
 public:
  // From nothing. `gain_scale` > 0: about what a whole allocation gains.
  ProblemPrices(Context& context, const Problem& problem, double gain_scale);
  // From the prices of another problem, `before`, which differs from `problem` in the lists of
  // `changed` alone. `known_gain` is what some allocation of `problem` is known to gain: prices
  // need be no finer than the distance from the bound to it asks for.
  ProblemPrices(Context& context, const Problem& problem, const Problem& before,
                const ProblemPrices& other, const std::vector<size_t>& changed, int64_t known_gain);

  const Prices& prices() const { return prices_; }
  Int128 bound_steps() const { return bound_steps_; }  // Proven. In Context's steps.
  // By bidder: the most that a cell, or not winning, leaves at prices().
  const std::vector<double>& best() const { return best_; }

  // The cells that were ever best, as a shortlist, and the allocations made of them.
  Shortlist EverBest(const Problem& problem) const;
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

}  // namespace nom::policies::joint

#endif  // NOM_POLICIES_CLEARING_JOINT_PROBLEM_PRICES_H_
