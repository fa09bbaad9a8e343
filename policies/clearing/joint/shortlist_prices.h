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

// Prices, and what follows from them.
struct Pricing {
  Prices prices = {};
  Int128 bound_steps = 0;         // Proven: no allocation gains more.
  std::vector<double> best;       // By bidder: the most that an option leaves after paying.
  std::vector<uint32_t> choices;  // By bidder: such an option, the first.
  std::vector<double> reduced;    // By option: what it leaves.
};

// Prices and bound at `prices`, which must be rounded.
void PriceAt(Context& context, const Shortlist& shortlist, const Prices& prices, Pricing& out);

// The allocations that a Master has seen.
struct Columns {
  // Counted work.
  static constexpr int64_t kStepsToAdd = 100;  // A column.
  static constexpr int64_t kStepsABidder = 3;  // A bidder of a column.

  explicit Columns(Master m) : master(std::move(m)) { choices.emplace_back(); }

  void Add(const Shortlist& shortlist, const std::vector<uint32_t>& chosen);
  void Add(double gain, const UnitVector& units, std::vector<uint32_t> cells);
  // Adds those of `other`, a problem of which `shortlist` is a part, that its prices rest on or
  // that came last: each bidder's cell where the shortlist still has it, else `otherwise`. Any
  // choice of options is an allocation.
  void Inherit(Context& context, const Shortlist& shortlist, const std::vector<uint32_t>& otherwise,
               const Columns& other, const std::vector<uint32_t>& other_bidders);

  Master master;
  // By column: the cell of every bidder of the shortlist. Column 0, nobody wins, says nothing.
  std::vector<std::vector<uint32_t>> choices;
  // By column: what all gain together, and need.
  std::vector<double> gains = {0};
  std::vector<UnitVector> used = {{}};
};

// What prices are for: to show that nothing gains `target` or more. They need not be better than
// `tolerance` of what the bound is above that.
struct Goal {
  double target = 0;  // Micro-credits.
  double tolerance = 0;
};

// The prices that bound the shortlist best, nearly: from `start` on, adding to `columns`. Ends
// early when the bound is below the target.
Pricing MinimiseSmall(Context& context, const Shortlist& shortlist, const Prices& start,
                      const Goal& goal, Columns& columns);
// The same for a shortlist with many options a bidder: most of the way over those that are ever
// best. `start` is where the shortlist was priced already.
Pricing Minimise(Context& context, const Shortlist& shortlist, Pricing start, const Goal& goal,
                 Columns& columns);

}  // namespace nom::policies::joint

#endif  // NOM_POLICIES_CLEARING_JOINT_SHORTLIST_PRICES_H_
