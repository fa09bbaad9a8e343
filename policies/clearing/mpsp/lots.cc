// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/mpsp/lots.h"

#include <algorithm>

#include "policies/clearing/int128.h"

namespace nom::policies {
namespace {

int64_t LotsFor(int64_t units, int64_t lot_units) { return (units + lot_units - 1) / lot_units; }

// Where two pieces of a bid have quantities in the same lot, the lot is worth the better one; of
// equals the one with more units, which is the later one.
template <typename Key>
void Append(KeyPiece<Key> next, std::vector<KeyPiece<Key>>& pieces) {
  if (!pieces.empty() && pieces.back().max_units == next.min_units) {
    KeyPiece<Key>& last = pieces.back();
    if (last.KeyAt(last.max_units) > next.key_at_min) {
      if (next.min_units == next.max_units) return;
      ++next.min_units;
      next.key_at_min += next.key_slope;
    } else if (last.min_units == last.max_units) {
      pieces.pop_back();
    } else {
      --last.max_units;
    }
    if (!pieces.empty() && pieces.back().min_units == pieces.back().max_units) {
      pieces.back().key_slope = 0;
    }
  }
  if (next.min_units == next.max_units) next.key_slope = 0;
  pieces.push_back(next);
}

}  // namespace

template <typename Key>
std::vector<KeyPiece<Key>> InLots(std::span<const KeyPiece<Key>> pieces, int64_t lot_units) {
  std::vector<KeyPiece<Key>> lots;
  for (const KeyPiece<Key>& piece : pieces) {
    const int64_t first = LotsFor(piece.min_units, lot_units);
    if (piece.key_slope < 0 || piece.min_units == piece.max_units) {
      Append<Key>({first, first, piece.key_at_min, 0}, lots);
      continue;
    }
    // Whole lots end on the piece; the last one may end behind it.
    const int64_t last_whole = piece.max_units / lot_units;
    if (first <= last_whole) {
      Append<Key>({first, last_whole, piece.KeyAt(first * lot_units),
                   piece.key_slope * static_cast<Key>(lot_units)},
                  lots);
    }
    const int64_t last = LotsFor(piece.max_units, lot_units);
    if (last > last_whole) Append<Key>({last, last, piece.KeyAt(piece.max_units), 0}, lots);
  }
  return lots;
}

template <typename Key>
KeyBids<Key> InLots(const KeyBids<Key>& bids, int64_t lot_units) {
  KeyBids<Key> lots;
  for (size_t bid = 0; bid < bids.size(); ++bid) {
    const std::vector<KeyPiece<Key>> pieces = InLots(bids.PiecesOf(bid), lot_units);
    lots.pieces.insert(lots.pieces.end(), pieces.begin(), pieces.end());
    lots.EndBid(bids.origin[bid]);
  }
  return lots;
}

template <typename Key>
int64_t UnitsOfLots(std::span<const KeyPiece<Key>> pieces, int64_t lot_units, int64_t lots) {
  int64_t best_units = 0;
  Key best = 0;
  for (const KeyPiece<Key>& piece : pieces) {
    const int64_t low = std::max(piece.min_units, (lots - 1) * lot_units + 1);
    const int64_t high = std::min(piece.max_units, lots * lot_units);
    if (low > high) continue;
    const int64_t units = piece.key_slope < 0 ? low : high;
    if (best_units == 0 || piece.KeyAt(units) >= best) {
      best = piece.KeyAt(units);
      best_units = units;
    }
  }
  return best_units;
}

template std::vector<KeyPiece<int64_t>> InLots(std::span<const KeyPiece<int64_t>>, int64_t);
template std::vector<KeyPiece<Int128>> InLots(std::span<const KeyPiece<Int128>>, int64_t);
template KeyBids<Int128> InLots(const KeyBids<Int128>&, int64_t);
template int64_t UnitsOfLots(std::span<const KeyPiece<Int128>>, int64_t, int64_t);

}  // namespace nom::policies
