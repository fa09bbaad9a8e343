// SPDX-License-Identifier: Apache-2.0
// What every joint clearing must satisfy, on random auctions most of which are larger than
// exhaustive search can take.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <vector>

#include "policies/clearing/joint/joint_vcg.h"
#include "policies/clearing/mpsp.h"
#include "tests/referee/joint_exhaustive.h"
#include "tests/referee/joint_promises.h"
#include "tests/referee/random_joint_auction.h"
#include "tests/referee/shrink.h"

namespace nom::policies {
namespace {

constexpr uint64_t kAuctionsOfTheRule = 100'000;
constexpr uint64_t kAuctions = 16'000;

// Both ways of dividing are for problems far larger than these, unless they are forced.
JointVcgOptions OptionsFor(uint64_t seed) {
  JointVcgOptions options;
  if (seed % 4 == 1) options.shortlist_cells = 8;
  if (seed % 4 == 3) options.box_work = 50;
  return options;
}

JointClearing MustClear(const JointAuction& auction, uint64_t seed) {
  const auto clearing = ClearJointVcg(auction, OptionsFor(seed));
  EXPECT_TRUE(clearing.ok()) << clearing.status() << Replay(seed, auction);
  return clearing.ok() ? *clearing : JointClearing{};
}

void ScaleMoney(JointAuction& auction, Microcredits factor) {
  // Beyond 64 bits it is beyond the limits of money, too, and validation says so.
  const auto scale = [factor](Microcredits& money) {
    if (!__builtin_mul_overflow(money, factor, &money)) return;
    money = std::numeric_limits<Microcredits>::max();
  };
  for (Microcredits& price : auction.reserve_unit_prices_microcredits) scale(price);
  for (Microcredits& penalty : auction.reclaim_penalties_microcredits) scale(penalty);
  for (JointBid& bid : auction.bids) {
    for (Bundle& bundle : bid.bundles) scale(bundle.value_microcredits);
    if (!bid.curves.has_value()) continue;
    for (std::vector<Range>& ranges : bid.curves->curves) {
      for (Range& range : ranges) {
        scale(range.value_at_min_microcredits);
        scale(range.unit_price_microcredits);
      }
    }
  }
}

// What an owner is charged for all of its guests depends on what they get and on nothing else of
// the allocation, so where ties are broken otherwise the owners whose guests get the same are left
// to compare. (How it is divided among them depends on rounding, too.)
struct Compared {
  int64_t winners = 0;
  int64_t charges = 0;

  // Empty if all that can be compared agrees. Both are of `auction`, `actual` perhaps with other
  // money.
  std::string Add(const JointAuction& auction, const JointClearing& expected,
                  const JointClearing& actual, Microcredits factor) {
    for (const JointAward& award : expected.awards) {
      ++winners;
      bool is_same = true;
      Microcredits expected_sum = 0;
      Microcredits actual_sum = 0;
      for (const size_t bid : BidsOfOwner(auction, BidOf(auction, award.guest_id))) {
        const JointAward one = AwardOf(expected, auction.bids[bid].guest_id);
        const JointAward other = AwardOf(actual, auction.bids[bid].guest_id);
        is_same = is_same && one.units == other.units;
        expected_sum += one.charge_microcredits;
        actual_sum += other.charge_microcredits;
      }
      if (!is_same) continue;
      ++charges;
      if (actual_sum != expected_sum * factor) {
        return "the owner of guest " + std::to_string(award.guest_id) + " is charged " +
               std::to_string(actual_sum) + " instead of " + std::to_string(factor) + " times " +
               std::to_string(expected_sum);
      }
    }
    return "";
  }
};

// What a property says that does not hold; empty if all does.
using Broken = std::string;

Broken WhereOrderMatters(const JointAuction& auction, const JointClearing& clearing,
                         uint64_t seed) {
  JointAuction shuffled = auction;
  TestRandom random(seed + 1'000'000'007);
  for (size_t i = shuffled.bids.size(); i > 1; --i) {
    const int64_t with = random.Between(0, static_cast<int64_t>(i) - 1);
    std::swap(shuffled.bids[i - 1], shuffled.bids[static_cast<size_t>(with)]);
  }
  const auto again = ClearJointVcg(shuffled, OptionsFor(seed));
  return again.ok() && *again == clearing ? "" : "another order of bids gives another answer";
}

Broken WhereCapacityHurts(const JointAuction& auction, const JointClearing& clearing,
                          uint64_t seed) {
  JointAuction larger = auction;
  const auto r = seed % static_cast<uint64_t>(auction.resource_count);
  larger.capacity_units[r] += 1 + static_cast<int64_t>(seed % 3);
  const auto cleared = ClearJointVcg(larger, OptionsFor(seed));
  return cleared.ok() && cleared->welfare_microcredits >= clearing.welfare_microcredits
             ? ""
             : "more capacity lowers welfare";
}

// Large factors take money beyond what prices can divide finely.
Broken WhereMoneyDoesNotScale(JointAuction auction, JointClearing clearing, uint64_t seed,
                              Compared& compared) {
  for (JointBid& bid : auction.bids) {
    // Its steps are rounded, so it need not scale: not in this auction.
    if (!bid.curves.has_value() || bid.curves->combination != Combination::kProduct) continue;
    bid.curves.reset();
    clearing = MustClear(auction, seed);
  }
  for (const Microcredits factor : {Microcredits{999'983}, Microcredits{1'024}, Microcredits{3}}) {
    JointAuction scaled = auction;
    ScaleMoney(scaled, factor);
    if (!ValidateJointAuction(scaled).ok()) continue;  // Above the limits of money.
    const auto cleared = ClearJointVcg(scaled, OptionsFor(seed));
    if (absl::IsOutOfRange(cleared.status())) continue;  // Above what W can be.
    if (!cleared.ok()) return "scaled: " + cleared.status().ToString();
    if (cleared->welfare_microcredits != clearing.welfare_microcredits * factor) {
      return "welfare does not scale with money";
    }
    return compared.Add(auction, clearing, *cleared, factor);
  }
  return "";
}

// What must hold of every auction, and in turn one of the things that must not change it.
Broken WhatIsBroken(const JointAuction& auction, uint64_t seed, Compared& compared) {
  const auto clearing = ClearJointVcg(auction, OptionsFor(seed));
  if (!clearing.ok()) return "the rule clears it: " + clearing.status().ToString();
  const Broken what = BrokenPromise(auction, *clearing);
  if (!what.empty()) return what;
  if (!clearing->charges_are_exact) return "not all charges are exact";
  switch (seed / 4 % 3) {  // Options go by fours.
    case 0:
      return WhereOrderMatters(auction, *clearing, seed);
    case 1:
      return WhereCapacityHurts(auction, *clearing, seed);
    default:
      return WhereMoneyDoesNotScale(auction, *clearing, seed, compared);
  }
}

// For failure messages: the auction, and the smallest one found for which it still fails.
std::string ReplayAndShrink(const JointAuction& auction, uint64_t seed) {
  return Replay(seed, auction) + DescribeShrunk(auction, [seed](const JointAuction& smaller) {
           Compared ignored;
           return !WhatIsBroken(smaller, seed, ignored).empty();
         });
}

TEST(JointProperties, HoldOnEveryAuction) {
  // Many small ones, and some in between for which bounds and branching matter more: each fifth, so
  // that they meet all options and properties, which go by twelves.
  JointShape small;
  small.bids_max = 5;
  small.grid_max = 18;
  JointShape middle;
  middle.bids_max = 10;
  middle.grid_max = 48;
  Compared compared;
  const uint64_t end = FirstSeed() + CountOr(kAuctionsOfTheRule);
  for (uint64_t seed = FirstSeed(); seed < end; ++seed) {
    const JointAuction auction = RandomJointAuction(seed % 5 == 0 ? middle : small, seed);
    const Broken what = WhatIsBroken(auction, seed, compared);
    ASSERT_TRUE(what.empty()) << what << ReplayAndShrink(auction, seed);
  }
  EXPECT_GT(compared.winners, static_cast<int64_t>(CountOr(kAuctionsOfTheRule) / 3));
  EXPECT_GE(compared.charges * 10, compared.winners * 9);
}

// Shapes that RandomJointAuction never makes, each against exhaustive search, too.
TEST(JointProperties, HoldOnOddAuctions) {
  Compared compared;
  std::array<int64_t, kOddJointShapes> winners = {};
  int64_t skipped = 0;
  const uint64_t end = FirstSeed() + CountOr(kAuctionsOfTheRule);
  for (uint64_t seed = FirstSeed(); seed < end; ++seed) {
    const uint64_t shape = seed % kOddJointShapes;
    const JointAuction auction = OddJointAuction(static_cast<OddJointShape>(shape), seed);
    ASSERT_TRUE(ValidateJointAuction(auction).ok()) << Replay(seed, auction);
    // The properties in turn for each shape.
    const uint64_t turn = seed / kOddJointShapes;
    const Broken what = WhatIsBroken(auction, turn, compared);
    ASSERT_TRUE(what.empty()) << what << ReplayAndShrink(auction, turn);
    if (!LargestJointWelfare(auction).ok()) {
      ++skipped;
      continue;
    }
    const JointClearing clearing = MustClear(auction, turn);
    ASSERT_EQ(DifferenceFromExhaustive(auction, clearing), "") << Replay(seed, auction);
    winners[shape] += static_cast<int64_t>(clearing.awards.size());
  }
  if (CountOr(kAuctionsOfTheRule) < kAuctionsOfTheRule) return;
  EXPECT_LT(skipped * 50, static_cast<int64_t>(kAuctionsOfTheRule));
  for (const int64_t count : winners)
    EXPECT_GT(count * 50, static_cast<int64_t>(kAuctionsOfTheRule) / kOddJointShapes);
  EXPECT_GE(compared.charges * 10, compared.winners * 8);
}

// What an owner gains with the bids of its guests, by what bundles are truly worth to them.
Microcredits Surplus(const JointAuction& auction, const std::vector<JointBid>& truth,
                     uint64_t seed) {
  const JointClearing clearing = MustClear(auction, seed);
  Microcredits surplus = 0;
  for (const JointBid& bid : truth) {
    const JointAward award = AwardOf(clearing, bid.guest_id);
    surplus += ValueOf(bid, award.units).value_or(0) - award.charge_microcredits;
  }
  return surplus;
}

// Everything worth so many quarters of the truth.
void ScaleValues(JointBid& bid, int64_t quarters) {
  for (Bundle& bundle : bid.bundles) {
    bundle.value_microcredits = bundle.value_microcredits * quarters / 4;
  }
  if (!bid.curves.has_value()) return;
  if (bid.curves->combination == Combination::kProduct) {
    bid.curves->whole_value_microcredits = bid.curves->whole_value_microcredits * quarters / 4;
    return;
  }
  for (std::vector<Range>& ranges : bid.curves->curves) {
    for (Range& range : ranges) {
      range.value_at_min_microcredits = range.value_at_min_microcredits * quarters / 4;
      range.unit_price_microcredits = range.unit_price_microcredits * quarters / 4;
    }
  }
}

// Leaves out one bundle or range.
void DropOne(JointBid& bid, TestRandom& random) {
  auto drop = [&](auto& list) {
    if (list.empty()) return;
    list.erase(list.begin() + random.Between(0, static_cast<int64_t>(list.size()) - 1));
  };
  if (bid.curves.has_value()) {
    drop(bid.curves->curves[static_cast<size_t>(random.Between(0, kJointResourcesMax - 1))]);
  } else {
    drop(bid.bundles);
  }
}

// A bundle that is not in the truth, or is worth something else there.
void AddFalseBundle(const JointAuction& auction, JointBid& bid, TestRandom& random) {
  bid.curves.reset();
  Bundle bundle;
  for (size_t r = 0; r < bundle.units.size(); ++r) {
    bundle.units[r] = random.Between(0, auction.capacity_units[r]);
  }
  bundle.value_microcredits = random.Between(0, 200);
  std::erase_if(bid.bundles, [&](const Bundle& b) { return b.units == bundle.units; });
  if (bundle.units != UnitVector{}) bid.bundles.push_back(bundle);
}

// One of the ways to say something else than the truth.
void Lie(const JointAuction& auction, int64_t lie, JointBid& bid, TestRandom& random) {
  if (lie < 9) {
    ScaleValues(bid, lie);
  } else if (lie < 12) {
    DropOne(bid, random);
  } else {
    AddFalseBundle(auction, bid, random);
  }
}

// The penalties on all that the owner's guests hold: the most that leaving bundles out can gain.
Microcredits PenaltiesOf(const JointAuction& auction, const std::vector<JointBid>& bids) {
  Microcredits sum = 0;
  for (const JointBid& bid : bids) {
    for (size_t r = 0; r < bid.held_units.size(); ++r) {
      sum += bid.held_units[r] * auction.reclaim_penalties_microcredits[r];
    }
  }
  return sum;
}

// For a guest alone and for an owner of several, who says something else than the truth for one of
// its guests or for all: no gain without a penalty on what they hold, and none above it with.
TEST(JointProperties, NoMisreportPaysMoreThanThePenalties) {
  JointShape shape;
  shape.resources_max = 4;  // More leave too little of each for a penalty to be gained.
  shape.bids_max = 6;
  shape.grid_max = 24;
  int64_t lies = 0;
  int64_t refused = 0;
  int64_t gains = 0;         // Where there are penalties.
  int64_t gains_of_all = 0;  // All of the penalties.
  int64_t of_owners = 0;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions / 8); seed < end; ++seed) {
    const JointAuction honest =
        seed % 2 == 0
            ? RandomJointAuction(shape, seed)
            : OddJointAuction(static_cast<OddJointShape>(seed / 2 % kOddJointShapes), seed);
    if (honest.bids.empty()) continue;
    const std::vector<size_t> bids = BidsOfOwner(honest, 0);
    std::vector<JointBid> truth;
    for (const size_t i : bids) truth.push_back(honest.bids[i]);
    of_owners += bids.size() > 1;
    const Microcredits penalties = PenaltiesOf(honest, truth);
    const Microcredits surplus = Surplus(honest, truth, seed);
    TestRandom random(seed);
    for (int64_t lie = 0; lie < 14; ++lie) {
      JointAuction auction = honest;
      const size_t only =
          bids[static_cast<size_t>(random.Between(0, static_cast<int64_t>(bids.size()) - 1))];
      const bool is_for_all = random.OneIn(2);
      for (const size_t i : bids) {
        if (is_for_all || i == only) Lie(honest, lie, auction.bids[i], random);
      }
      ++lies;
      if (!ValidateJointAuction(auction).ok()) {  // Rounding can part ranges that touched.
        ++refused;
        continue;
      }
      const Microcredits gain = Surplus(auction, truth, seed) - surplus;
      ASSERT_LE(gain, penalties) << "lie " << lie << " of guest " << truth[0].guest_id
                                 << Replay(seed, honest) << "the lie:\n"
                                 << Replay(seed, auction);
      gains += gain > 0;
      gains_of_all += gain > 0 && gain == penalties;
    }
  }
  EXPECT_LT(refused * 10, lies);
  if (CountOr(kAuctions / 8) < kAuctions / 8) return;
  EXPECT_GT(of_owners, static_cast<int64_t>(kAuctions / 100));
  // With penalties leaving bundles out does pay, now and then all there is to gain.
  EXPECT_GT(gains, 0);
  EXPECT_GT(gains_of_all, 0);
  EXPECT_LT(gains * 100, lies);
  RecordProperty("lies", static_cast<int>(lies));
  RecordProperty("gains", static_cast<int>(gains));
  RecordProperty("gains_of_all_penalties", static_cast<int>(gains_of_all));
}

// Who wins a bundle with one bid does not pay less for the same units as several guests of its own,
// whatever these bid: not by a micro-credit, and as strangers they often would.
TEST(JointProperties, SplittingABidOverOwnGuestsSavesNothing) {
  JointShape shape;
  shape.bids_max = 6;
  shape.grid_max = 24;
  shape.with_penalty = false;
  shape.with_owners = false;
  int64_t compared = 0;
  int64_t cheaper_as_strangers = 0;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions / 2); seed < end; ++seed) {
    JointAuction auction = RandomJointAuction(shape, seed);
    const JointClearing clearing = MustClear(auction, seed);
    if (clearing.awards.empty()) continue;
    TestRandom random(seed);
    const JointAward won = clearing.awards[seed % clearing.awards.size()];
    const size_t bid = BidOf(auction, won.guest_id);
    const Microcredits value = *ValueOf(auction.bids[bid], won.units);
    JointBid first{100'001, {}, {}, {}, 5};
    JointBid second{100'002, {}, {}, {}, 5};
    Bundle part;
    Bundle rest;
    for (size_t r = 0; r < won.units.size(); ++r) {
      part.units[r] = random.Between(0, won.units[r]);
      rest.units[r] = won.units[r] - part.units[r];
    }
    if (part.units == UnitVector{} || rest.units == UnitVector{}) continue;
    // From about what they are worth up to far above.
    part.value_microcredits =
        std::max(AtReserve(auction, part.units), random.Between(0, 2 * value));
    rest.value_microcredits =
        std::max(AtReserve(auction, rest.units), random.Between(0, 2 * value));
    first.bundles = {part};
    second.bundles = {rest};
    auction.bids[bid] = first;
    auction.bids.push_back(second);
    if (!ValidateJointAuction(auction).ok()) continue;
    const auto charge_of_both = [&] {
      const JointClearing split = MustClear(auction, seed);
      const JointAward a = AwardOf(split, first.guest_id);
      const JointAward b = AwardOf(split, second.guest_id);
      const bool are_won = a.units == part.units && b.units == rest.units;
      return are_won ? a.charge_microcredits + b.charge_microcredits : Microcredits{-1};
    };
    const Microcredits charge = charge_of_both();
    if (charge < 0) continue;
    ++compared;
    ASSERT_EQ(charge, won.charge_microcredits) << Replay(seed, auction);
    auction.bids[bid].owner_id = 0;
    auction.bids.back().owner_id = 0;
    cheaper_as_strangers += charge_of_both() < charge;
  }
  if (CountOr(kAuctions / 2) < kAuctions / 2) return;
  EXPECT_GT(compared, static_cast<int64_t>(kAuctions / 40));
  EXPECT_GT(cheaper_as_strangers, static_cast<int64_t>(kAuctions / 400));
}

JointBid OneResource(const Bid& bid, uint64_t form) {
  JointBid joint;
  joint.guest_id = bid.guest_id;
  joint.held_units[0] = bid.held_units;
  if (form % 4 != 3) {
    // With one curve these are all the same.
    joint.curves.emplace();
    joint.curves->combination = static_cast<Combination>(form % 4);
    joint.curves->curves[0] = bid.ranges;
    return joint;
  }
  const int64_t last = bid.ranges.empty() ? 0 : bid.ranges.back().max_units;
  for (int64_t units = 1; units <= last; ++units) {
    if (!Allowed(bid, units)) continue;
    joint.bundles.push_back({{units}, ValueOf(bid, units)});
  }
  return joint;
}

TEST(JointProperties, WithOneResourceItIsMpsp) {
  int64_t winners = 0;
  int64_t compared = 0;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions * 3 / 2); seed < end; ++seed) {
    const Auction one = RandomAuction(Shape::kGeneral, seed, 12, 40);
    JointAuction auction;
    auction.capacity_units[0] = one.capacity_units;
    auction.reserve_unit_prices_microcredits[0] = one.reserve_unit_price_microcredits;
    auction.reclaim_penalties_microcredits[0] = one.reclaim_penalty_microcredits;
    auction.seed = one.seed;
    for (size_t i = 0; i < one.bids.size(); ++i) {
      auction.bids.push_back(OneResource(one.bids[i], seed + i));
    }
    const auto mpsp = ClearMpsp(one);
    ASSERT_TRUE(mpsp.ok()) << mpsp.status() << Replay(seed, auction);
    const JointClearing joint = MustClear(auction, seed);
    ASSERT_EQ(BrokenPromise(auction, joint), "") << Replay(seed, auction);
    ASSERT_EQ(joint.welfare_microcredits, mpsp->welfare_microcredits) << Replay(seed, auction);
    for (const Award& award : mpsp->awards) {
      ++winners;
      const JointAward other = AwardOf(joint, award.guest_id);
      if (other.units[0] != award.units) continue;
      ++compared;
      ASSERT_EQ(other.charge_microcredits, award.charge_microcredits)
          << "guest " << award.guest_id << Replay(seed, auction);
    }
  }
  EXPECT_GE(compared * 10, winners * 8);
}

// Independent needs are independent auctions. Not so with a penalty: then what one resource is
// worth above its reserve can make another sellable that is not worth its own.
TEST(JointProperties, SumsAreAsManyAuctions) {
  Compared compared;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions / 4); seed < end; ++seed) {
    JointAuction auction;
    auction.resource_count = 2 + static_cast<int>(seed % 3);
    auction.seed = seed;
    std::vector<Auction> parts;
    for (uint64_t r = 0; r < static_cast<uint64_t>(auction.resource_count); ++r) {
      parts.push_back(RandomAuction(Shape::kGeneral, seed * 4 + r, 6, 12));
      parts[r].reclaim_penalty_microcredits = 0;
      auction.capacity_units[r] = parts[r].capacity_units;
      auction.reserve_unit_prices_microcredits[r] = parts[r].reserve_unit_price_microcredits;
      for (size_t i = 0; i < parts[r].bids.size(); ++i) {
        parts[r].bids[i].guest_id = i + 1;
        if (i == auction.bids.size()) {
          auction.bids.push_back({i + 1, {}, CurveFamily{}, {}, 0});
        }
        auction.bids[i].curves->curves[r] = parts[r].bids[i].ranges;
      }
    }
    const JointClearing joint = MustClear(auction, seed);
    ASSERT_EQ(BrokenPromise(auction, joint), "") << Replay(seed, auction);
    JointClearing sum;
    for (size_t i = 0; i < auction.bids.size(); ++i) sum.awards.push_back({i + 1, {}, 0, 0, 0});
    for (size_t r = 0; r < parts.size(); ++r) {
      const auto part = ClearMpsp(parts[r]);
      ASSERT_TRUE(part.ok()) << part.status() << Replay(seed, auction);
      sum.welfare_microcredits += part->welfare_microcredits;
      for (const Award& award : part->awards) {
        JointAward& total = sum.awards[award.guest_id - 1];
        total.units[r] = award.units;
        total.charge_microcredits += award.charge_microcredits;
      }
    }
    std::erase_if(sum.awards, [](const JointAward& a) { return a.units == UnitVector{}; });
    ASSERT_EQ(joint.welfare_microcredits, sum.welfare_microcredits) << Replay(seed, auction);
    ASSERT_EQ(compared.Add(auction, sum, joint, 1), "") << Replay(seed, auction);
  }
  EXPECT_GE(compared.charges * 10, compared.winners * 7);
}

}  // namespace
}  // namespace nom::policies
