// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/concave/hull.h"

#include <algorithm>
#include <array>
#include <limits>

#include "policies/clearing/sellable.h"

namespace nom::policies {
namespace {

// Gain is 64 bits wide where that is enough (FitsIn64Bits): most auctions, and much faster.
template <typename Gain>
struct Corner {
  int64_t units = 0;
  Gain gain = 0;
};

// Calls visit(units, gain) for quantities by rising units: the ends of everything that is a
// straight line. Those with the largest gain are among them.
template <typename Gain, typename Visit>
void VisitCorners(const Auction& auction, const Bid& bid, int64_t units_max, const Visit& visit) {
  const Gain penalty = auction.reclaim_penalty_microcredits;
  const auto gain_at = [&](const NetRange& net, int64_t units) {
    return Gain{net.NetAt(units)} + penalty * static_cast<Gain>(std::min(bid.held_units, units));
  };
  int64_t low = 1;
  for (const Range& range : bid.ranges) {
    if (range.min_units > units_max) return;
    const NetRange net =
        CutToSellable(range, low, units_max, auction.reserve_unit_price_microcredits);
    low = range.max_units + 1;  // Where ranges touch, the shared quantity is seen once.
    if (net.max_units < net.min_units) continue;
    visit(net.min_units, gain_at(net, net.min_units));
    // Above what is held, units save no penalty.
    if (net.min_units < bid.held_units && bid.held_units < net.max_units) {
      visit(bid.held_units, gain_at(net, bid.held_units));
    }
    if (net.min_units < net.max_units) visit(net.max_units, gain_at(net, net.max_units));
  }
}

// Products of a gain below 2^62 and units need 128 bits, but only one multiplication; of a gain
// below 2^76 no more than 101.
template <typename Gain>
bool IsAboveChord(const Corner<Gain>& a, const Corner<Gain>& b, const Corner<Gain>& c) {
  return Int128{b.gain - a.gain} * (c.units - a.units) >
         Int128{c.gain - a.gain} * (b.units - a.units);
}

template <typename Gain>
class Maker {
 public:
  explicit Maker(const Auction& auction) : auction_(auction) {}

  Hull Make() {
    Hull hull;
    size_t ranges = 0;
    for (const Bid& bid : auction_.bids) ranges += bid.ranges.size();
    hull.first_part.reserve(auction_.bids.size() + 1);
    for (auto* column : {&hull.units, &hull.rest}) column->reserve(ranges);
    hull.slope.reserve(ranges);
    for (const Bid& bid : auction_.bids) {
      hull.first_part.push_back(static_cast<uint32_t>(hull.slope.size()));
      Append(bid, hull);
    }
    hull.first_part.push_back(static_cast<uint32_t>(hull.slope.size()));
    return hull;
  }

 private:
  void Append(const Bid& bid, Hull& hull) {
    size_t last = 0;  // corners_[0] is no units at no gain.
    VisitCorners<Gain>(auction_, bid, auction_.capacity_units, [&](int64_t units, Gain gain) {
      const Corner<Gain> corner{units, gain};
      while (last > 0 && !IsAboveChord(corners_[last - 1], corners_[last], corner)) --last;
      corners_[++last] = corner;
    });
    for (size_t i = 1; i <= last && corners_[i].gain >= corners_[i - 1].gain; ++i) {
      const int64_t units = corners_[i].units - corners_[i - 1].units;
      const Gain gain = corners_[i].gain - corners_[i - 1].gain;
      const auto slope = static_cast<Microcredits>(gain / units);
      hull.slope.push_back(slope);
      hull.units.push_back(static_cast<int32_t>(units));
      hull.rest.push_back(static_cast<int32_t>(gain - Gain{slope} * units));
    }
  }

  const Auction& auction_;
  std::array<Corner<Gain>, 3 * kRangesMax + 1> corners_ = {};
};

// A gain is at most a value and the penalty for all units held and sold.
bool FitsIn64Bits(const Auction& auction) {
  return Int128{auction.reclaim_penalty_microcredits} * auction.capacity_units < (Int128{1} << 61);
}

}  // namespace

Hull MakeHull(const Auction& auction) {
  return FitsIn64Bits(auction) ? Maker<int64_t>(auction).Make() : Maker<Int128>(auction).Make();
}

int64_t BestGainWithin(const Auction& auction, const Bid& bid, int64_t units_max) {
  int64_t best_units = 0;
  Int128 best = 0;
  VisitCorners<Int128>(auction, bid, std::min(units_max, auction.capacity_units),
                       [&](int64_t units, Int128 gain) {
                         if (gain <= best) return;
                         best = gain;
                         best_units = units;
                       });
  return best_units;
}

}  // namespace nom::policies
