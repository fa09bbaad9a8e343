// SPDX-License-Identifier: Apache-2.0
// Cells against their definition, bundle by bundle.

#include "policies/clearing/joint/cells.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "policies/clearing/joint/joint_vcg.h"
#include "tests/referee/joint_promises.h"
#include "tests/referee/random_joint_auction.h"

namespace nom::policies::joint {
namespace {

using GainByUnits = std::map<UnitVector, Microcredits>;

bool IsWithin(const UnitVector& a, const UnitVector& b) {
  for (size_t r = 0; r < a.size(); ++r) {
    if (a[r] > b[r]) return false;
  }
  return true;
}

// Every bundle within the capacity that can be sold and gains something.
GainByUnits AllCells(const JointAuction& auction, const JointBid& bid, Values values) {
  GainByUnits gains;
  UnitVector units = {};
  for (;;) {
    size_t r = 0;
    while (r < units.size() && ++units[r] > auction.capacity_units[r]) units[r++] = 0;
    if (r == units.size()) return gains;
    const auto value = ValueOf(bid, units);
    const Microcredits at_reserve = AtReserve(auction, units);
    if (!value.has_value() || *value < at_reserve) continue;
    Microcredits gain = values == Values::kAsBid ? *value - at_reserve : 0;
    for (size_t i = 0; i < units.size(); ++i) {
      gain += std::min(units[i], bid.held_units[i]) * auction.reclaim_penalties_microcredits[i];
    }
    if (gain > 0) gains[units] = gain;
  }
}

GainByUnits UndominatedCells(const JointAuction& auction, const JointBid& bid, Values values) {
  const GainByUnits all = AllCells(auction, bid, values);
  GainByUnits kept;
  for (const auto& one : all) {
    const bool is_dominated = std::any_of(all.begin(), all.end(), [&](const auto& other) {
      return other.first != one.first && IsWithin(other.first, one.first) &&
             other.second >= one.second;
    });
    if (!is_dominated) kept.insert(one);
  }
  return kept;
}

GainByUnits AsMap(const CellList& list) {
  GainByUnits gains;
  for (size_t cell = 0; cell < list.size(); ++cell) {
    UnitVector units;
    for (size_t r = 0; r < units.size(); ++r) units[r] = list.units[r][cell];
    gains[units] = static_cast<Microcredits>(list.gain[cell]);
  }
  EXPECT_EQ(gains.size(), list.size()) << "a bundle is there twice";
  return gains;
}

// Tiles are one after the other, all cells are in one, and bound them.
void CheckTiles(const CellList& list) {
  uint32_t end = 0;
  for (const Tile& tile : list.tiles) {
    ASSERT_EQ(tile.begin, end);
    ASSERT_GT(tile.end, tile.begin);
    end = tile.end;
    double most = 0;
    for (size_t cell = tile.begin; cell < tile.end; ++cell) {
      most = std::max(most, list.gain[cell]);
      for (size_t r = 0; r < tile.min_units.size(); ++r) {
        ASSERT_LE(tile.min_units[r], list.units[r][cell]);
      }
    }
    ASSERT_EQ(tile.max_gain, most);
  }
  ASSERT_EQ(end, list.size());
}

TEST(Cells, AreTheUndominatedBundlesAndNoOthers) {
  std::map<std::string, int64_t> seen;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(2'000); seed < end; ++seed) {
    JointShape shape;
    shape.grid_max = seed % 10 == 0 ? 200 : 40;
    const JointAuction auction = RandomJointAuction(shape, seed);
    for (const JointBid& bid : auction.bids) {
      for (const Values values : {Values::kAsBid, Values::kAtReserve}) {
        const auto list = MakeCells(auction, bid, values);
        ASSERT_TRUE(list.ok()) << list.status();
        const GainByUnits expected = UndominatedCells(auction, bid, values);
        ASSERT_EQ(AsMap(*list), expected) << "guest " << bid.guest_id << Replay(seed, auction);
        ASSERT_TRUE(list->may_lose);
        CheckTiles(*list);
        if (HasFatalFailure()) FAIL() << Replay(seed, auction);
        const std::string kind = bid.curves.has_value()
                                     ? std::to_string(static_cast<int>(bid.curves->combination))
                                     : "bundles";
        seen[kind + (values == Values::kAsBid ? "" : " at the reserve")] +=
            static_cast<int64_t>(expected.size());
      }
    }
  }
  if (CountOr(2'000) < 2'000) return;  // A replay need not have seen everything.
  EXPECT_EQ(seen.size(), 10U);
  for (const auto& [kind, cells] : seen) EXPECT_GT(cells, 100) << kind;
}

TEST(Cells, RestrictKeepsWhatLiesBetween) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    JointShape shape;
    shape.grid_max = 150;
    const JointAuction auction = RandomJointAuction(shape, seed);
    TestRandom random(seed);
    for (const JointBid& bid : auction.bids) {
      const CellList list = MakeCells(auction, bid, Values::kAsBid).value();
      const int r = static_cast<int>(random.Between(0, auction.resource_count - 1));
      const auto low = static_cast<int32_t>(random.Between(0, 4));
      const auto high = static_cast<int32_t>(random.Between(low, 8));
      const CellList part = Restrict(list, r, low, high);
      GainByUnits expected = AsMap(list);
      std::erase_if(expected, [&](const auto& cell) {
        const int64_t units = cell.first[static_cast<size_t>(r)];
        return units < low || units > high;
      });
      ASSERT_EQ(AsMap(part), expected);
      ASSERT_EQ(part.may_lose, low == 0);
      CheckTiles(part);
      if (HasFatalFailure()) FAIL() << Replay(seed, auction);
    }
  }
}

// Many bids for few units: far more than can win, so most are left out. For the charges it takes as
// many bids more than can win as one owner has.
TEST(Cells, KeepHighestPerBundleChangesNoChargeAndNoWelfare) {
  int64_t left_out = 0;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(2'000); seed < end; ++seed) {
    TestRandom random(seed);
    JointAuction auction;
    auction.resource_count = static_cast<int>(random.Between(1, 3));
    auction.seed = seed;
    int64_t units_sum = 0;
    for (size_t r = 0; r < static_cast<size_t>(auction.resource_count); ++r) {
      auction.capacity_units[r] = units_sum < 3 ? random.Between(r == 0 ? 1 : 0, 2) : 0;
      units_sum += auction.capacity_units[r];
      if (random.OneIn(2)) auction.reclaim_penalties_microcredits[r] = random.Between(0, 3);
    }
    const int64_t money = random.OneIn(3) ? 1'000'000 : 12;
    for (GuestId guest = 1; guest <= 9; ++guest) {
      JointBid bid;
      bid.guest_id = guest;
      for (int64_t i = random.Between(1, 2); i > 0; --i) {
        Bundle bundle;
        for (size_t r = 0; r < bundle.units.size(); ++r) {
          bundle.units[r] = random.Between(0, std::min<int64_t>(1, auction.capacity_units[r]));
        }
        bundle.value_microcredits = random.Between(1, money);
        const bool is_new = bundle.units != UnitVector{} &&
                            (bid.bundles.empty() || bid.bundles[0].units != bundle.units);
        if (is_new) bid.bundles.push_back(bundle);
      }
      if (random.OneIn(6)) bid.held_units[0] = 1;
      if (seed % 2 == 0) bid.owner_id = static_cast<uint64_t>(random.Between(0, 2));
      auction.bids.push_back(bid);
    }
    std::vector<CellList> lists;
    size_t before = 0;
    for (const JointBid& bid : auction.bids) {
      lists.push_back(MakeCells(auction, bid, Values::kAsBid).value());
      before += lists.back().size();
    }
    KeepHighestPerBundle(auction, 1, lists);
    size_t after = 0;
    for (const CellList& list : lists) {
      CheckTiles(list);
      after += list.size();
    }
    left_out += static_cast<int64_t>(before - after);
    const auto clearing = ClearJointVcg(auction);
    ASSERT_TRUE(clearing.ok()) << clearing.status();
    ASSERT_EQ(DifferenceFromExhaustive(auction, *clearing), "") << Replay(seed, auction);
  }
  EXPECT_GT(left_out, static_cast<int64_t>(CountOr(2'000)));
}

TEST(Cells, MoreThanABidMayGainIsRefused) {
  JointAuction auction;
  auction.capacity_units[0] = 1;
  auction.reclaim_penalties_microcredits[0] = kJointGainMax - kValueMaxMicrocredits;
  auction.bids.resize(1);
  auction.bids[0].guest_id = 7;
  auction.bids[0].held_units[0] = 1;
  EXPECT_TRUE(MakeCells(auction, auction.bids[0], Values::kAsBid).ok());
  ++auction.reclaim_penalties_microcredits[0];
  const auto refused = MakeCells(auction, auction.bids[0], Values::kAsBid);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_NE(refused.status().message().find("guest 7"), std::string::npos);
  EXPECT_EQ(ClearJointVcg(auction).status(), refused.status());
}

}  // namespace
}  // namespace nom::policies::joint
