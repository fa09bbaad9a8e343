// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/mpsp/normal_form.h"

#include <algorithm>

#include "policies/clearing/sellable.h"

namespace nom::policies {
namespace {

// Turns what can be sold of one bid into pieces.
class PieceBuilder {
 public:
  PieceBuilder(const Auction& auction, const Bid& bid, Int128 key_scale, Ties ties,
               std::vector<KeyPiece<Int128>>& pieces)
      : held_units_(bid.held_units),
        penalty_(auction.reclaim_penalty_microcredits),
        key_scale_(key_scale),
        key_a_kept_unit_(ties == Ties::kInKeys ? 1 : 0),
        pieces_(pieces) {}

  // Splits where the held units end: below, each unit saves the penalty.
  void Add(const NetRange& net) {
    if (net.max_units < net.min_units) return;
    if (net.min_units < held_units_ && held_units_ < net.max_units) {
      AddPiece(net, net.min_units, held_units_);
      AddPiece(net, held_units_ + 1, net.max_units);
    } else {
      AddPiece(net, net.min_units, net.max_units);
    }
  }

 private:
  void AddPiece(const NetRange& net, int64_t min_units, int64_t max_units) {
    const int64_t kept_units = std::min(held_units_, min_units);
    const Int128 gain = net.NetAt(min_units) + penalty_ * kept_units;
    Int128 slope = Int128{net.net_slope} * key_scale_;
    if (max_units <= held_units_) slope += penalty_ * key_scale_ + key_a_kept_unit_;
    pieces_.push_back({min_units, max_units, gain * key_scale_ + key_a_kept_unit_ * kept_units,
                       min_units == max_units ? 0 : slope});
  }

  const int64_t held_units_;
  const Int128 penalty_;
  const Int128 key_scale_;
  const Int128 key_a_kept_unit_;
  std::vector<KeyPiece<Int128>>& pieces_;
};

}  // namespace

NormalAuction Normalise(const Auction& auction, Ties ties) {
  Int128 held_units = 0;
  Int128 wanted_units = 0;
  size_t ranges = 0;
  for (const Bid& bid : auction.bids) {
    held_units += bid.held_units;
    ranges += bid.ranges.size();
    if (!bid.ranges.empty()) {
      wanted_units += std::min(bid.ranges.back().max_units, auction.capacity_units);
    }
  }
  NormalAuction normal;
  normal.key_scale =
      ties == Ties::kInKeys ? 1 + std::min<Int128>(held_units, auction.capacity_units) : 1;
  normal.capacity_units =
      static_cast<int64_t>(std::min<Int128>(wanted_units, auction.capacity_units));
  normal.bids.pieces.reserve(ranges);
  for (size_t index : InTieOrder(auction)) {
    const Bid& bid = auction.bids[index];
    const size_t before = normal.bids.pieces.size();
    PieceBuilder builder(auction, bid, normal.key_scale, ties, normal.bids.pieces);
    int64_t low = 1;
    for (const Range& range : bid.ranges) {
      builder.Add(CutToSellable(range, low, normal.capacity_units,
                                auction.reserve_unit_price_microcredits));
      low = range.max_units + 1;  // Where ranges touch, the shared quantity is in one piece only.
    }
    if (normal.bids.pieces.size() > before) normal.bids.EndBid(index);
  }
  return normal;
}

}  // namespace nom::policies
