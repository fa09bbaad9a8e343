// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/joint/cell_scan.h"

#include <algorithm>

#include "policies/clearing/joint/kernels.h"

namespace nom::policies::joint {
namespace {

// Counted work.
constexpr int64_t kStepsATile = 3;
constexpr int64_t kStepsACell = 2;
constexpr int64_t kStepsAlone = 8;  // A cell that is looked at alone.

// No cell of the tile leaves more. In the order of ReducedGains, so that where doubles round, they
// round this bound no lower than a cell's own sum.
double TileBound(const Tile& tile, const Prices& prices, int resource_count) {
  double bound = tile.max_gain;
  for (size_t r = 0; r < static_cast<size_t>(resource_count); ++r) {
    bound -= prices[r] * tile.min_units[r];
  }
  return bound;
}

}  // namespace

double CellScan::Left(const CellList& list, uint32_t cell) const {
  context_.Spend(1, kStepsAlone);
  double left = 0;
  ReducedGains(list.gain.data() + cell, ColumnsFrom(list.units, cell), prices_.data(),
               context_.resource_count, 1, &left);
  return left;
}

uint32_t CellScan::Best(const CellList& list, double& best) {
  uint32_t cell = kLost;
  context_.Spend(list.tiles.size(), kStepsATile);
  for (const Tile& tile : list.tiles) {
    if (TileBound(tile, prices_, context_.resource_count) <= best) continue;
    const size_t count = FillLeft(list, tile);
    const double largest = Largest(left_.data(), count);
    if (largest <= best) continue;
    best = largest;
    const auto at = std::find(left_.begin(), left_.end(), largest);
    cell = tile.begin + static_cast<uint32_t>(at - left_.begin());
  }
  return cell;
}

bool CellScan::AddAtLeast(const CellList& list, double least, uint32_t bidder, size_t options_max,
                          Shortlist& shortlist) {
  const size_t before = shortlist.option_count();
  if (list.may_lose && least <= 0) shortlist.AddOption(0, {}, kLost);
  context_.Spend(list.tiles.size(), kStepsATile);
  for (const Tile& tile : list.tiles) {
    if (TileBound(tile, prices_, context_.resource_count) < least) continue;
    const size_t count = FillLeft(list, tile);
    for (size_t i = 0; i < count; ++i) {
      if (left_[i] < least) continue;
      const size_t cell = tile.begin + i;
      shortlist.AddOption(list.gain[cell], list.UnitsOf(cell), static_cast<uint32_t>(cell));
    }
    if (shortlist.option_count() > options_max) return false;
  }
  context_.Spend(shortlist.option_count() - before, Shortlist::kStepsToAdd);
  shortlist.CloseBidder(bidder);
  return true;
}

size_t CellScan::FillLeft(const CellList& list, const Tile& tile) {
  const size_t count = tile.end - tile.begin;
  left_.resize(count);
  context_.Spend(count, kStepsACell);
  ReducedGains(list.gain.data() + tile.begin, ColumnsFrom(list.units, tile.begin), prices_.data(),
               context_.resource_count, count, left_.data());
  return count;
}

}  // namespace nom::policies::joint
