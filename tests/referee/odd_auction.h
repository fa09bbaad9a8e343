// SPDX-License-Identifier: Apache-2.0
// Random auctions of odd shapes: what ordinary random ones hardly ever make. The same on every
// machine for one seed.

#ifndef NOM_TESTS_REFEREE_ODD_AUCTION_H_
#define NOM_TESTS_REFEREE_ODD_AUCTION_H_

#include <cstdint>
#include <string>

#include "policies/clearing/auction.h"
#include "tests/referee/random_auction.h"

namespace nom::policies {

enum class Oddity {
  kTies,             // Few prices; many bids with equal marginal pieces.
  kNearLimits,       // Money up to 10^15, of which little is left to the next bid.
  kOneDominates,     // One bid wants all that there is, for far more than the others.
  kNoneOrOneUnit,    // Next to nothing for sale.
  kReserveAboveAll,  // No bid reaches the reserve, or some just do.
  kPenaltyAboveAll,  // Holdings, and a penalty far above all values.
  kAcrossCapacity,   // Ranges that begin or end at the capacity, or one unit beside it.
  kSteps,            // A step for each of many quantities, with values that rise and fall.
  kNothingFeasible,  // Bids that can win nothing: too large, empty, worth nothing.
  kOwners,           // Some or all of the guests belong to one or two owners.
  kHugeBid,          // One bid of 10^15 for little, and large holdings.
  kWorthlessRanges,  // 16 ranges of which 15 are worth nothing.
  kHeldForNothing,   // Holders that also accept more, worth nothing, up to what they hold.
};
inline constexpr int kOddities = 13;

// Bids as of RandomAuction, and then one oddity, which is seed % kOddities, and now and then others
// besides. Valid; concave if the shape is. With many holdings and money near the limits the welfare
// may not fit in 64 bits, see MayOverflow. At most `units_max` of capacity and, but for those that
// are there because they can win nothing, a bid.
Auction OddAuction(Shape shape, uint64_t seed, int64_t bids_max, int64_t units_max);

// Small enough for the exhaustive referee: at most 4 bids, 7 units.
Auction SmallOddAuction(Shape shape, uint64_t seed);

// Steps of up to kUnitsMax units, as many as the exhaustive referee can try; holdings as large.
Auction LargeStepsAuction(uint64_t seed);

// True if the largest W that anything in the auction can add up to does not fit in 64 bits: only
// then may a rule answer OUT_OF_RANGE.
bool MayOverflow(const Auction& auction);

}  // namespace nom::policies

#endif  // NOM_TESTS_REFEREE_ODD_AUCTION_H_
