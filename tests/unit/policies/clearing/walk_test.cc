// SPDX-License-Identifier: Apache-2.0
// The numbers of policies/clearing/README.md, which walks one auction through the files.

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "policies/clearing/concave/concave_bids.h"
#include "policies/clearing/mpsp.h"
#include "policies/clearing/mpsp/branch_and_bound.h"
#include "policies/clearing/mpsp/normal_form.h"
#include "policies/clearing/mpsp/relaxation.h"
#include "policies/clearing/mpsp/solver.h"
#include "policies/clearing/work.h"

namespace nom::policies {
namespace {

Auction WorkedExample() {
  Auction auction;
  auction.capacity_units = 10;
  auction.reserve_unit_price_microcredits = 2;
  auction.seed = 1;
  auction.bids = {
      {1, {{1, 4, 20, 20}, {4, 8, 80, 6}}}, {2, {{1, 6, 10, 10}}}, {3, {{5, 5, 45, 0}}}};
  return auction;
}

// The bids in the order of guests, whatever the order of ties is.
KeyBids<int64_t> KeysByGuest(const Auction& auction) {
  const KeyBids<int64_t> in_tie_order = Narrow(Normalise(auction).bids);
  KeyBids<int64_t> by_guest;
  for (size_t guest = 0; guest < auction.bids.size(); ++guest) {
    for (size_t place = 0; place < in_tie_order.size(); ++place) {
      if (in_tie_order.origin[place] != guest) continue;
      const auto pieces = in_tie_order.PiecesOf(place);
      by_guest.pieces.insert(by_guest.pieces.end(), pieces.begin(), pieces.end());
      by_guest.EndBid(guest);
    }
  }
  return by_guest;
}

struct Numbers {
  int64_t a, b, c, d;
  friend bool operator==(const Numbers&, const Numbers&) = default;
};

TEST(Walk, PiecesCountGainsAboveTheReserve) {
  std::vector<Numbers> pieces;
  for (const auto& p : KeysByGuest(WorkedExample()).pieces) {
    pieces.push_back({p.min_units, p.max_units, p.key_at_min, p.key_slope});
  }
  EXPECT_EQ(pieces,
            (std::vector<Numbers>{{1, 4, 18, 18}, {5, 8, 76, 4}, {1, 6, 8, 8}, {5, 5, 35, 0}}));
  EXPECT_FALSE(ClearConcave(WorkedExample(), /*with_charges=*/true).has_value());
}

TEST(Walk, PartsSteepestFirst) {
  std::vector<Numbers> parts;
  for (const auto& part : PartsOf(KeysByGuest(WorkedExample()))) {
    parts.push_back(
        {static_cast<int64_t>(part.bid) + 1, part.units, part.key, part.key / part.units});
  }
  EXPECT_EQ(parts,
            (std::vector<Numbers>{{1, 4, 72, 18}, {2, 6, 48, 8}, {3, 5, 35, 7}, {1, 4, 16, 4}}));
}

TEST(Walk, TheSolutionAndEachAbsence) {
  const KeyBids<int64_t> bids = KeysByGuest(WorkedExample());
  Absences<int64_t> absences;
  absences.pieces_without = [](size_t) { return std::vector<KeyPiece<int64_t>>(); };
  Work work = Work::Unlimited();
  const auto solution = SolveByBranchAndBound(bids, PartsOf(bids), 10, absences, work);
  ASSERT_TRUE(solution.has_value());
  EXPECT_EQ(solution->units, (std::vector<int64_t>{4, 6, 0}));
  EXPECT_EQ(solution->best, 120);
  EXPECT_EQ(solution->best_of_one_less, 112);
  EXPECT_EQ(solution->without, (std::vector<int64_t>{75, 111, 0}));
}

// As good as 120 with five lots for guest 3? The best of these is 115.
TEST(Walk, WhatIsNotAsGood) {
  Auction auction = WorkedExample();
  auction.capacity_units = 5;
  auction.bids.pop_back();
  const auto rest = ClearMpsp(auction);
  ASSERT_TRUE(rest.ok());
  EXPECT_EQ(35 + rest->welfare_microcredits - 2 * 5, 115);
}

TEST(Walk, ChargesAndPrice) {
  const auto clearing = ClearMpsp(WorkedExample());
  ASSERT_TRUE(clearing.ok()) << clearing.status();
  EXPECT_EQ(clearing->awards, (std::vector<Award>{{1, 4, 35}, {2, 6, 51}}));
  EXPECT_EQ(clearing->welfare_microcredits, 140);
  EXPECT_EQ(clearing->clearing_unit_price_microcredits, 10);
  EXPECT_EQ(clearing->highest_rejected_unit_price_microcredits, 9);
  EXPECT_EQ(clearing->bound_by, BoundBy::kBids);
}

}  // namespace
}  // namespace nom::policies
