// SPDX-License-Identifier: Apache-2.0
// A bid by itself at a price of a unit of key. Inside policies/clearing only.

#ifndef NOM_POLICIES_CLEARING_MPSP_CHOICE_H_
#define NOM_POLICIES_CLEARING_MPSP_CHOICE_H_

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>

#include "policies/clearing/mpsp/key_bids.h"

namespace nom::policies {

struct Choice {
  int64_t units = 0;      // Its best quantity; of equals, any.
  int64_t surplus = 0;    // s_i: what that adds above its price. At least 0.
  int64_t next_loss = 0;  // The least that any other quantity adds less than that.
};

// Keys as for SolveByTables, and a price as of Relaxation.
inline Choice ChoiceAt(std::span<const KeyPiece<int64_t>> pieces, int64_t price) {
  Choice best;
  int64_t next = std::numeric_limits<int64_t>::min() / 2;
  const auto consider = [&](int64_t units, int64_t surplus) {
    if (surplus > best.surplus) {
      next = best.surplus;
      best.surplus = surplus;
      best.units = units;
    } else {
      next = std::max(next, surplus);
    }
  };
  for (const KeyPiece<int64_t>& piece : pieces) {
    // A straight line: an end of it is best, and next to that its neighbour.
    const int64_t at_min = piece.key_at_min - piece.min_units * price;
    const int64_t width = piece.max_units - piece.min_units;
    const int64_t slope = piece.key_slope - price;
    if (width == 0) {
      consider(piece.min_units, at_min);
    } else if (slope > 0) {
      consider(piece.max_units, at_min + width * slope);
      consider(piece.max_units - 1, at_min + (width - 1) * slope);
    } else {
      consider(piece.min_units, at_min);
      consider(piece.min_units + 1, at_min + slope);
    }
  }
  best.next_loss = best.surplus - next;
  return best;
}

// A bid by itself at all prices between two.
struct SteadyChoice {
  int64_t units = 0;
  int64_t next_loss = -1;  // The least anywhere; -1 if not the same quantity is best throughout.
};

// If one quantity is best at both ends it is at all between, and what another loses against it is a
// straight line over prices.
inline SteadyChoice ChoiceBetween(std::span<const KeyPiece<int64_t>> pieces, int64_t low_price,
                                  int64_t high_price) {
  const Choice at_low = ChoiceAt(pieces, low_price);
  const Choice at_high = low_price == high_price ? at_low : ChoiceAt(pieces, high_price);
  if (at_low.units != at_high.units) return {at_low.units, -1};
  return {at_low.units, std::min(at_low.next_loss, at_high.next_loss)};
}

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_MPSP_CHOICE_H_
