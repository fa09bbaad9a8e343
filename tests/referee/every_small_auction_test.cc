// SPDX-License-Identifier: Apache-2.0
// Every auction of some small worlds, none left out, against exhaustive search: random auctions
// can miss a corner, these cannot. A world is all bids that say of each quantity either no or one
// of a few values, for each guest, with each capacity, reserve and holding.

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "policies/cases/case_file.h"
#include "policies/cases/joint_case_file.h"
#include "policies/clearing/joint/joint_vcg.h"
#include "policies/clearing/mpsp.h"
#include "policies/clearing/uniform_price.h"
#include "tests/referee/exhaustive.h"
#include "tests/referee/joint_promises.h"

namespace nom::policies {
namespace {

// What a bid says of a quantity: a value, or that it refuses it.
using Answer = std::optional<Microcredits>;

// All lists of `length` answers, each out of `answers`.
std::vector<std::vector<Answer>> AllLists(const std::vector<Answer>& answers, size_t length) {
  std::vector<std::vector<Answer>> lists(1);
  for (size_t i = 0; i < length; ++i) {
    std::vector<std::vector<Answer>> longer;
    for (const std::vector<Answer>& list : lists) {
      for (const Answer& answer : answers) {
        longer.push_back(list);
        longer.back().push_back(answer);
      }
    }
    lists = std::move(longer);
  }
  return lists;
}

// Calls `visit` with each way to give `guests` one of the `bids` each.
template <typename Visit>
void ForEachChoice(size_t bids, size_t guests, const Visit& visit) {
  std::vector<size_t> choice(guests, 0);
  for (;;) {
    visit(choice);
    size_t g = 0;
    while (g < guests && ++choice[g] == bids) choice[g++] = 0;
    if (g == guests || ::testing::Test::HasFatalFailure()) return;
  }
}

struct Holding {
  int64_t held_units = 0;  // By guest 1.
  Microcredits penalty_microcredits = 0;
};

struct World {
  size_t guests = 0;
  size_t units = 0;  // The most that a bid wants.
  std::vector<Answer> answers;
  std::vector<Holding> holdings;
};

// Units by units: `answers[q - 1]` is what q are worth.
std::vector<Range> RangesOf(const std::vector<Answer>& answers) {
  std::vector<Range> ranges;
  for (size_t i = 0; i < answers.size(); ++i) {
    const auto units = static_cast<int64_t>(i) + 1;
    if (answers[i].has_value()) ranges.push_back({units, units, *answers[i], 0});
  }
  return ranges;
}

void ExpectRulesEqualTheReferee(const Auction& auction) {
  const auto expected = ClearExhaustive(auction);
  ASSERT_TRUE(expected.ok()) << expected.status() << ToText(auction);
  const auto core = ClearMpsp(auction);
  ASSERT_TRUE(core.ok()) << core.status() << ToText(auction);
  ASSERT_EQ(*core, *expected) << ToText(auction);
  MpspOptions options;
  options.always_tables = true;
  const auto tables = ClearMpsp(auction, options);
  ASSERT_TRUE(tables.ok()) << tables.status() << ToText(auction);
  ASSERT_EQ(*tables, *expected) << ToText(auction);
  // Takes concave bids only; those it clears to the same awards.
  const auto uniform = ClearUniformPrice(auction);
  if (!uniform.ok()) return;
  ASSERT_EQ(uniform->welfare_microcredits, expected->welfare_microcredits) << ToText(auction);
  ASSERT_EQ(uniform->awards.size(), expected->awards.size()) << ToText(auction);
  for (size_t i = 0; i < expected->awards.size(); ++i) {
    ASSERT_EQ(uniform->awards[i].guest_id, expected->awards[i].guest_id) << ToText(auction);
    ASSERT_EQ(uniform->awards[i].units, expected->awards[i].units) << ToText(auction);
  }
}

// How many auctions it was.
int64_t ExpectRulesEqualTheRefereeIn(const World& world) {
  std::vector<std::vector<Range>> bids;
  for (const auto& list : AllLists(world.answers, world.units)) bids.push_back(RangesOf(list));
  int64_t auctions = 0;
  ForEachChoice(bids.size(), world.guests, [&](const std::vector<size_t>& choice) {
    Auction auction;
    auction.seed = 1;
    for (size_t g = 0; g < world.guests; ++g) auction.bids.push_back({g + 1, bids[choice[g]], 0});
    for (const Holding& holding : world.holdings) {
      auction.bids[0].held_units = holding.held_units;
      auction.reclaim_penalty_microcredits = holding.penalty_microcredits;
      for (const Microcredits reserve : {0, 1}) {
        auction.reserve_unit_price_microcredits = reserve;
        for (size_t capacity = 0; capacity <= world.units + 1; ++capacity) {
          auction.capacity_units = static_cast<int64_t>(capacity);
          ExpectRulesEqualTheReferee(auction);
          if (::testing::Test::HasFatalFailure()) return;
          ++auctions;
        }
      }
    }
  });
  return auctions;
}

TEST(EverySmallAuction, OfTwoGuestsAndThreeUnits) {
  const World world = {2, 3, {std::nullopt, 0, 1, 3}, {{0, 0}, {2, 1}}};
  EXPECT_EQ(ExpectRulesEqualTheRefereeIn(world), 64 * 64 * 2 * 2 * 5);
}

TEST(EverySmallAuction, OfThreeGuestsAndTwoUnits) {
  const World world = {3, 2, {std::nullopt, 0, 1, 2}, {{0, 0}, {1, 1}, {2, 2}}};
  EXPECT_EQ(ExpectRulesEqualTheRefereeIn(world), 16 * 16 * 16 * 3 * 2 * 4);
}

// Two resources of which a bid wants a unit each at most: three bundles.
TEST(EverySmallAuction, OfThreeGuestsAndTwoResources) {
  const UnitVector bundles[] = {{1, 0}, {0, 1}, {1, 1}};
  const std::vector<std::vector<Answer>> lists = AllLists({std::nullopt, 1, 3}, std::size(bundles));
  int64_t auctions = 0;
  ForEachChoice(lists.size(), 3, [&](const std::vector<size_t>& choice) {
    JointAuction auction;
    auction.resource_count = 2;
    auction.seed = 1;
    for (size_t g = 0; g < choice.size(); ++g) {
      JointBid& bid = auction.bids.emplace_back();
      bid.guest_id = g + 1;
      for (size_t b = 0; b < std::size(bundles); ++b) {
        const Answer& value = lists[choice[g]][b];
        if (value.has_value()) bid.bundles.push_back({bundles[b], *value});
      }
    }
    for (const UnitVector& capacity : {UnitVector{1, 1}, UnitVector{2, 1}}) {
      auction.capacity_units = capacity;
      for (const Microcredits price : {0, 1}) {
        auction.bids[0].held_units = {price, 0};
        auction.reclaim_penalties_microcredits = {price, 0};
        auction.reserve_unit_prices_microcredits = {0, price};
        const auto clearing = ClearJointVcg(auction);
        ASSERT_TRUE(clearing.ok()) << clearing.status() << ToText(auction);
        ASSERT_EQ(BrokenPromise(auction, *clearing), "") << ToText(auction);
        ASSERT_EQ(DifferenceFromExhaustive(auction, *clearing), "") << ToText(auction);
        ++auctions;
      }
    }
  });
  EXPECT_EQ(auctions, 27 * 27 * 27 * 2 * 2);
}

}  // namespace
}  // namespace nom::policies
