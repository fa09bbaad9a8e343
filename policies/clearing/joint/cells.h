// SPDX-License-Identifier: Apache-2.0
// The bundles of each bid that can matter, laid out for fast looking. Inside
// policies/clearing/joint only.
//
// A cell is one bundle of one bid with its gain, what it adds to W above the state in which nobody
// wins anything and every holder loses everything:
//
//   gain(a) = value(a) - sum_r reserve_r * a_r + sum_r reclaim_penalty_r * min(held_r, a_r)
//
// Not winning is a gain of 0 and no units; it is not among the cells. A cell is dominated, and left
// out, if another of the same bid needs no more of anything and gains no less.

#ifndef NOM_POLICIES_CLEARING_JOINT_CELLS_H_
#define NOM_POLICIES_CLEARING_JOINT_CELLS_H_

#include <array>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "policies/clearing/joint/joint_auction.h"

namespace nom::policies::joint {

using Units = std::array<int32_t, kJointResourcesMax>;

// Neighbouring cells of one list: no cell in it gains more, or needs less of anything.
struct Tile {
  uint32_t begin = 0;
  uint32_t end = 0;
  double max_gain = 0;
  Units min_units = {};
};

// Gains are whole numbers below 2^53, so exact as doubles.
struct CellList {
  std::vector<double> gain;
  std::array<std::vector<int32_t>, kJointResourcesMax> units;
  std::vector<Tile> tiles;
  int64_t steps = 0;     // Counted work that making it took.
  bool may_lose = true;  // Not winning is allowed too: true but for nodes of a search.

  size_t size() const { return gain.size(); }
  Units UnitsOf(size_t cell) const {
    Units out;
    for (size_t r = 0; r < out.size(); ++r) out[r] = units[r][cell];
    return out;
  }
  void Add(double cell_gain, const Units& cell_units);
  // Ends the tile of the cells added since the last call.
  void CloseTile();
};

enum class Values {
  kAsBid,
  kAtReserve,  // Every bundle that could be sold is worth just the reserves: "without i".
};

// Undominated cells within the capacity that gain something. `auction` must be valid. Errors:
// OUT_OF_RANGE if the bid can gain more than kJointGainMax.
absl::StatusOr<CellList> MakeCells(const JointAuction& auction, const JointBid& bid, Values values);

// Leaves out what no best allocation needs, with everybody or with at most `changed_max` lists
// changed for others. At most M = sum of capacities bids can win. So if more than M + changed_max
// bids offer for one and the same bundle, those beyond the M + changed_max highest never win it: of
// the higher ones that were not changed at least M are left, and at most M - 1 of them win
// anything, so some loser could have it for no less. (Equal ones stay.) Does nothing where that
// can't help or the grid is large. Returns the counted work that it took.
int64_t KeepHighestPerBundle(const JointAuction& auction, int64_t changed_max,
                             std::vector<CellList>& lists);

// The part of `list` whose units of resource `r` are in [low, high]; may_lose only if low is 0.
CellList Restrict(const CellList& list, int r, int32_t low, int32_t high);

}  // namespace nom::policies::joint

#endif  // NOM_POLICIES_CLEARING_JOINT_CELLS_H_
