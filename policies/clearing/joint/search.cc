// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/joint/search.h"

#include <algorithm>
#include <cmath>
#include <memory>

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
// Counted work, an option; and one that is tried.
constexpr int64_t kStepsToReduce = 6;
constexpr int64_t kStepsToEnumerate = 60;
constexpr int64_t kStepsToBranch = 10;
constexpr int64_t kStepsATry = 5;
// A box vector has four lanes.
constexpr int64_t kLanes = 4;

class Search {
 public:
  Search(Context& context, int64_t target, bool with_choices)
      : context_(context), target_(target), with_choices_(with_choices) {}

  std::optional<Found> Run(Shortlist shortlist, const Prices& start) {
    Visit({std::move(shortlist), start, 0, nullptr, {}});
    return std::move(found_);
  }

 private:
  // What is left to decide below one branching.
  struct Part {
    Shortlist shortlist;
    Prices prices = {};  // Where its own begin.
    int64_t gain = 0;    // Of the bidders that are decided, and not in the shortlist any more.
    // Where its columns come from: the part above, or this one before it became smaller.
    std::shared_ptr<const Columns> columns;
    std::vector<uint32_t> columns_bidders;
  };

  void Visit(Part part) {
    const size_t chosen_before = chosen_.size();
    Decide(std::move(part));
    chosen_.resize(chosen_before);
  }

  // Makes the part smaller for as long as that goes, by what can't fit and by what loses too much
  // at its own prices; then solves it, or divides it in two.
  void Decide(Part part) {
    Shortlist& shortlist = part.shortlist;
    for (;;) {
      if (context_.is_out_of_work()) return;
      if (!Reduce(shortlist, part.gain)) return;
      if (shortlist.bidder_count() == 0) {
        Record(part.gain, nullptr, {});
        return;
      }
      auto columns = std::make_shared<Columns>(
          Master(context_.resource_count, shortlist.capacity_units, MostGain(shortlist)));
      Pricing pricing = Price(part, *columns);
      part.prices = pricing.prices;
      const Int128 spare = pricing.bound_steps - (Int128{target_} - part.gain) *
                                                     static_cast<Int128>(context_.steps_a_unit);
      if (spare < 0) return;  // Nothing in it gains the target.
      const size_t options_before = shortlist.option_count();
      DropLosing(shortlist, pricing, context_.LossWithin(spare));
      context_.Spend(options_before, Shortlist::kStepsToFilter);
      const size_t options = shortlist.option_count();
      // A tenth less: better prices for what is left will drop more. (Or all is decided.)
      const bool is_smaller =
          options == shortlist.bidder_count() || options * 10 < options_before * 9;
      if (!is_smaller) {
        if (Solve(part, pricing)) return;
        context_.Spend(options, kStepsToBranch);
        if (const auto branch = ChooseBranch(shortlist, part.prices, *columns)) {
          Divide(part, columns, *branch);
          return;
        }
        // Options of one bidder all need the same: only the dearest counts.
        KeepDearest(shortlist);
      }
      part.columns = std::move(columns);
      part.columns_bidders = shortlist.bidders;
    }
  }

  Pricing Price(const Part& part, Columns& columns) {
    Pricing pricing;
    PriceAt(context_, part.shortlist, part.prices, pricing);
    if (part.columns != nullptr) {
      columns.Inherit(context_, part.shortlist, pricing.choices, *part.columns,
                      part.columns_bidders);
    }
    const Goal goal{static_cast<double>(target_ - part.gain), kTolerance};
    return Minimise(context_, part.shortlist, std::move(pricing), goal, columns);
  }

  // False if the part is too large to be tried out and to be solved by a table of its open units.
  // How large is too large grows with what has been seen: so no search goes on dividing for ever
  // where a table would have been an end.
  bool Solve(const Part& part, Pricing& pricing) {
    const Shortlist& shortlist = part.shortlist;
    if (shortlist.option_count() <= kEnumeratedOptionsMax) {
      PriceAt(context_, shortlist, part.prices, pricing);  // Dropping moved the options.
      if (Enumerate(shortlist, pricing, part.gain)) return true;
    }
    const int64_t threshold = context_.box_work + kBoxWorkAnOption * options_seen_;
    options_seen_ += static_cast<int64_t>(shortlist.option_count());
    const Box box(shortlist);
    if (!context_.is_exact_sum || !box.is_feasible() || box.states() > Box::kStatesMax ||
        box.work() / kLanes > threshold || (with_choices_ && !box.can_choose())) {
      return false;
    }
    SolveBox(shortlist, box, part.gain);
    return true;
  }

  static double MostGain(const Shortlist& shortlist) {
    double sum = 1;
    for (size_t i = 0; i < shortlist.bidder_count(); ++i) {
      sum += *std::max_element(shortlist.gain.begin() + shortlist.first[i],
                               shortlist.gain.begin() + shortlist.first[i + 1]);
    }
    return sum;
  }

  // Drops options that need more than is left when all others take their fewest units, and decides
  // bidders that have one option left, whose units and gain are given out then. That can leave less
  // for the others, so it goes on until nothing changes. False if nothing fits.
  bool Reduce(Shortlist& shortlist, int64_t& gain) {
    for (bool is_changed = true; is_changed;) {
      UnitVector open = shortlist.capacity_units;
      std::vector<Units> least(shortlist.bidder_count());
      for (size_t i = 0; i < shortlist.bidder_count(); ++i) {
        for (size_t r = 0; r < open.size(); ++r) {
          least[i][r] = *std::min_element(shortlist.units[r].begin() + shortlist.first[i],
                                          shortlist.units[r].begin() + shortlist.first[i + 1]);
          open[r] -= least[i][r];
        }
      }
      for (const int64_t units : open) {
        if (units < 0) return false;
      }
      context_.Spend(shortlist.option_count(), kStepsToReduce);
      const size_t bidders = shortlist.bidder_count();
      const size_t options = shortlist.option_count();
      size_t with_some = 0;
      shortlist.Filter(
          [&](size_t i, uint32_t option) {
            bool fits = true;
            for (size_t r = 0; r < open.size(); ++r) {
              fits = fits && shortlist.units[r][option] - least[i][r] <= open[r];
            }
            return fits;
          },
          [&](size_t i, uint32_t only, size_t count) {
            ++with_some;
            if (count > 1) return true;
            gain += static_cast<int64_t>(shortlist.gain[only]);
            for (size_t r = 0; r < open.size(); ++r)
              shortlist.capacity_units[r] -= shortlist.units[r][only];
            if (with_choices_) chosen_.emplace_back(shortlist.bidders[i], shortlist.cells[only]);
            return false;
          });
      if (with_some < bidders) return false;
      is_changed = shortlist.option_count() < options;
    }
    return true;
  }

  static void DropLosing(Shortlist& shortlist, const Pricing& pricing, double loss_max) {
    shortlist.Filter(
        [&](size_t i, uint32_t option) {
          return pricing.best[i] - pricing.reduced[option] <= loss_max;
        },
        KeepBidder);
  }

  static void KeepDearest(Shortlist& shortlist) {
    std::vector<uint32_t> dearest;
    for (size_t i = 0; i < shortlist.bidder_count(); ++i) {
      dearest.push_back(
          static_cast<uint32_t>(std::max_element(shortlist.gain.begin() + shortlist.first[i],
                                                 shortlist.gain.begin() + shortlist.first[i + 1]) -
                                shortlist.gain.begin()));
    }
    shortlist.Filter([&](size_t i, uint32_t option) { return option == dearest[i]; }, KeepBidder);
  }

  static bool KeepBidder(size_t /*bidder*/, uint32_t /*first*/, size_t /*count*/) { return true; }

  void SolveBox(const Shortlist& shortlist, const Box& box, int64_t gain) {
    context_.work_left -= box.steps();
    const double best = box.Solve(nullptr);
    if (best < 0 || gain + static_cast<int64_t>(best) < target_) return;
    std::vector<uint32_t> choices;
    if (with_choices_) {
      context_.work_left -= box.steps();
      box.Solve(&choices);
    }
    Record(gain + static_cast<int64_t>(best), &shortlist, choices);
  }

  // False if that takes too long.
  bool Enumerate(const Shortlist& shortlist, const Pricing& pricing, int64_t gain) {
    Enumeration enumeration(context_, shortlist, pricing, target_ - gain);
    const bool is_done =
        enumeration.Run(kEnumerationStepsFirst +
                        kEnumerationStepsAnOption * static_cast<int64_t>(shortlist.option_count()));
    context_.Spend(shortlist.option_count(), kStepsToEnumerate);
    context_.work_left -= kStepsATry * enumeration.steps();
    if (!enumeration.choices().empty()) {
      Record(gain + enumeration.best(), &shortlist, enumeration.choices());
    }
    return is_done;
  }

  void Record(int64_t gain, const Shortlist* shortlist, const std::vector<uint32_t>& options) {
    if (gain < target_) return;
    found_.emplace();
    found_->gain = gain;
    target_ = gain + 1;  // From here on only what is better.
    if (!with_choices_) return;
    found_->choices = chosen_;
    for (size_t i = 0; i < options.size(); ++i) {
      found_->choices.emplace_back(shortlist->bidders[i], shortlist->cells[options[i]]);
    }
  }

  void Divide(const Part& part, const std::shared_ptr<const Columns>& columns,
              const Branch& branch) {
    const std::vector<int32_t>& units = part.shortlist.units[static_cast<size_t>(branch.r)];
    // First where most of the mixture lies: what is found there cuts the other short.
    for (const bool is_above : {branch.is_above_first, !branch.is_above_first}) {
      Shortlist child = part.shortlist;
      context_.Spend(child.option_count(), Shortlist::kStepsToCopy + Shortlist::kStepsToFilter);
      child.Filter(
          [&](size_t i, uint32_t option) {
            return i != branch.bidder || (units[option] > branch.most) == is_above;
          },
          KeepBidder);
      Visit({std::move(child), part.prices, part.gain, columns, part.shortlist.bidders});
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

std::optional<Found> SearchShortlist(Context& context, Shortlist shortlist, const Prices& start,
                                     int64_t target, bool with_choices) {
  return Search(context, target, with_choices).Run(std::move(shortlist), start);
}

std::optional<Branch> ChooseBranch(const Shortlist& shortlist, const Prices& prices,
                                   const Columns& columns) {
  // The best mixture of allocations is what the relaxed problem would do. Where it gives a bidder
  // part of one option and part of another, that is what keeps it from being an answer; the bidder
  // and resource where that is worth most are divided between the two.
  const std::vector<double> all_parts = columns.master.Parts();
  std::vector<std::pair<size_t, double>> parts;
  for (size_t k = 1; k < all_parts.size(); ++k) {
    if (all_parts[k] > 0) parts.emplace_back(k, all_parts[k]);
  }
  std::optional<Branch> best;
  double best_worth = -1;
  for (size_t i = 0; i < shortlist.bidder_count(); ++i) {
    for (size_t r = 0; r < shortlist.units.size(); ++r) {
      const auto begin = shortlist.units[r].begin() + shortlist.first[i];
      const auto end = shortlist.units[r].begin() + shortlist.first[i + 1];
      const auto [least, most] = std::minmax_element(begin, end);
      if (*least == *most) continue;
      // Of the mixture: what it takes of the resource here, at least, at most and on average.
      double average = 0;
      int32_t low = *most;
      int32_t high = *least;
      const auto names = shortlist.cells.begin() + shortlist.first[i];
      const auto names_end = shortlist.cells.begin() + shortlist.first[i + 1];
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
