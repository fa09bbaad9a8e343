#include "policies/clearing/eliminate.h"

#include <algorithm>
#include <limits>
#include <span>

#include "policies/clearing/int128.h"

namespace nom::policies {
namespace {

// Parts that do not fit where units are freed by one winner: looking for more is not worth it.
constexpr int kMissesMax = 16;
// The largest winners are looked at one by one.
constexpr size_t kAloneMax = 16;

int64_t KeyAt(const KeyPiece<int64_t>& piece, int64_t units) {
  return piece.key_at_min + (units - piece.min_units) * piece.key_slope;
}

// The largest key of at most `units_max`, and its quantity. Nothing for nothing.
struct Best {
  int64_t units = 0;
  int64_t key = 0;
};

Best BestWithin(std::span<const KeyPiece<int64_t>> pieces, int64_t units_max) {
  Best best;
  for (const KeyPiece<int64_t>& piece : pieces) {
    if (piece.min_units > units_max) break;
    for (int64_t units : {piece.min_units, std::min(piece.max_units, units_max)}) {
      if (KeyAt(piece, units) > best.key) best = {units, KeyAt(piece, units)};
    }
  }
  return best;
}

int64_t KeyOf(std::span<const KeyPiece<int64_t>> pieces, int64_t units) {
  for (const KeyPiece<int64_t>& piece : pieces) {
    if (piece.min_units <= units && units <= piece.max_units) return KeyAt(piece, units);
  }
  return 0;
}

}  // namespace

Elimination::Elimination(const KeyBids<int64_t>& bids, int64_t capacity_units)
    : bids_(bids),
      capacity_units_(capacity_units),
      kept_(bids.pieces.size()),
      surplus_(bids.size()),
      filled_(bids.size(), 0),
      is_done_(bids.size(), 0) {
  for (size_t bid = 0; bid < bids.size(); ++bid) AppendParts(bid, 0, parts_);
  SortSteepestFirst(parts_);
}

// The rising parts of the smallest concave curve above a bid, from a quantity that it accepts on.
void Elimination::AppendParts(size_t bid, int64_t from_units, std::vector<Part>& parts) {
  const auto pieces = bids_.PiecesOf(bid);
  hull_.assign(1, {from_units, KeyOf(pieces, from_units)});
  for (const KeyPiece<int64_t>& piece : pieces) {
    for (int64_t units : {piece.min_units, piece.max_units}) {
      if (units <= hull_.back().units) continue;
      const Corner corner{units, KeyAt(piece, units)};
      while (hull_.size() >= 2) {
        const Corner& a = hull_[hull_.size() - 2];
        const Corner& b = hull_.back();
        if (Int128{b.key - a.key} * (corner.units - a.units) >
            Int128{corner.key - a.key} * (b.units - a.units)) {
          break;
        }
        hull_.pop_back();
      }
      hull_.push_back(corner);
    }
  }
  for (size_t i = 1; i < hull_.size() && hull_[i].key > hull_[i - 1].key; ++i) {
    parts.push_back({bid, hull_[i - 1].units, hull_[i].units, hull_[i].key - hull_[i - 1].key});
  }
}

void Elimination::SortSteepestFirst(std::vector<Part>& parts) {
  std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) {
    const Int128 left = Int128{a.key} * (b.to_units - b.from_units);
    const Int128 right = Int128{b.key} * (a.to_units - a.from_units);
    if (left != right) return left > right;
    return a.bid != b.bid ? a.bid < b.bid : a.from_units < b.from_units;
  });
}

int64_t Elimination::PriceAt(int64_t capacity_units, size_t without) const {
  int64_t left_units = capacity_units;
  for (const Part& part : parts_) {
    if (part.bid == without) continue;
    left_units -= part.to_units - part.from_units;
    if (left_units >= 0) continue;
    // Any price gives a bound; this one keeps price * units in 64 bits.
    return std::min(part.key / (part.to_units - part.from_units),
                    (int64_t{1} << 60) / (capacity_units_ + 1));
  }
  return 0;
}

// L, and every s_i.
int64_t Elimination::BoundAt(int64_t price, int64_t capacity_units) {
  std::fill(surplus_.begin(), surplus_.end(), 0);
  int64_t bound = price * capacity_units;
  for (const Part& part : parts_) {
    const int64_t surplus = part.key - price * (part.to_units - part.from_units);
    if (surplus < 0) break;
    surplus_[part.bid] += surplus;
    bound += surplus;
  }
  return bound;
}

// What a greedy allocation of `left_units` real units adds to `units`: parts, which begin there,
// from the steepest down, and where one does not fit, the most that does.
int64_t Elimination::Fill(const std::vector<Part>& parts, const std::vector<int64_t>& units,
                          int64_t left_units, size_t without, int misses_max) {
  int64_t reached = 0;
  for (const Part& part : parts) {
    if (left_units == 0 || misses_max == 0) break;
    if (part.bid == without || is_done_[part.bid] != 0) continue;
    int64_t& had = filled_[part.bid];
    if (had == 0) {
      had = units[part.bid];
      touched_.push_back(part.bid);
    }
    if (part.to_units - had <= left_units) {
      left_units -= part.to_units - had;
      had = part.to_units;
      reached += part.key;
      continue;
    }
    is_done_[part.bid] = 1;
    --misses_max;
    const auto pieces = bids_.PiecesOf(part.bid);
    const int64_t key_before = KeyOf(pieces, had);
    const Best best = BestWithin(pieces, had + left_units);
    if (best.key <= key_before) continue;
    left_units -= best.units - had;
    had = best.units;
    reached += best.key - key_before;
  }
  for (size_t bid : touched_) {
    filled_[bid] = 0;
    is_done_[bid] = 0;
  }
  touched_.clear();
  return reached;
}

void Elimination::KeepWithin(int64_t price, int64_t gap) {
  for (size_t bid = 0; bid < bids_.size(); ++bid) {
    const int64_t least = surplus_[bid] - gap;
    for (size_t p = bids_.first[bid]; p < bids_.first[bid + 1]; ++p) {
      // Where key(a) - price * a, a straight line, is at least `least`.
      const KeyPiece<int64_t>& piece = bids_.pieces[p];
      const int64_t slope = piece.key_slope - price;
      const int64_t at_min = piece.key_at_min - piece.min_units * price;
      const int64_t at_max = at_min + (piece.max_units - piece.min_units) * slope;
      if (at_min < least && at_max < least) continue;
      int64_t low = piece.min_units;
      int64_t high = piece.max_units;
      if (at_min < least) low += (least - at_min + slope - 1) / slope;
      if (at_max < least) high = low + (at_min - least) / -slope;
      Interval& kept = kept_[p];
      kept = kept.low > kept.high ? Interval{low, high}
                                  : Interval{std::min(kept.low, low), std::max(kept.high, high)};
    }
  }
}

void Elimination::Keep(int64_t capacity_units) {
  const int64_t price = PriceAt(capacity_units, kNobody);
  const std::vector<int64_t> nothing(bids_.size(), 0);
  const int64_t reached =
      Fill(parts_, nothing, capacity_units, kNobody, std::numeric_limits<int>::max());
  const int64_t bound = BoundAt(price, capacity_units);
  KeepWithin(price, bound - reached);
}

void Elimination::KeepWithoutEach(const std::vector<int64_t>& units, int64_t best_key,
                                  const PiecesWithout& pieces_without) {
  std::vector<size_t> winners;
  std::vector<Part> parts;
  int64_t idle_units = capacity_units_;
  for (size_t bid = 0; bid < bids_.size(); ++bid) {
    AppendParts(bid, units[bid], parts);
    if (units[bid] > 0) winners.push_back(bid);
    idle_units -= units[bid];
  }
  SortSteepestFirst(parts);
  std::sort(winners.begin(), winners.end(), [&units](size_t a, size_t b) {
    return units[a] != units[b] ? units[a] > units[b] : a < b;
  });
  // Small winners differ little, and hardly move the price.
  const std::vector<int64_t> nothing(bids_.size(), 0);
  for (size_t begin = 0; begin < winners.size();) {
    const size_t end = std::min(winners.size(), begin < kAloneMax ? begin + 1 : 2 * begin);
    const int64_t price = PriceAt(capacity_units_, winners[(begin + end) / 2]);
    const int64_t bound = BoundAt(price, capacity_units_);
    int64_t gap = 0;
    for (size_t w = begin; w < end; ++w) {
      const size_t winner = winners[w];
      const auto pieces = bids_.PiecesOf(winner);
      int64_t surplus = 0;
      for (const KeyPiece<int64_t>& piece : pieces_without(winner)) {
        for (int64_t a : {piece.min_units, piece.max_units}) {
          surplus = std::max(surplus, KeyAt(piece, a) - a * price);
        }
      }
      int64_t reached = best_key - KeyOf(pieces, units[winner]) +
                        Fill(parts, units, idle_units + units[winner], winner, kMissesMax);
      if (end == begin + 1) {
        reached = std::max(reached, Fill(parts_, nothing, capacity_units_, winner,
                                         std::numeric_limits<int>::max()));
      }
      gap = std::max(gap, bound - surplus_[winner] + surplus - reached);
    }
    KeepWithin(price, gap);
    begin = end;
  }
}

KeyBids<int64_t> Elimination::Kept() const {
  KeyBids<int64_t> kept;
  for (size_t bid = 0; bid < bids_.size(); ++bid) {
    const size_t before = kept.pieces.size();
    for (size_t p = bids_.first[bid]; p < bids_.first[bid + 1]; ++p) {
      const Interval& interval = kept_[p];
      if (interval.low > interval.high) continue;
      const KeyPiece<int64_t>& piece = bids_.pieces[p];
      kept.pieces.push_back({interval.low, interval.high, KeyAt(piece, interval.low),
                             interval.low == interval.high ? 0 : piece.key_slope});
    }
    if (kept.pieces.size() > before) kept.EndBid(bid);
  }
  return kept;
}

size_t Elimination::piece_count() const {
  return static_cast<size_t>(
      std::count_if(kept_.begin(), kept_.end(), [](const Interval& i) { return i.low <= i.high; }));
}

}  // namespace nom::policies
