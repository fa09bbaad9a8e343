// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/joint/repair.h"

#include <algorithm>
#include <cmath>

namespace nom::policies::joint {
namespace {

constexpr int64_t kStepsAnOption = 8;  // Counted work.

// An option of every bidder of a shortlist, and the units that they leave open: below 0 where a
// resource is over-full.
class Draft {
 public:
  Draft(const Shortlist& shortlist, const Prices& prices)
      : shortlist_(shortlist), prices_(prices), open_(shortlist.capacity_units) {
    for (size_t i = 0; i < shortlist.bidder_count(); ++i) {
      uint32_t best = shortlist.first[i];
      for (uint32_t option = best; option < shortlist.first[i + 1]; ++option) {
        if (Left(option) > Left(best)) best = option;
      }
      chosen_.push_back(best);
      for (size_t r = 0; r < open_.size(); ++r) open_[r] -= shortlist.units[r][best];
    }
  }

  const std::vector<uint32_t>& chosen() const { return chosen_; }
  bool fits() const {
    return std::all_of(open_.begin(), open_.end(), [](int64_t units) { return units >= 0; });
  }

  // Makes the one change that loses least for what it relieves. False if none relieves anything
  // without making another resource over-full.
  bool Relieve() {
    double best_ratio = HUGE_VAL;
    size_t best_bidder = chosen_.size();
    uint32_t best_option = 0;
    for (size_t i = 0; i < chosen_.size(); ++i) {
      const double had = Left(chosen_[i]);
      for (uint32_t option = shortlist_.first[i]; option < shortlist_.first[i + 1]; ++option) {
        const double relief = ReliefOf(chosen_[i], option);
        if (relief <= 0) continue;
        const double ratio = (had - Left(option)) / relief;
        if (ratio < best_ratio) {
          best_ratio = ratio;
          best_bidder = i;
          best_option = option;
        }
      }
    }
    if (best_bidder == chosen_.size()) return false;
    Change(best_bidder, best_option);
    return true;
  }

  // What is open goes to whoever gains by it, once round.
  void Fill() {
    for (size_t i = 0; i < chosen_.size(); ++i) {
      for (uint32_t option = shortlist_.first[i]; option < shortlist_.first[i + 1]; ++option) {
        if (shortlist_.gain[option] <= shortlist_.gain[chosen_[i]]) continue;
        bool has_room = true;
        for (size_t r = 0; r < open_.size(); ++r) {
          has_room = has_room && Freed(r, chosen_[i], option) + open_[r] >= 0;
        }
        if (has_room) Change(i, option);
      }
    }
  }

 private:
  double Left(size_t option) const {
    double left = shortlist_.gain[option];
    for (size_t r = 0; r < prices_.size(); ++r) left -= prices_[r] * shortlist_.units[r][option];
    return left;
  }

  int64_t Freed(size_t r, size_t from, size_t to) const {
    return shortlist_.units[r][from] - shortlist_.units[r][to];
  }

  // How much of what is too much goes away, in capacities, so that resources compare; nothing if
  // the change makes a resource over-full, or more so.
  double ReliefOf(size_t from, size_t to) const {
    double relief = 0;
    for (size_t r = 0; r < open_.size(); ++r) {
      const int64_t freed = Freed(r, from, to);
      const int64_t over = std::max<int64_t>(0, -open_[r]);
      if (freed < 0 && open_[r] + freed < 0) return 0;
      relief += static_cast<double>(std::clamp<int64_t>(freed, 0, over)) /
                static_cast<double>(std::max<int64_t>(1, shortlist_.capacity_units[r]));
    }
    return relief;
  }

  void Change(size_t bidder, uint32_t option) {
    for (size_t r = 0; r < open_.size(); ++r) open_[r] += Freed(r, chosen_[bidder], option);
    chosen_[bidder] = option;
  }

  const Shortlist& shortlist_;
  const Prices& prices_;
  UnitVector open_;
  std::vector<uint32_t> chosen_;  // By bidder.
};

}  // namespace

int64_t Repair(Context& context, const Problem& problem, const ProblemPrices& prices,
               std::vector<std::pair<uint32_t, uint32_t>>& choices) {
  const Shortlist shortlist = prices.EverBest(problem);
  const size_t bidders = shortlist.bidder_count();
  // At the prices everybody takes what is best for it: nearly balanced, but seldom feasible.
  Draft draft(shortlist, prices.prices());
  context.Spend(shortlist.option_count(), Shortlist::kStepsToAdd + 2 * kStepsAnOption);
  for (size_t step = 0; step < 4 * bidders && !draft.fits(); ++step) {
    context.Spend(shortlist.option_count(), kStepsAnOption);
    if (!draft.Relieve()) return -1;
  }
  draft.Fill();
  if (!draft.fits()) return -1;
  choices.clear();
  double gain = 0;
  for (size_t i = 0; i < bidders; ++i) {
    const uint32_t option = draft.chosen()[i];
    gain += shortlist.gain[option];
    choices.emplace_back(shortlist.bidders[i], shortlist.cells[option]);
  }
  return static_cast<int64_t>(gain);
}

}  // namespace nom::policies::joint
