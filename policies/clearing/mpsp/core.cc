// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/mpsp/core.h"

#include <algorithm>

#include "policies/clearing/mpsp/choice.h"

namespace nom::policies {

bool Core::Interval::Include(int64_t from, int64_t to) {
  if (is_empty()) {
    low = from;
    high = to;
    return true;
  }
  if (low <= from && to <= high) return false;
  low = std::min(low, from);
  high = std::max(high, to);
  return true;
}

Core::Core(const KeyBids<int64_t>& bids)
    : bids_(bids), kept_(bids.pieces.size()), keeps_nothing_(bids.size(), 0) {}

bool Core::KeepWithin(size_t bid, const Limit& limit) {
  const int64_t least = ChoiceAt(bids_.PiecesOf(bid), limit.price).surplus - limit.gap;
  bool is_new = false;
  if (least <= 0 && keeps_nothing_[bid] == 0) {
    keeps_nothing_[bid] = 1;
    is_new = true;
  }
  for (size_t p = bids_.first[bid]; p < bids_.first[bid + 1]; ++p) {
    const KeyPiece<int64_t>& piece = bids_.pieces[p];
    const int64_t slope = piece.key_slope - limit.price;
    const int64_t at_min = piece.key_at_min - piece.min_units * limit.price;
    const int64_t width = piece.max_units - piece.min_units;
    const int64_t at_max = width == 0 ? at_min : at_min + width * slope;
    if (at_min < least && at_max < least) continue;
    int64_t low = piece.min_units;
    int64_t high = piece.max_units;
    if (at_min < least) low += (least - at_min + slope - 1) / slope;
    if (at_max < least) high = piece.min_units + (at_min - least) / -slope;
    is_new |= kept_[p].Include(low, high);
  }
  return is_new;
}

bool Core::Keep(std::span<const Limit> limits) {
  if (limits.empty()) return false;
  int64_t low_price = limits.front().price;
  int64_t high_price = low_price;
  int64_t gap = 0;
  for (const Limit& limit : limits) {
    low_price = std::min(low_price, limit.price);
    high_price = std::max(high_price, limit.price);
    gap = std::max(gap, limit.gap);
  }
  bool is_new = false;
  for (size_t bid = 0; bid < bids_.size(); ++bid) {
    // Most keep what is best throughout, and nothing else.
    if (ChoiceBetween(bids_.PiecesOf(bid), low_price, high_price).next_loss > gap) {
      is_new |= KeepWithin(bid, {low_price, 0});
    } else {
      for (const Limit& limit : limits) is_new |= KeepWithin(bid, limit);
    }
  }
  return is_new;
}

int64_t Core::GapFor(size_t count, int64_t low_price, int64_t high_price) const {
  if (count >= bids_.size()) return kKeySumMax;
  std::vector<int64_t> losses;
  losses.reserve(bids_.size());
  for (size_t bid = 0; bid < bids_.size(); ++bid) {
    const SteadyChoice choice = ChoiceBetween(bids_.PiecesOf(bid), low_price, high_price);
    losses.push_back(std::max<int64_t>(choice.next_loss, 0));
  }
  const auto nth = losses.begin() + static_cast<std::ptrdiff_t>(count);
  std::nth_element(losses.begin(), nth, losses.end());
  return *nth;
}

TableProblem<int64_t> Core::Problem(int64_t capacity_units) const {
  TableProblem<int64_t> problem;
  problem.capacity_units = capacity_units;
  problem.base_units.resize(bids_.size(), 0);
  problem.base_keys.resize(bids_.size(), 0);
  int64_t base_units_max = 0;
  for (size_t bid = 0; bid < bids_.size(); ++bid) {
    bool has_base = keeps_nothing_[bid] != 0;
    int64_t& base_units = problem.base_units[bid];
    int64_t& base_key = problem.base_keys[bid];
    const size_t before = problem.bids.pieces.size();
    for (size_t p = bids_.first[bid]; p < bids_.first[bid + 1]; ++p) {
      if (kept_[p].is_empty()) continue;
      auto [low, high] = kept_[p];
      const KeyPiece<int64_t>& piece = bids_.pieces[p];
      if (!has_base) {
        has_base = true;
        base_units = low;
        base_key = piece.KeyAt(low);
        if (low++ == high) continue;
      }
      problem.bids.pieces.push_back({low - base_units, high - base_units,
                                     piece.KeyAt(low) - base_key,
                                     low == high ? 0 : piece.key_slope});
    }
    if (problem.bids.pieces.size() > before) problem.bids.EndBid(bid);
    problem.capacity_units -= base_units;
    problem.base_key += base_key;
    base_units_max = std::max(base_units_max, base_units);
  }
  problem.table_units = problem.capacity_units + base_units_max;
  return problem;
}

}  // namespace nom::policies
