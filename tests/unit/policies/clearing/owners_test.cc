// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/owners.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "tests/referee/random_auction.h"

namespace nom::policies {
namespace {

using Shares = std::vector<int64_t>;

TEST(SplitExcess, RoundsDownAndGivesTheRestWhereMostWasCutOff) {
  EXPECT_EQ(SplitExcess(0, Shares{}), (Shares{}));
  EXPECT_EQ(SplitExcess(0, Shares{0, 0}), (Shares{0, 0}));
  EXPECT_EQ(SplitExcess(0, Shares{4, 5}), (Shares{0, 0}));
  EXPECT_EQ(SplitExcess(9, Shares{4, 5}), (Shares{4, 5}));
  // 2.9 and 5.1.
  EXPECT_EQ(SplitExcess(8, Shares{7, 12}), (Shares{3, 5}));
  // 1.67 each: the first two among equals.
  EXPECT_EQ(SplitExcess(5, Shares{3, 3, 3}), (Shares{2, 2, 1}));
  // Nothing for nothing.
  EXPECT_EQ(SplitExcess(1, Shares{0, 1, 1}), (Shares{0, 1, 0}));
}

TEST(SplitExcess, IsExactWhateverTheAmounts) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(20'000); seed < end; ++seed) {
    TestRandom random(seed);
    const int64_t most = random.OneIn(2) ? 9 : kValueMaxMicrocredits;
    Shares parts(static_cast<size_t>(random.Between(1, 7)));
    for (int64_t& part : parts) part = random.OneIn(4) ? 0 : random.Between(0, most);
    const int64_t whole = std::accumulate(parts.begin(), parts.end(), int64_t{0});
    const int64_t amount = random.OneIn(5) ? whole : random.Between(0, whole);
    const Shares shares = SplitExcess(amount, parts);
    ASSERT_EQ(std::accumulate(shares.begin(), shares.end(), int64_t{0}), amount) << seed;
    for (size_t i = 0; i < parts.size(); ++i) {
      ASSERT_GE(shares[i], 0) << seed;
      ASSERT_LE(shares[i], parts[i]) << seed;
      // Less than one away from the exact share.
      const __int128 off = static_cast<__int128>(shares[i]) * std::max<int64_t>(1, whole) -
                           static_cast<__int128>(amount) * parts[i];
      ASSERT_TRUE(-std::max<int64_t>(1, whole) < off && off < std::max<int64_t>(1, whole)) << seed;
    }
  }
}

TEST(SharedOwners, AreThoseWithSeveralBidsInTheOrderOfTies) {
  Auction auction;
  auction.seed = 5;
  for (GuestId id = 1; id <= 6; ++id) auction.bids.push_back({id, {}, 0, 0});
  EXPECT_TRUE(SharedOwners(auction).empty());
  auction.bids[0].owner_id = 9;
  EXPECT_TRUE(SharedOwners(auction).empty());  // Alone.
  auction.bids[2].owner_id = 9;
  auction.bids[5].owner_id = 9;
  auction.bids[1].owner_id = 4;
  auction.bids[4].owner_id = 4;
  std::vector<std::vector<size_t>> expected(2);
  for (size_t i : InTieOrder(auction)) {
    if (auction.bids[i].owner_id == 4) expected[0].push_back(i);
    if (auction.bids[i].owner_id == 9) expected[1].push_back(i);
  }
  EXPECT_EQ(SharedOwners(auction), expected);
}

}  // namespace
}  // namespace nom::policies
