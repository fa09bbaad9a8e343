// The dense form against mpsp on the same values, and its ways of computing against each other.

#include "policies/clearing/dense.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/referee/random_auction.h"

namespace nom::policies {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kAuctions = 20'000;

// At most `own_units` values a bid; concave, rising, or anything.
DenseAuction RandomDense(uint64_t seed, int64_t bids_max, int64_t units_max, int64_t own_units) {
  TestRandom random(seed);
  DenseAuction auction;
  const Microcredits price_max = random.OneIn(4) ? 1'000'000'000 : random.Between(1, 12);
  auction.capacity_units = random.Between(0, units_max);
  auction.reserve_unit_price_microcredits = random.OneIn(2) ? 0 : random.Between(0, price_max / 2);
  auction.seed = random.Next();
  const bool is_concave = random.OneIn(3);
  const bool is_rising = random.OneIn(2);
  for (int64_t bids = random.Between(0, bids_max); bids > 0; --bids) {
    DenseBid bid{static_cast<GuestId>(bids * 7 + random.Between(1, 7)), {}};
    std::vector<Microcredits> steps(static_cast<size_t>(random.Between(0, own_units)));
    for (Microcredits& step : steps) step = random.Between(0, price_max);
    if (is_concave) std::sort(steps.rbegin(), steps.rend());
    Microcredits value = 0;
    for (Microcredits step : steps) {
      value = is_concave || is_rising ? value + step : step * random.Between(0, own_units);
      bid.values_microcredits.push_back(value);
    }
    auction.bids.push_back(std::move(bid));
  }
  return auction;
}

// Possible for at most kRangesMax quantities: each is a step.
Auction AsRanges(const DenseAuction& dense) {
  Auction auction;
  auction.capacity_units = dense.capacity_units;
  auction.reserve_unit_price_microcredits = dense.reserve_unit_price_microcredits;
  auction.seed = dense.seed;
  for (const DenseBid& bid : dense.bids) {
    Bid ranges{bid.guest_id, {}, 0};
    for (size_t k = 0; k < bid.values_microcredits.size(); ++k) {
      const auto units = static_cast<int64_t>(k) + 1;
      ranges.ranges.push_back({units, units, bid.values_microcredits[k], 0});
    }
    auction.bids.push_back(std::move(ranges));
  }
  return auction;
}

TEST(Dense, EqualsMpspOnTheSameValues) {
  int64_t winners = 0;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions); seed < end; ++seed) {
    const DenseAuction dense = RandomDense(seed, 12, 60, kRangesMax);
    const Auction auction = AsRanges(dense);
    const auto expected = ClearMpsp(auction);
    const auto actual = ClearDense(dense);
    ASSERT_TRUE(expected.ok()) << expected.status() << Describe(seed, auction);
    ASSERT_TRUE(actual.ok()) << actual.status() << Describe(seed, auction);
    ASSERT_EQ(actual->awards, expected->awards) << Describe(seed, auction);
    ASSERT_EQ(actual->welfare_microcredits, expected->welfare_microcredits);
    if (dense.capacity_units > 0) {
      ASSERT_EQ(actual->clearing_unit_price_microcredits,
                expected->clearing_unit_price_microcredits)
          << Describe(seed, auction);
    }
    winners += static_cast<int64_t>(actual->awards.size());
  }
  EXPECT_GT(winners, static_cast<int64_t>(CountOr(kAuctions)));
}

TEST(Dense, TablesCoreAndSelectionAgree) {
  MpspOptions tables;
  tables.always_tables = true;
  MpspOptions portable = tables;
  portable.portable = true;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions / 20); seed < end; ++seed) {
    const DenseAuction auction = RandomDense(seed, 30, 400, 100);
    const auto expected = ClearDense(auction, tables);
    ASSERT_TRUE(expected.ok()) << expected.status();
    ASSERT_EQ(*ClearDense(auction), *expected) << "replay: NOM_SEED=" << seed << " NOM_COUNT=1";
    ASSERT_EQ(*ClearDense(auction, portable), *expected)
        << "replay: NOM_SEED=" << seed << " NOM_COUNT=1";
  }
}

TEST(Dense, NamesTheFieldThatIsWrong) {
  DenseAuction valid;
  valid.capacity_units = 4;
  valid.bids = {{1, {5, 9}}, {2, {}}};
  EXPECT_TRUE(ClearDense(valid).ok());
  const auto message = [&](auto spoil) {
    DenseAuction auction = valid;
    spoil(auction);
    return std::string(ClearDense(auction).status().message());
  };
  EXPECT_THAT(message([](DenseAuction& a) { a.capacity_units = -1; }),
              HasSubstr("capacity_units: -1"));
  EXPECT_THAT(message([](DenseAuction& a) { a.reserve_unit_price_microcredits = -2; }),
              HasSubstr("reserve_unit_price_microcredits: -2"));
  EXPECT_THAT(message([](DenseAuction& a) { a.bids[1].guest_id = 0; }),
              HasSubstr("bids[1].guest_id: 0"));
  EXPECT_THAT(message([](DenseAuction& a) { a.bids[1].guest_id = 1; }),
              HasSubstr("guest 1 bids twice"));
  EXPECT_THAT(message([](DenseAuction& a) { a.bids[0].values_microcredits[1] = -3; }),
              HasSubstr("bids[0].values_microcredits[1]: -3"));
  EXPECT_THAT(message([](DenseAuction& a) {
                a.bids.clear();
                for (GuestId id = 1; id <= 1'200; ++id) {
                  a.bids.push_back({id, {0, kValueMaxMicrocredits, kValueMaxMicrocredits / 4}});
                }
              }),
              HasSubstr("too large"));
}

}  // namespace
}  // namespace nom::policies
