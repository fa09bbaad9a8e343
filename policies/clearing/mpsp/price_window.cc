// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/mpsp/price_window.h"

#include <algorithm>

#include "policies/clearing/mpsp/choice.h"

namespace nom::policies {

PriceWindow::PriceWindow(const KeyBids<int64_t>& bids, int64_t low_price, int64_t high_price,
                         size_t open_max)
    : bids_(bids),
      low_price_(low_price),
      high_price_(high_price),
      best_units_(bids.size()),
      next_loss_(bids.size()),
      decisions_(bids.size()) {
  for (size_t bid = 0; bid < bids.size(); ++bid) Look(bid);
  const auto undecided =
      static_cast<size_t>(std::count(next_loss_.begin(), next_loss_.end(), int64_t{-1}));
  gap_ = kKeySumMax;
  if (undecided + open_max < bids.size()) {
    std::vector<int64_t> losses = next_loss_;
    const auto nth = losses.begin() + static_cast<std::ptrdiff_t>(undecided + open_max);
    std::nth_element(losses.begin(), nth, losses.end());
    gap_ = std::min(*nth, kKeySumMax);
  }
  for (size_t bid = 0; bid < bids.size(); ++bid) Decide(bid);
}

void PriceWindow::Cover(const Core::Limit& limit) {
  gap_ = std::max(gap_, limit.gap);
  if (limit.price < low_price_ || limit.price > high_price_) {
    low_price_ = std::min(low_price_, limit.price);
    high_price_ = std::max(high_price_, limit.price);
    for (size_t bid = 0; bid < bids_.size(); ++bid) Look(bid);
  }
  for (size_t bid = 0; bid < bids_.size(); ++bid) Decide(bid);
}

void PriceWindow::Look(size_t bid) {
  const SteadyChoice choice = ChoiceBetween(bids_.PiecesOf(bid), low_price_, high_price_);
  best_units_[bid] = choice.units;
  next_loss_[bid] = choice.next_loss;
}

void PriceWindow::Decide(size_t bid) {
  Decision& decision = decisions_[bid];
  units_ -= decision.units;
  key_ -= decision.key;
  decision = {};
  if (next_loss_[bid] > gap_) {
    decision.is_open = false;
    decision.units = best_units_[bid];
    decision.key = KeyOf(bids_.PiecesOf(bid), decision.units);
  }
  units_ += decision.units;
  key_ += decision.key;
}

}  // namespace nom::policies
