#include "policies/clearing/joint/search.h"

#include <algorithm>
#include <cmath>

#include "policies/clearing/joint/box.h"
#include "policies/clearing/joint/enumerate.h"

namespace nom::policies::joint {
namespace {

// Work of a box that is solved rather than divided: as much as dividing has cost so far, so neither
// can cost much more than the other would have.
constexpr int64_t kBoxWorkAnOption = 50;  // Seen in a node.
// Prices of a node, to decide what to drop.
constexpr double kTolerance = 0.02;
// Trying what is left costs about as much as the prices of a node do.
constexpr size_t kEnumeratedOptionsMax = 2'000;
constexpr int64_t kEnumerationStepsFirst = 5'000;
constexpr int64_t kEnumerationStepsAnOption = 50;
constexpr int64_t kWorkAStep = 4;
// A box vector has four lanes.
constexpr int64_t kLanes = 4;

class Search {
 public:
  Search(Context& context, int64_t target, bool with_choices)
      : context_(context), target_(target), with_choices_(with_choices) {}

  std::optional<Found> Run(Core core, const Prices& start) {
    Visit(std::move(core), start, 0, nullptr, {});
    return std::move(found_);
  }

 private:
  // `columns` are those of the node above, whose bidders were `above`.
  void Visit(Core core, const Prices& prices, int64_t gain, const Columns* columns,
             const std::vector<uint32_t>& above) {
    const size_t chosen_before = chosen_.size();
    VisitReduced(std::move(core), prices, gain, columns, above);
    chosen_.resize(chosen_before);
  }

  void VisitReduced(Core core, Prices prices, int64_t gain, const Columns* columns_above,
                    const std::vector<uint32_t>& above) {
    std::optional<Columns> last;
    std::vector<uint32_t> last_bidders;
    for (;;) {
      if (context_.is_out_of_work()) return;
      if (!Reduce(core, gain)) return;
      if (core.bidder_count() == 0) {
        Record(gain, nullptr, {});
        return;
      }
      Pricing pricing;
      PriceAt(context_, core, prices, pricing);
      Columns columns(Master(context_.resource_count, core.capacity_units, MostGain(core)));
      if (last.has_value()) {
        columns.Inherit(core, pricing.choices, *last, last_bidders);
      } else if (columns_above != nullptr) {
        columns.Inherit(core, pricing.choices, *columns_above, above);
      }
      pricing = Minimise(context_, core, std::move(pricing),
                         {static_cast<double>(target_ - gain), kTolerance}, columns);
      prices = pricing.prices;
      const Int128 spare = pricing.bound_steps -
                           (Int128{target_} - gain) * static_cast<Int128>(context_.steps_a_unit);
      if (spare < 0) return;
      const size_t options_before = core.option_count();
      DropLosing(core, pricing, context_.LossWithin(spare));
      const size_t options = core.option_count();
      if (options == core.bidder_count() || options * 10 < options_before * 9) {
        last = std::move(columns);
        last_bidders = core.bidders;
        continue;
      }
      if (options <= kEnumeratedOptionsMax) {
        PriceAt(context_, core, prices, pricing);  // Dropping moved the options.
        if (Enumerate(core, pricing, gain)) return;
      }
      const Box box(core);
      const int64_t threshold = context_.box_work + kBoxWorkAnOption * options_seen_;
      options_seen_ += static_cast<int64_t>(options);
      if (context_.is_exact_sum && box.is_feasible() && box.states() <= Box::kStatesMax &&
          box.work() / kLanes <= threshold && (!with_choices_ || box.can_choose())) {
        SolveBox(core, box, gain);
        return;
      }
      const std::optional<Branch> branch = ChooseBranch(core, prices, columns);
      if (!branch.has_value()) {
        // Options of one bidder all need the same: only the dearest counts.
        KeepDearest(core);
        last = std::move(columns);
        last_bidders = core.bidders;
        continue;
      }
      DivideAt(core, prices, gain, columns, *branch);
      return;
    }
  }

  static double MostGain(const Core& core) {
    double sum = 1;
    for (size_t i = 0; i < core.bidder_count(); ++i) {
      sum += *std::max_element(core.gain.begin() + core.first[i],
                               core.gain.begin() + core.first[i + 1]);
    }
    return sum;
  }

  // Drops what can't fit and moves bidders with one option left out of the core. False if nothing
  // fits.
  bool Reduce(Core& core, int64_t& gain) {
    for (bool is_changed = true; is_changed;) {
      UnitVector open = core.capacity_units;
      std::vector<Units> least(core.bidder_count());
      for (size_t i = 0; i < core.bidder_count(); ++i) {
        for (size_t r = 0; r < open.size(); ++r) {
          least[i][r] = *std::min_element(core.units[r].begin() + core.first[i],
                                          core.units[r].begin() + core.first[i + 1]);
          open[r] -= least[i][r];
        }
      }
      for (const int64_t units : open) {
        if (units < 0) return false;
      }
      context_.work_left -= static_cast<int64_t>(core.option_count());
      const size_t bidders = core.bidder_count();
      const size_t options = core.option_count();
      size_t with_some = 0;
      core.Filter(
          [&](size_t i, uint32_t option) {
            bool fits = true;
            for (size_t r = 0; r < open.size(); ++r) {
              fits = fits && core.units[r][option] - least[i][r] <= open[r];
            }
            return fits;
          },
          [&](size_t i, uint32_t only, size_t count) {
            ++with_some;
            if (count > 1) return true;
            gain += static_cast<int64_t>(core.gain[only]);
            for (size_t r = 0; r < open.size(); ++r) core.capacity_units[r] -= core.units[r][only];
            if (with_choices_) chosen_.emplace_back(core.bidders[i], core.cells[only]);
            return false;
          });
      if (with_some < bidders) return false;
      is_changed = core.option_count() < options;
    }
    return true;
  }

  static void DropLosing(Core& core, const Pricing& pricing, double loss_max) {
    core.Filter(
        [&](size_t i, uint32_t option) {
          return pricing.best[i] - pricing.reduced[option] <= loss_max;
        },
        KeepBidder);
  }

  static void KeepDearest(Core& core) {
    std::vector<uint32_t> dearest;
    for (size_t i = 0; i < core.bidder_count(); ++i) {
      dearest.push_back(
          static_cast<uint32_t>(std::max_element(core.gain.begin() + core.first[i],
                                                 core.gain.begin() + core.first[i + 1]) -
                                core.gain.begin()));
    }
    core.Filter([&](size_t i, uint32_t option) { return option == dearest[i]; }, KeepBidder);
  }

  static bool KeepBidder(size_t /*bidder*/, uint32_t /*first*/, size_t /*count*/) { return true; }

  void SolveBox(const Core& core, const Box& box, int64_t gain) {
    context_.work_left -= box.work() / kLanes;
    const double best = box.Solve(nullptr);
    if (best < 0 || gain + static_cast<int64_t>(best) < target_) return;
    std::vector<uint32_t> choices;
    if (with_choices_) {
      context_.work_left -= box.work() / kLanes;
      box.Solve(&choices);
    }
    Record(gain + static_cast<int64_t>(best), &core, choices);
  }

  // False if that takes too long.
  bool Enumerate(const Core& core, const Pricing& pricing, int64_t gain) {
    Enumeration enumeration(context_, core, pricing, target_ - gain);
    const bool is_done =
        enumeration.Run(kEnumerationStepsFirst +
                        kEnumerationStepsAnOption * static_cast<int64_t>(core.option_count()));
    context_.work_left -= kWorkAStep * enumeration.steps();
    if (!enumeration.choices().empty()) {
      Record(gain + enumeration.best(), &core, enumeration.choices());
    }
    return is_done;
  }

  void Record(int64_t gain, const Core* core, const std::vector<uint32_t>& options) {
    if (gain < target_) return;
    found_.emplace();
    found_->gain = gain;
    target_ = gain + 1;
    if (!with_choices_) return;
    found_->choices = chosen_;
    for (size_t i = 0; i < options.size(); ++i) {
      found_->choices.emplace_back(core->bidders[i], core->cells[options[i]]);
    }
  }

  void DivideAt(const Core& core, const Prices& prices, int64_t gain, const Columns& columns,
                const Branch& branch) {
    const std::vector<int32_t>& units = core.units[static_cast<size_t>(branch.r)];
    // First where most of the mixture lies: what is found there cuts the other short.
    for (const bool is_above : {branch.is_above_first, !branch.is_above_first}) {
      Core child = core;
      child.Filter(
          [&](size_t i, uint32_t option) {
            return i != branch.bidder || (units[option] > branch.most) == is_above;
          },
          KeepBidder);
      Visit(std::move(child), prices, gain, &columns, core.bidders);
    }
  }

  Context& context_;
  int64_t target_;
  const bool with_choices_;
  int64_t options_seen_ = 0;
  std::vector<std::pair<uint32_t, uint32_t>> chosen_;
  std::optional<Found> found_;
};

}  // namespace

std::optional<Found> SearchCore(Context& context, Core core, const Prices& start, int64_t target,
                                bool with_choices) {
  return Search(context, target, with_choices).Run(std::move(core), start);
}

std::optional<Branch> ChooseBranch(const Core& core, const Prices& prices, const Columns& columns) {
  const std::vector<double> all_parts = columns.master.Parts();
  std::vector<std::pair<size_t, double>> parts;
  for (size_t k = 1; k < all_parts.size(); ++k) {
    if (all_parts[k] > 0) parts.emplace_back(k, all_parts[k]);
  }
  std::optional<Branch> best;
  double best_worth = -1;
  for (size_t i = 0; i < core.bidder_count(); ++i) {
    for (size_t r = 0; r < core.units.size(); ++r) {
      const auto begin = core.units[r].begin() + core.first[i];
      const auto end = core.units[r].begin() + core.first[i + 1];
      const auto [least, most] = std::minmax_element(begin, end);
      if (*least == *most) continue;
      // Of the mixture: what it takes of the resource here, at least, at most and on average.
      double average = 0;
      int32_t low = *most;
      int32_t high = *least;
      const auto names = core.cells.begin() + core.first[i];
      const auto names_end = core.cells.begin() + core.first[i + 1];
      double known = 0;
      for (const auto& [k, part] : parts) {
        const auto option = std::find(names, names_end, columns.choices[k][i]);
        if (option == names_end) continue;  // Dropped since.
        const int32_t units = *(begin + (option - names));
        known += part;
        average += part * units;
        low = std::min(low, units);
        high = std::max(high, units);
      }
      if (known > 0) average /= known;
      const double inside = std::min(average - low, high - average);
      // Among equals, prices of 0 included, the widest.
      const double worth = std::max(0.0, inside) * prices[r] + (*most - *least) * 1e-9;
      if (worth <= best_worth) continue;
      best_worth = worth;
      const auto split =
          inside > 0 ? static_cast<int32_t>(std::floor(average)) : *least + (*most - *least) / 2;
      const double part_above = (average - low) / std::max(1, high - low);
      best = Branch{i, static_cast<int>(r), std::clamp(split, *least, *most - 1), part_above > 0.5};
    }
  }
  return best;
}

}  // namespace nom::policies::joint
