// SPDX-License-Identifier: Apache-2.0
// Looking through the cells of a bidder at given prices, tile by tile. Inside
// policies/clearing/joint only.

#ifndef NOM_POLICIES_CLEARING_JOINT_CELL_SCAN_H_
#define NOM_POLICIES_CLEARING_JOINT_CELL_SCAN_H_

#include <cstdint>
#include <vector>

#include "policies/clearing/joint/cells.h"
#include "policies/clearing/joint/context.h"
#include "policies/clearing/joint/shortlist.h"

namespace nom::policies::joint {

// What a cell *leaves* at prices is its gain less what its units cost: gain - prices * units. What
// a whole tile can leave is bounded by its highest gain and its fewest units, so most tiles are
// passed over with one comparison.
class CellScan {
 public:
  // Both must outlive this; `prices` must be rounded.
  CellScan(Context& context, const Prices& prices) : context_(context), prices_(prices) {}

  // What one cell of the list leaves.
  double Left(const CellList& list, uint32_t cell) const;

  // The cell that leaves most, if it leaves more than `best`, which then becomes what it leaves;
  // else kLost.
  uint32_t Best(const CellList& list, double& best);

  // Adds the cells that leave `least` or more to the shortlist, as options of `bidder`; not winning
  // leaves 0 and is added too, where the list allows it. False if the shortlist then has more than
  // `options_max`: it is of no use any more.
  bool AddAtLeast(const CellList& list, double least, uint32_t bidder, size_t options_max,
                  Shortlist& shortlist);

 private:
  // Fills left_ for the cells of the tile, and gives their number.
  size_t FillLeft(const CellList& list, const Tile& tile);

  Context& context_;
  const Prices& prices_;
  std::vector<double> left_;
};

}  // namespace nom::policies::joint

#endif  // NOM_POLICIES_CLEARING_JOINT_CELL_SCAN_H_
