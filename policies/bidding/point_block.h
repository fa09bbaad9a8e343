// SPDX-License-Identifier: Apache-2.0
// How a table of working points lies in memory, and the search through it that has to be fast.
//
// Eight points in a block, each of their numbers side by side: a search reads memory from front to
// back, and where the processor has vectors they take four points at a time. Both ways give the
// same answer, as all of it is whole numbers. Pure; any thread.

#ifndef NOM_POLICIES_BIDDING_POINT_BLOCK_H_
#define NOM_POLICIES_BIDDING_POINT_BLOCK_H_

#include "policies/bidding/range.h"

namespace nom::policies {

// Resources in whatever order the program likes, the same everywhere in one table.
inline constexpr int kPointResourcesMax = 6;
inline constexpr int kBlockPoints = 8;

constexpr int PointBlocksFor(int points) { return (points + kBlockPoints - 1) / kBlockPoints; }

// 320 bytes. Places that hold no point have no units and a value of -1.
struct alignas(64) PointBlock {
  Microcredits values[kBlockPoints] = {};
  // Two points in a word: place i in the low half of word i, place i + 4 in the high half. So both
  // can be multiplied where they lie.
  uint64_t units[kPointResourcesMax][kBlockPoints / 2] = {};
  int64_t knobs[kBlockPoints] = {};

  int64_t Units(int resource, int place) const {
    const uint64_t word = units[resource][place % (kBlockPoints / 2)];
    return static_cast<int64_t>(place < kBlockPoints / 2 ? word & 0xffffffff : word >> 32);
  }
};

// A resource that has a price and is used.
struct PricedResource {
  int resource = 0;
  Microcredits unit_price_microcredits = 0;
};

inline constexpr int64_t kBillMax = int64_t{1} << 62;

// The place (8 to a block) of the largest value less units at their prices, if that is above 0, and
// the first such place; else -1. Requires that nowhere in the blocks units times prices come to
// more than kBillMax in all, so that 64 bits hold all sums.
int BestPlace(const PointBlock* blocks, int block_count, const PricedResource* priced,
              int priced_count);

// The same without vectors; BestPlace uses it where there are none.
int BestPlaceByWords(const PointBlock* blocks, int block_count, const PricedResource* priced,
                     int priced_count);

}  // namespace nom::policies

#endif  // NOM_POLICIES_BIDDING_POINT_BLOCK_H_
