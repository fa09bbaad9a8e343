// SPDX-License-Identifier: Apache-2.0
// Which quantities an allocation can have that loses no more than a limit at a price: the same
// reduced costs as core.h, in exact fractions and for keys of 64 and 128 bits. Inside
// policies/clearing/mpsp only.

#ifndef NOM_POLICIES_CLEARING_MPSP_PRICE_LIMIT_H_
#define NOM_POLICIES_CLEARING_MPSP_PRICE_LIMIT_H_

#include <algorithm>
#include <cstdint>
#include <span>

#include "policies/clearing/int128.h"
#include "policies/clearing/mpsp/branch_problem.h"
#include "policies/clearing/mpsp/key_bids.h"

namespace nom::policies::branches {

// Quantities, from the first to the last of a run.
struct Run {
  int64_t low = 0;
  int64_t high = 0;
};

// A price of a unit as a fraction, and how much an allocation may lose at it, times the
// denominator. What a bid loses with a quantity is what it leaves with its best one, less what this
// one leaves.
template <typename Key>
struct PriceLimit {
  Key price = 0;
  int64_t price_units = 1;
  Int128 gap = 0;

  Int128 SurplusOf(Key key, int64_t units) const {
    return Int128{key} * price_units - Int128{price} * units;
  }
};

// The price at which a relaxation ends, where an allocation that adds up to at least `least` loses
// no more than the gap.
template <typename Key>
PriceLimit<Key> LimitOf(const Relaxed<Key>& relaxed, Key least) {
  PriceLimit<Key> limit;
  if (!relaxed.has_part) return limit;  // More than enough: a unit is worth nothing.
  limit.price = relaxed.part.key;
  limit.price_units = relaxed.part.units;
  limit.gap = Int128{relaxed.whole_key - least} * limit.price_units +
              Int128{limit.price} * relaxed.left_units;
  return limit;
}

// Calls visit(low, high, low_key, high_key) for the quantities of a bid, from `low_units` to
// `high_units`, that an allocation within the limit can have: in rising order, each run on one
// straight line. `low_units` is a quantity that the bid accepts.
template <typename Key, typename Visit>
void VisitWithin(std::span<const KeyPiece<Key>> pieces, int64_t low_units, int64_t high_units,
                 const PriceLimit<Key>& limit, const Visit& visit) {
  const Key low_key = KeyOf(pieces, low_units);
  Int128 surplus = limit.SurplusOf(low_key, low_units);
  const auto cut = [&](const KeyPiece<Key>& piece) {
    return Run{std::max(piece.min_units, low_units + 1), std::min(piece.max_units, high_units)};
  };
  for (const KeyPiece<Key>& piece : pieces) {
    const Run run = cut(piece);
    if (run.low > run.high) continue;
    surplus = std::max({surplus, limit.SurplusOf(piece.KeyAt(run.low), run.low),
                        limit.SurplusOf(piece.KeyAt(run.high), run.high)});
  }
  const Int128 least = surplus - limit.gap;
  if (limit.SurplusOf(low_key, low_units) >= least) visit(low_units, low_units, low_key, low_key);
  for (const KeyPiece<Key>& piece : pieces) {
    auto [low, high] = cut(piece);
    if (low > high) continue;
    const Int128 at_low = limit.SurplusOf(piece.KeyAt(low), low);
    const Int128 at_high = limit.SurplusOf(piece.KeyAt(high), high);
    if (at_low < least && at_high < least) continue;
    if (at_low < least || at_high < least) {
      const Int128 slope = (at_high - at_low) / (high - low);
      const int64_t begin = low;
      if (at_low < least) low += static_cast<int64_t>((least - at_low + slope - 1) / slope);
      if (at_high < least) high = begin + static_cast<int64_t>((at_low - least) / -slope);
    }
    visit(low, high, piece.KeyAt(low), piece.KeyAt(high));
  }
}

}  // namespace nom::policies::branches

#endif  // NOM_POLICIES_CLEARING_MPSP_PRICE_LIMIT_H_
