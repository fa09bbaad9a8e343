// SPDX-License-Identifier: Apache-2.0
// The smallest concave curve above each bid: what the bid would be if it could be served in any
// fraction. Inside policies/clearing only.
//
// The corners of the curve are quantities that can be sold to the bid; between them lie parts on
// which each unit adds the same share of the gain. The gain of a quantity is its value above the
// reserve, and the reclaim penalty for each unit held of it. Parts whose gain falls are left out:
// nobody would be served them.

#ifndef NOM_POLICIES_CLEARING_CONCAVE_HULL_H_
#define NOM_POLICIES_CLEARING_CONCAVE_HULL_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "policies/clearing/auction.h"
#include "policies/clearing/int128.h"

namespace nom::policies {

// The parts of all bids as columns; within a bid they follow each other from 0 units on, and each
// is less steep than the one before it.
struct Hull {
  std::vector<uint32_t> first_part;  // Bid i has parts [first_part[i], first_part[i + 1]).
  std::vector<Microcredits> slope;   // Gain a unit, rounded down; at least 0.
  std::vector<int32_t> units;        // At least 1.
  std::vector<int32_t> rest;         // Gain of the part above slope * units: 0 <= rest < units.

  Int128 GainOf(size_t part) const { return Int128{slope[part]} * units[part] + rest[part]; }
};

// Of the quantities up to the capacity. `auction` must be valid. Linear time.
Hull MakeHull(const Auction& auction);

// Of at most `units_max` units that can be sold to the bid, the quantity with the largest gain, the
// smallest of equals; 0 if none has a gain above 0.
int64_t BestGainWithin(const Auction& auction, const Bid& bid, int64_t units_max);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_CONCAVE_HULL_H_
