// A small joint problem in one piece of memory, and the prices that bound it best. Inside
// policies/clearing/joint only.

#ifndef NOM_POLICIES_CLEARING_JOINT_CORE_H_
#define NOM_POLICIES_CLEARING_JOINT_CORE_H_

#include <cstdint>
#include <vector>

#include "policies/clearing/int128.h"
#include "policies/clearing/joint/cells.h"
#include "policies/clearing/joint/master.h"

namespace nom::policies::joint {

inline constexpr uint32_t kLost = ~uint32_t{0};  // The cell of a bid that wins nothing.

// What all parts of one clearing share: the budget of work and the grid on which prices lie.
//
// Prices are whole multiples of `step`, a power of two, so small that no sum of gains and prices
// loses a bit in a double; bounds are then exact in steps. Where the money is too much for that,
// bounds are raised, and cells kept, by what rounding can have taken.
struct Context {
  int resource_count = 1;
  double step = 1;
  double steps_a_unit = 1;   // 1 / step.
  Prices prices_max = {};    // No resource is worth more: all gains together for all of it.
  double rounding = 0;       // Of one bid, at most; 0 where all is exact.
  bool is_exact_sum = true;  // All gains together are below 2^53.
  int64_t work_left = 0;
  int64_t core_cells = 0;  // See JointVcgOptions.
  int64_t box_work = 0;

  // `gain_sum`: of the most that each bid can gain.
  static Context Make(const JointAuction& auction, Int128 gain_sum, int64_t work_max);

  bool is_out_of_work() const { return work_left <= 0; }
  Prices Round(const Prices& prices) const;
  int64_t ToSteps(double amount) const { return static_cast<int64_t>(amount * steps_a_unit); }
  // Rounded down.
  int64_t FromSteps(Int128 steps) const {
    return static_cast<int64_t>(FloorDivide(steps, static_cast<Int128>(steps_a_unit)));
  }
  // sum of prices * units, exactly; `prices` must be rounded.
  Int128 CostInSteps(const Prices& prices, const UnitVector& units) const;
  // What one cell may lose when all together may lose `steps`.
  double LossWithin(Int128 steps) const;
};

// Every bidder takes exactly one of its options; not winning is an option of no units.
struct Core {
  UnitVector capacity_units = {};
  std::vector<uint32_t> bidders;      // Names, for the outside.
  std::vector<uint32_t> first = {0};  // Into the options, by bidder, and the end.
  std::vector<double> gain;
  std::array<std::vector<int32_t>, kJointResourcesMax> units;
  std::vector<uint32_t> cells;  // Names of options, for the outside.

  size_t bidder_count() const { return bidders.size(); }
  size_t option_count() const { return gain.size(); }
  void AddOption(double option_gain, const Units& option_units, uint32_t cell);
  // Names the bidder of the options added since the last call; nothing if there are none.
  void CloseBidder(uint32_t bidder);
  Units UnitsOf(size_t option) const {
    return {units[0][option], units[1][option], units[2][option], units[3][option]};
  }

  // Keeps the options, in place, for which keep(bidder, option) holds; of the bidders that have
  // some left, those for which keep_bidder(bidder, the first of them, how many) holds. Both see
  // this core half done: `keep` may look at its own option only, keep_bidder at the first one.
  template <typename Keep, typename KeepBidder>
  void Filter(const Keep& keep, const KeepBidder& keep_bidder);
};

template <typename Keep, typename KeepBidder>
void Core::Filter(const Keep& keep, const KeepBidder& keep_bidder) {
  uint32_t to = 0;
  size_t bidder_to = 0;
  uint32_t option = 0;
  for (size_t i = 0; i < bidder_count(); ++i) {
    const uint32_t begin = to;
    const uint32_t end = first[i + 1];
    for (; option < end; ++option) {
      if (!keep(i, option)) continue;
      gain[to] = gain[option];
      for (std::vector<int32_t>& of_resource : units) of_resource[to] = of_resource[option];
      cells[to] = cells[option];
      ++to;
    }
    if (to == begin) continue;
    if (!keep_bidder(i, begin, to - begin)) {
      to = begin;
      continue;
    }
    bidders[bidder_to] = bidders[i];
    first[++bidder_to] = to;
  }
  bidders.resize(bidder_to);
  first.resize(bidder_to + 1);
  gain.resize(to);
  for (std::vector<int32_t>& of_resource : units) of_resource.resize(to);
  cells.resize(to);
}

// Prices, and what follows from them.
struct Pricing {
  Prices prices = {};
  Int128 bound_steps = 0;         // Proven: no allocation gains more.
  std::vector<double> best;       // By bidder: the most that an option leaves after paying.
  std::vector<uint32_t> choices;  // By bidder: such an option, the first.
  std::vector<double> reduced;    // By option: what it leaves.
};

// Prices and bound at `prices`, which must be rounded.
void PriceAt(Context& context, const Core& core, const Prices& prices, Pricing& out);

// The allocations that a Master has seen.
struct Columns {
  explicit Columns(Master m) : master(std::move(m)) { choices.emplace_back(); }

  void Add(const Core& core, const std::vector<uint32_t>& chosen);
  void Add(double gain, const UnitVector& units, std::vector<uint32_t> cells);
  // Adds those of `other`, a problem of which `core` is a part, that its prices rest on or that
  // came last: each bidder's cell where the core still has it, else `otherwise`. Any choice of
  // options is an allocation.
  void Inherit(const Core& core, const std::vector<uint32_t>& otherwise, const Columns& other,
               const std::vector<uint32_t>& other_bidders);

  Master master;
  // By column: the cell of every bidder of the core. Column 0, nobody wins, says nothing.
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

// The prices that bound the core best, nearly: from `start` on, adding to `columns`. Ends early
// when the bound is below the target.
Pricing MinimiseSmall(Context& context, const Core& core, const Prices& start, const Goal& goal,
                      Columns& columns);
// The same for a core with many options a bidder: most of the way over those that are ever best.
// `start` is where the core was priced already.
Pricing Minimise(Context& context, const Core& core, Pricing start, const Goal& goal,
                 Columns& columns);

}  // namespace nom::policies::joint

#endif  // NOM_POLICIES_CLEARING_JOINT_CORE_H_
