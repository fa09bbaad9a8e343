// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/joint/maximise.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <queue>
#include <utility>

#include "policies/clearing/joint/cell_scan.h"
#include "policies/clearing/joint/repair.h"
#include "policies/clearing/joint/search.h"

namespace nom::policies::joint {
namespace {

// For each problem divided, this part more of the cells may be searched at once: so it ends.
constexpr int64_t kShortlistCellsGrowth = 15;

// The budget of loss: at first this part of what is open, or of the bound if that is less; then as
// many times more as there are cells left, as more cells cost more.
constexpr double kBudgetOfGap = 0.03;
constexpr double kBudgetOfBound = 1e-7;
constexpr size_t kFewOptions = 2'000;
constexpr size_t kSomeOptions = 20'000;
// Counted work: a list of a problem that is copied, a cell of one that is restricted.
constexpr int64_t kStepsAList = 3;
constexpr int64_t kStepsToRestrict = 8;

// A problem in the queue: its bound, its prices once they are known, and how far it was searched.
struct Node {
  Problem problem;
  std::shared_ptr<const ProblemPrices> prices;
  int64_t bound = 0;
  double budget_steps = 0;  // Of the last search; 0: none yet.
  bool is_repaired = false;
  int64_t number = 0;  // Older first among equals.
};

struct IsLater {
  bool operator()(const std::shared_ptr<Node>& a, const std::shared_ptr<Node>& b) const {
    return a->bound != b->bound ? a->bound < b->bound : a->number > b->number;
  }
};

class Maximiser {
 public:
  Maximiser(Context& context, int64_t known_gain, bool with_choices)
      : context_(context), with_choices_(with_choices) {
    result_.gain = known_gain;
  }

  Maximum Run(const Problem& problem, const ProblemPrices& prices) {
    // Not owned: it outlives this.
    Push(problem, std::shared_ptr<const ProblemPrices>(std::shared_ptr<void>(), &prices),
         context_.FromSteps(prices.bound_steps()));
    while (!queue_.empty()) {
      const std::shared_ptr<Node> node = queue_.top();
      if (node->bound <= result_.gain) break;
      if (context_.is_out_of_work()) {
        result_.gain_bound = node->bound;
        return std::move(result_);
      }
      queue_.pop();
      Narrow(*node);
      if (node->bound > result_.gain) queue_.push(node);
    }
    result_.gain_bound = result_.gain;
    return std::move(result_);
  }

 private:
  void Push(Problem problem, std::shared_ptr<const ProblemPrices> prices, int64_t bound) {
    auto node = std::make_shared<Node>();
    node->bound = std::min(bound, context_.FromSteps(prices->bound_steps()));
    node->problem = std::move(problem);
    node->prices = std::move(prices);
    node->number = ++nodes_;
    // Else only where the search turns out not to be short.
    if (with_choices_) RepairOnce(*node);
    if (node->bound > result_.gain) queue_.push(std::move(node));
  }

  void RepairOnce(Node& node) {
    if (std::exchange(node.is_repaired, true)) return;
    std::vector<std::pair<uint32_t, uint32_t>> choices;
    const int64_t gain = Repair(context_, node.problem, *node.prices, choices);
    if (gain > result_.gain) Take(node.problem, gain, choices);
  }

  void Take(const Problem& problem, int64_t gain,
            const std::vector<std::pair<uint32_t, uint32_t>>& choices) {
    result_.gain = gain;
    if (!with_choices_) return;
    result_.awards.assign(problem.lists.size(), {});
    for (const auto& [bidder, cell] : choices) {
      if (cell != kLost) result_.awards[bidder] = problem.lists[bidder]->UnitsOf(cell);
    }
  }

  // Asks the node for an allocation within a *budget* of its bound: one that gains at least bound
  // less budget, all of whose cells then lose no more than that. With a small budget few cells are
  // left to search, and where the bound is nearly reached that finds the best at once. If nothing
  // is found the bound is lower by the budget, and the next one is larger. If too many cells are
  // left the node is divided instead. Afterwards its bound is lower; 0 if nothing is left to do.
  void Narrow(Node& node) {
    const Int128 bound_steps = node.prices->bound_steps();
    const auto one = static_cast<double>(static_cast<Int128>(context_.steps_a_unit));
    const double gap_steps =
        static_cast<double>(bound_steps) - static_cast<double>(result_.gain) * one;
    if (node.budget_steps == 0) {
      node.budget_steps = std::max(
          one, std::min(kBudgetOfGap * gap_steps,
                        kBudgetOfBound * static_cast<double>(std::max<Int128>(0, bound_steps))));
    }
    // Beyond the gap is what is known already.
    const auto budget = static_cast<Int128>(std::min(node.budget_steps, gap_steps));
    const int64_t target = std::max(result_.gain + 1, context_.FromSteps(bound_steps - budget));
    if (target > node.bound) {  // Whole gains are further apart than that.
      node.budget_steps *= 4;
      return;
    }
    const Int128 spare = bound_steps - Int128{target} * static_cast<Int128>(context_.steps_a_unit);
    Shortlist shortlist;
    const auto options_max =
        static_cast<size_t>(context_.shortlist_cells +
                            (context_.shortlist_cells / kShortlistCellsGrowth + 1) * (nodes_ - 1));
    if (!Collect(node, context_.LossWithin(spare), options_max, shortlist)) {
      // A better allocation makes the budget smaller.
      const int64_t gain_before = result_.gain;
      RepairOnce(node);
      if (result_.gain > gain_before) return;
      Divide(node);
      node.bound = 0;
      return;
    }
    const size_t options = shortlist.option_count() - shortlist.bidder_count();
    std::optional<Found> found = SearchShortlist(context_, std::move(shortlist),
                                                 node.prices->prices(), target, with_choices_);
    if (found.has_value()) {
      Take(node.problem, found->gain, found->choices);
      // Within the budget nothing is better, and outside of it nothing is as good.
      if (!context_.is_out_of_work()) node.bound = 0;
      return;
    }
    if (context_.is_out_of_work()) return;
    node.bound = target - 1;
    node.budget_steps *= options < node.problem.lists.size() / 4 ? 3
                         : options < kFewOptions                 ? 4
                         : options < kSomeOptions                ? 2.5
                                                                 : 1.7;
    if (options >= kFewOptions) RepairOnce(node);
  }

  bool Collect(const Node& node, double loss_max, size_t options_max, Shortlist& shortlist) {
    shortlist.capacity_units = node.problem.capacity_units;
    CellScan scan(context_, node.prices->prices());
    for (size_t i = 0; i < node.problem.lists.size(); ++i) {
      if (!scan.AddAtLeast(*node.problem.lists[i], node.prices->best()[i] - loss_max,
                           static_cast<uint32_t>(i), options_max, shortlist)) {
        return false;
      }
    }
    return true;
  }

  void Divide(const Node& node) {
    const Shortlist shortlist = node.prices->EverBest(node.problem);
    std::optional<Branch> branch =
        ChooseBranch(shortlist, node.prices->prices(), node.prices->columns());
    if (!branch.has_value()) branch = DivideLongest(node.problem);
    for (const bool is_above : {false, true}) {
      Problem child = node.problem;
      context_.Spend(child.lists.size(), kStepsAList);
      const CellList& whole = *child.lists[branch->bidder];
      auto list = std::make_shared<CellList>(
          is_above ? Restrict(whole, branch->r, branch->most + 1, INT32_MAX)
                   : Restrict(whole, branch->r, 0, branch->most));
      context_.Spend(whole.size(), kStepsToRestrict);
      if (list->size() == 0 && !list->may_lose) continue;
      child.lists[branch->bidder] = std::move(list);
      auto prices =
          std::make_shared<const ProblemPrices>(context_, child, node.problem, *node.prices,
                                                std::vector<size_t>{branch->bidder}, result_.gain);
      Push(std::move(child), std::move(prices), node.bound);
    }
  }

  // Where nothing that was ever best can be divided: the longest list that can, in the middle.
  static Branch DivideLongest(const Problem& problem) {
    Branch branch;
    size_t longest = 0;
    for (size_t i = 0; i < problem.lists.size(); ++i) {
      const CellList& list = *problem.lists[i];
      for (size_t r = 0; r < list.units.size() && list.size() > longest; ++r) {
        const auto [least, most] = std::minmax_element(list.units[r].begin(), list.units[r].end());
        const int32_t low = list.may_lose ? 0 : *least;
        if (low == *most) continue;
        longest = list.size();
        branch = {i, static_cast<int>(r), low + (*most - low) / 2, false};
      }
    }
    return branch;
  }

  Context& context_;
  const bool with_choices_;
  Maximum result_;
  int64_t nodes_ = 0;
  std::priority_queue<std::shared_ptr<Node>, std::vector<std::shared_ptr<Node>>, IsLater> queue_;
};

}  // namespace

Maximum Maximise(Context& context, const Problem& problem, const ProblemPrices& prices,
                 int64_t known_gain, bool with_choices) {
  return Maximiser(context, known_gain, with_choices).Run(problem, prices);
}

}  // namespace nom::policies::joint
