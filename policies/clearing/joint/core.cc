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
  for (size_t r = 0; r < units.size(); ++r) cost += ToSteps(prices[r]) * units[r];
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

void Core::RemoveOption() {
  gain.pop_back();
  for (std::vector<int32_t>& of_resource : units) of_resource.pop_back();
  cells.pop_back();
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
  UnitVector used = {};
  std::vector<uint32_t> cells;
  cells.reserve(chosen.size());
  for (const uint32_t option : chosen) {
    gain += core.gain[option];
    for (size_t r = 0; r < used.size(); ++r) used[r] += core.units[r][option];
    cells.push_back(core.cells[option]);
  }
  master.Add(gain, used);
  choices.push_back(std::move(cells));
}

Pricing Minimise(Context& context, const Core& core, const Prices& start, Columns& columns) {
  Pricing best;
  PriceAt(context, core, context.Round(start), best);
  columns.Add(core, best.choices);
  Pricing tried;
  for (int i = 0; i < kProposalsMax && !context.is_out_of_work(); ++i) {
    columns.master.Solve();
    context.work_left -= static_cast<int64_t>(columns.master.column_count());
    const double bound = static_cast<double>(best.bound_steps) * context.step;
    const double tolerance = std::max(0.25, std::fabs(bound) * 1e-10);
    if (bound - columns.master.gain() <= tolerance) break;
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

}  // namespace nom::policies::joint
