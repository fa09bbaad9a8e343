// SPDX-License-Identifier: Apache-2.0
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

#include "policies/clearing/mpsp/key_bids.h"

namespace nom::policies {

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
