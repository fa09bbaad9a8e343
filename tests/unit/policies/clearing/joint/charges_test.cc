// SPDX-License-Identifier: Apache-2.0
// What winners pay: owners, and what is paid without a proof.

#include "policies/clearing/joint/charges.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "policies/clearing/joint/joint_vcg.h"
#include "tests/referee/joint_promises.h"
#include "tests/referee/random_joint_auction.h"

namespace nom::policies {
namespace {

// Guests of one owner against a rival for all that they want: what they bid above their worth must
// not win it for nothing. Each guest charged by itself, both would pay 0.
TEST(Owners, GuestsOfOneAreNotEachOthersRivals) {
  JointAuction auction;
  auction.capacity_units[0] = 2;
  auction.bids = {
      {1, {{{2}, 10}}, {}, {}, 0}, {2, {{{1}, 10}}, {}, {}, 7}, {3, {{{1}, 10}}, {}, {}, 7}};
  const JointClearing together = ClearJointVcg(auction).value();
  EXPECT_EQ(together.awards, (std::vector<JointAward>{{2, {1}, 5, 5, 5}, {3, {1}, 5, 5, 5}}));
  // As strangers.
  auction.bids[1].owner_id = 0;
  auction.bids[2].owner_id = 0;
  const JointClearing strangers = ClearJointVcg(auction).value();
  EXPECT_EQ(strangers.awards, (std::vector<JointAward>{{2, {1}, 0, 0, 0}, {3, {1}, 0, 0, 0}}));
  // Owner 2 of guest 3 is another than guest 2, who is its own.
  auction.bids[2].owner_id = 2;
  EXPECT_EQ(ClearJointVcg(auction).value().awards, strangers.awards);
}

TEST(Owners, OneGuestOfAnOwnerIsChargedAsAStranger) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(500); seed < end; ++seed) {
    JointShape shape;
    shape.with_owners = false;
    JointAuction auction = RandomJointAuction(shape, seed);
    const JointClearing strangers = ClearJointVcg(auction).value();
    for (JointBid& bid : auction.bids) bid.owner_id = bid.guest_id + 100;
    ASSERT_EQ(ClearJointVcg(auction).value(), strangers) << Replay(seed, auction);
  }
}

// 128 bids for any one of six resources, nearly alike at the margin: what is best can't be proven
// with little work. What winners pay must not fall with that.
TEST(Charges, OfAnAuctionThatIsTooHardToProveAreAboutItsPrices) {
  TestRandom random(1);
  JointAuction auction;
  auction.resource_count = kJointResourcesMax;
  auction.capacity_units.fill(100);
  for (GuestId guest = 1; guest <= 128; ++guest) {
    JointBid& bid = auction.bids.emplace_back();
    bid.guest_id = guest;
    CurveFamily& family = bid.curves.emplace();
    family.combination = Combination::kMax;
    for (std::vector<Range>& ranges : family.curves) {
      const int64_t units = random.Between(3, 9);
      for (const int64_t times : {1, 2}) {
        ranges.push_back({times * units, times * units,
                          times * units * 1'000'000 + random.Between(-20'000, 20'000), 0});
      }
    }
  }
  for (const int64_t work_max : {0, 10'000'000}) {
    JointVcgOptions options;
    options.work_max = work_max;
    const JointClearing clearing = ClearJointVcg(auction, options).value();
    ASSERT_EQ(BrokenPromise(auction, clearing), "");
    ASSERT_FALSE(clearing.charges_are_exact);
    if (work_max == 0) continue;  // No prices yet.
    Microcredits charges = 0;
    double at_prices = 0;
    for (const JointAward& award : clearing.awards) {
      charges += award.charge_microcredits;
      for (size_t r = 0; r < award.units.size(); ++r) {
        at_prices += static_cast<double>(award.units[r]) *
                     static_cast<double>(clearing.clearing_unit_prices_microcredits[r]);
      }
    }
    EXPECT_GT(at_prices, 500e6);
    EXPECT_GE(static_cast<double>(charges), 0.99 * at_prices) << work_max;
    EXPECT_LE(static_cast<double>(charges), 1.01 * at_prices) << work_max;
  }
}

// One charge that takes all the work there is must not leave the others without any: twice the work
// that all charges need is enough for nearly all of them, in whatever shares it is given.
TEST(Charges, ShareTheWorkThatIsLeft) {
  int64_t charges = 0;
  int64_t open = 0;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(200); seed < end; ++seed) {
    JointShape shape;
    shape.bids_max = 12;
    shape.grid_max = 60;
    const JointAuction auction = RandomJointAuction(shape, seed);
    JointVcgOptions options;
    options.work_max = 2 * ClearJointVcg(auction).value().work;
    const JointClearing clearing = ClearJointVcg(auction, options).value();
    ASSERT_EQ(BrokenPromise(auction, clearing), "") << Replay(seed, auction);
    ASSERT_LE(clearing.work, options.work_max + options.work_max / 8) << Replay(seed, auction);
    for (const JointAward& award : clearing.awards) {
      ++charges;
      open += award.charge_least_microcredits < award.charge_bound_microcredits;
    }
  }
  EXPECT_LE(open * 20, charges) << open << " of " << charges;
}

}  // namespace
}  // namespace nom::policies
