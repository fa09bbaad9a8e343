// Every rule against exhaustive search, on random small auctions: the same awards, charges, prices
// and welfare, to the last unit.

#include "policies/clearing/rules.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "policies/clearing/mpsp.h"
#include "policies/clearing/uniform_price.h"
#include "tests/referee/exhaustive.h"
#include "tests/referee/random_auction.h"

namespace nom::policies {
namespace {

constexpr uint64_t kAuctions = 100'000;

std::map<GuestId, int64_t> UnitsByGuest(const Clearing& clearing) {
  std::map<GuestId, int64_t> units;
  for (const Award& award : clearing.awards) units[award.guest_id] = award.units;
  return units;
}

std::string Show(const Clearing& clearing) {
  std::string text = "W " + std::to_string(clearing.welfare_microcredits) + " price " +
                     std::to_string(clearing.clearing_unit_price_microcredits) + " rejected " +
                     std::to_string(clearing.highest_rejected_unit_price_microcredits);
  for (const Award& a : clearing.awards) {
    text += "; guest " + std::to_string(a.guest_id) + " gets " + std::to_string(a.units) + " for " +
            std::to_string(a.charge_microcredits);
  }
  return text;
}

TEST(Referee, MpspEqualsExhaustiveSearchOnAnyBids) {
  int64_t winners = 0;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions); seed < end; ++seed) {
    const Auction auction = SmallRandomAuction(Shape::kGeneral, seed);
    const auto expected = ClearExhaustive(auction);
    const auto actual = ClearMpsp(auction);
    ASSERT_TRUE(expected.ok()) << expected.status() << "\n" << Describe(seed, auction);
    ASSERT_TRUE(actual.ok()) << actual.status() << "\n" << Describe(seed, auction);
    ASSERT_EQ(*expected, *actual) << Show(*expected) << "\n"
                                  << Show(*actual) << "\n"
                                  << Describe(seed, auction);
    winners += static_cast<int64_t>(actual->awards.size());
  }
  // The auctions must be worth running: a generator whose bids never win tests nothing.
  EXPECT_GT(winners, static_cast<int64_t>(CountOr(kAuctions) / 4));
}

// Owners of several guests among them; by tables and by branch and bound, in 64 bits and in 128.
TEST(Referee, EveryMethodOfMpspEqualsExhaustiveSearch) {
  MpspOptions tables;
  tables.always_tables = true;
  MpspOptions branches;
  branches.always_branches = true;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions); seed < end; ++seed) {
    Auction auction = SmallRandomAuction(seed % 3 == 0 ? Shape::kConcave : Shape::kGeneral, seed);
    TestRandom random(seed);
    for (Bid& bid : auction.bids) bid.owner_id = static_cast<OwnerId>(random.Between(0, 2));
    const auto expected = ClearExhaustive(auction);
    ASSERT_TRUE(expected.ok()) << expected.status() << "\n" << Describe(seed, auction);
    for (const MpspOptions& options : {tables, branches}) {
      const auto actual = ClearMpsp(auction, options);
      ASSERT_TRUE(actual.ok()) << actual.status() << "\n" << Describe(seed, auction);
      ASSERT_EQ(*expected, *actual)
          << (options.always_tables ? "tables: " : "branches: ") << Show(*expected) << "\n"
          << Show(*actual) << "\n"
          << Describe(seed, auction);
    }
  }
}

TEST(Referee, MpspEqualsExhaustiveSearchOnConcaveBids) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions); seed < end; ++seed) {
    const Auction auction = SmallRandomAuction(Shape::kConcave, seed);
    const auto expected = ClearExhaustive(auction);
    const auto actual = ClearMpsp(auction);
    ASSERT_TRUE(expected.ok()) << expected.status() << "\n" << Describe(seed, auction);
    ASSERT_TRUE(actual.ok()) << actual.status() << "\n" << Describe(seed, auction);
    ASSERT_EQ(*expected, *actual) << Show(*expected) << "\n"
                                  << Show(*actual) << "\n"
                                  << Describe(seed, auction);
  }
}

TEST(Referee, UniformPriceEqualsExhaustiveSearchAndItsDefinition) {
  int64_t winners = 0;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions); seed < end; ++seed) {
    const Auction auction = SmallRandomAuction(Shape::kConcave, seed);
    const auto expected = ClearExhaustive(auction);
    const auto actual = ClearUniformPrice(auction);
    ASSERT_TRUE(expected.ok()) << expected.status() << "\n" << Describe(seed, auction);
    ASSERT_TRUE(actual.ok()) << actual.status() << "\n" << Describe(seed, auction);
    const std::string context =
        Show(*expected) + "\n" + Show(*actual) + "\n" + Describe(seed, auction);
    ASSERT_EQ(UnitsByGuest(*expected), UnitsByGuest(*actual)) << context;
    ASSERT_EQ(expected->welfare_microcredits, actual->welfare_microcredits) << context;
    ASSERT_EQ(expected->highest_rejected_unit_price_microcredits,
              actual->highest_rejected_unit_price_microcredits)
        << context;
    // The price by its definition, from the referee's awards.
    Microcredits price = expected->highest_rejected_unit_price_microcredits;
    for (const Award& award : expected->awards) {
      for (const Bid& bid : auction.bids) {
        if (bid.guest_id == award.guest_id) {
          price = std::min(price, ValueOf(bid, award.units) / award.units);
        }
      }
    }
    price = std::max(price, auction.reserve_unit_price_microcredits);
    ASSERT_EQ(price, actual->clearing_unit_price_microcredits) << context;
    for (const Award& award : actual->awards) {
      ASSERT_EQ(price * award.units, award.charge_microcredits) << context;
    }
    if (auction.reclaim_penalty_microcredits == 0) {
      ASSERT_EQ(price, std::max(auction.reserve_unit_price_microcredits,
                                actual->highest_rejected_unit_price_microcredits))
          << context;
    }
    winners += static_cast<int64_t>(actual->awards.size());
  }
  EXPECT_GT(winners, static_cast<int64_t>(CountOr(kAuctions) / 4));
}

}  // namespace
}  // namespace nom::policies
