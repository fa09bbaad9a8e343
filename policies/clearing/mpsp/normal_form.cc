#include "policies/clearing/mpsp/normal_form.h"

#include <algorithm>

namespace nom::policies {
namespace {

struct NetRange {  // Value above the reserve, in a range where it is at least 0.
  int64_t min_units;
  int64_t max_units;
  Int128 net_at_min;
  Int128 net_slope;
};

// Cuts a range down to the quantities from `low` to `high` that are worth the reserve. Empty if
// max_units < min_units.
NetRange CutToSellable(const Range& range, int64_t low, int64_t high, Microcredits reserve) {
  const bool is_step = range.min_units == range.max_units;
  NetRange net{std::max(range.min_units, low), std::min(range.max_units, high), 0,
               is_step ? Int128{0} : Int128{range.unit_price_microcredits} - reserve};
  if (net.max_units < net.min_units) return net;
  net.net_at_min = Int128{range.value_at_min_microcredits} - Int128{range.min_units} * reserve +
                   (net.min_units - range.min_units) * net.net_slope;
  if (net.net_slope > 0 && net.net_at_min < 0) {
    const Int128 skip = -FloorDivide(net.net_at_min, net.net_slope);
    if (skip > net.max_units - net.min_units) return {1, 0, 0, 0};
    net.min_units += static_cast<int64_t>(skip);
    net.net_at_min += skip * net.net_slope;
  } else if (net.net_at_min < 0) {
    return {1, 0, 0, 0};
  } else if (net.net_slope < 0) {
    const Int128 reach = net.net_at_min / -net.net_slope;
    if (reach < net.max_units - net.min_units) {
      net.max_units = net.min_units + static_cast<int64_t>(reach);
    }
  }
  return net;
}

class PieceBuilder {
 public:
  PieceBuilder(int64_t held_units, Int128 penalty, Int128 key_scale, Ties ties)
      : held_units_(held_units),
        penalty_(penalty),
        key_scale_(key_scale),
        key_a_kept_unit_(ties == Ties::kInKeys ? 1 : 0) {}

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

  std::vector<Piece> Take() { return std::move(pieces_); }

 private:
  void AddPiece(const NetRange& net, int64_t min_units, int64_t max_units) {
    const Int128 gain = net.net_at_min + (min_units - net.min_units) * net.net_slope +
                        penalty_ * std::min(held_units_, min_units);
    const bool below_held = max_units <= held_units_;
    const Int128 slope = (net.net_slope + (below_held ? penalty_ : 0)) * key_scale_ +
                         (below_held ? key_a_kept_unit_ : 0);
    const Int128 kept = key_a_kept_unit_ * std::min(held_units_, min_units);
    pieces_.push_back(
        {min_units, max_units, gain * key_scale_ + kept, min_units == max_units ? 0 : slope});
  }

  const int64_t held_units_;
  const Int128 penalty_;
  const Int128 key_scale_;
  const Int128 key_a_kept_unit_;
  std::vector<Piece> pieces_;
};

// One bid, cut to quantities that there are.
std::vector<Piece> NormalPieces(const Auction& auction, const Bid& bid, const NormalAuction& normal,
                                Ties ties) {
  PieceBuilder builder(bid.held_units, auction.reclaim_penalty_microcredits, normal.key_scale,
                       ties);
  int64_t low = 1;
  for (const Range& range : bid.ranges) {
    builder.Add(
        CutToSellable(range, low, normal.capacity_units, auction.reserve_unit_price_microcredits));
    low = range.max_units + 1;  // Where ranges touch, the shared quantity is in one piece only.
  }
  return builder.Take();
}

}  // namespace

NormalAuction Normalise(const Auction& auction, Ties ties) {
  NormalAuction normal;
  Int128 held_units = 0;
  Int128 wanted_units = 0;
  for (const Bid& bid : auction.bids) {
    held_units += bid.held_units;
    if (!bid.ranges.empty()) {
      wanted_units += std::min(bid.ranges.back().max_units, auction.capacity_units);
    }
  }
  normal.base = Int128{auction.capacity_units} * auction.reserve_unit_price_microcredits -
                held_units * auction.reclaim_penalty_microcredits;
  normal.key_scale =
      ties == Ties::kInKeys ? 1 + std::min<Int128>(held_units, auction.capacity_units) : 1;
  normal.capacity_units =
      static_cast<int64_t>(std::min<Int128>(wanted_units, auction.capacity_units));
  for (size_t index : InTieOrder(auction)) {
    NormalBid bid{index, NormalPieces(auction, auction.bids[index], normal, ties)};
    if (!bid.pieces.empty()) normal.bids.push_back(std::move(bid));
  }
  return normal;
}

}  // namespace nom::policies
