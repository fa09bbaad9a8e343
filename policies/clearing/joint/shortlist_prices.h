// SPDX-License-Identifier: Apache-2.0
// Prices of the resources that bound a shortlist best. Inside policies/clearing/joint only.

#ifndef NOM_POLICIES_CLEARING_JOINT_SHORTLIST_PRICES_H_
#define NOM_POLICIES_CLEARING_JOINT_SHORTLIST_PRICES_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "policies/clearing/joint/context.h"
#include "policies/clearing/joint/master.h"
#include "policies/clearing/joint/shortlist.h"

namespace nom::policies::joint {

// Prices of the resources, and the bound that follows from them: what the best option of every
// bidder leaves after paying, summed, plus the price of the whole capacity.
struct Pricing {
  Prices prices = {};
  Int128 bound_steps = 0;         // Proven: no allocation gains more. In Context's steps.
  std::vector<double> best;       // By bidder: the most that one of its options leaves.
  std::vector<uint32_t> choices;  // By bidder: the first option that leaves as much.
  std::vector<double> reduced;    // By option: what it leaves, gain - prices * units.
};

// Prices and bound at `prices`, which must be rounded.
void PriceAt(Context& context, const Shortlist& shortlist, const Prices& prices, Pricing& out);

// The allocations that prices were made from: the columns of the linear program (Master), and what
// every bidder takes in each. They may need more than the capacity; the program mixes them.
struct Columns {
  // Counted work.
  static constexpr int64_t kStepsToAdd = 100;  // A column.
  static constexpr int64_t kStepsABidder = 3;  // A bidder of a column.

  explicit Columns(Master m) : master(std::move(m)) { choices.emplace_back(); }

  void Add(const Shortlist& shortlist, const std::vector<uint32_t>& chosen);
  void Add(double gain, const UnitVector& units, std::vector<uint32_t> cells);
  // Prices of a part begin from those of the whole. Adds those columns of `other` that matter, on
  // which its prices rest or that came last, as columns of `shortlist`, which has a part of its
  // bidders (`other_bidders`, in the same order) and options: each bidder takes the same cell, or
  // where that was dropped the option `otherwise`. Any choice of options is a column.
  void Inherit(Context& context, const Shortlist& shortlist, const std::vector<uint32_t>& otherwise,
               const Columns& other, const std::vector<uint32_t>& other_bidders);

  Master master;
  // By column: the cell of every bidder of the shortlist. Column 0, nobody wins, says nothing.
  std::vector<std::vector<uint32_t>> choices;
  // By column: what all gain together, and need.
  std::vector<double> gains = {0};
  std::vector<UnitVector> used = {{}};
};

// When prices are good enough: as soon as their bound is below `target`, which is what an
// allocation must gain to be of interest; or when better prices could only lower the bound by
// `tolerance` (a part of 1) of its distance from the target, or less. Zeros ask for the best prices
// there are.
struct Goal {
  double target = 0;  // Micro-credits.
  double tolerance = 0;
};

// Prices with nearly the lowest bound, from `start` on. Prices the whole shortlist each time: for
// shortlists of few options. The allocations seen are added to `columns`.
Pricing MinimiseSmall(Context& context, const Shortlist& shortlist, const Prices& start,
                      const Goal& goal, Columns& columns);
// The same where there are many options a bidder: most of the way over those alone that were ever a
// bidder's best, now and then over all. `start` is what PriceAt said of `shortlist`.
Pricing Minimise(Context& context, const Shortlist& shortlist, Pricing start, const Goal& goal,
                 Columns& columns);

}  // namespace nom::policies::joint

#endif  // NOM_POLICIES_CLEARING_JOINT_SHORTLIST_PRICES_H_
