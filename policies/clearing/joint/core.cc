#include "policies/clearing/joint/core.h"

#include <algorithm>
#include <cmath>

#include "policies/clearing/joint/kernels.h"

namespace nom::policies::joint {
namespace {

constexpr int kProposalsMax = 120;
// How far prices go from the best seen towards the master's: straight there, they swing.
constexpr double kTowardsMaster = 0.6;
constexpr int kStepsLog2Max = 20;
constexpr double kTolerance = 1e-10;  // Of the bound.
constexpr int kRoundsMax = 40;
constexpr size_t kInheritedLast = 8;

}  // namespace

Context Context::Make(const JointAuction& auction, Int128 gain_sum, int64_t work_max) {
  Context context;
  context.resource_count = auction.resource_count;
  context.work_left = work_max;
  context.is_exact_sum = gain_sum < Int128{1} << 53;
  // Below 2^52 steps: all gains, and what the whole capacity costs in each resource.
  int log2 = 0;
  while (log2 < kStepsLog2Max && ((gain_sum + 1) << (log2 + 4)) <= Int128{1} << 52) ++log2;
  context.steps_a_unit = std::ldexp(1, log2);
  context.step = std::ldexp(1, -log2);
  const auto most = static_cast<double>(gain_sum + 1);
  for (size_t r = 0; r < context.prices_max.size(); ++r) {
    const auto capacity = static_cast<double>(std::max<int64_t>(1, auction.capacity_units[r]));
    context.prices_max[r] =
        std::max(context.step, std::floor(2 * most / capacity / context.step) * context.step);
  }
  if ((gain_sum + 1) << (log2 + 4) > Int128{1} << 52) {
    context.rounding = std::ceil(most * std::ldexp(1, -46)) + 1;
  }
  return context;
}

Prices Context::Round(const Prices& prices) const {
  Prices rounded = {};
  for (size_t r = 0; r < static_cast<size_t>(resource_count); ++r) {
    const double within = std::clamp(prices[r], 0.0, prices_max[r]);
    rounded[r] = std::floor(within * steps_a_unit + 0.5) * step;
  }
  return rounded;
}

Int128 Context::CostInSteps(const Prices& prices, const UnitVector& units) const {
  Int128 cost = 0;
  for (size_t r = 0; r < units.size(); ++r) cost += Int128{ToSteps(prices[r])} * units[r];
  return cost;
}

double Context::LossWithin(Int128 steps) const {
  const double loss = static_cast<double>(steps) * step;
  // A few bits more than double arithmetic can lose on cells that are far from the best.
  return loss + std::fabs(loss) * 0x1p-48 + rounding;
}

void Core::AddOption(double option_gain, const Units& option_units, uint32_t cell) {
  gain.push_back(option_gain);
  for (size_t r = 0; r < units.size(); ++r) units[r].push_back(option_units[r]);
  cells.push_back(cell);
}

void Core::CloseBidder(uint32_t bidder) {
  if (first.back() == option_count()) return;
  first.push_back(static_cast<uint32_t>(option_count()));
  bidders.push_back(bidder);
}

void PriceAt(Context& context, const Core& core, const Prices& prices, Pricing& out) {
  const size_t options = core.option_count();
  context.work_left -= static_cast<int64_t>(options) + 1;
  out.prices = prices;
  out.reduced.resize(options);
  out.best.resize(core.bidder_count());
  out.choices.resize(core.bidder_count());
  ReducedGains(
      core.gain.data(),
      {core.units[0].data(), core.units[1].data(), core.units[2].data(), core.units[3].data()},
      prices.data(), context.resource_count, options, out.reduced.data());
  out.bound_steps = context.CostInSteps(prices, core.capacity_units);
  for (size_t i = 0; i < core.bidder_count(); ++i) {
    uint32_t best = core.first[i];
    for (uint32_t option = best + 1; option < core.first[i + 1]; ++option) {
      if (out.reduced[option] > out.reduced[best]) best = option;
    }
    out.choices[i] = best;
    out.best[i] = out.reduced[best];
    out.bound_steps += context.ToSteps(out.best[i] + context.rounding);
  }
}

void Columns::Add(const Core& core, const std::vector<uint32_t>& chosen) {
  double gain = 0;
  UnitVector units = {};
  std::vector<uint32_t> cells;
  cells.reserve(chosen.size());
  for (const uint32_t option : chosen) {
    gain += core.gain[option];
    for (size_t r = 0; r < units.size(); ++r) units[r] += core.units[r][option];
    cells.push_back(core.cells[option]);
  }
  Add(gain, units, std::move(cells));
}

void Columns::Add(double gain, const UnitVector& units, std::vector<uint32_t> cells) {
  master.Add(gain, units);
  gains.push_back(gain);
  used.push_back(units);
  choices.push_back(std::move(cells));
}

void Columns::Inherit(const Core& core, const std::vector<uint32_t>& otherwise,
                      const Columns& other, const std::vector<uint32_t>& other_bidders) {
  const std::vector<double> parts = other.master.Parts();
  std::vector<size_t> positions(core.bidder_count());
  for (size_t i = 0, at = 0; i < positions.size(); ++i) {
    while (other_bidders[at] != core.bidders[i]) ++at;  // Bidders keep their order.
    positions[i] = at;
  }
  std::vector<uint32_t> chosen(core.bidder_count());
  for (size_t k = 1; k < other.choices.size(); ++k) {
    if (parts[k] <= 0 && k + kInheritedLast < other.choices.size()) continue;
    for (size_t i = 0; i < chosen.size(); ++i) {
      const auto begin = core.cells.begin() + core.first[i];
      const auto end = core.cells.begin() + core.first[i + 1];
      const auto at = std::find(begin, end, other.choices[k][positions[i]]);
      chosen[i] = at == end ? otherwise[i] : static_cast<uint32_t>(at - core.cells.begin());
    }
    Add(core, chosen);
  }
}

Pricing MinimiseSmall(Context& context, const Core& core, const Prices& start, const Goal& goal,
                      Columns& columns) {
  Pricing best;
  PriceAt(context, core, context.Round(start), best);
  columns.Add(core, best.choices);
  Pricing tried;
  for (int i = 0; i < kProposalsMax && !context.is_out_of_work(); ++i) {
    columns.master.Solve();
    context.work_left -= static_cast<int64_t>(columns.master.column_count());
    const double bound = static_cast<double>(best.bound_steps) * context.step;
    const double tolerance =
        std::max({0.25, std::fabs(bound) * kTolerance, (bound - goal.target) * goal.tolerance});
    if (bound - columns.master.gain() <= tolerance || bound < goal.target) break;
    const Prices proposed = columns.master.prices();
    Prices mixed = {};
    for (size_t r = 0; r < mixed.size(); ++r) {
      mixed[r] = kTowardsMaster * proposed[r] + (1 - kTowardsMaster) * best.prices[r];
    }
    PriceAt(context, core, context.Round(mixed), tried);
    columns.Add(core, tried.choices);
    const bool is_better = tried.bound_steps < best.bound_steps;
    if (is_better) {
      std::swap(best, tried);
    } else {
      // A column that the master would not take moves nothing: ask at the master's own prices.
      const double at_proposed = [&] {
        double reduced = 0;
        for (const uint32_t option : tried.choices) {
          reduced += core.gain[option];
          for (size_t r = 0; r < proposed.size(); ++r) {
            reduced -= proposed[r] * core.units[r][option];
          }
        }
        for (size_t r = 0; r < proposed.size(); ++r) {
          reduced += proposed[r] * static_cast<double>(core.capacity_units[r]);
        }
        return reduced;
      }();
      if (at_proposed <= columns.master.gain() + tolerance) {
        PriceAt(context, core, context.Round(proposed), tried);
        columns.Add(core, tried.choices);
        if (tried.bound_steps < best.bound_steps)
          std::swap(best, tried);
        else if (static_cast<double>(tried.bound_steps) * context.step - columns.master.gain() <=
                 tolerance)
          break;
      }
    }
  }
  return best;
}

Pricing Minimise(Context& context, const Core& core, Pricing start, const Goal& goal,
                 Columns& columns) {
  Pricing best = std::move(start);
  // By bidder, options of the core: those of the columns, and those that are best at some prices.
  std::vector<std::vector<uint32_t>> ever_best(core.bidder_count());
  for (size_t i = 0; i < ever_best.size(); ++i) {
    ever_best[i] = {best.choices[i]};
    for (uint32_t option = core.first[i]; option < core.first[i + 1]; ++option) {
      if (option == best.choices[i]) continue;
      for (size_t k = 1; k < columns.choices.size(); ++k) {
        if (columns.choices[k][i] != core.cells[option]) continue;
        ever_best[i].push_back(option);
        break;
      }
    }
  }
  Pricing tried;
  for (int round = 0; round < kRoundsMax && !context.is_out_of_work(); ++round) {
    Core few;
    few.capacity_units = core.capacity_units;
    for (size_t i = 0; i < ever_best.size(); ++i) {
      for (const uint32_t option : ever_best[i]) {
        few.AddOption(core.gain[option], core.UnitsOf(option), core.cells[option]);
      }
      few.CloseBidder(core.bidders[i]);
    }
    const Prices prices = MinimiseSmall(context, few, best.prices, goal, columns).prices;
    if (prices == best.prices) break;
    PriceAt(context, core, prices, tried);
    bool is_new = false;
    for (size_t i = 0; i < ever_best.size(); ++i) {
      std::vector<uint32_t>& known = ever_best[i];
      if (std::find(known.begin(), known.end(), tried.choices[i]) != known.end()) continue;
      known.push_back(tried.choices[i]);
      is_new = true;
    }
    if (tried.bound_steps < best.bound_steps) std::swap(best, tried);
    if (!is_new || static_cast<double>(best.bound_steps) * context.step < goal.target) break;
  }
  return best;
}

}  // namespace nom::policies::joint
