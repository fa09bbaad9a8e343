// joint_vcg against exhaustive search: W, every charge, and the promises of joint_auction.h.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "policies/cases/joint_case_file.h"
#include "policies/clearing/joint/joint_exhaustive.h"
#include "policies/clearing/joint/joint_vcg.h"
#include "tests/referee/random_joint_auction.h"

namespace nom::policies {
namespace {

// Small money and grids are quick, so many fit.
constexpr uint64_t kAuctions = 20'000;

std::string Replay(uint64_t seed, const JointAuction& auction) {
  return "replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1\n" + ToText(auction);
}

// Every promise that needs no referee. Returns the units parallel to auction.bids.
std::vector<UnitVector> CheckPromises(const JointAuction& auction, const JointClearing& clearing) {
  std::vector<UnitVector> units(auction.bids.size());
  GuestId last = 0;
  for (const JointAward& award : clearing.awards) {
    EXPECT_GT(award.guest_id, last);
    last = award.guest_id;
    const auto bid = std::find_if(auction.bids.begin(), auction.bids.end(),
                                  [&](const JointBid& b) { return b.guest_id == award.guest_id; });
    if (bid == auction.bids.end()) {
      ADD_FAILURE() << "guest " << award.guest_id << " never bid";
      continue;
    }
    units[static_cast<size_t>(bid - auction.bids.begin())] = award.units;
    EXPECT_NE(award.units, UnitVector{});
    Microcredits at_reserve = 0;
    for (size_t r = 0; r < award.units.size(); ++r) {
      at_reserve += award.units[r] * auction.reserve_unit_prices_microcredits[r];
    }
    EXPECT_GE(award.charge_microcredits, at_reserve) << award.guest_id;
    EXPECT_LE(award.charge_microcredits, award.charge_bound_microcredits) << award.guest_id;
    EXPECT_LE(award.charge_bound_microcredits, ValueOf(*bid, award.units).value_or(-1))
        << award.guest_id;
  }
  const auto welfare = JointWelfare(auction, units);
  EXPECT_TRUE(welfare.ok()) << welfare.status();
  EXPECT_EQ(welfare.value_or(-1), clearing.welfare_microcredits);
  EXPECT_LE(clearing.welfare_microcredits, clearing.welfare_bound_microcredits);
  return units;
}

void CheckAgainstReferee(const JointAuction& auction, const JointVcgOptions& options) {
  const auto clearing = ClearJointVcg(auction, options);
  ASSERT_TRUE(clearing.ok()) << clearing.status();
  const std::vector<UnitVector> units = CheckPromises(auction, *clearing);
  const auto largest = LargestJointWelfare(auction, -1);
  ASSERT_TRUE(largest.ok()) << largest.status();
  ASSERT_EQ(clearing->welfare_microcredits, *largest);
  ASSERT_EQ(clearing->welfare_bound_microcredits, *largest);
  ASSERT_TRUE(clearing->charges_are_exact);
  for (size_t i = 0; i < units.size(); ++i) {
    if (units[i] == UnitVector{}) continue;
    const JointBid& bid = auction.bids[i];
    Microcredits at_reserve = 0;
    for (size_t r = 0; r < units[i].size(); ++r) {
      at_reserve += units[i][r] * auction.reserve_unit_prices_microcredits[r];
    }
    const auto without = LargestJointWelfare(auction, static_cast<int>(i));
    ASSERT_TRUE(without.ok());
    const Microcredits charge =
        at_reserve + *without - (*largest - (*ValueOf(bid, units[i]) - at_reserve));
    const auto award =
        std::find_if(clearing->awards.begin(), clearing->awards.end(),
                     [&](const JointAward& a) { return a.guest_id == bid.guest_id; });
    ASSERT_EQ(award->charge_microcredits, charge) << "guest " << bid.guest_id;
  }
}

// Both ways of dividing are for problems far too large for this referee, unless they are forced.
JointVcgOptions OptionsFor(uint64_t seed) {
  JointVcgOptions options;
  if (seed % 3 == 1) options.core_cells = 3;
  if (seed % 3 == 2) options.core_cells = 12;
  if (seed % 2 == 1) options.box_work = 1;
  return options;
}

TEST(JointRules, EqualTheExhaustiveReferee) {
  int64_t winners = 0;
  int64_t skipped = 0;
  for (uint64_t seed = FirstSeed(); seed < FirstSeed() + CountOr(kAuctions); ++seed) {
    const JointAuction auction = RandomJointAuction({}, seed);
    if (!LargestJointWelfare(auction, -1).ok()) {
      ++skipped;
      continue;
    }
    CheckAgainstReferee(auction, OptionsFor(seed));
    if (HasFailure()) FAIL() << Replay(seed, auction);
    winners += static_cast<int64_t>(ClearJointVcg(auction)->awards.size());
  }
  EXPECT_LT(skipped * 10, static_cast<int64_t>(CountOr(kAuctions)));
  EXPECT_GE(winners * 2, static_cast<int64_t>(CountOr(kAuctions)) - 10);
}

TEST(JointRules, TheOrderOfBidsIsIrrelevant) {
  JointShape shape;
  shape.bids_max = 12;
  shape.grid_max = 64;
  for (uint64_t seed = FirstSeed(); seed < FirstSeed() + CountOr(kAuctions / 10); ++seed) {
    JointAuction auction = RandomJointAuction(shape, seed);
    const auto clearing = ClearJointVcg(auction);
    ASSERT_TRUE(clearing.ok()) << clearing.status() << Replay(seed, auction);
    std::reverse(auction.bids.begin(), auction.bids.end());
    const auto reversed = ClearJointVcg(auction);
    ASSERT_TRUE(reversed.ok());
    ASSERT_EQ(*clearing, *reversed) << Replay(seed, auction);
  }
}

}  // namespace
}  // namespace nom::policies
