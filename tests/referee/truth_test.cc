// SPDX-License-Identifier: Apache-2.0
// Is the truth the best bid? Guests and owners that lie in every way that a generator can think of,
// under every rule that promises that it does not pay, and what it pays where nobody can promise
// that.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "policies/clearing/int128.h"
#include "policies/clearing/mpsp.h"
#include "policies/clearing/rules.h"
#include "policies/clearing/work.h"
#include "tests/referee/exhaustive.h"
#include "tests/referee/odd_auction.h"
#include "tests/referee/random_auction.h"

namespace nom::policies {
namespace {

constexpr uint64_t kAuctions = 100'000;
// Each auction is cleared once for each.
constexpr int kLies = 4;

using ClearFunction = std::function<absl::StatusOr<Clearing>(const Auction&)>;

int64_t UnitsOf(const Clearing& clearing, GuestId guest_id) {
  for (const Award& award : clearing.awards) {
    if (award.guest_id == guest_id) return award.units;
  }
  return 0;
}

// What an award is worth to a guest.
using Worth = Microcredits (*)(const Bid& truth, int64_t units);

// What its bid says; nothing if it refuses that.
Microcredits Said(const Bid& truth, int64_t units) {
  return Allowed(truth, units) ? ValueOf(truth, units) : 0;
}

// The most that any part of it is: a guest leaves idle what it can't use.
Microcredits AnyPart(const Bid& truth, int64_t units) {
  Microcredits most = 0;
  for (int64_t q = 1; q <= units; ++q) most = std::max(most, Said(truth, q));
  return most;
}

// What the guests of these bids gain together.
Microcredits SurplusOf(const std::vector<Bid>& truths, const Clearing& clearing, Worth worth) {
  Microcredits surplus = 0;
  for (const Bid& truth : truths) {
    surplus += worth(truth, UnitsOf(clearing, truth.guest_id));
    for (const Award& award : clearing.awards) {
      if (award.guest_id == truth.guest_id) surplus -= award.charge_microcredits;
    }
  }
  return surplus;
}

void ScaleValues(Bid& bid, int64_t quarters) {
  for (Range& range : bid.ranges) {
    range.value_at_min_microcredits = range.value_at_min_microcredits * quarters / 4;
    range.unit_price_microcredits = range.unit_price_microcredits * quarters / 4;
  }
}

// Ranges left out or cut. The values of what is left stay.
void LeaveOut(Bid& bid, TestRandom& random) {
  if (bid.ranges.empty()) return;
  const auto any =
      bid.ranges.begin() + random.Between(0, static_cast<int64_t>(bid.ranges.size()) - 1);
  if (random.OneIn(2)) {
    bid.ranges.erase(any);
    return;
  }
  const int64_t units = random.Between(any->min_units, any->max_units);
  if (random.OneIn(2)) {
    any->max_units = units;
    return;
  }
  any->value_at_min_microcredits = ValueOf(bid, units);
  any->min_units = units;
}

// The truth, or a lie about values, about quantities, or about everything. Always valid.
Bid Lie(const Bid& truth, TestRandom& random) {
  Bid bid = truth;
  switch (random.Between(1, 6)) {
    case 1:
      return truth;
    case 2:
      ScaleValues(bid, random.Between(0, 8));
      break;
    case 3:
    case 4:
      LeaveOut(bid, random);
      break;
    case 5:
      bid.ranges.clear();
      break;
    default: {
      const Auction other = RandomAuction(Shape::kGeneral, random.Next(), 6, 16);
      if (!other.bids.empty()) bid.ranges = other.bids[0].ranges;
    }
  }
  // Rounding can part ranges that touched.
  return ValidateBid(bid).ok() ? bid : truth;
}

// Whose lies are tried: a guest by itself, or all guests of one owner together.
std::vector<size_t> Liars(const Auction& auction, bool whole_owner) {
  std::vector<size_t> liars;
  for (size_t i = 0; i < auction.bids.size(); ++i) {
    const bool is_sibling =
        auction.bids[i].owner_id != 0 && auction.bids[i].owner_id == auction.bids[0].owner_id;
    if (i == 0 || (whole_owner && is_sibling)) liars.push_back(i);
  }
  return liars;
}

std::vector<Bid> BidsOf(const Auction& auction, const std::vector<size_t>& indices) {
  std::vector<Bid> bids;
  for (size_t i : indices) bids.push_back(auction.bids[i]);
  return bids;
}

// A random auction, an odd one, or one in which the first guests have an owner.
Auction AuctionOf(uint64_t seed, int64_t bids_max, int64_t units_max) {
  if (seed % 2 == 0) return OddAuction(Shape::kGeneral, seed, bids_max, units_max);
  Auction auction = RandomAuction(Shape::kGeneral, seed, bids_max, units_max);
  for (size_t i = 0; i < std::min<size_t>(seed % 4, auction.bids.size()); ++i) {
    auction.bids[i].owner_id = 3;
  }
  return auction;
}

// Without a penalty. How many lies changed what the liars won.
int64_t ExpectNoLiePays(const ClearFunction& clear, const Auction& auction, bool whole_owner,
                        uint64_t seed) {
  if (auction.bids.empty() || auction.reclaim_penalty_microcredits > 0) return 0;
  const std::vector<size_t> liars = Liars(auction, whole_owner);
  const std::vector<Bid> truths = BidsOf(auction, liars);
  const auto honest = clear(auction);
  EXPECT_TRUE(honest.ok() || MayOverflow(auction)) << honest.status();
  if (!honest.ok()) return 0;
  TestRandom random(seed);
  int64_t changes = 0;
  for (int i = 0; i < kLies; ++i) {
    Auction lying = auction;
    for (size_t k : liars) lying.bids[k] = Lie(auction.bids[k], random);
    const auto clearing = clear(lying);
    if (!clearing.ok()) continue;
    changes += clearing->awards != honest->awards;
    EXPECT_LE(SurplusOf(truths, *clearing, AnyPart), SurplusOf(truths, *honest, AnyPart))
        << "the truth\n"
        << Describe(seed, auction) << "the lie\n"
        << Describe(seed, lying);
    if (::testing::Test::HasFailure()) return changes;
  }
  return changes;
}

void ExpectTruthIsBest(const ClearFunction& clear, bool whole_owner, uint64_t auctions,
                       int64_t bids_max, int64_t units_max) {
  int64_t changes = 0;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(auctions); seed < end; ++seed) {
    Auction auction = AuctionOf(seed, bids_max, units_max);
    auction.reclaim_penalty_microcredits = 0;
    changes += ExpectNoLiePays(clear, auction, whole_owner, seed);
    ASSERT_FALSE(::testing::Test::HasFailure());
  }
  // Lies that change nothing show nothing.
  EXPECT_GT(changes, static_cast<int64_t>(CountOr(auctions) / 4));
}

TEST(Truth, NoLieOfAGuestPaysUnderATruthfulRule) {
  for (const RuleInfo& rule : Rules()) {
    if (!rule.truthful) continue;
    SCOPED_TRACE(std::string(rule.name));
    const auto clear = [&](const Auction& auction) {
      Auction single = auction;
      for (Bid& bid : single.bids) bid.owner_id = 0;
      return Clear(rule.name, single);
    };
    ExpectTruthIsBest(clear, /*whole_owner=*/false, kAuctions, 6, 16);
  }
}

TEST(Truth, NoLiesOfAnOwnersGuestsTogetherPay) {
  for (const RuleInfo& rule : Rules()) {
    if (!rule.truthful_for_owners) continue;
    SCOPED_TRACE(std::string(rule.name));
    ExpectTruthIsBest([&](const Auction& auction) { return Clear(rule.name, auction); },
                      /*whole_owner=*/true, kAuctions, 6, 16);
  }
}

// The definition itself: awards are the best of a set that no bid changes.
TEST(Truth, NoLiePaysWhereQuantitiesAreHeldByWholeLots) {
  for (const int64_t lot : {2, 3, 4}) {
    ExpectTruthIsBest([lot](const Auction& auction) { return ClearExhaustiveInLots(auction, lot); },
                      /*whole_owner=*/true, kAuctions / 20, 3, 9);
  }
}

// What marketd falls back to first.
TEST(Truth, NoLiesOfAnOwnersGuestsTogetherPayInLots) {
  for (const int64_t lot : {2, 3, 4}) {
    ExpectTruthIsBest(
        [lot](const Auction& auction) -> absl::StatusOr<Clearing> {
          Work work = Work::Unlimited();
          auto clearing = ClearMpspInLots(auction, lot, work);
          if (!clearing.ok()) return clearing.status();
          return **std::move(clearing);
        },
        /*whole_owner=*/true, kAuctions / 4, 6, 30);
  }
}

// An owner under several names, whatever these say, does no better than with one truthful bid.
TEST(Truth, MoreNamesOfOneOwnerDoNotPay) {
  int64_t several_won = 0;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions); seed < end; ++seed) {
    Auction auction = RandomAuction(Shape::kGeneral, seed, 8, 20);
    auction.reclaim_penalty_microcredits = 0;
    if (auction.bids.empty()) continue;
    auction.bids[0].owner_id = 5;
    const Bid truth = auction.bids[0];
    const auto honest = Clear("mpsp/1", auction);
    ASSERT_TRUE(honest.ok()) << honest.status();
    TestRandom random(seed);
    Auction split = auction;
    split.bids[0] = Lie(truth, random);
    const int64_t names = random.Between(1, 3);
    for (int64_t i = 1; i <= names; ++i) {
      Bid& bid = split.bids.emplace_back(Lie(truth, random));
      bid.guest_id = truth.guest_id + 1'000'000 * static_cast<GuestId>(i);
    }
    const auto clearing = Clear("mpsp/1", split);
    ASSERT_TRUE(clearing.ok()) << clearing.status();
    int64_t units = 0;
    Microcredits charge = 0;
    int64_t winners = 0;
    for (const Award& award : clearing->awards) {
      if (award.guest_id % 1'000'000 != truth.guest_id) continue;
      units += award.units;
      charge += award.charge_microcredits;
      ++winners;
    }
    ASSERT_LE(AnyPart(truth, units) - charge, SurplusOf({truth}, *honest, AnyPart))
        << Describe(seed, auction) << Describe(seed, split);
    several_won += winners > 1;
  }
  EXPECT_GT(several_won, static_cast<int64_t>(CountOr(kAuctions) / 50));
}

TEST(Truth, NoLieAboutValuesPaysWithAPenalty) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions); seed < end; ++seed) {
    Auction auction = AuctionOf(seed, 6, 16);
    auction.reserve_unit_price_microcredits = 0;  // So no value changes what can be sold.
    if (auction.bids.empty() || auction.reclaim_penalty_microcredits == 0) continue;
    const std::vector<size_t> liars = Liars(auction, /*whole_owner=*/true);
    const std::vector<Bid> truths = BidsOf(auction, liars);
    const auto honest = Clear("mpsp/1", auction);
    if (!honest.ok() && MayOverflow(auction)) continue;
    ASSERT_TRUE(honest.ok()) << honest.status();
    TestRandom random(seed);
    for (int i = 0; i < kLies; ++i) {
      Auction lying = auction;
      for (size_t k : liars) {
        ScaleValues(lying.bids[k], random.Between(0, 8));
        if (!ValidateBid(lying.bids[k]).ok()) lying.bids[k] = auction.bids[k];
      }
      const auto clearing = Clear("mpsp/1", lying);
      if (!clearing.ok()) continue;
      ASSERT_LE(SurplusOf(truths, *clearing, Said), SurplusOf(truths, *honest, Said))
          << Describe(seed, auction) << Describe(seed, lying);
    }
  }
}

// By how much leaving quantities out can pay with a penalty (rules.h). Let S be the quantities that
// an owner accepts, H(x) the best that all others and the operator reach beside x units of the
// owner's at the reserve, and lost(x) = penalty * max(0, held - x). Its surplus is
//
//   value(a) - reserve * a + H(a) - lost(a) - max over x in S of (H(x) - lost(x))
//
// of which only the last term gains by a smaller S'. H never rises, so the term is at most
// H(0) - lost(x), and 0 is always in S', so it stays at least H(0) - lost(0): between them lies
// penalty * min(held, x) for an x in S. Where a lie wins quantities that the truth refuses, what
// keeping them saves comes on top.
Int128 GainBound(const Auction& auction, const std::vector<Bid>& truths, const Clearing& lie) {
  Int128 units = 0;
  for (const Bid& truth : truths) {
    const int64_t won = UnitsOf(lie, truth.guest_id);
    if (!Allowed(truth, won)) units += std::min(truth.held_units, won);
    int64_t most = 0;
    for (const Range& range : truth.ranges) {
      if (range.min_units <= auction.capacity_units) {
        most = std::min(range.max_units, auction.capacity_units);
      }
    }
    units += std::min(truth.held_units, most);
  }
  return units * auction.reclaim_penalty_microcredits;
}

TEST(Truth, WithAPenaltyALieGainsAtMostThePenaltyOnWhatIsHeldAndAccepted) {
  int64_t gains = 0;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions); seed < end; ++seed) {
    Auction auction = AuctionOf(seed, 5, 12);
    if (auction.bids.empty()) continue;
    TestRandom random(seed);
    if (auction.reclaim_penalty_microcredits == 0) {
      auction.reclaim_penalty_microcredits = random.Between(1, 9);
    }
    const std::vector<size_t> liars = Liars(auction, /*whole_owner=*/true);
    const std::vector<Bid> truths = BidsOf(auction, liars);
    const auto honest = Clear("mpsp/1", auction);
    if (!honest.ok() && MayOverflow(auction)) continue;
    ASSERT_TRUE(honest.ok()) << honest.status();
    for (int i = 0; i < kLies; ++i) {
      Auction lying = auction;
      for (size_t k : liars) lying.bids[k] = Lie(auction.bids[k], random);
      const auto clearing = Clear("mpsp/1", lying);
      if (!clearing.ok()) continue;
      const Microcredits gain =
          SurplusOf(truths, *clearing, Said) - SurplusOf(truths, *honest, Said);
      ASSERT_LE(gain, GainBound(auction, truths, *clearing))
          << Describe(seed, auction) << Describe(seed, lying);
      gains += gain > 0;
    }
  }
  EXPECT_GT(gains, static_cast<int64_t>(CountOr(kAuctions) / 100));  // It does happen.
}

// The largest gain that there can be: a charge of the penalty on all that is held becomes nothing.
// Guest 1 holds h units, and accepts h or 2 h. Guest 2 would pay as much for h as the penalty on
// them is. Guest 1 wins 2 h, and pays guest 2's value: without guest 1's values, it would keep h
// and guest 2 have the rest. If guest 1 leaves h out, keeping guest 2 out is what W is without
// guest 1, too, as taking all from guest 1 costs what guest 2 is worth.
TEST(Truth, WithAPenaltyAHoldersWholeChargeCanGo) {
  for (const int64_t held : {1, 2, 7, 1'000}) {
    for (const Microcredits penalty : {1, 5, 1'000'000}) {
      Auction auction;
      auction.capacity_units = 2 * held;
      auction.reclaim_penalty_microcredits = penalty;
      auction.seed = 1;
      const Microcredits much = 10 * penalty * held;
      auction.bids = {{1, {{held, held, 1, 0}, {2 * held, 2 * held, much, 0}}, held},
                      {2, {{held, held, penalty * held, 0}}, 0}};
      const auto honest = Clear("mpsp/1", auction);
      ASSERT_TRUE(honest.ok()) << honest.status();
      EXPECT_EQ(honest->awards, (std::vector<Award>{{1, 2 * held, penalty * held}}));
      Auction lying = auction;
      lying.bids[0].ranges.erase(lying.bids[0].ranges.begin());
      const auto clearing = Clear("mpsp/1", lying);
      ASSERT_TRUE(clearing.ok()) << clearing.status();
      EXPECT_EQ(clearing->awards, (std::vector<Award>{{1, 2 * held, 0}}));
      EXPECT_EQ(GainBound(auction, {auction.bids[0]}, *clearing), Int128{penalty} * held);
    }
  }
}

}  // namespace
}  // namespace nom::policies
