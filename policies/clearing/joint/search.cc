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
    Visit(std::move(shortlist), start, 0, nullptr, {});
    return std::move(found_);
  }

 private:
  // `columns` are those of the node above, whose bidders were `above`.
  void Visit(Shortlist shortlist, const Prices& prices, int64_t gain, const Columns* columns,
             const std::vector<uint32_t>& above) {
    const size_t chosen_before = chosen_.size();
    VisitReduced(std::move(shortlist), prices, gain, columns, above);
    chosen_.resize(chosen_before);
  }

  void VisitReduced(Shortlist shortlist, Prices prices, int64_t gain, const Columns* columns_above,
                    const std::vector<uint32_t>& above) {
    std::optional<Columns> last;
    std::vector<uint32_t> last_bidders;
    for (;;) {
      if (context_.is_out_of_work()) return;
      if (!Reduce(shortlist, gain)) return;
      if (shortlist.bidder_count() == 0) {
        Record(gain, nullptr, {});
        return;
      }
      Pricing pricing;
      PriceAt(context_, shortlist, prices, pricing);
      Columns columns(
          Master(context_.resource_count, shortlist.capacity_units, MostGain(shortlist)));
      if (last.has_value()) {
        columns.Inherit(context_, shortlist, pricing.choices, *last, last_bidders);
      } else if (columns_above != nullptr) {
        columns.Inherit(context_, shortlist, pricing.choices, *columns_above, above);
      }
      pricing = Minimise(context_, shortlist, std::move(pricing),
                         {static_cast<double>(target_ - gain), kTolerance}, columns);
      prices = pricing.prices;
      const Int128 spare = pricing.bound_steps -
                           (Int128{target_} - gain) * static_cast<Int128>(context_.steps_a_unit);
      if (spare < 0) return;
      const size_t options_before = shortlist.option_count();
      DropLosing(shortlist, pricing, context_.LossWithin(spare));
      context_.Spend(options_before, Shortlist::kStepsToFilter);
      const size_t options = shortlist.option_count();
      if (options == shortlist.bidder_count() || options * 10 < options_before * 9) {
        last = std::move(columns);
        last_bidders = shortlist.bidders;
        continue;
      }
      if (options <= kEnumeratedOptionsMax) {
        PriceAt(context_, shortlist, prices, pricing);  // Dropping moved the options.
        if (Enumerate(shortlist, pricing, gain)) return;
      }
      const Box box(shortlist);
      const int64_t threshold = context_.box_work + kBoxWorkAnOption * options_seen_;
      options_seen_ += static_cast<int64_t>(options);
      if (context_.is_exact_sum && box.is_feasible() && box.states() <= Box::kStatesMax &&
          box.work() / kLanes <= threshold && (!with_choices_ || box.can_choose())) {
        SolveBox(shortlist, box, gain);
        return;
      }
      context_.Spend(options, kStepsToBranch);
      const std::optional<Branch> branch = ChooseBranch(shortlist, prices, columns);
      if (!branch.has_value()) {
        // Options of one bidder all need the same: only the dearest counts.
        KeepDearest(shortlist);
        last = std::move(columns);
        last_bidders = shortlist.bidders;
        continue;
      }
      DivideAt(shortlist, prices, gain, columns, *branch);
      return;
    }
  }

  static double MostGain(const Shortlist& shortlist) {
    double sum = 1;
    for (size_t i = 0; i < shortlist.bidder_count(); ++i) {
      sum += *std::max_element(shortlist.gain.begin() + shortlist.first[i],
                               shortlist.gain.begin() + shortlist.first[i + 1]);
    }
    return sum;
  }

  // Drops what can't fit and moves bidders with one option left out of the shortlist. False if
  // nothing fits.
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
    target_ = gain + 1;
    if (!with_choices_) return;
    found_->choices = chosen_;
    for (size_t i = 0; i < options.size(); ++i) {
      found_->choices.emplace_back(shortlist->bidders[i], shortlist->cells[options[i]]);
    }
  }

  void DivideAt(const Shortlist& shortlist, const Prices& prices, int64_t gain,
                const Columns& columns, const Branch& branch) {
    const std::vector<int32_t>& units = shortlist.units[static_cast<size_t>(branch.r)];
    // First where most of the mixture lies: what is found there cuts the other short.
    for (const bool is_above : {branch.is_above_first, !branch.is_above_first}) {
      Shortlist child = shortlist;
      context_.Spend(shortlist.option_count(), Shortlist::kStepsToCopy + Shortlist::kStepsToFilter);
      child.Filter(
          [&](size_t i, uint32_t option) {
            return i != branch.bidder || (units[option] > branch.most) == is_above;
          },
          KeepBidder);
      Visit(std::move(child), prices, gain, &columns, shortlist.bidders);
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
