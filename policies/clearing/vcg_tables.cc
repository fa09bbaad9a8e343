#include "policies/clearing/vcg_tables.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <utility>

#include "policies/clearing/core.h"

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

// Answers to one problem, from its tables.
template <typename Extender>
class TableSolver {
 public:
  using Key = typename Extender::Key;
  using Cell = typename Extender::Cell;

  // Both must outlive this; the problem's capacity is not negative.
  TableSolver(const TableProblem<Key>& problem, const TableOptions& options)
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

  // By bid: the best sum of keys without it. Of those with units only.
  std::vector<Key> Without(const std::vector<int64_t>& units,
                           const PiecesWithout<Key>& pieces_without) {
    std::vector<Key> without(units.size(), 0);
    // Who has nothing to decide leaves its units to all others.
    std::vector<char> is_decided(units.size(), 1);
    for (size_t bid : problem_.bids.origin) is_decided[bid] = 0;
    for (size_t bid = 0; bid < units.size(); ++bid) {
      if (units[bid] == 0 || is_decided[bid] == 0) continue;
      without[bid] = KeyOfOthers(bid) +
                     extender_.Extended(suffix_.From(0), pieces_without(bid), CapacityWithout(bid));
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
        without[bid] = KeyOfOthers(bid) + extender_.BestSplit(prefix, after, CapacityWithout(bid));
      }
      extender_.Extend(prefix, problem_.bids.PiecesOf(k), scratch);
      std::swap(prefix, scratch);
    }
    return without;
  }

 private:
  Key KeyOfOthers(size_t bid) const { return problem_.base_key - problem_.base_keys[bid]; }
  int64_t CapacityWithout(size_t bid) const {
    return problem_.capacity_units + problem_.base_units[bid];
  }

  const TableProblem<Key>& problem_;
  Extender extender_;
  SuffixTables<Extender> suffix_;
};

// All that there is to decide, with nothing left out.
template <typename Key>
TableProblem<Key> WholeProblem(const KeyBids<Key>& bids, int64_t capacity_units) {
  TableProblem<Key> problem;
  problem.bids = bids;
  std::iota(problem.bids.origin.begin(), problem.bids.origin.end(), size_t{0});
  problem.capacity_units = capacity_units;
  problem.table_units = capacity_units;
  problem.base_units.resize(bids.size(), 0);
  problem.base_keys.resize(bids.size(), 0);
  return problem;
}

// Fewer bids are not worth a look at which of them count.
constexpr size_t kPiecesForCoreMin = 8;
// A core to begin with: its tables cost little, and it mostly turns out to be enough.
constexpr size_t kCoreBids = 32;

class CoreSolver {
 public:
  CoreSolver(const KeyBids<int64_t>& bids, std::span<const Part> parts, int64_t capacity_units,
             const TableOptions& options, const PiecesWithout<int64_t>& pieces_without)
      : bids_(bids),
        capacity_units_(capacity_units),
        options_(options),
        pieces_without_(pieces_without),
        relaxation_(bids, parts, capacity_units),
        core_(bids) {}

  // Solves a small core, and has its answer show what a core must hold for the answer to be proven.
  // If that is more, it is added, once for the awards and once for the charges. False if too much
  // is left for that to pay; then `result` is as it was.
  bool Solve(TableResult<int64_t>& result) {
    const int64_t price = relaxation_.PriceAt(capacity_units_);
    const int64_t bound = relaxation_.BoundAt(price, capacity_units_);
    BeginSmall(price);
    while (true) {
      const TableProblem<int64_t> problem = core_.Problem(capacity_units_);
      if (problem.bids.pieces.size() > bids_.pieces.size() / 2) return false;
      TableResult<int64_t> found;
      found.best = relaxation_.WholeParts(capacity_units_);
      found.best_of_one_less = relaxation_.WholeParts(capacity_units_ - 1);
      std::optional<TableSolver<MaxPlus>> tables;
      if (problem.capacity_units >= 0) {
        tables.emplace(problem, options_);
        found.best = std::max(found.best, tables->Best(0));
        if (problem.capacity_units > 0) {
          found.best_of_one_less = std::max(found.best_of_one_less, tables->Best(1));
        }
      }
      const Core::Limit limit{price,
                              std::max(bound - found.best, bound - price - found.best_of_one_less)};
      if (core_.Keep({&limit, 1})) continue;
      found.units = tables->Awards();
      if (options_.with_charges) {
        found.without = tables->Without(found.units, pieces_without_);
        const std::vector<Core::Limit> limits = LimitsWithout(found);
        if (!limits.empty() && core_.Keep(limits)) continue;
      }
      result = std::move(found);
      return true;
    }
  }

 private:
  // Winners who win alike leave behind prices that are alike.
  struct Group {
    std::vector<size_t>::const_iterator begin;
    std::vector<size_t>::const_iterator end;
    int64_t price;  // Near that at which the capacity is full without one of them.
  };

  void BeginSmall(int64_t price) {
    std::vector<int64_t> prices = {price};
    if (options_.with_charges) {
      const std::vector<int64_t> units = core_.BestUnits(price);
      const std::vector<size_t> winners = LargestFirst(units);
      for (const Group& group : GroupsOf(winners, units)) prices.push_back(group.price);
    }
    const int64_t gap = core_.GapFor(std::min(kCoreBids, bids_.size() / 4), prices);
    std::vector<Core::Limit> limits;
    for (int64_t at : prices) limits.push_back({at, gap});
    core_.Keep(limits);
  }

  static std::vector<size_t> LargestFirst(const std::vector<int64_t>& units) {
    std::vector<size_t> winners;
    for (size_t bid = 0; bid < units.size(); ++bid) {
      if (units[bid] > 0) winners.push_back(bid);
    }
    std::sort(winners.begin(), winners.end(), [&units](size_t a, size_t b) {
      return units[a] != units[b] ? units[a] > units[b] : a < b;
    });
    return winners;
  }

  std::vector<Group> GroupsOf(const std::vector<size_t>& winners,
                              const std::vector<int64_t>& units) const {
    std::vector<Group> groups;
    for (auto begin = winners.begin(); begin != winners.end();) {
      const auto end = std::find_if(begin, winners.end(), [&](size_t winner) {
        return 5 * units[winner] < 4 * units[*begin];
      });
      groups.push_back(
          {begin, end, relaxation_.PriceAt(capacity_units_, *(begin + (end - begin) / 2))});
      begin = end;
    }
    return groups;
  }

  std::vector<Core::Limit> LimitsWithout(const TableResult<int64_t>& found) const {
    const std::vector<size_t> winners = LargestFirst(found.units);
    std::vector<Core::Limit> limits;
    for (const Group& group : GroupsOf(winners, found.units)) {
      const int64_t bound = relaxation_.BoundAt(group.price, capacity_units_);
      Core::Limit limit{group.price, 0};
      for (auto winner = group.begin; winner != group.end; ++winner) {
        int64_t surplus = 0;
        for (const KeyPiece<int64_t>& piece : pieces_without_(*winner)) {
          for (int64_t a : {piece.min_units, piece.max_units}) {
            surplus = std::max(surplus, piece.KeyAt(a) - a * group.price);
          }
        }
        limit.gap = std::max(limit.gap, bound - core_.Surplus(*winner, group.price) + surplus -
                                            found.without[*winner]);
      }
      limits.push_back(limit);
    }
    return limits;
  }

  const KeyBids<int64_t>& bids_;
  const int64_t capacity_units_;
  const TableOptions& options_;
  const PiecesWithout<int64_t>& pieces_without_;
  const Relaxation relaxation_;
  Core core_;
};

template <typename Extender, typename Key = typename Extender::Key>
TableResult<Key> SolveWhole(const KeyBids<Key>& bids, int64_t capacity_units,
                            const TableOptions& options, const PiecesWithout<Key>& pieces_without) {
  const TableProblem<Key> problem = WholeProblem(bids, capacity_units);
  TableSolver<Extender> tables(problem, options);
  TableResult<Key> result;
  result.best = tables.Best(0);
  if (capacity_units > 0) result.best_of_one_less = tables.Best(1);
  result.units = tables.Awards();
  if (options.with_charges) result.without = tables.Without(result.units, pieces_without);
  return result;
}

}  // namespace

TableResult<int64_t> SolveByTables(const KeyBids<int64_t>& bids, int64_t capacity_units,
                                   const TableOptions& options,
                                   const PiecesWithout<int64_t>& pieces_without) {
  if (options.always_tables) {
    return SolveWhole<MaxPlus>(bids, capacity_units, options, pieces_without);
  }
  return SolveByTables(bids, PartsOf(bids), capacity_units, options, pieces_without);
}

TableResult<int64_t> SolveByTables(const KeyBids<int64_t>& bids, std::span<const Part> parts,
                                   int64_t capacity_units, const TableOptions& options,
                                   const PiecesWithout<int64_t>& pieces_without) {
  TableResult<int64_t> result;
  if (!options.always_tables && capacity_units > 0 && bids.pieces.size() >= kPiecesForCoreMin &&
      CoreSolver(bids, parts, capacity_units, options, pieces_without).Solve(result)) {
    return result;
  }
  return SolveWhole<MaxPlus>(bids, capacity_units, options, pieces_without);
}

TableResult<Int128> SolveByTables(const KeyBids<Int128>& bids, int64_t capacity_units,
                                  const TableOptions& options,
                                  const PiecesWithout<Int128>& pieces_without) {
  return SolveWhole<WideMaxPlus>(bids, capacity_units, options, pieces_without);
}

Int128 LargestKey(std::span<const KeyPiece<Int128>> pieces) {
  Int128 largest = 0;
  for (const KeyPiece<Int128>& piece : pieces) {
    largest = std::max({largest, piece.key_at_min, piece.KeyAt(piece.max_units)});
  }
  return largest;
}

bool FitsIn64Bits(const KeyBids<Int128>& bids, int64_t capacity_units) {
  Int128 sum = 0;
  for (size_t k = 0; k < bids.size(); ++k) sum += LargestKey(bids.PiecesOf(k));
  return sum <= kKeySumMax &&
         std::all_of(bids.pieces.begin(), bids.pieces.end(), [&](const KeyPiece<Int128>& piece) {
           return piece.key_slope * (capacity_units + 4) <= kKeySumMax;
         });
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
