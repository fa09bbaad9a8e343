// Best allocations and what they would be without each winner, from tables. Inside
// policies/clearing only; mpsp.h says what it is for.
//
// best_k(q), the most that bids k, k+1, ... can add with q units, is made from best_{k+1}; a second
// sweep from the other side gives what is reached without each winner. Nothing is searched and
// nothing is rounded. Quantities that provably are in no best allocation are left out first
// (core.h).

#ifndef NOM_POLICIES_CLEARING_MPSP_SOLVER_H_
#define NOM_POLICIES_CLEARING_MPSP_SOLVER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "policies/clearing/int128.h"
#include "policies/clearing/mpsp/max_plus.h"
#include "policies/clearing/mpsp/price_window.h"

namespace nom::policies {

struct TableOptions {
  int64_t table_bytes_max = int64_t{256} << 20;  // See mpsp.h, like the next two.
  bool always_tables = false;
  bool with_charges = true;
  Vectors vectors = Vectors::kBest;
};

// The pieces that bid k counts for in "W without k"; empty for nothing.
template <typename Key>
using PiecesWithout = std::function<std::vector<KeyPiece<Key>>(size_t k)>;

template <typename Key>
struct TableResult {
  std::vector<int64_t> units;  // By bid: of the best allocations the lexicographically greatest.
  std::vector<Key> without;  // By bid: the best sum of keys without it. Winners only, with charges.
  Key best = 0;              // The best sum of keys.
  Key best_of_one_less = 0;  // With one unit less to sell. 0 if there is none.
};

// Requires FitsIn64Bits, or steps only with keys of at most kKeySumMax together. `window`, which
// may be null, is where a solution is looked for first, and is left where this one was found: for
// the next one, if only bids that were passed to Update have changed.
TableResult<int64_t> SolveByTables(const KeyBids<int64_t>& bids, int64_t capacity_units,
                                   const TableOptions& options,
                                   const PiecesWithout<int64_t>& pieces_without,
                                   std::optional<PriceWindow>* window = nullptr);
// The same for keys that do not fit in 64 bits, slower.
TableResult<Int128> SolveByTables(const KeyBids<Int128>& bids, int64_t capacity_units,
                                  const TableOptions& options,
                                  const PiecesWithout<Int128>& pieces_without);

// At least 0.
Int128 LargestKey(std::span<const KeyPiece<Int128>> pieces);
// True if no number formed with 64-bit keys can leave 64 bits: all keys together, and every slope
// and price times a quantity.
bool FitsIn64Bits(const KeyBids<Int128>& bids, int64_t capacity_units);
KeyBids<int64_t> Narrow(const KeyBids<Int128>& bids);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_MPSP_SOLVER_H_
