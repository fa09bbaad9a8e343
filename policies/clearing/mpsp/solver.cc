#include "policies/clearing/mpsp/solver.h"

#include <algorithm>
#include <numeric>

#include "policies/clearing/mpsp/core_solver.h"
#include "policies/clearing/mpsp/table_solver.h"

namespace nom::policies {
namespace {

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

// Fewer pieces are not worth a look at which of them count.
constexpr size_t kPiecesForCoreMin = 8;

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
                                   const PiecesWithout<int64_t>& pieces_without,
                                   std::optional<PriceWindow>* window) {
  TableResult<int64_t> result;
  std::optional<PriceWindow> none;
  if (!options.always_tables && capacity_units > 0 && bids.pieces.size() >= kPiecesForCoreMin &&
      SolveByCore(bids, capacity_units, options, pieces_without, window == nullptr ? none : *window,
                  result)) {
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
