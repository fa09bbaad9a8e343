// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/joint/problem_prices.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "policies/clearing/joint/cell_scan.h"

namespace nom::policies::joint {
namespace {

constexpr int kRoundsMax = 60;
// Prices of a problem that is another's with few lists changed.
constexpr double kTolerance = 1e-4;
// Counted work: of what is kept of every list, when it is copied.
constexpr int64_t kStepsAList = 40;

}  // namespace

ProblemPrices::ProblemPrices(Context& context, const Problem& problem, double gain_scale)
    : gain_scale_(gain_scale),
      ever_best_(problem.lists.size()),
      columns_(Master(context.resource_count, problem.capacity_units, gain_scale)) {
  Minimise(context, problem, {});  // As well as it can.
}

ProblemPrices::ProblemPrices(Context& context, const Problem& problem, const Problem& before,
                             const ProblemPrices& other, const std::vector<size_t>& changed,
                             int64_t known_gain)
    : gain_scale_(other.gain_scale_),
      prices_(other.prices_),
      ever_best_(other.ever_best_),
      columns_(Master(context.resource_count, problem.capacity_units, other.gain_scale_)) {
  // An allocation of `before` without what the changed bidders had in it is one of this problem,
  // where all of them may lose. Else only the first is taken over, in which nobody wins.
  bool may_lose = true;
  for (const size_t i : changed) {
    ever_best_[i].clear();
    may_lose = may_lose && problem.lists[i]->may_lose;
  }
  const size_t inherited = may_lose ? other.columns_.choices.size() : 1;
  for (size_t k = 1; k < inherited; ++k) {
    double gain = other.columns_.gains[k];
    UnitVector units = other.columns_.used[k];
    std::vector<uint32_t> cells = other.columns_.choices[k];
    for (const size_t i : changed) {
      const uint32_t cell = std::exchange(cells[i], kLost);
      if (cell == kLost) continue;
      gain -= before.lists[i]->gain[cell];
      for (size_t r = 0; r < units.size(); ++r) units[r] -= before.lists[i]->units[r][cell];
    }
    columns_.Add(gain, units, std::move(cells));
  }
  context.Spend(inherited, Columns::kStepsToAdd);
  context.Spend(inherited * problem.lists.size(), 1);
  context.Spend(problem.lists.size(), kStepsAList);
  Minimise(context, problem, {static_cast<double>(known_gain), kTolerance});
}

Shortlist ProblemPrices::EverBest(const Problem& problem) const {
  Shortlist shortlist;
  shortlist.capacity_units = problem.capacity_units;
  for (size_t i = 0; i < problem.lists.size(); ++i) {
    const CellList& list = *problem.lists[i];
    if (list.may_lose) shortlist.AddOption(0, {}, kLost);
    for (const uint32_t cell : ever_best_[i]) {
      shortlist.AddOption(list.gain[cell], list.UnitsOf(cell), cell);
    }
    shortlist.CloseBidder(static_cast<uint32_t>(i));
  }
  return shortlist;
}

void ProblemPrices::Minimise(Context& context, const Problem& problem, const Goal& goal) {
  const size_t bidders = problem.lists.size();
  prices_ = context.Round(prices_);
  Prices at = prices_;
  bool is_first = true;
  std::vector<double> best(bidders);
  // Two steps in turn. Over all cells, at the prices of the last turn: that gives a proven bound,
  // and finds cells that were not known to be best. Then, over the cells that were ever best alone,
  // better prices: that is cheap, as they are few.
  for (int round = 0; round < kRoundsMax; ++round) {
    bool is_new = false;
    Int128 bound_steps = context.CostInSteps(at, problem.capacity_units);
    CellScan scan(context, at);
    for (size_t i = 0; i < bidders; ++i) {
      const CellList& list = *problem.lists[i];
      double& most = best[i];
      most = list.may_lose ? 0 : -HUGE_VAL;
      // Those known first: with a good `most` nearly all tiles are passed over.
      for (const uint32_t cell : ever_best_[i]) most = std::max(most, scan.Left(list, cell));
      const uint32_t cell = scan.Best(list, most);
      if (cell != kLost) {
        ever_best_[i].push_back(cell);
        is_new = true;
      }
      bound_steps += context.ToSteps(most + context.rounding);
    }
    if (is_first || bound_steps < bound_steps_) {
      is_first = false;
      bound_steps_ = bound_steps;
      prices_ = at;
      best_ = best;
    }
    // Nothing new at these prices: they are right for all cells as they are for the few.
    if ((!is_new && round > 0) || context.is_out_of_work()) return;
    const Shortlist shortlist = EverBest(problem);
    context.Spend(shortlist.option_count(), Shortlist::kStepsToAdd);
    at = MinimiseSmall(context, shortlist, prices_, goal, columns_).prices;
    if (at == prices_ && round > 0 && !is_new) return;
  }
}

}  // namespace nom::policies::joint
