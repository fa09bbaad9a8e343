#include "policies/clearing/vcg_tables.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

#include "policies/clearing/eliminate.h"

namespace nom::policies {
namespace {

// What MaxPlus does, for wide keys and without vectors.
class WideMaxPlus {
 public:
  using Key = Int128;
  using Cell = Int128;

  WideMaxPlus(int64_t capacity_units, Vectors) : size_(static_cast<size_t>(capacity_units) + 1) {}

  size_t cells() const { return size_; }
  Int128 At(const Int128* table, int64_t units) const { return table[static_cast<size_t>(units)]; }

  void Extend(const Int128* in, std::span<const KeyPiece<Int128>> pieces, Int128* out) {
    std::copy(in, in + size_, out);
    for (const KeyPiece<Int128>& piece : pieces) {
      if (piece.key_slope <= 0) {
        // `in` never falls, so the fewest units are the best.
        for (size_t q = static_cast<size_t>(piece.min_units), j = 0; q < size_; ++q, ++j) {
          out[q] = std::max(out[q], piece.key_at_min + in[j]);
        }
      } else {
        ExtendRising(in, piece, out);
      }
    }
  }

  Int128 BestSplit(const Int128* a, const Int128* b) const {
    Int128 best = 0;
    for (size_t q = 0; q < size_; ++q) best = std::max(best, a[q] + b[size_ - 1 - q]);
    return best;
  }

  int64_t MostUnits(std::span<const KeyPiece<Int128>> pieces, const Int128* after,
                    int64_t left_units, Int128 target, Int128& key) const {
    for (size_t p = pieces.size(); p-- > 0;) {
      for (int64_t a = std::min(pieces[p].max_units, left_units); a >= pieces[p].min_units; --a) {
        key = pieces[p].key_at_min + (a - pieces[p].min_units) * pieces[p].key_slope;
        if (key + after[static_cast<size_t>(left_units - a)] == target) return a;
      }
    }
    key = 0;
    return 0;
  }

 private:
  // With j units left to the others, a = q - j: the best j in [q - max, q - min] is the largest
  // in[j] - j * slope, a sliding-window maximum. Candidates wait in rising j and falling value.
  void ExtendRising(const Int128* in, const KeyPiece<Int128>& piece, Int128* out) {
    waiting_.resize(size_);
    size_t head = 0;
    size_t tail = 0;
    const auto min_units = static_cast<size_t>(piece.min_units);
    const auto width = static_cast<size_t>(piece.max_units - piece.min_units);
    for (size_t q = min_units; q < size_; ++q) {
      const size_t newest = q - min_units;
      const Int128 value = in[newest] - static_cast<Int128>(newest) * piece.key_slope;
      while (tail > head && waiting_[tail - 1].second <= value) --tail;
      waiting_[tail++] = {newest, value};
      if (newest > width && waiting_[head].first < newest - width) ++head;
      out[q] = std::max(out[q], piece.key_at_min + static_cast<Int128>(newest) * piece.key_slope +
                                    waiting_[head].second);
    }
  }

  size_t size_;
  std::vector<std::pair<size_t, Int128>> waiting_;
};

// The tables best_k of the bids from k on, for falling k kept (all, or every `stride`-th) and for
// rising k given out again. All lie in one piece of memory: the system takes small ones back after
// every clearing, and giving them again takes longer than filling them.
template <typename Extender>
class SuffixTables {
 public:
  using Key = typename Extender::Key;
  using Cell = typename Extender::Cell;

  SuffixTables(const KeyBids<Key>& bids, int64_t bytes_max, Extender& extender)
      : bids_(bids), extender_(extender) {
    const size_t count = bids.size() + 1;
    const auto fit = static_cast<size_t>(bytes_max) / (extender.cells() * sizeof(Cell));
    if (count > fit) {
      // Kept: count / stride tables, and stride of them made again at a time.
      for (stride_ = 2; count / stride_ + stride_ > fit && stride_ * stride_ < count;) ++stride_;
    }
    kept_ = bids.size() / stride_ + 1;
    // Behind the kept ones the last, and those that are made again.
    memory_ = std::make_unique_for_overwrite<Cell[]>((kept_ + 1 + stride_) * extender.cells());
    Cell* current = Table(kept_);
    std::fill(current, current + extender.cells(), Cell{});
    for (size_t k = bids.size(); k-- > 0;) {
      Cell* const next = k % stride_ == 0 ? Table(k / stride_) : Table(kept_ + 1 + k % 2);
      extender_.Extend(current, bids_.PiecesOf(k), next);
      current = next;
    }
  }

  // For rising k only.
  const Cell* From(size_t k) {
    if (k == bids_.size()) return Table(kept_);
    if (k % stride_ == 0) return Table(k / stride_);
    const size_t block = k / stride_;
    if (block != block_) {
      block_ = block;
      const size_t begin = block * stride_;
      const size_t end = std::min(begin + stride_, bids_.size());
      const Cell* current = end == bids_.size() ? Table(kept_) : Table(block + 1);
      for (size_t i = end; --i > begin;) {
        Cell* const next = Table(kept_ + 1 + i - begin);
        extender_.Extend(current, bids_.PiecesOf(i), next);
        current = next;
      }
    }
    return Table(kept_ + 1 + k - block * stride_);
  }

 private:
  Cell* Table(size_t i) { return memory_.get() + i * extender_.cells(); }

  const KeyBids<Key>& bids_;
  Extender& extender_;
  size_t stride_ = 1;
  size_t kept_ = 0;
  std::unique_ptr<Cell[]> memory_;
  size_t block_ = std::numeric_limits<size_t>::max();
};

template <typename Extender>
class Solver {
 public:
  using Key = typename Extender::Key;
  using Cell = typename Extender::Cell;

  Solver(const KeyBids<Key>& bids, int64_t capacity_units, const TableOptions& options,
         const PiecesWithout<Key>& pieces_without)
      : bids_(bids),
        capacity_units_(capacity_units),
        options_(options),
        pieces_without_(pieces_without),
        extender_(capacity_units, options.vectors) {
    result_.units.resize(bids.size(), 0);
    if (options.with_charges) result_.without.resize(bids.size(), 0);
  }

  TableResult<Key> Solve() {
    if (!SolveReduced()) {
      SuffixTables<Extender> suffix(bids_, options_.table_bytes_max, extender_);
      FindAwards(bids_, nullptr, suffix);
      FindWithout(bids_, nullptr, suffix);
    }
    return std::move(result_);
  }

 private:
  // The same with fewer bids, in two steps, as what each winner's absence brings back in is only
  // known once there are winners. False if that would not pay.
  bool SolveReduced() {
    if constexpr (!std::is_same_v<Key, int64_t>) {
      return false;
    } else {
      const size_t piece_count = bids_.pieces.size();
      if (options_.always_tables || capacity_units_ < 1 || piece_count < 8) return false;
      Elimination elimination(bids_, capacity_units_);
      elimination.Keep(capacity_units_);
      elimination.Keep(capacity_units_ - 1);  // For the price.
      if (elimination.piece_count() > piece_count / 2) return false;
      {
        const KeyBids<Key> kept = elimination.Kept();
        SuffixTables<Extender> suffix(kept, options_.table_bytes_max, extender_);
        FindAwards(kept, kept.origin.data(), suffix);
      }
      if (!options_.with_charges) return true;
      elimination.KeepWithoutEach(result_.units, result_.best, pieces_without_);
      const KeyBids<Key> kept = elimination.Kept();
      SuffixTables<Extender> suffix(kept, options_.table_bytes_max, extender_);
      FindWithout(kept, kept.origin.data(), suffix);
      return true;
    }
  }

  // `origin`: what the problem's bids are called in bids_; null if they are the same.
  void FindAwards(const KeyBids<Key>& problem, const size_t* origin,
                  SuffixTables<Extender>& suffix) {
    const Cell* const all = suffix.From(0);
    Key target = extender_.At(all, capacity_units_);
    result_.best = target;
    if (capacity_units_ > 0) result_.best_of_one_less = extender_.At(all, capacity_units_ - 1);
    int64_t left_units = capacity_units_;
    for (size_t k = 0; k < problem.size(); ++k) {
      Key key = 0;
      const int64_t units =
          extender_.MostUnits(problem.PiecesOf(k), suffix.From(k + 1), left_units, target, key);
      result_.units[origin == nullptr ? k : origin[k]] = units;
      left_units -= units;
      target -= key;
    }
  }

  // Every winner must be in the problem.
  void FindWithout(const KeyBids<Key>& problem, const size_t* origin,
                   SuffixTables<Extender>& suffix) {
    if (!options_.with_charges) return;
    std::vector<Cell> first(extender_.cells());
    std::vector<Cell> second(extender_.cells());
    Cell* prefix = first.data();
    Cell* scratch = second.data();
    for (size_t k = 0; k < problem.size(); ++k) {
      const size_t bid = origin == nullptr ? k : origin[k];
      if (result_.units[bid] > 0) {
        const Cell* const after = suffix.From(k + 1);
        const std::vector<KeyPiece<Key>> kept = pieces_without_(bid);
        if (kept.empty()) {
          result_.without[bid] = extender_.BestSplit(prefix, after);
        } else {
          extender_.Extend(after, kept, scratch);
          result_.without[bid] = extender_.BestSplit(prefix, scratch);
        }
      }
      extender_.Extend(prefix, problem.PiecesOf(k), scratch);
      std::swap(prefix, scratch);
    }
  }

  const KeyBids<Key>& bids_;
  const int64_t capacity_units_;
  const TableOptions& options_;
  const PiecesWithout<Key>& pieces_without_;
  Extender extender_;
  TableResult<Key> result_;
};

}  // namespace

TableResult<int64_t> SolveByTables(const KeyBids<int64_t>& bids, int64_t capacity_units,
                                   const TableOptions& options,
                                   const PiecesWithout<int64_t>& pieces_without) {
  return Solver<MaxPlus>(bids, capacity_units, options, pieces_without).Solve();
}

TableResult<Int128> SolveByTables(const KeyBids<Int128>& bids, int64_t capacity_units,
                                  const TableOptions& options,
                                  const PiecesWithout<Int128>& pieces_without) {
  return Solver<WideMaxPlus>(bids, capacity_units, options, pieces_without).Solve();
}

bool FitsIn64Bits(const KeyBids<Int128>& bids, int64_t capacity_units) {
  Int128 sum = 0;
  for (size_t k = 0; k < bids.size(); ++k) {
    Int128 largest = 0;
    for (const KeyPiece<Int128>& piece : bids.PiecesOf(k)) {
      const Int128 at_max =
          piece.key_at_min + (piece.max_units - piece.min_units) * piece.key_slope;
      largest = std::max({largest, piece.key_at_min, at_max});
      if (piece.key_slope * (capacity_units + 4) > kKeySumMax) return false;
    }
    sum += largest;
  }
  return sum <= kKeySumMax;
}

KeyBids<int64_t> Narrow(const KeyBids<Int128>& bids) {
  KeyBids<int64_t> narrow;
  narrow.first = bids.first;
  narrow.origin = bids.origin;
  narrow.pieces.reserve(bids.pieces.size());
  for (const KeyPiece<Int128>& p : bids.pieces) {
    narrow.pieces.push_back({p.min_units, p.max_units, static_cast<int64_t>(p.key_at_min),
                             static_cast<int64_t>(p.key_slope)});
  }
  return narrow;
}

}  // namespace nom::policies
