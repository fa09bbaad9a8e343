// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/auction.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <set>

namespace nom::policies {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kInt64Max = std::numeric_limits<int64_t>::max();
constexpr int64_t kInt64Min = std::numeric_limits<int64_t>::min();

Auction Valid() {
  Auction auction;
  auction.capacity_units = 10;
  auction.bids = {{1, {{1, 4, 10, 3}}, 0}, {2, {{0, 2, 0, 5}, {2, 6, 10, -1}, {9, 9, 7, 0}}, 1}};
  return auction;
}

TEST(ValidateAuction, AcceptsWhatTheLimitsAllow) {
  EXPECT_EQ(ValidateAuction(Valid()), absl::OkStatus());
  EXPECT_EQ(ValidateAuction(Auction{}), absl::OkStatus());
  Auction large;
  large.capacity_units = kUnitsMax;
  large.reserve_unit_price_microcredits = kValueMaxMicrocredits;
  large.reclaim_penalty_microcredits = kValueMaxMicrocredits;
  large.bids = {{std::numeric_limits<uint64_t>::max(),
                 {{kUnitsMax, kUnitsMax, kValueMaxMicrocredits, kValueMaxMicrocredits}},
                 kUnitsMax}};
  EXPECT_EQ(ValidateAuction(large), absl::OkStatus());
}

struct Bad {
  const char* message;
  std::function<void(Auction&)> spoil;
};

TEST(ValidateAuction, NamesTheFieldThatIsWrong) {
  const Bad bads[] = {
      {"capacity_units: -1 is outside [0, 16777216]", [](Auction& a) { a.capacity_units = -1; }},
      {"capacity_units: ", [](Auction& a) { a.capacity_units = kUnitsMax + 1; }},
      {"reserve_unit_price_microcredits: ",
       [](Auction& a) { a.reserve_unit_price_microcredits = -1; }},
      {"reserve_unit_price_microcredits: ",
       [](Auction& a) { a.reserve_unit_price_microcredits = kInt64Max; }},
      {"reclaim_penalty_microcredits: ", [](Auction& a) { a.reclaim_penalty_microcredits = -1; }},
      {"reclaim_penalty_microcredits: ",
       [](Auction& a) { a.reclaim_penalty_microcredits = kValueMaxMicrocredits + 1; }},
      {"bids[0].guest_id: 0 is the operator", [](Auction& a) { a.bids[0].guest_id = 0; }},
      {"bids[1].guest_id: guest 1 already bids in bids[0]",
       [](Auction& a) { a.bids[1].guest_id = 1; }},
      {"bids[1].held_units: -1", [](Auction& a) { a.bids[1].held_units = -1; }},
      {"bids[1].held_units: ", [](Auction& a) { a.bids[1].held_units = kUnitsMax + 1; }},
      {"bids[0].ranges: 17 are more than 16",
       [](Auction& a) {
         a.bids[0].ranges.clear();
         for (int i = 1; i <= 17; ++i) a.bids[0].ranges.push_back({i, i, 1, 0});
       }},
      {"bids[0].ranges[0].min_units: -1", [](Auction& a) { a.bids[0].ranges[0].min_units = -1; }},
      {"bids[0].ranges[0].min_units: ",
       [](Auction& a) { a.bids[0].ranges[0].min_units = kInt64Min; }},
      {"bids[0].ranges[0].max_units: 0 is outside [1, 16777216]",
       [](Auction& a) { a.bids[0].ranges[0].max_units = 0; }},
      {"bids[0].ranges[0].max_units: ",
       [](Auction& a) { a.bids[0].ranges[0].max_units = kUnitsMax + 1; }},
      {"bids[0].ranges[0].value_at_min_microcredits: -1",
       [](Auction& a) { a.bids[0].ranges[0].value_at_min_microcredits = -1; }},
      {"bids[0].ranges[0].value_at_min_microcredits: ",
       [](Auction& a) { a.bids[0].ranges[0].value_at_min_microcredits = kInt64Max; }},
      {"bids[0].ranges[0].unit_price_microcredits: ",
       [](Auction& a) { a.bids[0].ranges[0].unit_price_microcredits = kInt64Min; }},
      {"bids[0].ranges[0].unit_price_microcredits: the value at max_units",
       [](Auction& a) { a.bids[0].ranges[0].unit_price_microcredits = -4; }},
      {"bids[0].ranges[0].unit_price_microcredits: the value at max_units",
       [](Auction& a) { a.bids[0].ranges[0].unit_price_microcredits = kValueMaxMicrocredits; }},
      {"bids[1].ranges[0].value_at_min_microcredits: must be 0 at 0 units",
       [](Auction& a) { a.bids[1].ranges[0].value_at_min_microcredits = 1; }},
      {"bids[1].ranges[1].min_units: 1 lies before the end of the range before it, 2",
       [](Auction& a) { a.bids[1].ranges[1].min_units = 1; }},
      {"bids[1].ranges[1].value_at_min_microcredits: 11 differs from the value at the end of the "
       "range that it touches, 10",
       [](Auction& a) { a.bids[1].ranges[1].value_at_min_microcredits = 11; }},
      {"bids[1].ranges[2].min_units: 5 lies before",
       [](Auction& a) { a.bids[1].ranges[2].min_units = 5; }},
      {"bids: 65537 are more than 65536",
       [](Auction& a) {
         a.bids.resize(static_cast<size_t>(kBidsMax) + 1, {5, {}, 0});
       }},
  };
  for (const Bad& bad : bads) {
    Auction auction = Valid();
    bad.spoil(auction);
    const absl::Status status = ValidateAuction(auction);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad.message;
    EXPECT_THAT(std::string(status.message()), ::testing::StartsWith(bad.message));
  }
}

TEST(ValidateBid, NamesTheFieldWithoutAnAuction) {
  EXPECT_EQ(ValidateBid(Valid().bids[1]), absl::OkStatus());
  Bid bid = Valid().bids[1];
  bid.ranges[2].value_at_min_microcredits = -1;
  EXPECT_THAT(std::string(ValidateBid(bid).message()),
              HasSubstr("ranges[2].value_at_min_microcredits: -1"));
}

TEST(Bid, QuantitiesBetweenRangesAreRefused) {
  const Bid bid = Valid().bids[1];  // [0..2] rising, [2..6] falling, [9].
  for (int64_t q : {0, 1, 2, 3, 6, 9}) EXPECT_TRUE(Allowed(bid, q)) << q;
  for (int64_t q : {-1, 7, 8, 10}) EXPECT_FALSE(Allowed(bid, q)) << q;
  EXPECT_EQ(ValueOf(bid, 0), 0);
  EXPECT_EQ(ValueOf(bid, 1), 5);
  EXPECT_EQ(ValueOf(bid, 2), 10);  // Where two ranges touch, both say so.
  EXPECT_EQ(ValueOf(bid, 6), 6);
  EXPECT_EQ(ValueOf(bid, 9), 7);
}

TEST(Bid, NothingIsAlwaysAllowedAndWorthNothing) {
  const Bid bid{1, {{3, 3, 8, 0}}, 0};
  EXPECT_TRUE(Allowed(bid, 0));
  EXPECT_EQ(ValueOf(bid, 0), 0);
  EXPECT_TRUE(Allowed(Bid{}, 0));
}

TEST(BidDeathTest, TheValueOfARefusedQuantityIsOurOwnMistake) {
  EXPECT_DEATH(ValueOf(Valid().bids[1], 7), "does not allow 7 units");
}

TEST(Bid, SellableMeansWorthTheReserve) {
  const Bid bid{1, {{1, 4, 10, 3}}, 0};  // 10, 13, 16, 19
  EXPECT_TRUE(Sellable(bid, 2, 6));
  EXPECT_TRUE(Sellable(bid, 3, 5));
  EXPECT_FALSE(Sellable(bid, 4, 5));
  EXPECT_FALSE(Sellable(bid, 5, 0));
  EXPECT_TRUE(Sellable(bid, 0, kValueMaxMicrocredits));
}

TEST(Welfare, CountsValueReserveAndPenalty) {
  Auction auction = Valid();
  auction.reserve_unit_price_microcredits = 1;
  auction.reclaim_penalty_microcredits = 100;
  auction.bids[0].held_units = 3;
  // Guest 1 gets 2 of its 3 (13 - 100), guest 2 gets 6 (6), 2 stay with the operator.
  EXPECT_EQ(*Welfare(auction, {2, 6}), 13 - 100 + 6 + 2);
  EXPECT_EQ(*Welfare(auction, {0, 0}), 10 - 300 - 100);
}

TEST(Welfare, RefusesWhatNoRuleMayAward) {
  const Auction auction = Valid();
  EXPECT_THAT(std::string(Welfare(auction, {1}).status().message()),
              HasSubstr("units: 1 quantities for 2 bids"));
  EXPECT_THAT(std::string(Welfare(auction, {5, 0}).status().message()),
              HasSubstr("units[0]: 5 can't be sold to guest 1"));
  EXPECT_THAT(std::string(Welfare(auction, {4, 9}).status().message()),
              HasSubstr("the sum is above capacity_units"));
  Auction dear = auction;
  dear.reserve_unit_price_microcredits = 6;
  EXPECT_FALSE(Welfare(dear, {4, 0}).ok());  // 19 for 4 units is below 24.
  EXPECT_TRUE(Welfare(dear, {2, 0}).ok());
}

TEST(Welfare, OverflowIsAnErrorNotAWrap) {
  Auction auction;
  auction.capacity_units = kUnitsMax;
  auction.reserve_unit_price_microcredits = kValueMaxMicrocredits;
  EXPECT_EQ(Welfare(auction, {}).status().code(), absl::StatusCode::kOutOfRange);
  auction.reserve_unit_price_microcredits = 0;
  for (GuestId id = 1; id <= 10'000; ++id) {
    auction.bids.push_back({id, {{1, 1, kValueMaxMicrocredits, 0}}, 0});
  }
  std::vector<int64_t> units(auction.bids.size(), 1);
  EXPECT_EQ(Welfare(auction, units).status().code(), absl::StatusCode::kOutOfRange);
  std::fill(units.begin() + 9'000, units.end(), 0);
  EXPECT_EQ(*Welfare(auction, units), 9'000 * kValueMaxMicrocredits);
}

TEST(HighestRejected, IsTheBestOfferForMore) {
  const Auction auction = Valid();
  // Guest 1: one unit for 10. Guest 2: 5 a unit up to 2.
  EXPECT_EQ(HighestRejectedUnitPrice(auction, {0, 0}), 10);
  EXPECT_EQ(HighestRejectedUnitPrice(auction, {1, 1}), 5);
  EXPECT_EQ(HighestRejectedUnitPrice(auction, {1, 2}), 3);
  EXPECT_EQ(HighestRejectedUnitPrice(auction, {4, 6}),
            0);  // 9 units are worth 1 more than 6: 0.33.
  EXPECT_EQ(HighestRejectedUnitPrice(auction, {4, 9}), 0);
  // Across a gap: 6 units for 50 more, rounded down.
  Auction steps;
  steps.bids = {{1, {{1, 1, 4, 0}, {7, 7, 54, 0}}, 0}};
  EXPECT_EQ(HighestRejectedUnitPrice(steps, {1}), 8);
  EXPECT_EQ(HighestRejectedUnitPrice(steps, {0}), 7);
}

TEST(TieOrder, IsFixedByTheSeedAndDifferentForEachGuest) {
  // Recorded rounds are replayed: these numbers can never change.
  EXPECT_EQ(TieOrder(0, 1), uint64_t{5162896908779471425u});
  EXPECT_EQ(TieOrder(42, 7), uint64_t{16394852535873488349u});
  std::set<uint64_t> ranks;
  for (GuestId id = 1; id <= 10'000; ++id) ranks.insert(TieOrder(9, id));
  EXPECT_EQ(ranks.size(), 10'000u);
}

TEST(TieOrder, FavoursNobodyForEver) {
  int first_wins = 0;
  for (uint64_t seed = 0; seed < 1'000; ++seed) first_wins += TieOrder(seed, 1) < TieOrder(seed, 2);
  EXPECT_GT(first_wins, 400);
  EXPECT_LT(first_wins, 600);
}

TEST(TieOrder, SortsBidsWhateverTheirOrder) {
  Auction auction;
  auction.seed = 3;
  for (GuestId id = 1; id <= 50; ++id) auction.bids.push_back({id, {}, 0});
  auto guests = [&] {
    std::vector<GuestId> ids;
    for (size_t i : InTieOrder(auction)) ids.push_back(auction.bids[i].guest_id);
    return ids;
  };
  const std::vector<GuestId> before = guests();
  EXPECT_FALSE(std::is_sorted(before.begin(), before.end()));
  std::reverse(auction.bids.begin(), auction.bids.end());
  EXPECT_EQ(guests(), before);
}

}  // namespace
}  // namespace nom::policies
