#include "policies/clearing/max_plus.h"

#include <algorithm>

// Compiled once for any processor and once for AVX2, both from the functions marked so.
#define NOM_INLINE inline __attribute__((always_inline))

namespace nom::policies {
namespace {

// Stands for what cannot be: no sum with it reaches 0.
constexpr int64_t kNever = -(int64_t{1} << 62);

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

// sloped[r] = in[r] - (entry of r) * slope for rows from -before to rows - 1.
NOM_INLINE void Slope(const KeyRow* in, ptrdiff_t before, size_t rows, int64_t slope,
                      KeyRow* sloped) {
  const auto lane = static_cast<int64_t>(rows) * slope;
  KeyLanes paid = KeyLanes{0, lane, 2 * lane, 3 * lane} - before * slope;
  for (ptrdiff_t row = -before; row < static_cast<ptrdiff_t>(rows); ++row) {
    sloped[row].lanes = in[row].lanes - paid;
    paid += slope;
  }
}

// A rising piece. With j units left to the others and a = q - j, the best j in [q - max, q - min]
// has the largest sloped[j]: a maximum over a window that slides along. It is the larger of a
// maximum up to the end of a block as wide as the window and one from the beginning of the next
// (van Herk; Gil and Werman), three comparisons a row whatever the width.
NOM_INLINE void RaiseByRising(const KeyRow* sloped, size_t rows, const KeyPiece<int64_t>& piece,
                              KeyRow* suffix, KeyRow* out) {
  const auto window = static_cast<size_t>(piece.max_units - piece.min_units) + 1;
  const KeyRow* const first = sloped - piece.max_units;  // Of the window of row 0.
  const auto lane = static_cast<int64_t>(rows) * piece.key_slope;
  KeyLanes base =
      KeyLanes{0, lane, 2 * lane, 3 * lane} + (piece.key_at_min - piece.min_units * piece.key_slope);
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

NOM_INLINE int64_t LargestSum(const KeyRow* a, const KeyRow* b_last, size_t rows) {
  KeyLanes best = {};
  for (size_t row = 0; row < rows; ++row) {
    const KeyLanes& b = (b_last - row)->lanes;
    RaiseTo(best, a[row].lanes + KeyLanes{b[3], b[2], b[1], b[0]});
  }
  return std::max({best[0], best[1], best[2], best[3]});
}

struct Portable {
  static void BySteps(const KeyRow* in, size_t rows, std::span<const KeyPiece<int64_t>> steps,
                      KeyRow* out) {
    RaiseBySteps(in, rows, steps, out);
  }
  static void BySlope(const KeyRow* in, ptrdiff_t before, size_t rows, int64_t slope,
                      KeyRow* sloped) {
    Slope(in, before, rows, slope, sloped);
  }
  static void ByRising(const KeyRow* sloped, size_t rows, const KeyPiece<int64_t>& piece,
                       KeyRow* suffix, KeyRow* out) {
    RaiseByRising(sloped, rows, piece, suffix, out);
  }
  static int64_t Sum(const KeyRow* a, const KeyRow* b_last, size_t rows) {
    return LargestSum(a, b_last, rows);
  }
};

#if defined(__x86_64__)
#define NOM_AVX2 __attribute__((target("avx2")))
struct Avx2 {
  NOM_AVX2 static void BySteps(const KeyRow* in, size_t rows,
                               std::span<const KeyPiece<int64_t>> steps, KeyRow* out) {
    RaiseBySteps(in, rows, steps, out);
  }
  NOM_AVX2 static void BySlope(const KeyRow* in, ptrdiff_t before, size_t rows, int64_t slope,
                               KeyRow* sloped) {
    Slope(in, before, rows, slope, sloped);
  }
  NOM_AVX2 static void ByRising(const KeyRow* sloped, size_t rows, const KeyPiece<int64_t>& piece,
                                KeyRow* suffix, KeyRow* out) {
    RaiseByRising(sloped, rows, piece, suffix, out);
  }
  NOM_AVX2 static int64_t Sum(const KeyRow* a, const KeyRow* b_last, size_t rows) {
    return LargestSum(a, b_last, rows);
  }
};
bool HasAvx2() { return __builtin_cpu_supports("avx2") != 0; }
#else
using Avx2 = Portable;
bool HasAvx2() { return false; }
#endif

}  // namespace

MaxPlus::MaxPlus(int64_t capacity_units, Vectors vectors)
    : capacity_units_(capacity_units),
      rows_((static_cast<size_t>(capacity_units) + kLanes) / kLanes),
      has_avx2_(vectors == Vectors::kBest && HasAvx2()) {}

void MaxPlus::Extend(const KeyTable& in, std::span<const KeyPiece<int64_t>> pieces, KeyTable& out) {
  std::copy(in.begin(), in.end(), out.begin());
  if (pieces.empty()) return;
  // Row -x is x entries before row 0: in each lane what ends the lane before it.
  const auto before = static_cast<size_t>(pieces.back().max_units);
  shifted_.resize(before + rows_);
  KeyRow* const first = shifted_.data() + before;
  std::copy(in.begin(), in.end(), first);
  for (size_t x = 1; x <= before; ++x) {
    const KeyLanes& later = (first - x + rows_)->lanes;
    (first - x)->lanes = KeyLanes{kNever, later[0], later[1], later[2]};
  }
  steps_.clear();
  int64_t slope = 0;
  for (const KeyPiece<int64_t>& piece : pieces) {
    if (piece.key_slope <= 0) {
      steps_.push_back(piece);
      continue;
    }
    if (piece.key_slope != slope) {
      slope = piece.key_slope;
      sloped_.resize(shifted_.size());
      (has_avx2_ ? Avx2::BySlope : Portable::BySlope)(first, static_cast<ptrdiff_t>(before), rows_,
                                                      slope, sloped_.data() + before);
    }
    suffix_.resize(static_cast<size_t>(piece.max_units - piece.min_units) + 1);
    (has_avx2_ ? Avx2::ByRising : Portable::ByRising)(sloped_.data() + before, rows_, piece,
                                                      suffix_.data(), out.data());
  }
  if (steps_.empty()) return;
  (has_avx2_ ? Avx2::BySteps : Portable::BySteps)(first, rows_, steps_, out.data());
}

int64_t MaxPlus::BestSplit(const KeyTable& a, const KeyTable& b) const {
  // Entry capacity - q is as far from b's last row as q from a's first, but for the entries that
  // fill up the last lane.
  const size_t more = kLanes * rows_ - 1 - static_cast<size_t>(capacity_units_);
  const size_t mirrored_rows = rows_ > more ? rows_ - more : 0;
  int64_t best = 0;
  if (mirrored_rows > 0) {
    best = (has_avx2_ ? Avx2::Sum : Portable::Sum)(a.data(), b.data() + mirrored_rows - 1,
                                                   mirrored_rows);
  }
  for (size_t row = mirrored_rows; row < rows_; ++row) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const auto units = static_cast<int64_t>(lane * rows_ + row);
      if (units <= capacity_units_) {
        best = std::max(best, a[row].lanes[lane] + At(b, capacity_units_ - units));
      }
    }
  }
  return best;
}

int64_t MaxPlus::MostUnits(std::span<const KeyPiece<int64_t>> pieces, const KeyTable& after,
                           int64_t left_units, int64_t target, int64_t& key) const {
  for (size_t p = pieces.size(); p-- > 0;) {
    const KeyPiece<int64_t>& piece = pieces[p];
    int64_t a = std::min(piece.max_units, left_units);
    if (a < piece.min_units) continue;
    auto row = static_cast<size_t>(left_units - a) % rows_;
    auto lane = static_cast<size_t>(left_units - a) / rows_;
    for (; a >= piece.min_units; --a) {
      key = piece.key_at_min + (a - piece.min_units) * piece.key_slope;
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
