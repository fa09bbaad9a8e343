// The inner loops of the dynamic programs: tables of best sums, extended by one bid. Inside
// policies/clearing only.
//
// A table has four lanes: entry q is in row q % rows, lane q / rows. So entries that lie next to
// each other in a vector have nothing to do with each other, and what must be done in order of q (a
// maximum that runs along) is done for four places of the table at once. Where the processor has
// AVX2 the same source is used as compiled for it; all numbers are whole, so the bits are the same.

#ifndef NOM_POLICIES_CLEARING_MPSP_MAX_PLUS_H_
#define NOM_POLICIES_CLEARING_MPSP_MAX_PLUS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace nom::policies {

// What a bid adds: key(a) = key_at_min + (a - min_units) * key_slope for a from min_units, which is
// above 0, to max_units.
template <typename Key>
struct KeyPiece {
  int64_t min_units = 0;
  int64_t max_units = 0;
  Key key_at_min = 0;
  Key key_slope = 0;  // 0 where min_units == max_units.

  Key KeyAt(int64_t units) const { return key_at_min + (units - min_units) * key_slope; }
};

// The pieces of many bids, in the order of ties. Those of one bid rise and are disjoint.
template <typename Key>
struct KeyBids {
  std::vector<KeyPiece<Key>> pieces;
  std::vector<size_t> first = {0};  // Bid k has pieces [first[k], first[k + 1]).
  std::vector<size_t> origin;       // What bid k is called where it comes from.

  size_t size() const { return origin.size(); }
  std::span<const KeyPiece<Key>> PiecesOf(size_t k) const {
    return std::span(pieces).subspan(first[k], first[k + 1] - first[k]);
  }
  // Ends a bid: the pieces that were appended since the last one.
  void EndBid(size_t its_origin) {
    first.push_back(pieces.size());
    origin.push_back(its_origin);
  }
};

// What 64-bit keys of all bids together may reach, and a slope or a price times the capacity.
inline constexpr int64_t kKeySumMax = int64_t{1} << 60;

// Of a quantity that the pieces hold, or 0 for 0.
template <typename Key>
Key KeyOf(std::span<const KeyPiece<Key>> pieces, int64_t units) {
  for (const KeyPiece<Key>& piece : pieces) {
    if (piece.min_units <= units && units <= piece.max_units) return piece.KeyAt(units);
  }
  return 0;
}

inline constexpr size_t kLanes = 4;
using KeyLanes = int64_t __attribute__((vector_size(kLanes * sizeof(int64_t))));
// The lanes alone are not aligned where the compiler is not told of the processor's vectors.
struct alignas(sizeof(KeyLanes)) KeyRow {
  KeyLanes lanes;
};

enum class Vectors { kBest, kPortable };  // kPortable: as on a processor that has none of ours.

// Works on tables of cells() rows: best[q] for q from 0 to capacity_units, the largest sum of keys
// that a set of bids can reach with at most q units. Never falls. Sums of keys must be at most
// kKeySumMax, as must slope * (capacity + 4). Not thread-safe: it keeps the memory it works in.
class MaxPlus {
 public:
  using Key = int64_t;
  using Cell = KeyRow;

  explicit MaxPlus(int64_t capacity_units, Vectors vectors = Vectors::kBest);

  size_t cells() const { return rows_; }
  int64_t At(const KeyRow* table, int64_t units) const {
    const auto q = static_cast<size_t>(units);
    return table[q % rows_].lanes[q / rows_];
  }

  // out[q] = max(in[q], max over pieces and a in them of key(a) + in[q - a]). `out` is not `in`.
  void Extend(const KeyRow* in, std::span<const KeyPiece<int64_t>> pieces, KeyRow* out);

  // The largest a[q] + b[units - q].
  int64_t BestSplit(const KeyRow* a, const KeyRow* b, int64_t units) const;
  // What Extend would put at `units`.
  int64_t Extended(const KeyRow* in, std::span<const KeyPiece<int64_t>> pieces,
                   int64_t units) const;

  // The largest quantity a of the pieces with key(a) + after[left_units - a] = target, and its key.
  // 0, and 0, if there is none.
  int64_t MostUnits(std::span<const KeyPiece<int64_t>> pieces, const KeyRow* after,
                    int64_t left_units, int64_t target, int64_t& key) const;

 private:
  size_t rows_;
  bool has_avx2_;
  std::vector<KeyRow> scratch_;  // Rows before a table, then the table.
  std::vector<KeyRow> suffix_;
  std::vector<KeyPiece<int64_t>> steps_;
};

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_MPSP_MAX_PLUS_H_
