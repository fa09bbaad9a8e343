// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/mpsp/max_plus.h"

#include <algorithm>

// Compiled once for any processor and once for AVX2, both from the functions marked so.
#define NOM_INLINE inline __attribute__((always_inline))

namespace nom::policies {
namespace {

// Stands for what cannot be: no sum with it reaches 0.
constexpr int64_t kNever = -(int64_t{1} << 62);
// 32 KiB of one table.
constexpr size_t kTileRows = 1'024;

NOM_INLINE void RaiseTo(KeyLanes& lanes, const KeyLanes& other) {
  lanes = other > lanes ? other : lanes;
}

// Steps and falling pieces: a table never falls, so the fewest units are the best. `in` has
// max_units rows before its first. Some rows stay in registers while all steps pass by.
template <size_t kTile>
NOM_INLINE void RaiseTileBySteps(const KeyRow* in, std::span<const KeyPiece<int64_t>> steps,
                                 KeyRow* out) {
  KeyLanes best[kTile];
  for (size_t i = 0; i < kTile; ++i) best[i] = out[i].lanes;
  for (const KeyPiece<int64_t>& step : steps) {
    const KeyRow* const from = in - step.min_units;
    for (size_t i = 0; i < kTile; ++i) RaiseTo(best[i], from[i].lanes + step.key_at_min);
  }
  for (size_t i = 0; i < kTile; ++i) out[i].lanes = best[i];
}

NOM_INLINE void RaiseBySteps(const KeyRow* in, size_t rows,
                             std::span<const KeyPiece<int64_t>> steps, KeyRow* out) {
  constexpr size_t kTile = 8;
  size_t row = 0;
  for (; row + kTile <= rows; row += kTile) RaiseTileBySteps<kTile>(in + row, steps, out + row);
  for (; row < rows; ++row) RaiseTileBySteps<1>(in + row, steps, out + row);
}

// sloped[r] = in[r] - (entry of r) * slope, for as many rows before row 0.
// There, each lane has what ends the lane before it.
NOM_INLINE void SlopeBefore(const KeyRow* in, size_t rows, size_t before, int64_t slope,
                            KeyRow* sloped) {
  const auto lane = static_cast<int64_t>(rows) * slope;
  KeyLanes paid = KeyLanes{0, lane, 2 * lane, 3 * lane};
  size_t x = 1;
  for (size_t lanes_before = 1; x <= before; ++lanes_before) {
    for (; x <= std::min(before, lanes_before * rows); ++x) {
      const KeyLanes& from = in[lanes_before * rows - x].lanes;
      KeyLanes row = KeyLanes{kNever, from[0], from[1], from[2]};
      if (lanes_before > 1) {
        row = KeyLanes{kNever, kNever, lanes_before == 2 ? from[0] : kNever,
                       lanes_before == 2   ? from[1]
                       : lanes_before == 3 ? from[0]
                                           : kNever};
      }
      paid -= slope;
      (sloped - x)->lanes = row - paid;
    }
  }
}

// A rising piece, for some rows. With j units left to the others and a = q - j, the best j in
// [q - max, q - min] has the largest sloped[j]: a maximum over a window that slides along. It is
// the larger of a maximum up to the end of a block as wide as the window and one from the beginning
// of the next (van Herk; Gil and Werman), three comparisons a row whatever the width.
NOM_INLINE void RaiseByRising(const KeyRow* sloped, size_t rows, const KeyPiece<int64_t>& piece,
                              const KeyLanes& first_base, KeyRow* suffix, KeyRow* out) {
  KeyLanes base = first_base;
  const auto window = static_cast<size_t>(piece.max_units - piece.min_units) + 1;
  const KeyRow* const first = sloped - piece.max_units;  // Of the window of row 0.
  for (size_t begin = 0; begin < rows; begin += window) {
    KeyLanes best = first[begin + window - 1].lanes;
    for (size_t x = window; x-- > 0;) {
      RaiseTo(best, first[begin + x].lanes);
      suffix[x].lanes = best;
    }
    const size_t block_rows = std::min(rows - begin, window);
    RaiseTo(out[begin].lanes, suffix[0].lanes + base);
    base += piece.key_slope;
    best = KeyLanes{kNever, kNever, kNever, kNever};
    for (size_t i = 1; i < block_rows; ++i) {
      RaiseTo(best, first[begin + window + i - 1].lanes);
      KeyLanes sum = suffix[i].lanes;
      RaiseTo(sum, best);
      RaiseTo(out[begin + i].lanes, sum + base);
      base += piece.key_slope;
    }
  }
}

// Rising pieces of one slope, tile by tile, so that what one piece touches is still in the cache
// for the next. `sloped` has room for max_units rows before row 0.
NOM_INLINE void RaiseByPieces(const KeyRow* in, size_t rows,
                              std::span<const KeyPiece<int64_t>> pieces, KeyRow* sloped,
                              KeyRow* suffix, KeyRow* out) {
  const int64_t slope = pieces.front().key_slope;
  SlopeBefore(in, rows, static_cast<size_t>(pieces.back().max_units), slope, sloped);
  size_t tile = kTileRows;
  for (const KeyPiece<int64_t>& piece : pieces) {
    tile = std::max(tile, 4 * static_cast<size_t>(piece.max_units - piece.min_units + 1));
  }
  const auto lane = static_cast<int64_t>(rows) * slope;
  KeyLanes paid = KeyLanes{0, lane, 2 * lane, 3 * lane};
  for (size_t begin = 0; begin < rows; begin += tile) {
    const KeyLanes paid_at_begin = paid;
    const size_t end = std::min(rows, begin + tile);
    for (size_t row = begin; row < end; ++row) {
      sloped[row].lanes = in[row].lanes - paid;
      paid += slope;
    }
    for (const KeyPiece<int64_t>& piece : pieces) {
      RaiseByRising(sloped + begin, end - begin, piece,
                    paid_at_begin + (piece.key_at_min - piece.min_units * slope), suffix,
                    out + begin);
    }
  }
}

// Rows whose partners lie in lanes kTop, kTop - 1, ...; below lane 0 there are none.
template <int kTop>
NOM_INLINE void RaiseToSums(const KeyRow* a, const KeyRow* b_last, size_t rows, KeyLanes& best) {
  constexpr auto kLane = [](int lane) { return lane < 0 ? 0 : lane; };
  for (size_t row = 0; row < rows; ++row) {
    const KeyLanes& b = (b_last - row)->lanes;
    RaiseTo(best, a[row].lanes + KeyLanes{b[kTop], kTop < 1 ? kNever : b[kLane(kTop - 1)],
                                          kTop < 2 ? kNever : b[kLane(kTop - 2)],
                                          kTop < 3 ? kNever : b[kLane(kTop - 3)]});
  }
}

NOM_INLINE void RaiseToSums(int top, const KeyRow* a, const KeyRow* b_last, size_t rows,
                            KeyLanes& best) {
  switch (top) {
    case 0:
      return RaiseToSums<0>(a, b_last, rows, best);
    case 1:
      return RaiseToSums<1>(a, b_last, rows, best);
    case 2:
      return RaiseToSums<2>(a, b_last, rows, best);
    case 3:
      return RaiseToSums<3>(a, b_last, rows, best);
    default:
      return;
  }
}

// The largest a[q] + b[units - q]. With units = top * rows + row, partners of the first row + 1
// rows have lanes that add up to `top`, those of the others to one less.
NOM_INLINE int64_t LargestSum(const KeyRow* a, const KeyRow* b, size_t rows, size_t units) {
  KeyLanes best = {};
  const size_t row = units % rows;
  const int top = static_cast<int>(units / rows);
  RaiseToSums(top, a, b + row, row + 1, best);
  RaiseToSums(top - 1, a + row + 1, b + rows - 1, rows - row - 1, best);
  return std::max({best[0], best[1], best[2], best[3]});
}

struct Portable {
  static void BySteps(const KeyRow* in, size_t rows, std::span<const KeyPiece<int64_t>> steps,
                      KeyRow* out) {
    RaiseBySteps(in, rows, steps, out);
  }
  static void ByPieces(const KeyRow* in, size_t rows, std::span<const KeyPiece<int64_t>> pieces,
                       KeyRow* sloped, KeyRow* suffix, KeyRow* out) {
    RaiseByPieces(in, rows, pieces, sloped, suffix, out);
  }
  static int64_t Sum(const KeyRow* a, const KeyRow* b, size_t rows, size_t units) {
    return LargestSum(a, b, rows, units);
  }
};

#if defined(__x86_64__)
#define NOM_AVX2 __attribute__((target("avx2")))
struct Avx2 {
  NOM_AVX2 static void BySteps(const KeyRow* in, size_t rows,
                               std::span<const KeyPiece<int64_t>> steps, KeyRow* out) {
    RaiseBySteps(in, rows, steps, out);
  }
  NOM_AVX2 static void ByPieces(const KeyRow* in, size_t rows,
                                std::span<const KeyPiece<int64_t>> pieces, KeyRow* sloped,
                                KeyRow* suffix, KeyRow* out) {
    RaiseByPieces(in, rows, pieces, sloped, suffix, out);
  }
  NOM_AVX2 static int64_t Sum(const KeyRow* a, const KeyRow* b, size_t rows, size_t units) {
    return LargestSum(a, b, rows, units);
  }
};
bool HasAvx2() { return __builtin_cpu_supports("avx2") != 0; }
#else
using Avx2 = Portable;
bool HasAvx2() { return false; }
#endif

}  // namespace

MaxPlus::MaxPlus(int64_t capacity_units, Vectors vectors)
    : rows_((static_cast<size_t>(capacity_units) + kLanes) / kLanes),
      has_avx2_(vectors == Vectors::kBest && HasAvx2()) {}

void MaxPlus::Extend(const KeyRow* in, std::span<const KeyPiece<int64_t>> pieces, KeyRow* out) {
  std::copy(in, in + rows_, out);
  steps_.clear();
  for (size_t begin = 0; begin < pieces.size();) {
    if (pieces[begin].key_slope <= 0) {
      steps_.push_back(pieces[begin++]);
      continue;
    }
    size_t end = begin;
    int64_t width = 0;
    for (; end < pieces.size() && pieces[end].key_slope == pieces[begin].key_slope; ++end) {
      width = std::max(width, pieces[end].max_units - pieces[end].min_units + 1);
    }
    const auto before = static_cast<size_t>(pieces[end - 1].max_units);
    scratch_.resize(std::max(scratch_.size(), before + rows_));
    suffix_.resize(std::max(suffix_.size(), static_cast<size_t>(width)));
    (has_avx2_ ? Avx2::ByPieces : Portable::ByPieces)(in, rows_, pieces.subspan(begin, end - begin),
                                                      scratch_.data() + before, suffix_.data(),
                                                      out);
    begin = end;
  }
  if (steps_.empty()) return;
  const auto before = static_cast<size_t>(steps_.back().min_units);
  scratch_.resize(std::max(scratch_.size(), before + rows_));
  KeyRow* const first = scratch_.data() + before;
  std::copy(in, in + rows_, first);
  SlopeBefore(in, rows_, before, 0, first);
  (has_avx2_ ? Avx2::BySteps : Portable::BySteps)(first, rows_, steps_, out);
}

int64_t MaxPlus::BestSplit(const KeyRow* a, const KeyRow* b, int64_t units) const {
  return (has_avx2_ ? Avx2::Sum : Portable::Sum)(a, b, rows_, static_cast<size_t>(units));
}

int64_t MaxPlus::Extended(const KeyRow* in, std::span<const KeyPiece<int64_t>> pieces,
                          int64_t units) const {
  int64_t best = At(in, units);
  for (const KeyPiece<int64_t>& piece : pieces) {
    const int64_t last = piece.key_slope > 0 ? piece.max_units : piece.min_units;
    for (int64_t a = piece.min_units; a <= std::min(last, units); ++a) {
      best = std::max(best, piece.KeyAt(a) + At(in, units - a));
    }
  }
  return best;
}

int64_t MaxPlus::MostUnits(std::span<const KeyPiece<int64_t>> pieces, const KeyRow* after,
                           int64_t left_units, int64_t target, int64_t& key) const {
  for (size_t p = pieces.size(); p-- > 0;) {
    const KeyPiece<int64_t>& piece = pieces[p];
    int64_t a = std::min(piece.max_units, left_units);
    if (a < piece.min_units) continue;
    auto row = static_cast<size_t>(left_units - a) % rows_;
    auto lane = static_cast<size_t>(left_units - a) / rows_;
    for (; a >= piece.min_units; --a) {
      key = piece.KeyAt(a);
      if (key + after[row].lanes[lane] == target) return a;
      if (++row == rows_) {
        row = 0;
        ++lane;
      }
    }
  }
  key = 0;
  return 0;
}

}  // namespace nom::policies
