// SPDX-License-Identifier: Apache-2.0
#include "bench/policies/joint_joins.h"

#include <algorithm>

#include "policies/clearing/joint/cells.h"
#include "policies/clearing/joint/kernels.h"

namespace nom::policies {
namespace {

using Table = std::vector<double>;

class Grid {
 public:
  explicit Grid(const JointAuction& auction) {
    for (size_t r = kJointResourcesMax; r-- > 0;) {
      edges_[r] = static_cast<int32_t>(auction.capacity_units[r]) + 1;
      strides_[r] = size_;
      size_ *= static_cast<size_t>(edges_[r]);
    }
    inner_ = static_cast<size_t>(auction.resource_count) - 1;
  }

  size_t size() const { return size_; }

  // out[u] = max(in[u], max over cells a <= u of in[u - a] + gain(a)).
  void Join(const Table& in, const joint::CellList& list, Table& out) const {
    out = in;
    for (size_t cell = 0; cell < list.size(); ++cell) {
      const joint::Units a = list.UnitsOf(cell);
      const auto run = static_cast<size_t>(edges_[inner_] - a[inner_]);
      const size_t shift = IndexOf(a);
      joint::Units u = {};
      do {
        const size_t from = IndexOf(u);
        joint::MaxPlus(out.data() + from + shift, in.data() + from, list.gain[cell], run);
      } while (Next(u, a));
    }
  }

 private:
  size_t IndexOf(const joint::Units& u) const {
    size_t index = 0;
    for (size_t r = 0; r < u.size(); ++r) index += static_cast<size_t>(u[r]) * strides_[r];
    return index;
  }
  // The next row, of those that a shift by `a` keeps inside.
  bool Next(joint::Units& u, const joint::Units& a) const {
    for (size_t r = inner_; r-- > 0;) {
      if (++u[r] + a[r] < edges_[r]) return true;
      u[r] = 0;
    }
    return false;
  }

  std::array<int32_t, kJointResourcesMax> edges_ = {};
  std::array<size_t, kJointResourcesMax> strides_ = {};
  size_t size_ = 1;
  size_t inner_ = 0;
};

}  // namespace

Joins ClearByJoins(const JointAuction& auction, const std::vector<GuestId>& winners) {
  const Grid grid(auction);
  std::vector<joint::CellList> lists;
  for (const JointBid& bid : auction.bids) {
    lists.push_back(joint::MakeCells(auction, bid, joint::Values::kAsBid).value());
  }
  std::vector<Table> prefixes(lists.size() + 1, Table(grid.size(), 0));
  for (size_t i = 0; i < lists.size(); ++i) grid.Join(prefixes[i], lists[i], prefixes[i + 1]);
  Joins joins;
  joins.gain = static_cast<Microcredits>(prefixes.back().back());
  joins.without.resize(winners.size());
  Table suffix(grid.size(), 0);
  Table next;
  for (size_t i = lists.size(); i-- > 0;) {
    const auto winner = std::find(winners.begin(), winners.end(), auction.bids[i].guest_id);
    if (winner != winners.end()) {
      // The grid read backwards is the grid of what is left.
      double best = 0;
      for (size_t u = 0; u < grid.size(); ++u) {
        best = std::max(best, prefixes[i][u] + suffix[grid.size() - 1 - u]);
      }
      joins.without[static_cast<size_t>(winner - winners.begin())] =
          static_cast<Microcredits>(best);
    }
    grid.Join(suffix, lists[i], next);
    std::swap(suffix, next);
  }
  return joins;
}

}  // namespace nom::policies
