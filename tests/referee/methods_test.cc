// SPDX-License-Identifier: Apache-2.0
// The methods of mpsp against each other, on auctions larger than exhaustive search can take:
// tables over everything, branch and bound, and whatever the rule chooses.

#include <gtest/gtest.h>

#include <algorithm>

#include "policies/clearing/mpsp.h"
#include "tests/referee/random_auction.h"

namespace nom::policies {
namespace {

constexpr uint64_t kAuctions = 10'000;

MpspOptions Tables() {
  MpspOptions options;
  options.always_tables = true;
  return options;
}

MpspOptions Branches() {
  MpspOptions options;
  options.always_branches = true;
  return options;
}

void ExpectTheSame(uint64_t seed, const Auction& auction) {
  const auto tables = ClearMpsp(auction, Tables());
  const auto branches = ClearMpsp(auction, Branches());
  const auto chosen = ClearMpsp(auction);
  ASSERT_TRUE(tables.ok()) << tables.status() << "\n" << Describe(seed, auction);
  ASSERT_TRUE(branches.ok()) << branches.status();
  ASSERT_TRUE(chosen.ok()) << chosen.status();
  ASSERT_EQ(*tables, *branches) << Describe(seed, auction);
  ASSERT_EQ(*tables, *chosen) << Describe(seed, auction);
}

// `owners`: guests are shared out over so many of them, and over nobody.
void AddOwners(uint64_t seed, int64_t owners, Auction& auction) {
  TestRandom random(seed + 77);
  for (Bid& bid : auction.bids) bid.owner_id = static_cast<OwnerId>(random.Between(0, owners));
}

TEST(Methods, AgreeOnAnyBids) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions); seed < end; ++seed) {
    Auction auction = RandomAuction(Shape::kGeneral, seed, 60, 60);
    auction.capacity_units = 1 + auction.capacity_units / 2;
    if (seed % 2 == 0) AddOwners(seed, 1 + static_cast<int64_t>(seed % 7), auction);
    ASSERT_NO_FATAL_FAILURE(ExpectTheSame(seed, auction));
  }
}

// Many ranges of any worth: the searches are long enough to be reduced on the way.
TEST(Methods, AgreeWhereSearchesAreLong) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions / 2); seed < end; ++seed) {
    Auction auction = RandomAuction(Shape::kGeneral, seed, 150, 60);
    auction.capacity_units = 1 + auction.capacity_units * static_cast<int64_t>(1 + seed % 4) / 2;
    if (seed % 3 == 0) AddOwners(seed, 9, auction);
    ASSERT_NO_FATAL_FAILURE(ExpectTheSame(seed, auction));
  }
}

// Concave bids have a method of their own when the rule chooses; here they are all the same to it,
// or one of them has a gap.
TEST(Methods, AgreeWhereManyAreTiedAtTheMargin) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions / 5); seed < end; ++seed) {
    TestRandom random(seed);
    Auction auction;
    auction.seed = random.Next();
    auction.capacity_units = random.Between(1, 300);
    auction.reserve_unit_price_microcredits = random.Between(0, 2);
    auction.reclaim_penalty_microcredits = random.OneIn(2) ? 0 : random.Between(0, 3);
    const int64_t bids = random.Between(1, 60);
    const int64_t prices = random.Between(1, 2);
    for (int64_t i = 0; i < bids; ++i) {
      Bid& bid = auction.bids.emplace_back();
      bid.guest_id = static_cast<GuestId>(3 * i + 1);
      bid.held_units = random.OneIn(2) ? 0 : random.Between(0, 12);
      const Microcredits price = random.Between(3, 2 + prices);
      const int64_t from = random.OneIn(10) ? random.Between(2, 40) : 1;
      const int64_t to = from + random.Between(0, 12);
      bid.ranges.push_back({from, to, from * price, from == to ? 0 : price});
      if (random.OneIn(6)) {  // Another range behind a gap, as dear.
        bid.ranges.push_back({to + 3, to + 5, (to + 3) * price, price});
      }
    }
    if (random.OneIn(3)) AddOwners(seed, 5, auction);
    ASSERT_NO_FATAL_FAILURE(ExpectTheSame(seed, auction));
  }
}

// Gains and ties together leave 64 bits, gains alone or not even these fit.
TEST(Methods, AgreeNearTheLimitsOfMoney) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions / 5); seed < end; ++seed) {
    Auction auction = RandomAuction(Shape::kGeneral, seed, 12, 60);
    TestRandom random(seed);
    if (auction.bids.empty()) continue;
    // One that is worth as much as can be said, and holds as much.
    Bid& bid = auction.bids[0];
    const int64_t units = random.Between(1, 20);
    bid.ranges = {{units, units, kValueMaxMicrocredits - random.Between(0, 3), 0}};
    bid.held_units = random.OneIn(2) ? kUnitsMax : 20;
    if (random.OneIn(3)) {  // Many of them: gains leave 64 bits, too.
      for (Bid& other : auction.bids) {
        const int64_t own_units = random.Between(1, 20);
        other.ranges = {{own_units, own_units, kValueMaxMicrocredits - random.Between(0, 3), 0}};
      }
    }
    if (random.OneIn(3)) {
      // Taking a unit costs far more than any is worth: who is absent would keep what it holds, and
      // saves more by each unit than its own bid, which falls, rises by.
      auction.reclaim_penalty_microcredits = kValueMaxMicrocredits / random.Between(1, 50);
      for (Bid& other : auction.bids) {
        other.held_units = random.Between(0, 40);
        const Microcredits most = auction.reclaim_penalty_microcredits;
        other.ranges = {{1, 1, most, 0}, {2, 4, most, -most / 3}};
      }
    }
    if (random.OneIn(3)) AddOwners(seed, 3, auction);
    if (!ClearMpsp(auction, Tables()).ok()) continue;  // W itself does not fit.
    ASSERT_NO_FATAL_FAILURE(ExpectTheSame(seed, auction));
  }
}

}  // namespace
}  // namespace nom::policies
