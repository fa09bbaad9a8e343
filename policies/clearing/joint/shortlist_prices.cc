// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/joint/shortlist_prices.h"

#include <algorithm>
#include <cmath>

#include "policies/clearing/joint/kernels.h"

namespace nom::policies::joint {
namespace {

constexpr int kProposalsMax = 120;
// How far prices go from the best seen towards the master's: straight there, they swing.
constexpr double kTowardsMaster = 0.6;
constexpr double kTolerance = 1e-10;  // Of the bound.
constexpr int kRoundsMax = 40;
constexpr size_t kInheritedLast = 8;
// Counted work.
constexpr int64_t kStepsAnOption = 2;
constexpr int64_t kStepsABidder = 5;
constexpr int64_t kStepsAPivot = 200;
constexpr int64_t kStepsAPivotsColumn = 4;

}  // namespace

void PriceAt(Context& context, const Shortlist& shortlist, const Prices& prices, Pricing& out) {
  const size_t options = shortlist.option_count();
  context.Spend(options, kStepsAnOption);
  context.Spend(shortlist.bidder_count(), kStepsABidder);
  out.prices = prices;
  out.reduced.resize(options);
  out.best.resize(shortlist.bidder_count());
  out.choices.resize(shortlist.bidder_count());
  ReducedGains(shortlist.gain.data(), ColumnsFrom(shortlist.units, 0), prices.data(),
               context.resource_count, options, out.reduced.data());
  out.bound_steps = context.CostInSteps(prices, shortlist.capacity_units);
  for (size_t i = 0; i < shortlist.bidder_count(); ++i) {
    uint32_t best = shortlist.first[i];
    for (uint32_t option = best + 1; option < shortlist.first[i + 1]; ++option) {
      if (out.reduced[option] > out.reduced[best]) best = option;
    }
    out.choices[i] = best;
    out.best[i] = out.reduced[best];
    out.bound_steps += context.ToSteps(out.best[i] + context.rounding);
  }
}

void Columns::Add(const Shortlist& shortlist, const std::vector<uint32_t>& chosen) {
  double gain = 0;
  UnitVector units = {};
  std::vector<uint32_t> cells;
  cells.reserve(chosen.size());
  for (const uint32_t option : chosen) {
    gain += shortlist.gain[option];
    for (size_t r = 0; r < units.size(); ++r) units[r] += shortlist.units[r][option];
    cells.push_back(shortlist.cells[option]);
  }
  Add(gain, units, std::move(cells));
}

void Columns::Add(double gain, const UnitVector& units, std::vector<uint32_t> cells) {
  master.Add(gain, units);
  gains.push_back(gain);
  used.push_back(units);
  choices.push_back(std::move(cells));
}

void Columns::Inherit(Context& context, const Shortlist& shortlist,
                      const std::vector<uint32_t>& otherwise, const Columns& other,
                      const std::vector<uint32_t>& other_bidders) {
  const std::vector<double> parts = other.master.Parts();
  std::vector<size_t> positions(shortlist.bidder_count());
  for (size_t i = 0, at = 0; i < positions.size(); ++i) {
    while (other_bidders[at] != shortlist.bidders[i]) ++at;  // Bidders keep their order.
    positions[i] = at;
  }
  std::vector<uint32_t> chosen(shortlist.bidder_count());
  for (size_t k = 1; k < other.choices.size(); ++k) {
    if (parts[k] <= 0 && k + kInheritedLast < other.choices.size()) continue;
    context.Spend(1, kStepsToAdd);
    context.Spend(shortlist.bidder_count(), 4 * kStepsABidder);
    for (size_t i = 0; i < chosen.size(); ++i) {
      const auto begin = shortlist.cells.begin() + shortlist.first[i];
      const auto end = shortlist.cells.begin() + shortlist.first[i + 1];
      const auto at = std::find(begin, end, other.choices[k][positions[i]]);
      chosen[i] = at == end ? otherwise[i] : static_cast<uint32_t>(at - shortlist.cells.begin());
    }
    Add(shortlist, chosen);
  }
}

namespace {

// What the options leave at any prices, plus the price of the capacity: in doubles, to compare with
// what the master says.
double LeftAt(const Shortlist& shortlist, const std::vector<uint32_t>& options,
              const Prices& prices) {
  double left = 0;
  for (const uint32_t option : options) {
    left += shortlist.gain[option];
    for (size_t r = 0; r < prices.size(); ++r) left -= prices[r] * shortlist.units[r][option];
  }
  for (size_t r = 0; r < prices.size(); ++r) {
    left += prices[r] * static_cast<double>(shortlist.capacity_units[r]);
  }
  return left;
}

}  // namespace

Pricing MinimiseSmall(Context& context, const Shortlist& shortlist, const Prices& start,
                      const Goal& goal, Columns& columns) {
  Pricing best;
  PriceAt(context, shortlist, context.Round(start), best);
  columns.Add(shortlist, best.choices);
  Pricing tried;
  for (int i = 0; i < kProposalsMax && !context.is_out_of_work(); ++i) {
    const int pivots = columns.master.Solve();
    context.Spend(
        static_cast<size_t>(pivots) + 1,
        kStepsAPivot + kStepsAPivotsColumn * static_cast<int64_t>(columns.master.column_count()));
    context.Spend(1, Columns::kStepsToAdd);
    context.Spend(shortlist.bidder_count(), Columns::kStepsABidder);
    const double bound = static_cast<double>(best.bound_steps) * context.step;
    // The bound has been raised for every bidder by what rounding can have taken: so much remains
    // between it and the mixture, however good the prices are.
    const double rounded = 2 * context.rounding * static_cast<double>(shortlist.bidder_count());
    const double tolerance = rounded + std::max({0.25, std::fabs(bound) * kTolerance,
                                                 (bound - goal.target) * goal.tolerance});
    // No prices bound lower than what the master's mixture of allocations gains.
    if (bound - columns.master.gain() <= tolerance || bound < goal.target) break;
    const Prices proposed = columns.master.prices();
    Prices mixed = {};
    for (size_t r = 0; r < mixed.size(); ++r) {
      mixed[r] = kTowardsMaster * proposed[r] + (1 - kTowardsMaster) * best.prices[r];
    }
    PriceAt(context, shortlist, context.Round(mixed), tried);
    columns.Add(shortlist, tried.choices);
    if (tried.bound_steps < best.bound_steps) {
      std::swap(best, tried);
      continue;
    }
    // Neither a lower bound nor, if the master would not take the new column, other proposals: ask
    // at its own prices, where a column is either new to it or proves that it is done.
    if (LeftAt(shortlist, tried.choices, proposed) > columns.master.gain() + tolerance) continue;
    PriceAt(context, shortlist, context.Round(proposed), tried);
    columns.Add(shortlist, tried.choices);
    if (tried.bound_steps < best.bound_steps) {
      std::swap(best, tried);
    } else if (static_cast<double>(tried.bound_steps) * context.step - columns.master.gain() <=
               tolerance) {
      break;
    }
  }
  return best;
}

Pricing Minimise(Context& context, const Shortlist& shortlist, Pricing start, const Goal& goal,
                 Columns& columns) {
  Pricing best = std::move(start);
  // By bidder, options of the shortlist: those of the columns, and those that are best at some
  // prices.
  std::vector<std::vector<uint32_t>> ever_best(shortlist.bidder_count());
  for (size_t i = 0; i < ever_best.size(); ++i) {
    ever_best[i] = {best.choices[i]};
    for (uint32_t option = shortlist.first[i]; option < shortlist.first[i + 1]; ++option) {
      if (option == best.choices[i]) continue;
      for (size_t k = 1; k < columns.choices.size(); ++k) {
        if (columns.choices[k][i] != shortlist.cells[option]) continue;
        ever_best[i].push_back(option);
        break;
      }
    }
  }
  context.Spend(shortlist.option_count() * columns.choices.size(), 1);
  Pricing tried;
  for (int round = 0; round < kRoundsMax && !context.is_out_of_work(); ++round) {
    Shortlist few;
    few.capacity_units = shortlist.capacity_units;
    for (size_t i = 0; i < ever_best.size(); ++i) {
      for (const uint32_t option : ever_best[i]) {
        few.AddOption(shortlist.gain[option], shortlist.UnitsOf(option), shortlist.cells[option]);
      }
      few.CloseBidder(shortlist.bidders[i]);
    }
    context.Spend(few.option_count(), Shortlist::kStepsToAdd);
    const Prices prices = MinimiseSmall(context, few, best.prices, goal, columns).prices;
    if (prices == best.prices) break;
    PriceAt(context, shortlist, prices, tried);
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
