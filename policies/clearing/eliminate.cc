#include "policies/clearing/eliminate.h"

#include <algorithm>

namespace nom::policies {
namespace {

struct Corner {
  int64_t units = 0;
  int64_t key = 0;
};

int64_t KeyAt(const Piece& piece, int64_t units) {
  return static_cast<int64_t>(piece.key_at_min + (units - piece.min_units) * piece.key_slope);
}

bool IsAboveChord(const Corner& a, const Corner& b, const Corner& c) {
  return Int128{b.key - a.key} * (c.units - a.units) > Int128{c.key - a.key} * (b.units - a.units);
}

// The most that a bid adds after paying `price` for each unit, and nothing for nothing.
Int128 Surplus(const std::vector<Piece>& pieces, int64_t price) {
  Int128 best = 0;
  for (const Piece& piece : pieces) {
    for (int64_t units : {piece.min_units, piece.max_units}) {
      best = std::max(best, KeyAt(piece, units) - Int128{units} * price);
    }
  }
  return best;
}

}  // namespace

Elimination::Elimination(const NormalAuction& normal) : normal_(normal) {
  std::vector<Corner> hull;
  for (size_t place = 0; place < normal.bids.size(); ++place) {
    const std::vector<Piece>& pieces = normal.bids[place].pieces;
    first_.push_back(kept_.size());
    kept_.resize(kept_.size() + pieces.size());
    hull.assign(1, {});
    for (const Piece& piece : pieces) {
      for (int64_t units : {piece.min_units, piece.max_units}) {
        const Corner corner{units, KeyAt(piece, units)};
        if (corner.units == hull.back().units) continue;
        while (hull.size() >= 2 && !IsAboveChord(hull[hull.size() - 2], hull.back(), corner)) {
          hull.pop_back();
        }
        hull.push_back(corner);
      }
    }
    for (size_t i = 1; i < hull.size() && hull[i].key > hull[i - 1].key; ++i) {
      parts_.push_back({static_cast<uint32_t>(place), hull[i - 1].units, hull[i].units,
                        hull[i].key - hull[i - 1].key});
    }
  }
  first_.push_back(kept_.size());
  std::sort(parts_.begin(), parts_.end(), [](const Part& a, const Part& b) {
    const Int128 left = Int128{a.key} * (b.to_units - b.from_units);
    const Int128 right = Int128{b.key} * (a.to_units - a.from_units);
    if (left != right) return left > right;
    return a.place != b.place ? a.place < b.place : a.from_units < b.from_units;
  });
}

int64_t Elimination::PriceAt(int64_t capacity_units, size_t without) const {
  int64_t left_units = capacity_units;
  for (const Part& part : parts_) {
    if (part.place == without) continue;
    left_units -= part.to_units - part.from_units;
    if (left_units < 0) return part.key / (part.to_units - part.from_units);
  }
  return 0;
}

// What a greedy allocation of real quantities reaches: parts from the steepest down, and where one
// does not fit, the most that does.
int64_t Elimination::ReachedWithin(int64_t capacity_units, size_t without) const {
  std::vector<int64_t> units(normal_.bids.size(), 0);
  std::vector<bool> is_done(normal_.bids.size(), false);
  int64_t left_units = capacity_units;
  int64_t reached = 0;
  for (const Part& part : parts_) {
    if (part.place == without || is_done[part.place] || left_units == 0) continue;
    int64_t& had = units[part.place];
    if (part.to_units - had <= left_units) {
      left_units -= part.to_units - had;
      had = part.to_units;
      reached += part.key;
      continue;
    }
    is_done[part.place] = true;
    const std::vector<Piece>& pieces = normal_.bids[part.place].pieces;
    int64_t key_before = 0;
    int64_t best_units = 0;
    int64_t best = 0;
    for (const Piece& piece : pieces) {
      if (piece.min_units <= had && had <= piece.max_units) key_before = KeyAt(piece, had);
      if (piece.min_units > had + left_units) break;
      for (int64_t a : {piece.min_units, std::min(piece.max_units, had + left_units)}) {
        if (KeyAt(piece, a) > best) {
          best = KeyAt(piece, a);
          best_units = a;
        }
      }
    }
    if (best <= key_before) continue;
    left_units -= best_units - had;
    had = best_units;
    reached += best - key_before;
  }
  return reached;
}

void Elimination::Keep(int64_t capacity_units, size_t without,
                       const std::vector<Piece>& pieces_without) {
  const int64_t price = PriceAt(capacity_units, without);
  std::vector<Int128> surplus(normal_.bids.size());
  Int128 bound = Int128{price} * capacity_units + Surplus(pieces_without, price);
  for (size_t place = 0; place < normal_.bids.size(); ++place) {
    if (place == without) continue;
    surplus[place] = Surplus(normal_.bids[place].pieces, price);
    bound += surplus[place];
  }
  const Int128 gap = bound - ReachedWithin(capacity_units, without);
  for (size_t place = 0; place < normal_.bids.size(); ++place) {
    if (place == without) continue;
    const std::vector<Piece>& pieces = normal_.bids[place].pieces;
    const Int128 least = surplus[place] - gap;
    for (size_t p = 0; p < pieces.size(); ++p) {
      // Where key(a) - price * a, a straight line, is at least `least`.
      const Piece& piece = pieces[p];
      const Int128 slope = piece.key_slope - price;
      const Int128 at_min = piece.key_at_min - Int128{piece.min_units} * price;
      const Int128 at_max = at_min + (piece.max_units - piece.min_units) * slope;
      int64_t low = piece.min_units;
      int64_t high = piece.max_units;
      if (at_min < least && at_max < least) continue;
      if (at_min < least) low += static_cast<int64_t>((least - at_min + slope - 1) / slope);
      if (at_max < least) high = low + static_cast<int64_t>((at_min - least) / -slope);
      Interval& kept = kept_[first_[place] + p];
      kept = kept.low > kept.high ? Interval{low, high}
                                  : Interval{std::min(kept.low, low), std::max(kept.high, high)};
    }
  }
}

std::vector<std::vector<Piece>> Elimination::Kept() const {
  std::vector<std::vector<Piece>> kept(normal_.bids.size());
  for (size_t place = 0; place < normal_.bids.size(); ++place) {
    const std::vector<Piece>& pieces = normal_.bids[place].pieces;
    for (size_t p = 0; p < pieces.size(); ++p) {
      const Interval& interval = kept_[first_[place] + p];
      if (interval.low > interval.high) continue;
      const Piece& piece = pieces[p];
      kept[place].push_back({interval.low, interval.high,
                             piece.key_at_min + (interval.low - piece.min_units) * piece.key_slope,
                             interval.low == interval.high ? Int128{0} : piece.key_slope});
    }
  }
  return kept;
}

size_t Elimination::piece_count() const {
  return static_cast<size_t>(
      std::count_if(kept_.begin(), kept_.end(), [](const Interval& i) { return i.low <= i.high; }));
}

}  // namespace nom::policies
