// SPDX-License-Identifier: Apache-2.0
// Every rule against exhaustive search, on random small auctions: the same awards, charges, prices
// and welfare, to the last unit.

#include "policies/clearing/rules.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <string>

#include "policies/clearing/mpsp.h"
#include "policies/clearing/uniform_price.h"
#include "policies/clearing/work.h"
#include "tests/referee/exhaustive.h"
#include "tests/referee/odd_auction.h"
#include "tests/referee/random_auction.h"
#include "tests/referee/shrink.h"

namespace nom::policies {
namespace {

constexpr uint64_t kAuctions = 100'000;
constexpr uint64_t kLargeAuctions = 1'000;

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

// What differs; empty if nothing does. Where the welfare does not fit, both must say so.
using Difference = std::string;

struct Method {
  const char* name;
  MpspOptions options;
};

Method Chosen() { return {"as the rule chooses", {}}; }

Method Tables() {
  MpspOptions options;
  options.always_tables = true;
  return {"by tables", options};
}

Method Branches() {
  MpspOptions options;
  options.always_branches = true;
  return {"by branch and bound", options};
}

Difference MpspAgainstExhaustive(const Auction& auction, std::initializer_list<Method> methods) {
  const auto expected = ClearExhaustive(auction);
  if (!expected.ok() && !MayOverflow(auction)) return expected.status().ToString();
  for (const Method& method : methods) {
    const auto actual = ClearMpsp(auction, method.options);
    if (expected.status().code() != actual.status().code()) {
      return "expected " + expected.status().ToString() + "\n" + method.name + " " +
             actual.status().ToString();
    }
    if (expected.ok() && *expected != *actual) {
      return "expected " + Show(*expected) + "\n" + method.name + " " + Show(*actual);
    }
  }
  return "";
}

Difference EveryMethodAgainstExhaustive(const Auction& auction) {
  return MpspAgainstExhaustive(auction, {Chosen(), Tables(), Branches()});
}

Difference UniformPriceAgainstExhaustive(const Auction& auction) {
  const auto expected = ClearExhaustive(auction);
  const auto actual = ClearUniformPrice(auction);
  if (expected.status().code() != actual.status().code()) {
    return expected.status().ToString() + " against " + actual.status().ToString();
  }
  if (!expected.ok()) {
    return MayOverflow(auction) ? "" : expected.status().ToString();
  }
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
  Clearing clearing = *expected;
  for (Award& award : clearing.awards) award.charge_microcredits = price * award.units;
  clearing.clearing_unit_price_microcredits = price;
  clearing.bound_by =
      price > auction.reserve_unit_price_microcredits ? BoundBy::kBids : BoundBy::kReserve;
  if (auction.reclaim_penalty_microcredits == 0 &&
      price != std::max(auction.reserve_unit_price_microcredits,
                        clearing.highest_rejected_unit_price_microcredits)) {
    return "without a penalty the price is not the highest rejected one: " + Show(clearing);
  }
  if (clearing == *actual) return "";
  return "expected " + Show(clearing) + "\nactually " + Show(*actual);
}

Auction WithOwners(Shape shape, uint64_t seed) {
  Auction auction = SmallRandomAuction(shape, seed);
  TestRandom random(seed);
  for (Bid& bid : auction.bids) bid.owner_id = static_cast<OwnerId>(random.Between(0, 2));
  return auction;
}

struct Generator {
  const char* name;
  Auction (*make)(Shape, uint64_t);
};
constexpr Generator kGenerators[] = {
    {"random", SmallRandomAuction}, {"with owners", WithOwners}, {"odd", SmallOddAuction}};

template <typename Check>
void ForEachSmallAuction(Shape shape, const Check& check) {
  int64_t winners = 0;
  for (const Generator& generator : kGenerators) {
    for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions); seed < end; ++seed) {
      const Auction auction = generator.make(shape, seed);
      const Difference difference = check(auction);
      ASSERT_EQ(difference, "") << generator.name << ", " << Describe(seed, auction)
                                << DescribeShrunk(auction, [&](const Auction& smaller) {
                                     return !check(smaller).empty();
                                   });
      const auto clearing = ClearMpsp(auction);
      if (clearing.ok()) winners += static_cast<int64_t>(clearing->awards.size());
    }
  }
  // The auctions must be worth running: generators whose bids never win test nothing.
  EXPECT_GT(winners, static_cast<int64_t>(CountOr(kAuctions) / 2));
}

TEST(Referee, MpspEqualsExhaustiveSearchOnAnyBids) {
  ForEachSmallAuction(Shape::kGeneral, EveryMethodAgainstExhaustive);
}

TEST(Referee, MpspEqualsExhaustiveSearchOnConcaveBids) {
  ForEachSmallAuction(Shape::kConcave, EveryMethodAgainstExhaustive);
}

TEST(Referee, UniformPriceEqualsExhaustiveSearchAndItsDefinition) {
  ForEachSmallAuction(Shape::kConcave, UniformPriceAgainstExhaustive);
}

// What is left when the exact rule takes too long, against its own definition: owners, penalties
// and odd shapes in it, as there.
TEST(Referee, MpspInLotsEqualsExhaustiveSearchInLots) {
  const auto check = [](const Auction& auction, int64_t lot) -> Difference {
    const auto expected = ClearExhaustiveInLots(auction, lot);
    Work work = Work::Unlimited();
    const auto actual = ClearMpspInLots(auction, lot, work);
    if (expected.status().code() != actual.status().code()) {
      return "expected " + expected.status().ToString() + "\nactually " +
             actual.status().ToString();
    }
    if (!expected.ok()) return MayOverflow(auction) ? "" : expected.status().ToString();
    if (!actual->has_value()) return "nothing";
    if (*expected == **actual) return "";
    return "expected " + Show(*expected) + "\nactually " + Show(**actual);
  };
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions); seed < end; ++seed) {
    const int64_t lot = 2 + static_cast<int64_t>(seed / kOddities % 4);
    Auction auction = OddAuction(seed % 4 == 0 ? Shape::kConcave : Shape::kGeneral, seed, 3, 12);
    auction.capacity_units = std::max(auction.capacity_units, lot);  // A lot at least.
    const Difference difference = check(auction, lot);
    ASSERT_EQ(difference, "") << "lots of " << lot << ", " << Describe(seed, auction)
                              << DescribeShrunk(auction, [&](const Auction& smaller) {
                                   return smaller.capacity_units >= lot &&
                                          !check(smaller, lot).empty();
                                 });
  }
}

// A machine's memory by the frame: 2^24 units, in steps so that all can be tried, but not
// tabled.
TEST(Referee, MpspEqualsExhaustiveSearchOnStepsOfMillionsOfUnits) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kLargeAuctions); seed < end; ++seed) {
    const Auction auction = LargeStepsAuction(seed);
    ASSERT_EQ(MpspAgainstExhaustive(auction, {Chosen(), Branches()}), "")
        << Describe(seed, auction);
  }
}

}  // namespace
}  // namespace nom::policies
