#include "policies/clearing/core.h"

#include <algorithm>
#include <limits>

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

Core::Choice Core::ChoiceAt(size_t bid, int64_t price) const {
  Choice best;
  int64_t next = std::numeric_limits<int64_t>::min() / 2;
  const auto consider = [&](int64_t units, int64_t surplus) {
    if (surplus > best.surplus) {
      next = best.surplus;
      best.surplus = surplus;
      best.units = units;
    } else {
      next = std::max(next, surplus);
    }
  };
  for (const KeyPiece<int64_t>& piece : bids_.PiecesOf(bid)) {
    // A straight line: an end of it is best, and next to that its neighbour.
    const int64_t at_min = piece.key_at_min - piece.min_units * price;
    const int64_t width = piece.max_units - piece.min_units;
    const int64_t slope = piece.key_slope - price;
    if (width == 0) {
      consider(piece.min_units, at_min);
    } else if (slope > 0) {
      consider(piece.max_units, at_min + width * slope);
      consider(piece.max_units - 1, at_min + (width - 1) * slope);
    } else {
      consider(piece.min_units, at_min);
      consider(piece.min_units + 1, at_min + slope);
    }
  }
  best.next_loss = best.surplus - next;
  return best;
}

std::vector<int64_t> Core::BestUnits(int64_t price) const {
  std::vector<int64_t> units(bids_.size());
  for (size_t bid = 0; bid < units.size(); ++bid) units[bid] = ChoiceAt(bid, price).units;
  return units;
}

int64_t Core::Surplus(size_t bid, int64_t price) const { return ChoiceAt(bid, price).surplus; }

// If one quantity is best at the lowest price and at the highest, then at all between, and what
// another loses against it is a straight line over prices.
void Core::Cover(int64_t low_price, int64_t high_price) {
  if (low_price_ <= low_price && high_price <= high_price_) return;
  const bool is_first = low_price_ > high_price_;
  low_price_ = is_first ? low_price : std::min(low_price_, low_price);
  high_price_ = is_first ? high_price : std::max(high_price_, high_price);
  best_units_.resize(bids_.size());
  next_loss_.resize(bids_.size());
  for (size_t bid = 0; bid < bids_.size(); ++bid) {
    const Choice at_low = ChoiceAt(bid, low_price_);
    const Choice at_high = ChoiceAt(bid, high_price_);
    best_units_[bid] = at_low.units;
    next_loss_[bid] =
        at_low.units == at_high.units ? std::min(at_low.next_loss, at_high.next_loss) : -1;
  }
}

bool Core::KeepWithin(size_t bid, Limit limit) {
  const int64_t least = Surplus(bid, limit.price) - limit.gap;
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

bool Core::KeepOnly(size_t bid, int64_t units) {
  if (units == 0) {
    const bool is_new = keeps_nothing_[bid] == 0;
    keeps_nothing_[bid] = 1;
    return is_new;
  }
  size_t p = bids_.first[bid];
  while (bids_.pieces[p].max_units < units) ++p;
  return kept_[p].Include(units, units);
}

bool Core::Keep(std::span<const Limit> limits) {
  int64_t low_price = limits.front().price;
  int64_t high_price = low_price;
  int64_t gap = 0;
  for (const Limit& limit : limits) {
    low_price = std::min(low_price, limit.price);
    high_price = std::max(high_price, limit.price);
    gap = std::max(gap, limit.gap);
  }
  Cover(low_price, high_price);
  bool is_new = false;
  for (size_t bid = 0; bid < bids_.size(); ++bid) {
    if (next_loss_[bid] > gap) {
      is_new |= KeepOnly(bid, best_units_[bid]);
    } else {
      for (const Limit& limit : limits) is_new |= KeepWithin(bid, limit);
    }
  }
  return is_new;
}

int64_t Core::GapFor(size_t count, std::span<const int64_t> prices) {
  if (count >= bids_.size()) return kKeySumMax;
  const auto [low, high] = std::minmax_element(prices.begin(), prices.end());
  Cover(*low, *high);
  std::vector<int64_t> losses = next_loss_;
  const auto nth = losses.begin() + static_cast<std::ptrdiff_t>(count);
  std::nth_element(losses.begin(), nth, losses.end());
  return std::clamp(*nth, int64_t{0}, kKeySumMax);
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
