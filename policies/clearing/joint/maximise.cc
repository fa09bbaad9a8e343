#include "policies/clearing/joint/maximise.h"

#include <algorithm>
#include <cmath>
#include <queue>
#include <utility>

#include "policies/clearing/joint/kernels.h"
#include "policies/clearing/joint/search.h"

namespace nom::policies::joint {
namespace {

// For each problem divided, this part more of the cells may be searched at once: so it ends.
constexpr int64_t kCoreCellsGrowth = 15;
constexpr int kRoundsMax = 60;
// Prices of a problem that is another's with one list changed.
constexpr double kTolerance = 1e-4;

// The budget of loss: at first this part of what is open, or of the bound if that is less; then as
// many times more as there are cells left, as more cells cost more.
constexpr double kBudgetOfGap = 0.03;
constexpr double kBudgetOfBound = 1e-7;
constexpr size_t kFewOptions = 2'000;
constexpr size_t kSomeOptions = 20'000;

UnitColumns ColumnsAt(const CellList& list, size_t begin) {
  return {list.units[0].data() + begin, list.units[1].data() + begin, list.units[2].data() + begin,
          list.units[3].data() + begin};
}

// The most that a cell of the tile can leave at these prices.
double TileBound(const Tile& tile, const Prices& prices, int resource_count) {
  double bound = tile.max_gain;
  for (size_t r = 0; r < static_cast<size_t>(resource_count); ++r) {
    bound -= prices[r] * tile.min_units[r];
  }
  return bound;
}

class Cells {
 public:
  Cells(Context& context, const Prices& prices) : context_(context), prices_(prices) {}

  // The best cell of the list at the prices, if it leaves more than `best`, which it then becomes.
  uint32_t Best(const CellList& list, double& best) {
    uint32_t cell = kLost;
    context_.work_left -= static_cast<int64_t>(list.tiles.size()) / 4 + 1;
    for (const Tile& tile : list.tiles) {
      if (TileBound(tile, prices_, context_.resource_count) <= best) continue;
      const size_t count = Reduce(list, tile);
      const double largest = Largest(reduced_.data(), count);
      if (largest <= best) continue;
      best = largest;
      const auto at = std::find(reduced_.begin(), reduced_.end(), largest);
      cell = tile.begin + static_cast<uint32_t>(at - reduced_.begin());
    }
    return cell;
  }

  // Adds the cells that leave `least` or more to the core, as options of `bidder`. False if the
  // core then has more than `options_max`.
  bool AddAtLeast(const CellList& list, double least, uint32_t bidder, size_t options_max,
                  Core& core) {
    if (list.may_lose && least <= 0) core.AddOption(0, {}, kLost);
    for (const Tile& tile : list.tiles) {
      if (TileBound(tile, prices_, context_.resource_count) < least) continue;
      const size_t count = Reduce(list, tile);
      for (size_t i = 0; i < count; ++i) {
        if (reduced_[i] < least) continue;
        const size_t cell = tile.begin + i;
        core.AddOption(list.gain[cell], list.UnitsOf(cell), static_cast<uint32_t>(cell));
      }
      if (core.option_count() > options_max) return false;
    }
    core.CloseBidder(bidder);
    return true;
  }

 private:
  size_t Reduce(const CellList& list, const Tile& tile) {
    const size_t count = tile.end - tile.begin;
    reduced_.resize(count);
    context_.work_left -= static_cast<int64_t>(count);
    ReducedGains(list.gain.data() + tile.begin, ColumnsAt(list, tile.begin), prices_.data(),
                 context_.resource_count, count, reduced_.data());
    return count;
  }

  Context& context_;
  const Prices& prices_;
  std::vector<double> reduced_;
};

}  // namespace

ProblemPrices::ProblemPrices(Context& context, const Problem& problem, double gain_scale)
    : gain_scale_(gain_scale),
      ever_best_(problem.lists.size()),
      columns_(Master(context.resource_count, problem.capacity_units, gain_scale)) {
  Minimise(context, problem, {});  // As well as it can.
}

ProblemPrices::ProblemPrices(Context& context, const Problem& problem, const Problem& before,
                             const ProblemPrices& other, size_t changed, int64_t known_gain)
    : gain_scale_(other.gain_scale_),
      prices_(other.prices_),
      ever_best_(other.ever_best_),
      columns_(Master(context.resource_count, problem.capacity_units, other.gain_scale_)) {
  ever_best_[changed].clear();
  // The allocations without what the changed bidder had in them, where it may lose, are allocations
  // of this problem.
  const CellList& list_before = *before.lists[changed];
  const size_t inherited = problem.lists[changed]->may_lose ? other.columns_.choices.size() : 1;
  for (size_t k = 1; k < inherited; ++k) {
    double gain = other.columns_.gains[k];
    UnitVector units = other.columns_.used[k];
    std::vector<uint32_t> cells = other.columns_.choices[k];
    const uint32_t cell = std::exchange(cells[changed], kLost);
    if (cell != kLost) {
      gain -= list_before.gain[cell];
      for (size_t r = 0; r < units.size(); ++r) units[r] -= list_before.units[r][cell];
    }
    columns_.Add(gain, units, std::move(cells));
  }
  Minimise(context, problem, {static_cast<double>(known_gain), kTolerance});
}

Core ProblemPrices::EverBest(const Problem& problem) const {
  Core core;
  core.capacity_units = problem.capacity_units;
  for (size_t i = 0; i < problem.lists.size(); ++i) {
    const CellList& list = *problem.lists[i];
    if (list.may_lose) core.AddOption(0, {}, kLost);
    for (const uint32_t cell : ever_best_[i]) {
      core.AddOption(list.gain[cell], list.UnitsOf(cell), cell);
    }
    core.CloseBidder(static_cast<uint32_t>(i));
  }
  return core;
}

void ProblemPrices::Minimise(Context& context, const Problem& problem, const Goal& goal) {
  const size_t bidders = problem.lists.size();
  prices_ = context.Round(prices_);
  Prices at = prices_;
  bool is_first = true;
  std::vector<double> best(bidders);
  for (int round = 0; round < kRoundsMax; ++round) {
    // Over all cells at these prices: a proven bound, and cells that were not known to be best.
    bool is_new = false;
    Int128 bound_steps = context.CostInSteps(at, problem.capacity_units);
    Cells cells(context, at);
    for (size_t i = 0; i < bidders; ++i) {
      const CellList& list = *problem.lists[i];
      double& most = best[i];
      most = list.may_lose ? 0 : -HUGE_VAL;
      for (const uint32_t cell : ever_best_[i]) {
        double reduced = 0;
        ReducedGains(list.gain.data() + cell, ColumnsAt(list, cell), at.data(),
                     context.resource_count, 1, &reduced);
        most = std::max(most, reduced);
      }
      const uint32_t cell = cells.Best(list, most);
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
    if ((!is_new && round > 0) || context.is_out_of_work()) return;
    // Over those alone, which are few.
    const Core core = EverBest(problem);
    at = MinimiseSmall(context, core, prices_, goal, columns_).prices;
    if (at == prices_ && round > 0 && !is_new) return;
  }
}

int64_t ProblemPrices::Repair(const Problem& problem,
                              std::vector<std::pair<uint32_t, uint32_t>>& choices) const {
  const Core core = EverBest(problem);
  const size_t bidders = core.bidder_count();
  auto left_of = [&](size_t option) {
    double left = core.gain[option];
    for (size_t r = 0; r < prices_.size(); ++r) left -= prices_[r] * core.units[r][option];
    return left;
  };
  std::vector<uint32_t> chosen(bidders);
  UnitVector open = problem.capacity_units;
  for (size_t i = 0; i < bidders; ++i) {
    uint32_t best = core.first[i];
    for (uint32_t option = best; option < core.first[i + 1]; ++option) {
      if (left_of(option) > left_of(best)) best = option;
    }
    chosen[i] = best;
    for (size_t r = 0; r < open.size(); ++r) open[r] -= core.units[r][best];
  }
  // While something is over-full: the change that loses least for what it relieves.
  for (size_t step = 0; step < 4 * bidders; ++step) {
    if (std::all_of(open.begin(), open.end(), [](int64_t units) { return units >= 0; })) break;
    double best_ratio = HUGE_VAL;
    size_t best_bidder = bidders;
    uint32_t best_option = 0;
    for (size_t i = 0; i < bidders; ++i) {
      const double had = left_of(chosen[i]);
      for (uint32_t option = core.first[i]; option < core.first[i + 1]; ++option) {
        double relief = 0;
        bool adds_over = false;
        for (size_t r = 0; r < open.size(); ++r) {
          const int64_t freed = core.units[r][chosen[i]] - core.units[r][option];
          const int64_t over = std::max<int64_t>(0, -open[r]);
          if (freed < 0 && open[r] + freed < 0) adds_over = true;
          relief += static_cast<double>(std::clamp<int64_t>(freed, 0, over)) /
                    static_cast<double>(std::max<int64_t>(1, problem.capacity_units[r]));
        }
        if (adds_over || relief <= 0) continue;
        const double ratio = (had - left_of(option)) / relief;
        if (ratio < best_ratio) {
          best_ratio = ratio;
          best_bidder = i;
          best_option = option;
        }
      }
    }
    if (best_bidder == bidders) return -1;
    for (size_t r = 0; r < open.size(); ++r) {
      open[r] += core.units[r][chosen[best_bidder]] - core.units[r][best_option];
    }
    chosen[best_bidder] = best_option;
  }
  // What is open goes to whoever gains by it, once round.
  for (size_t i = 0; i < bidders; ++i) {
    for (uint32_t option = core.first[i]; option < core.first[i + 1]; ++option) {
      if (core.gain[option] <= core.gain[chosen[i]]) continue;
      bool fits = true;
      for (size_t r = 0; r < open.size(); ++r) {
        fits = fits && core.units[r][option] - core.units[r][chosen[i]] <= open[r];
      }
      if (!fits) continue;
      for (size_t r = 0; r < open.size(); ++r) {
        open[r] -= core.units[r][option] - core.units[r][chosen[i]];
      }
      chosen[i] = option;
    }
  }
  if (std::any_of(open.begin(), open.end(), [](int64_t units) { return units < 0; })) return -1;
  choices.clear();
  double gain = 0;
  for (size_t i = 0; i < bidders; ++i) {
    gain += core.gain[chosen[i]];
    choices.emplace_back(core.bidders[i], core.cells[chosen[i]]);
  }
  return static_cast<int64_t>(gain);
}

namespace {

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
    if (with_choices_) Repair(*node);
    if (node->bound > result_.gain) queue_.push(std::move(node));
  }

  void Repair(Node& node) {
    if (std::exchange(node.is_repaired, true)) return;
    std::vector<std::pair<uint32_t, uint32_t>> choices;
    const int64_t gain = node.prices->Repair(node.problem, choices);
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

  // Searches the node for what is within a larger budget of its bound, or divides it. Afterwards
  // its bound is lower; 0 or less if nothing is left to do.
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
    const auto budget = static_cast<Int128>(std::min(node.budget_steps, gap_steps));
    const int64_t target = std::max(result_.gain + 1, context_.FromSteps(bound_steps - budget));
    if (target > node.bound) {
      node.budget_steps *= 4;
      return;
    }
    const Int128 spare = bound_steps - Int128{target} * static_cast<Int128>(context_.steps_a_unit);
    Core core;
    const auto options_max = static_cast<size_t>(
        context_.core_cells + (context_.core_cells / kCoreCellsGrowth + 1) * (nodes_ - 1));
    if (!Collect(node, context_.LossWithin(spare), options_max, core)) {
      // A better allocation makes the budget smaller.
      const int64_t gain_before = result_.gain;
      Repair(node);
      if (result_.gain > gain_before) return;
      Divide(node);
      node.bound = 0;
      return;
    }
    const size_t options = core.option_count() - core.bidder_count();
    std::optional<Found> found =
        SearchCore(context_, std::move(core), node.prices->prices(), target, with_choices_);
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
    if (options >= kFewOptions) Repair(node);
  }

  bool Collect(const Node& node, double loss_max, size_t options_max, Core& core) {
    core.capacity_units = node.problem.capacity_units;
    Cells cells(context_, node.prices->prices());
    for (size_t i = 0; i < node.problem.lists.size(); ++i) {
      if (!cells.AddAtLeast(*node.problem.lists[i], node.prices->best()[i] - loss_max,
                            static_cast<uint32_t>(i), options_max, core)) {
        return false;
      }
    }
    return true;
  }

  void Divide(const Node& node) {
    const Core core = node.prices->EverBest(node.problem);
    std::optional<Branch> branch =
        ChooseBranch(core, node.prices->prices(), node.prices->columns());
    if (!branch.has_value()) branch = DivideLongest(node.problem);
    for (const bool is_above : {false, true}) {
      Problem child = node.problem;
      const CellList& whole = *child.lists[branch->bidder];
      auto list = std::make_shared<CellList>(
          is_above ? Restrict(whole, branch->r, branch->most + 1, INT32_MAX)
                   : Restrict(whole, branch->r, 0, branch->most));
      if (list->size() == 0 && !list->may_lose) continue;
      child.lists[branch->bidder] = std::move(list);
      auto prices = std::make_shared<const ProblemPrices>(
          context_, child, node.problem, *node.prices, branch->bidder, result_.gain);
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
