// SPDX-License-Identifier: Apache-2.0
// Owners with several guests: one bidder, whatever names it goes by.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "policies/clearing/rules.h"
#include "tests/referee/odd_auction.h"
#include "tests/referee/random_auction.h"

namespace nom::policies {
namespace {

constexpr uint64_t kAuctions = 100'000;

Shape ShapeFor(const RuleInfo& rule) { return rule.takes_gaps ? Shape::kGeneral : Shape::kConcave; }

struct Share {
  int64_t units = 0;
  Microcredits value = 0;
  Microcredits charge = 0;

  friend bool operator==(const Share&, const Share&) = default;
};

// What all guests of an owner win together.
Share ShareOf(const Auction& auction, const Clearing& clearing, OwnerId owner_id) {
  Share share;
  for (const Bid& bid : auction.bids) {
    if (bid.owner_id != owner_id) continue;
    for (const Award& award : clearing.awards) {
      if (award.guest_id != bid.guest_id) continue;
      share.units += award.units;
      share.value += ValueOf(bid, award.units);
      share.charge += award.charge_microcredits;
    }
  }
  return share;
}

// What each next unit of a concave bid is worth, as far as `units_max` and until one is worth less
// than nothing.
std::vector<Microcredits> MarginalValues(const Bid& bid, int64_t units_max) {
  std::vector<Microcredits> values;
  for (int64_t units = 1; units <= units_max && Allowed(bid, units); ++units) {
    const Microcredits value = ValueOf(bid, units) - ValueOf(bid, units - 1);
    if (value < 0) break;
    values.push_back(value);
  }
  return values;
}

// A bid's units dealt out to several guests in their order, so that each has a concave bid again.
std::vector<Bid> Divide(const Bid& bid, int64_t guests, TestRandom& random) {
  std::vector<Bid> parts(static_cast<size_t>(guests));
  for (size_t i = 0; i < parts.size(); ++i) {
    parts[i].guest_id = bid.guest_id + 1'000'000 * i;
    parts[i].owner_id = bid.owner_id;
  }
  for (const Microcredits value : MarginalValues(bid, kRangesMax)) {
    std::vector<Range>& ranges = parts[static_cast<size_t>(random.Between(0, guests - 1))].ranges;
    const auto units = static_cast<int64_t>(ranges.size());
    const Microcredits before = ranges.empty() ? 0
                                               : ranges.back().value_at_min_microcredits +
                                                     ranges.back().unit_price_microcredits;
    ranges.push_back({units, units + 1, before, value});
  }
  return parts;
}

// Under efficient rules dividing a bid over guests of its owner changes nothing for the owner: no
// lower charge for the same units, and no surplus gained.
TEST(Owners, DividingABidOverOwnGuestsGainsNothing) {
  int64_t several_won = 0;
  for (const RuleInfo& rule : Rules()) {
    if (!rule.efficient) continue;
    for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions); seed < end; ++seed) {
      Auction whole = seed % 2 == 0 ? OddAuction(Shape::kConcave, seed, 6, 12)
                                    : RandomAuction(Shape::kConcave, seed, 6, 12);
      whole.reclaim_penalty_microcredits = 0;
      if (whole.bids.empty()) continue;
      TestRandom random(seed);
      const OwnerId owner_id = 1'000;
      whole.bids[0].owner_id = owner_id;
      const std::vector<Bid> one = Divide(whole.bids[0], 1, random);
      whole.bids[0] = one[0];
      Auction divided = whole;
      const std::vector<Bid> parts = Divide(whole.bids[0], random.Between(2, 4), random);
      divided.bids.erase(divided.bids.begin());
      divided.bids.insert(divided.bids.end(), parts.begin(), parts.end());
      const auto of_whole = Clear(rule.name, whole);
      const auto of_divided = Clear(rule.name, divided);
      if (!of_whole.ok() && MayOverflow(whole)) continue;
      ASSERT_TRUE(of_whole.ok()) << of_whole.status();
      ASSERT_TRUE(of_divided.ok()) << of_divided.status();
      const Share before = ShareOf(whole, *of_whole, owner_id);
      const Share after = ShareOf(divided, *of_divided, owner_id);
      const std::string context =
          std::string(rule.name) + "\n" + Describe(seed, whole) + Describe(seed, divided);
      ASSERT_EQ(of_whole->welfare_microcredits, of_divided->welfare_microcredits) << context;
      // The order of ties is another, so the units may be.
      if (after.units == before.units) {
        ASSERT_EQ(after, before) << context;
      }
      ASSERT_EQ(after.value - after.charge, before.value - before.charge) << context;
      several_won += of_divided->awards.size() > of_whole->awards.size();
    }
  }
  EXPECT_GT(several_won, static_cast<int64_t>(CountOr(kAuctions) / 50));
}

// With a penalty, too: what is split is what the definition says, not who bids under which name.
TEST(Owners, OfOneGuestPayAsIfTheyNamedNone) {
  for (const RuleInfo& rule : Rules()) {
    for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions); seed < end; ++seed) {
      Auction unnamed = OddAuction(ShapeFor(rule), seed, 12, 40);
      for (Bid& bid : unnamed.bids) bid.owner_id = 0;
      Auction named = unnamed;
      for (Bid& bid : named.bids) bid.owner_id = 3 * bid.guest_id + 1;
      const auto expected = Clear(rule.name, unnamed);
      const auto actual = Clear(rule.name, named);
      ASSERT_EQ(expected.status(), actual.status()) << Describe(seed, named);
      if (!expected.ok()) continue;
      ASSERT_EQ(*expected, *actual) << rule.name << "\n" << Describe(seed, named);
    }
  }
}

// Who owns whom is nothing that awards depend on, nor the price and W.
TEST(Owners, ChangeNothingButCharges) {
  int64_t changed = 0;
  for (const RuleInfo& rule : Rules()) {
    for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions); seed < end; ++seed) {
      Auction auction = OddAuction(ShapeFor(rule), seed, 12, 40);
      TestRandom random(seed);
      for (Bid& bid : auction.bids) bid.owner_id = static_cast<OwnerId>(random.Between(0, 2));
      const auto with_owners = Clear(rule.name, auction);
      Auction single = auction;
      for (Bid& bid : single.bids) bid.owner_id = 0;
      const auto expected = Clear(rule.name, single);
      ASSERT_EQ(expected.status(), with_owners.status()) << Describe(seed, auction);
      if (!expected.ok()) continue;
      Clearing without_charges = *with_owners;
      for (size_t i = 0; i < without_charges.awards.size(); ++i) {
        without_charges.awards[i].charge_microcredits = expected->awards[i].charge_microcredits;
      }
      ASSERT_EQ(without_charges, *expected) << rule.name << "\n" << Describe(seed, auction);
      const bool is_changed = *with_owners != *expected;
      ASSERT_TRUE(rule.truthful_for_owners || !is_changed) << rule.name;
      changed += is_changed;
    }
  }
  EXPECT_GT(changed, static_cast<int64_t>(CountOr(kAuctions) / 20));
}

}  // namespace
}  // namespace nom::policies
