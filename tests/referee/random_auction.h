// SPDX-License-Identifier: Apache-2.0
// Random auctions for the referees: the same on every machine for one seed.

#ifndef NOM_TESTS_REFEREE_RANDOM_AUCTION_H_
#define NOM_TESTS_REFEREE_RANDOM_AUCTION_H_

#include <cstdint>
#include <string>

#include "policies/clearing/auction.h"

namespace nom::policies {

// xorshift64*: small, and not the library's, whose distributions differ between versions.
class TestRandom {
 public:
  explicit TestRandom(uint64_t seed);

  uint64_t Next();
  // Uniform enough in [low, high], both included.
  int64_t Between(int64_t low, int64_t high);
  bool OneIn(int64_t n) { return Between(1, n) == 1; }

 private:
  uint64_t state_;
};

enum class Shape {
  kConcave,  // What uniform_price takes.
  kGeneral,  // Gaps, steps, values that fall.
};

// Small enough for the exhaustive referee: at most 4 bids, 9 units of capacity, 7 units a bid.
// Money is drawn from few values, so that ties are common, or now and then from large ones.
Auction SmallRandomAuction(Shape shape, uint64_t seed);

// Larger, for rules against each other: at most `bids` bids, `units` of capacity and a bid.
Auction RandomAuction(Shape shape, uint64_t seed, int64_t bids_max, int64_t units_max);

// NOM_SEED and NOM_COUNT of the environment, or 1 and `count`; of `count`, a tenth under
// sanitizers.
uint64_t FirstSeed();
uint64_t CountOr(uint64_t count);

// For failure messages: the auction as a person can read it, and how to run it again.
std::string Describe(uint64_t seed, const Auction& auction);

}  // namespace nom::policies

#endif  // NOM_TESTS_REFEREE_RANDOM_AUCTION_H_
