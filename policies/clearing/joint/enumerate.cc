// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/joint/enumerate.h"

#include <algorithm>
#include <numeric>

namespace nom::policies::joint {

Enumeration::Enumeration(const Context& context, const Shortlist& shortlist, const Pricing& pricing,
                         int64_t target)
    : shortlist_(shortlist),
      step_(static_cast<Int128>(context.steps_a_unit)),
      spare_steps_(pricing.bound_steps - target * step_),
      open_(shortlist.capacity_units),
      choices_(shortlist.bidder_count()),
      best_(target - 1) {
  const size_t bidders = shortlist.bidder_count();
  std::vector<std::vector<Option>> by_bidder(bidders);
  for (size_t i = 0; i < bidders; ++i) {
    for (uint32_t option = shortlist.first[i]; option < shortlist.first[i + 1]; ++option) {
      // What rounding can have added is not held against it.
      const double loss = pricing.best[i] - pricing.reduced[option] - context.rounding;
      by_bidder[i].push_back({context.ToSteps(std::max(0.0, loss)), option});
    }
    std::stable_sort(by_bidder[i].begin(), by_bidder[i].end(),
                     [](const Option& a, const Option& b) { return a.loss_steps < b.loss_steps; });
  }
  // Those first whose second best loses most: there is least to try.
  bidders_.resize(bidders);
  std::iota(bidders_.begin(), bidders_.end(), size_t{0});
  std::stable_sort(bidders_.begin(), bidders_.end(), [&](size_t a, size_t b) {
    const auto second = [&](size_t i) {
      return by_bidder[i].size() > 1 ? by_bidder[i][1].loss_steps : Int128{0};
    };
    return second(a) > second(b);
  });
  least_after_.resize(bidders + 1);
  options_.resize(bidders);
  for (size_t place = bidders; place-- > 0;) {
    const size_t i = bidders_[place];
    for (size_t r = 0; r < open_.size(); ++r) {
      least_after_[place][r] =
          least_after_[place + 1][r] +
          *std::min_element(shortlist.units[r].begin() + shortlist.first[i],
                            shortlist.units[r].begin() + shortlist.first[i + 1]);
    }
    options_[place] = std::move(by_bidder[i]);
  }
}

bool Enumeration::Run(int64_t steps_max) {
  steps_left_ = steps_max;
  Try(0);
  steps_ = steps_max - std::max<int64_t>(0, steps_left_);
  return steps_left_ > 0;
}

void Enumeration::Try(size_t place) {
  if (place == bidders_.size()) {
    if (gain_ <= best_) return;
    // From here on only what gains more: so much less may be lost.
    spare_steps_ -= (gain_ - best_) * step_;
    best_ = gain_;
    best_choices_ = choices_;
    return;
  }
  for (const Option& choice : options_[place]) {
    // Those after it lose no less.
    if (lost_ + choice.loss_steps > spare_steps_ || --steps_left_ <= 0) return;
    // It must leave what the bidders that come later need at least.
    bool fits = true;
    for (size_t r = 0; r < open_.size(); ++r) {
      fits = fits && open_[r] - shortlist_.units[r][choice.option] >= least_after_[place + 1][r];
    }
    if (!fits) continue;
    const auto gain = static_cast<int64_t>(shortlist_.gain[choice.option]);
    for (size_t r = 0; r < open_.size(); ++r) open_[r] -= shortlist_.units[r][choice.option];
    lost_ += choice.loss_steps;
    gain_ += gain;
    choices_[bidders_[place]] = choice.option;
    Try(place + 1);
    gain_ -= gain;
    lost_ -= choice.loss_steps;
    for (size_t r = 0; r < open_.size(); ++r) open_[r] += shortlist_.units[r][choice.option];
  }
}

}  // namespace nom::policies::joint
