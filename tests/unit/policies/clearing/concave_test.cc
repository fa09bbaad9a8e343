// SPDX-License-Identifier: Apache-2.0
// Selection for concave bids against three others: exhaustive search where that is possible, the
// tables of the general rule, and plain sorting of single units.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "policies/clearing/concave/concave_bids.h"
#include "policies/clearing/concave/selection.h"
#include "policies/clearing/int128.h"
#include "policies/clearing/mpsp.h"
#include "policies/clearing/outcome.h"
#include "policies/clearing/owners.h"
#include "policies/clearing/work.h"
#include "tests/referee/exhaustive.h"
#include "tests/referee/random_auction.h"

namespace nom::policies {
namespace {

// What the auctions of one test look like. Each dice is thrown anew for each auction.
struct Looks {
  int64_t bids_max = 4;
  int64_t capacity_max = 9;
  int64_t bid_units_max = 6;
  int64_t pieces_max = 4;
  Microcredits price_max = 12;
  int64_t owners_max = 3;  // 0: everybody alone.
  bool has_penalty = true;
};

// Prices fall from piece to piece, below the reserve and below zero, as long as the value does not.
Bid FallingBid(TestRandom& random, const Looks& looks, int64_t units_max) {
  Bid bid;
  Microcredits price = random.Between(0, looks.price_max);
  Microcredits value = 0;
  int64_t at_units = 0;
  const int64_t pieces = random.Between(0, looks.pieces_max);
  for (int64_t i = 0; i < pieces && at_units < units_max; ++i) {
    int64_t width = random.Between(1, units_max - at_units);
    if (price < 0) width = std::min(width, value / -price);
    if (width == 0) break;
    if (random.OneIn(3)) {  // The next unit by itself.
      value += price;
      ++at_units;
      bid.ranges.push_back({at_units, at_units, value, 0});
    } else {
      bid.ranges.push_back({at_units, at_units + width, value, price});
      value += price * width;
      at_units += width;
    }
    if (!random.OneIn(4)) price -= random.Between(0, std::max<int64_t>(1, looks.price_max / 2));
  }
  return bid;
}

Auction FallingAuction(const Looks& looks, uint64_t seed) {
  TestRandom random(seed);
  Auction auction;
  auction.seed = random.Next();
  // Now and then nothing or one unit is for sale.
  auction.capacity_units =
      random.OneIn(8) ? random.Between(0, 1) : random.Between(0, looks.capacity_max);
  auction.reserve_unit_price_microcredits =
      random.OneIn(3) ? 0 : random.Between(0, looks.price_max / 2);
  if (looks.has_penalty && !random.OneIn(4)) {
    auction.reclaim_penalty_microcredits =
        random.OneIn(3) ? random.Between(0, 2) : random.Between(0, looks.price_max);
  }
  const int64_t bids = random.Between(0, looks.bids_max);
  const int64_t dominating = random.OneIn(4) ? random.Between(0, bids) : -1;
  for (int64_t i = 0; i < bids; ++i) {
    const int64_t units_max =
        i == dominating ? looks.bid_units_max : random.Between(1, looks.bid_units_max);
    Bid bid = FallingBid(random, looks, units_max);
    bid.guest_id = static_cast<GuestId>(7 * (bids - i) + random.Between(0, 6));
    if (!random.OneIn(3)) bid.held_units = random.Between(0, looks.bid_units_max + 1);
    if (looks.owners_max > 0 && !random.OneIn(4)) {
      bid.owner_id = static_cast<OwnerId>(random.Between(0, looks.owners_max));
    }
    auction.bids.push_back(std::move(bid));
  }
  return auction;
}

// Money near the limits: all prices times the most that still makes the auction valid.
Auction Scaled(Auction auction, Microcredits factor) {
  auction.reserve_unit_price_microcredits *= factor;
  auction.reclaim_penalty_microcredits *= factor;
  for (Bid& bid : auction.bids) {
    for (Range& range : bid.ranges) {
      range.value_at_min_microcredits *= factor;
      range.unit_price_microcredits *= factor;
    }
  }
  return auction;
}

std::string Show(const Clearing& clearing) {
  std::string text = "W " + std::to_string(clearing.welfare_microcredits) + " price " +
                     std::to_string(clearing.clearing_unit_price_microcredits);
  for (const Award& a : clearing.awards) {
    text += "; guest " + std::to_string(a.guest_id) + " gets " + std::to_string(a.units) + " for " +
            std::to_string(a.charge_microcredits);
  }
  return text;
}

std::string Owners(const Auction& auction) {
  std::string text = "owners:";
  for (const Bid& bid : auction.bids) {
    text += " " + std::to_string(bid.guest_id) + ":" + std::to_string(bid.owner_id);
  }
  return text + "\n";
}

// The record that mpsp makes of a selection.
absl::StatusOr<Clearing> BySelection(const Auction& auction) {
  const auto awards = ClearConcave(auction, true);
  if (!awards.has_value()) return absl::InternalError("not cleared");
  Microcredits price = awards->next_unit_price_microcredits;
  if (auction.capacity_units == 0) {
    price = std::max(price, HighestRejectedUnitPrice(auction, awards->units));
  }
  return MakeClearing(auction, awards->units, awards->charges, price);
}

void ExpectEqualsExhaustive(const Looks& looks, uint64_t count, Microcredits factor = 1) {
  int64_t winners = 0;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(count); seed < end; ++seed) {
    const Auction auction = Scaled(FallingAuction(looks, seed), factor);
    const auto expected = ClearExhaustive(auction);
    ASSERT_TRUE(expected.ok()) << expected.status() << "\n" << Describe(seed, auction);
    const auto actual = BySelection(auction);
    ASSERT_TRUE(actual.ok()) << actual.status() << "\n" << Describe(seed, auction);
    ASSERT_EQ(*expected, *actual) << Show(*expected) << "\n"
                                  << Show(*actual) << "\n"
                                  << Describe(seed, auction) << Owners(auction);
    winners += static_cast<int64_t>(actual->awards.size());
  }
  EXPECT_GT(winners, static_cast<int64_t>(CountOr(count) / 4));
}

TEST(Concave, EqualsExhaustiveSearchWithPenaltiesHoldingsAndOwners) {
  ExpectEqualsExhaustive({}, 30'000);
}

TEST(Concave, EqualsExhaustiveSearchWithoutAPenalty) {
  Looks looks;
  looks.has_penalty = false;
  ExpectEqualsExhaustive(looks, 10'000);
}

// Prices of 0, 1 and 2 only: almost all that is decided is decided by ties.
TEST(Concave, EqualsExhaustiveSearchWhereAlmostAllOffersAreEqual) {
  Looks looks;
  looks.price_max = 2;
  ExpectEqualsExhaustive(looks, 20'000);
}

TEST(Concave, EqualsExhaustiveSearchNearTheLimitsOfMoney) {
  Looks looks;
  looks.owners_max = 1;
  // Six units at a price of at most 12.
  ExpectEqualsExhaustive(looks, 10'000, kValueMaxMicrocredits / (6 * 12));
}

TEST(Concave, EqualsTheTablesWithPenaltiesHoldingsAndOwners) {
  Looks looks;
  for (const auto& [bids, units, price] : {std::tuple{30, 200, 50}, {200, 40, 4}, {8, 3'000, 90}}) {
    looks.bids_max = bids;
    looks.capacity_max = bids * units / 4;
    looks.bid_units_max = units;
    looks.price_max = price;
    looks.pieces_max = 8;
    for (uint64_t seed = FirstSeed(), end = seed + CountOr(100); seed < end; ++seed) {
      const Auction auction = FallingAuction(looks, seed);
      MpspOptions tables;
      tables.always_tables = true;
      const auto expected = ClearMpsp(auction, tables);
      const auto actual = BySelection(auction);
      ASSERT_TRUE(expected.ok() && actual.ok()) << Describe(seed, auction);
      ASSERT_EQ(*expected, *actual) << Show(*expected) << "\n"
                                    << Show(*actual) << "\n"
                                    << Describe(seed, auction);
    }
  }
}

// The largest W above the base, by sorting every single unit that is offered.
class BySortingUnits {
 public:
  explicit BySortingUnits(const Auction& auction) : auction_(auction) {
    for (size_t i = 0; i < auction.bids.size(); ++i) {
      const Bid& bid = auction.bids[i];
      const Microcredits reserve = auction.reserve_unit_price_microcredits;
      for (int64_t units = 1; Sellable(bid, units, reserve); ++units) {
        const Microcredits kept =
            units <= bid.held_units ? auction.reclaim_penalty_microcredits : 0;
        const Microcredits net = ValueOf(bid, units) - ValueOf(bid, units - 1) - reserve;
        units_.push_back({net + kept, i});
        units_without_value_.push_back({kept, i});
      }
    }
    std::sort(units_.begin(), units_.end(), std::greater<>());
    std::sort(units_without_value_.begin(), units_without_value_.end(), std::greater<>());
  }

  // With the units of `bids` worth nothing above the reserve.
  Int128 GainWithout(const std::vector<size_t>& bids) const {
    std::vector<bool> is_without(auction_.bids.size(), false);
    for (size_t i : bids) is_without[i] = true;
    std::vector<std::pair<Microcredits, size_t>> others;
    std::vector<std::pair<Microcredits, size_t>> own;
    std::copy_if(units_.begin(), units_.end(), std::back_inserter(others),
                 [&](const auto& unit) { return !is_without[unit.second]; });
    std::copy_if(units_without_value_.begin(), units_without_value_.end(), std::back_inserter(own),
                 [&](const auto& unit) { return is_without[unit.second]; });
    std::vector<std::pair<Microcredits, size_t>> all;
    std::merge(others.begin(), others.end(), own.begin(), own.end(), std::back_inserter(all),
               std::greater<>());
    Int128 sum = 0;
    for (size_t k = 0; k < std::min(all.size(), static_cast<size_t>(auction_.capacity_units));
         ++k) {
      if (all[k].first > 0) sum += all[k].first;
    }
    return sum;
  }

 private:
  const Auction& auction_;
  std::vector<std::pair<Microcredits, size_t>> units_;
  std::vector<std::pair<Microcredits, size_t>> units_without_value_;
};

// Awards and charges of all owners but some of the small ones.
void ExpectEqualsSortingOfUnits(const Auction& auction) {
  const auto awards = ClearConcave(auction, true);
  ASSERT_TRUE(awards.has_value());
  const BySortingUnits by_sorting(auction);
  const auto welfare = Welfare(auction, awards->units);
  ASSERT_TRUE(welfare.ok()) << welfare.status();
  Int128 base = Int128{auction.capacity_units} * auction.reserve_unit_price_microcredits;
  for (const Bid& bid : auction.bids) {
    base -= Int128{bid.held_units} * auction.reclaim_penalty_microcredits;
  }
  ASSERT_EQ(static_cast<int64_t>(base + by_sorting.GainWithout({})), *welfare);
  std::map<std::pair<OwnerId, size_t>, std::vector<size_t>> owners;
  for (size_t i : InTieOrder(auction)) {
    const OwnerId owner = auction.bids[i].owner_id;
    owners[{owner, owner == 0 ? i : 0}].push_back(i);
  }
  for (const auto& [owner, bids] : owners) {
    if (bids.size() == 1 && bids[0] % 64 > 1) continue;
    Int128 excess = base + by_sorting.GainWithout(bids) - *welfare;
    std::vector<Microcredits> surpluses;
    for (size_t i : bids) {
      surpluses.push_back(ValueOf(auction.bids[i], awards->units[i]) -
                          awards->units[i] * auction.reserve_unit_price_microcredits);
      excess += surpluses.back();
    }
    const std::vector<Microcredits> shares = SplitExcess(excess, surpluses);
    for (size_t k = 0; k < bids.size(); ++k) {
      ASSERT_EQ(awards->charges[bids[k]],
                awards->units[bids[k]] * auction.reserve_unit_price_microcredits + shares[k])
          << "bid " << bids[k];
    }
  }
}

// So many offers that they are sorted by digits and looked up in buckets: large owners, and bids
// from one unit to thousands side by side.
TEST(Concave, EqualsSortingOfAllUnitsForLargeOwnersAndManyBids) {
  Looks looks;
  looks.bids_max = 1'200;
  looks.pieces_max = 9;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(20); seed < end; ++seed) {
    SCOPED_TRACE(seed);
    looks.price_max = seed % 3 == 0 ? 5 : 1'000'000;
    looks.bid_units_max = seed % 2 == 0 ? 12 : 40;
    looks.owners_max = seed % 4 == 0 ? 2 : 40;
    looks.capacity_max = looks.bids_max * looks.bid_units_max / 3;
    Auction auction = FallingAuction(looks, seed);
    if (!auction.bids.empty() && seed % 3 == 1) {  // One bid wants more than all others.
      auction.bids[0].ranges = {{0, 5'000, 0, looks.price_max / 3}};
      auction.bids[0].held_units = seed % 2 == 0 ? 0 : 4'000;
    }
    ExpectEqualsSortingOfUnits(auction);
    if (HasFatalFailure()) return;
  }
}

// A third of the bids pay for their first unit what they do not for the next ones, which they hold.
// Worth the reserve, those would be kept, and displace units of others that were served.
TEST(Concave, EqualsSortingOfAllUnitsWhereOwnersWouldDisplaceOthers) {
  constexpr Microcredits kPenalty = 50'000;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(12); seed < end; ++seed) {
    SCOPED_TRACE(seed);
    TestRandom random(seed);
    Auction auction;
    auction.seed = seed;
    auction.reserve_unit_price_microcredits = 1'000'000;
    auction.reclaim_penalty_microcredits = kPenalty;
    const int64_t owners = seed % 2 == 0 ? 1 : random.Between(1, 20);
    for (GuestId guest = 1; guest <= 900; ++guest) {
      Bid bid;
      bid.guest_id = guest;
      if (guest % 3 == 0) {
        bid.owner_id = static_cast<OwnerId>(random.Between(0, owners));
        bid.held_units = 11;
        bid.ranges = {{1, 11, 2'000'000, 1'000'000 - random.Between(1, kPenalty + kPenalty / 5)}};
      } else {
        bid.ranges = {{0, random.Between(1, 9), 0, 1'000'000 + random.Between(0, 2 * kPenalty)}};
        bid.owner_id = random.OneIn(4) ? 21 : 0;
      }
      auction.bids.push_back(std::move(bid));
    }
    auction.capacity_units = random.Between(1'000, 3'600);
    ExpectEqualsSortingOfUnits(auction);
    if (HasFatalFailure()) return;
  }
}

TEST(Concave, NothingIsSaidOfBidsThatAreNotConcave) {
  Auction auction;
  auction.capacity_units = 10;
  auction.bids = {{1, {{1, 3, 5, 5}}, 0}, {2, {{2, 3, 5, 5}}, 0}};
  Work work = Work::Unlimited();
  EXPECT_FALSE(ClearConcave(auction, true, work).has_value());
  EXPECT_FALSE(work.is_used_up());
}

// With fewer steps than it takes nothing is said; with as many, the same as without a limit.
TEST(Concave, WorkIsCountedAndEndsIt) {
  Looks looks;
  looks.bids_max = 400;
  looks.capacity_max = 4'000;
  looks.bid_units_max = 30;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(50); seed < end; ++seed) {
    const Auction auction = FallingAuction(looks, seed);
    constexpr int64_t kSteps = int64_t{1} << 40;
    Work counted(kSteps);
    const auto all = ClearConcave(auction, true, counted);
    ASSERT_TRUE(all.has_value());
    const int64_t steps = kSteps - counted.left_steps();
    EXPECT_GE(steps, static_cast<int64_t>(auction.bids.size()));
    Work enough(steps);
    const auto again = ClearConcave(auction, true, enough);
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(again->units, all->units);
    EXPECT_EQ(again->charges, all->charges);
    if (steps == 0) continue;
    for (int64_t less : {steps - 1, steps / 2, int64_t{0}}) {
      Work too_little(less);
      EXPECT_FALSE(ClearConcave(auction, true, too_little).has_value());
      EXPECT_TRUE(too_little.is_used_up());
    }
  }
}

// The order of many offers is that of a stable sort, whatever digits their gains have.
TEST(Selection, ManyOffersAreSortedStably) {
  TestRandom random(FirstSeed());
  for (Microcredits gain_max : {Microcredits{0}, Microcredits{3}, Microcredits{70'000},
                                2 * kValueMaxMicrocredits, (int64_t{1} << 62)}) {
    std::vector<Offer> offers;
    for (uint32_t i = 0; i < 5'000; ++i) {
      offers.push_back({random.Between(0, gain_max), i, static_cast<int32_t>(i % 7 + 1)});
    }
    std::vector<Offer> expected = offers;
    std::stable_sort(expected.begin(), expected.end(),
                     [](const Offer& a, const Offer& b) { return a.gain > b.gain; });
    Work work = Work::Unlimited();
    ASSERT_TRUE(SortDearestFirst(offers, work));
    for (size_t i = 0; i < offers.size(); ++i) {
      ASSERT_EQ(offers[i].gain, expected[i].gain);
      ASSERT_EQ(offers[i].run, expected[i].run);
      ASSERT_EQ(offers[i].units, expected[i].units);
    }
  }
}

// Where all offers stand in a row, the window is a part of it that holds what was asked for,
// however badly a sample tells where that is.
TEST(Selection, AWindowHoldsWhatWasAskedFor) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(1'500); seed < end; ++seed) {
    TestRandom random(seed);
    std::vector<Microcredits> gain(static_cast<size_t>(random.Between(1, 1'500)));
    std::vector<int32_t> units(gain.size());
    const Microcredits gain_max = random.OneIn(3) ? 5 : 1'000'000;
    int64_t all_units = 0;
    for (size_t i = 0; i < gain.size(); ++i) {
      gain[i] = random.Between(0, gain_max);
      // A few have most of the units.
      units[i] = static_cast<int32_t>(random.OneIn(100) ? random.Between(1, 10'000)
                                                        : random.Between(1, 3));
      all_units += units[i];
    }
    const int64_t first_unit = random.Between(0, all_units - 1);
    const int64_t last_unit = random.Between(
        first_unit + 1, random.OneIn(2) ? all_units : std::min(all_units, first_unit + 9));
    std::vector<Offer> row;
    for (size_t i = 0; i < gain.size(); ++i) {
      row.push_back({gain[i], static_cast<uint32_t>(i), units[i]});
    }
    std::stable_sort(row.begin(), row.end(),
                     [](const Offer& a, const Offer& b) { return a.gain > b.gain; });
    Work work = Work::Unlimited();
    const auto window = FindWindow({gain, units, seed}, first_unit, last_unit, all_units, work);
    ASSERT_TRUE(window.has_value());
    ASSERT_FALSE(window->offers.empty());
    ASSERT_LE(window->units_above, first_unit) << "seed " << seed;
    int64_t before = 0;
    size_t begin = 0;
    while (before < window->units_above) before += row[begin++].units;
    ASSERT_EQ(before, window->units_above) << "seed " << seed;
    ASSERT_LE(begin + window->offers.size(), row.size()) << "seed " << seed;
    for (size_t i = 0; i < window->offers.size(); ++i) {
      ASSERT_EQ(window->offers[i].run, row[begin + i].run) << "seed " << seed;
      before += window->offers[i].units;
    }
    ASSERT_GE(before, last_unit) << "seed " << seed;
  }
}

}  // namespace
}  // namespace nom::policies
