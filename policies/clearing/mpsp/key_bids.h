// SPDX-License-Identifier: Apache-2.0
// What there is to maximise, once an auction is in its normal form (normal_form.h): for each bid,
// what its quantities add. Inside policies/clearing/mpsp only.

#ifndef NOM_POLICIES_CLEARING_MPSP_KEY_BIDS_H_
#define NOM_POLICIES_CLEARING_MPSP_KEY_BIDS_H_

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

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_MPSP_KEY_BIDS_H_
