// SPDX-License-Identifier: Apache-2.0
// The same auction in lots of several units: fewer places to decide between. Inside
// policies/clearing/mpsp only.
//
// A guest may have any quantity that it accepts, but what it has is set aside in whole lots: q
// units take ceil(q / lot) of floor(capacity / lot) lots, and what is left in the last lot stays
// with the operator. Which allocations that allows depends on nothing that anybody bids, and the
// best of them is chosen: the rule is maximal in its range, so with charges worked out in the same
// range the truth is still the best bid (Nisan and Ronen 2007).
//
// So c lots are worth the best quantity that needs just c of them. On a rising piece that is the
// last one in the lot; on a falling one the first lot's first is better than all others.

#ifndef NOM_POLICIES_CLEARING_MPSP_LOTS_H_
#define NOM_POLICIES_CLEARING_MPSP_LOTS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "policies/clearing/mpsp/key_bids.h"

namespace nom::policies {

// The pieces of one bid with lots for units.
template <typename Key>
std::vector<KeyPiece<Key>> InLots(std::span<const KeyPiece<Key>> pieces, int64_t lot_units);

// Of all bids.
template <typename Key>
KeyBids<Key> InLots(const KeyBids<Key>& bids, int64_t lot_units);

// The largest quantity that needs `lots` lots and is worth the most of those: what `lots` stands
// for in InLots.
template <typename Key>
int64_t UnitsOfLots(std::span<const KeyPiece<Key>> pieces, int64_t lot_units, int64_t lots);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_MPSP_LOTS_H_
