// What every joint clearing must satisfy, on random auctions most of which are larger than
// exhaustive search can take.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "policies/clearing/joint/joint_vcg.h"
#include "policies/clearing/mpsp.h"
#include "tests/referee/joint_promises.h"
#include "tests/referee/random_joint_auction.h"
#include "tests/referee/shrink.h"

namespace nom::policies {
namespace {

constexpr uint64_t kAuctionsOfTheRule = kIsSanitized ? 10'000 : 100'000;
constexpr uint64_t kAuctions = kIsSanitized ? 2'000 : 16'000;

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
  for (Microcredits& price : auction.reserve_unit_prices_microcredits) price *= factor;
  for (Microcredits& penalty : auction.reclaim_penalties_microcredits) penalty *= factor;
  for (JointBid& bid : auction.bids) {
    for (Bundle& bundle : bid.bundles) bundle.value_microcredits *= factor;
    if (!bid.curves.has_value()) continue;
    for (std::vector<Range>& ranges : bid.curves->curves) {
      for (Range& range : ranges) {
        range.value_at_min_microcredits *= factor;
        range.unit_price_microcredits *= factor;
      }
    }
  }
}

// Charges depend on what a winner gets and on nothing else of the allocation, so where ties are
// broken otherwise the winners of the same bundle are left to compare.
struct Compared {
  int64_t winners = 0;
  int64_t charges = 0;

  // Empty if all that can be compared agrees.
  std::string Add(const JointClearing& expected, const JointClearing& actual, Microcredits factor) {
    winners += static_cast<int64_t>(expected.awards.size());
    for (const JointAward& award : expected.awards) {
      const JointAward other = AwardOf(actual, award.guest_id);
      if (other.units != award.units) continue;
      ++charges;
      if (other.charge_microcredits != award.charge_microcredits * factor) {
        return "guest " + std::to_string(award.guest_id) + " is charged " +
               std::to_string(other.charge_microcredits) + " instead of " + std::to_string(factor) +
               " times " + std::to_string(award.charge_microcredits);
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
    return compared.Add(clearing, *cleared, factor);
  }
  return "";
}

// Prints what fails, and the smallest auction found for which it still does.
TEST(JointProperties, HoldOnEveryAuction) {
  // Many small ones, and some in between for which bounds and branching matter more: each fifth, so
  // that they meet all options, which go by fours.
  JointShape small;
  small.bids_max = 5;
  small.grid_max = 18;
  JointShape middle;
  middle.bids_max = 10;
  middle.grid_max = 48;
  Compared compared;
  const uint64_t end = FirstSeed() + CountOr(kAuctionsOfTheRule);
  for (uint64_t seed = FirstSeed(); seed < end; ++seed) {
    const auto broken = [&](const JointAuction& auction) -> Broken {
      const auto clearing = ClearJointVcg(auction, OptionsFor(seed));
      if (!clearing.ok()) return "the rule clears it: " + clearing.status().ToString();
      Broken what = BrokenPromise(auction, *clearing);
      if (what.empty() && !clearing->charges_are_exact) what = "not all charges are exact";
      if (what.empty()) what = WhereOrderMatters(auction, *clearing, seed);
      if (what.empty()) what = WhereCapacityHurts(auction, *clearing, seed);
      if (what.empty()) what = WhereMoneyDoesNotScale(auction, *clearing, seed, compared);
      return what;
    };
    const JointAuction auction = RandomJointAuction(seed % 5 == 0 ? middle : small, seed);
    const Broken what = broken(auction);
    ASSERT_TRUE(what.empty()) << what << Replay(seed, auction)
                              << DescribeShrunk(auction, [&](const JointAuction& smaller) {
                                   return !broken(smaller).empty();
                                 });
  }
  EXPECT_GT(compared.winners, static_cast<int64_t>(CountOr(kAuctionsOfTheRule)));
  EXPECT_GE(compared.charges * 10, compared.winners * 9);
}

// What a guest gains with its bid, by what bundles are truly worth to it.
Microcredits Surplus(const JointAuction& auction, const JointBid& truth, uint64_t seed) {
  const JointAward award = AwardOf(MustClear(auction, seed), truth.guest_id);
  return ValueOf(truth, award.units).value_or(0) - award.charge_microcredits;
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

TEST(JointProperties, NoMisreportPays) {
  JointShape shape;
  shape.bids_max = 6;
  shape.grid_max = 24;
  int64_t lies = 0;
  int64_t refused = 0;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions / 8); seed < end; ++seed) {
    JointAuction auction = RandomJointAuction(shape, seed);
    if (auction.bids.empty()) continue;
    JointBid& bid = auction.bids[0];
    bid.held_units = {};
    const JointBid truth = bid;
    const Microcredits honest = Surplus(auction, truth, seed);
    TestRandom random(seed);
    for (int64_t lie = 0; lie < 14; ++lie) {
      bid = truth;
      if (lie < 9) {
        ScaleValues(bid, lie);
      } else if (lie < 12) {
        DropOne(bid, random);
      } else {
        AddFalseBundle(auction, bid, random);
      }
      ++lies;
      if (!ValidateJointAuction(auction).ok()) {  // Rounding can part ranges that touched.
        ++refused;
        continue;
      }
      ASSERT_LE(Surplus(auction, truth, seed), honest)
          << "lie " << lie << " of guest " << truth.guest_id << Replay(seed, auction);
    }
  }
  EXPECT_LT(refused * 10, lies);
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
          auction.bids.push_back({i + 1, {}, CurveFamily{}, {}});
        }
        auction.bids[i].curves->curves[r] = parts[r].bids[i].ranges;
      }
    }
    const JointClearing joint = MustClear(auction, seed);
    ASSERT_EQ(BrokenPromise(auction, joint), "") << Replay(seed, auction);
    JointClearing sum;
    for (size_t i = 0; i < auction.bids.size(); ++i) sum.awards.push_back({i + 1, {}, 0, 0});
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
    ASSERT_EQ(compared.Add(sum, joint, 1), "") << Replay(seed, auction);
  }
  EXPECT_GE(compared.charges * 10, compared.winners * 7);
}

}  // namespace
}  // namespace nom::policies
