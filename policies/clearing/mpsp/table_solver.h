// SPDX-License-Identifier: Apache-2.0
// Tables of best sums, and what can be read from them. Inside policies/clearing only.

#ifndef NOM_POLICIES_CLEARING_MPSP_TABLE_SOLVER_H_
#define NOM_POLICIES_CLEARING_MPSP_TABLE_SOLVER_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "policies/clearing/int128.h"
#include "policies/clearing/mpsp/core.h"
#include "policies/clearing/mpsp/max_plus.h"
#include "policies/clearing/mpsp/solution.h"
#include "policies/clearing/mpsp/solver.h"

namespace nom::policies {

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

  Int128 BestSplit(const Int128* a, const Int128* b, int64_t units) const {
    Int128 best = 0;
    for (int64_t q = 0; q <= units; ++q) best = std::max(best, At(a, q) + At(b, units - q));
    return best;
  }

  Int128 Extended(const Int128* in, std::span<const KeyPiece<Int128>> pieces, int64_t units) const {
    Int128 best = At(in, units);
    for (const KeyPiece<Int128>& piece : pieces) {
      for (int64_t a = piece.min_units; a <= std::min(piece.max_units, units); ++a) {
        best = std::max(best, piece.KeyAt(a) + At(in, units - a));
      }
    }
    return best;
  }

  int64_t MostUnits(std::span<const KeyPiece<Int128>> pieces, const Int128* after,
                    int64_t left_units, Int128 target, Int128& key) const {
    for (size_t p = pieces.size(); p-- > 0;) {
      for (int64_t a = std::min(pieces[p].max_units, left_units); a >= pieces[p].min_units; --a) {
        key = pieces[p].KeyAt(a);
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

// Steps of work.h that a solver for so many pieces takes, all its answers included: a sweep from
// either side, parts of the first once more where memory is short, and a split for every bid.
template <typename Extender>
int64_t StepsOfTables(size_t pieces, size_t bids, int64_t units) {
  constexpr int64_t kStepsACell = sizeof(typename Extender::Key) == sizeof(int64_t) ? 1 : 6;
  return kStepsACell * static_cast<int64_t>(2 * pieces + 2 * bids) * (units + 1);
}

// Answers to one problem, from its tables.
template <typename Extender>
class TableSolver {
 public:
  using Key = typename Extender::Key;
  using Cell = typename Extender::Cell;

  // Both must outlive this; the problem's capacity is not negative.
  TableSolver(const TableProblem<Key>& problem, const SolverOptions& options)
      : problem_(problem),
        extender_(problem.table_units, options.vectors),
        suffix_(problem.bids, options.table_bytes_max, extender_) {}

  // The best sum of keys with so many units less, which must be there.
  Key Best(int64_t units_less) {
    return problem_.base_key + extender_.At(suffix_.From(0), problem_.capacity_units - units_less);
  }

  std::vector<int64_t> Awards() {
    std::vector<int64_t> units = problem_.base_units;
    int64_t left_units = problem_.capacity_units;
    Key target = extender_.At(suffix_.From(0), left_units);
    for (size_t k = 0; k < problem_.bids.size(); ++k) {
      Key key = 0;
      const int64_t more_units = extender_.MostUnits(problem_.bids.PiecesOf(k), suffix_.From(k + 1),
                                                     left_units, target, key);
      units[problem_.bids.origin[k]] += more_units;
      left_units -= more_units;
      target -= key;
    }
    return units;
  }

  // The best sum of keys without a bid that has nothing to decide, but so many units.
  Key WithoutDecided(int64_t units, Key key, std::span<const KeyPiece<Key>> pieces_without) {
    return problem_.base_key - key +
           extender_.Extended(suffix_.From(0), pieces_without, problem_.capacity_units + units);
  }

  // By bid: the best sum of keys without it. Of those with units only.
  std::vector<Key> Without(
      const std::vector<int64_t>& units,
      const std::function<std::vector<KeyPiece<Key>>(size_t)>& pieces_without) {
    std::vector<Key> without(units.size(), 0);
    // Who has nothing to decide leaves its units to all others.
    std::vector<char> is_decided(units.size(), 1);
    for (size_t bid : problem_.bids.origin) is_decided[bid] = 0;
    for (size_t bid = 0; bid < units.size(); ++bid) {
      if (units[bid] == 0 || is_decided[bid] == 0) continue;
      without[bid] =
          WithoutDecided(problem_.base_units[bid], problem_.base_keys[bid], pieces_without(bid));
    }
    std::vector<Cell> first(extender_.cells());
    std::vector<Cell> second(extender_.cells());
    Cell* prefix = first.data();
    Cell* scratch = second.data();
    for (size_t k = 0; k < problem_.bids.size(); ++k) {
      const size_t bid = problem_.bids.origin[k];
      if (units[bid] > 0) {
        const Cell* after = suffix_.From(k + 1);
        const std::vector<KeyPiece<Key>> kept = pieces_without(bid);
        if (!kept.empty()) {
          extender_.Extend(after, kept, scratch);
          after = scratch;
        }
        without[bid] =
            problem_.base_key - problem_.base_keys[bid] +
            extender_.BestSplit(prefix, after, problem_.capacity_units + problem_.base_units[bid]);
      }
      extender_.Extend(prefix, problem_.bids.PiecesOf(k), scratch);
      std::swap(prefix, scratch);
    }
    return without;
  }

 private:
  const TableProblem<Key>& problem_;
  Extender extender_;
  SuffixTables<Extender> suffix_;
};

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_MPSP_TABLE_SOLVER_H_
