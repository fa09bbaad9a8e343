// SPDX-License-Identifier: Apache-2.0
// An auction rewritten so that a rule has only one thing left to maximise. Inside
// policies/clearing only.
//
// Money is counted above the reserve and above the state in which every holder loses everything:
//
//   W(a) = base + sum gain_i(a_i),
//   base = reserve * capacity - reclaim_penalty * sum held_i
//   gain_i(a) = value_i(a) - reserve * a + reclaim_penalty * min(held_i, a),   gain_i(0) = 0
//
// Ties join in by scaling: the units that a holder keeps, min(held_i, a), are the low digits of
//
//   key_i(a) = gain_i(a) * key_scale + min(held_i, a),   key_scale > sum min(held_i, a_i)
//
// so the largest sum of keys is the largest W and, among those, the fewest units taken. What is
// left, the order of guests, is the order of `bids` here.
//
// Charges and the price do not ask for ties. Where the scaled keys do not fit in 64 bits, those are
// found from the gains alone, which mostly do, and the awards by themselves.

#ifndef NOM_POLICIES_CLEARING_MPSP_NORMAL_FORM_H_
#define NOM_POLICIES_CLEARING_MPSP_NORMAL_FORM_H_

#include <algorithm>
#include <span>
#include <vector>

#include "policies/clearing/auction.h"
#include "policies/clearing/int128.h"
#include "policies/clearing/mpsp/key_bids.h"

namespace nom::policies {

enum class Ties {
  kInKeys,       // The low digits say how many units holders keep.
  kLeftToOrder,  // Keys are gains: among equals only the order of guests counts.
};

struct NormalAuction {
  int64_t capacity_units = 0;  // At most what all bids together can take.
  Int128 key_scale = 1;
  // Only what can be sold, and only to the capacity. `origin` is the index in auction.bids; bids
  // that can win nothing are left out.
  KeyBids<Int128> bids;
};

// `auction` must be valid.
NormalAuction Normalise(const Auction& auction, Ties ties = Ties::kInKeys);

// What a bid with these pieces adds in "W(without it)": its gain with every sellable quantity worth
// exactly the reserve, so reclaim_penalty * min(held, q) on the same quantities. The scale is that
// of the pieces; ties don't matter there. Empty if that is nothing.
template <typename Key>
std::vector<KeyPiece<Key>> PiecesWithoutValue(const Auction& auction, const Bid& bid,
                                              std::span<const KeyPiece<Key>> pieces,
                                              Int128 key_scale) {
  std::vector<KeyPiece<Key>> without;
  if (auction.reclaim_penalty_microcredits == 0 || bid.held_units == 0) return without;
  const Int128 penalty = key_scale * auction.reclaim_penalty_microcredits;
  without.reserve(pieces.size());
  for (const KeyPiece<Key>& piece : pieces) {
    // Normalise splits where the held units end, so a piece lies on one side of that.
    const bool is_rising = piece.max_units <= bid.held_units && piece.min_units < piece.max_units;
    without.push_back({piece.min_units, piece.max_units,
                       static_cast<Key>(penalty * std::min(bid.held_units, piece.min_units)),
                       is_rising ? static_cast<Key>(penalty) : Key{0}});
  }
  return without;
}

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_MPSP_NORMAL_FORM_H_
