#include "policies/clearing/mpsp.h"

#include <algorithm>

#include "policies/clearing/concave.h"
#include "policies/clearing/int128.h"
#include "policies/clearing/normal_form.h"
#include "policies/clearing/outcome.h"
#include "policies/clearing/vcg_tables.h"

namespace nom::policies {
namespace {

KeyBids<Int128> ToKeyBids(const NormalAuction& normal) {
  KeyBids<Int128> bids;
  for (size_t place = 0; place < normal.bids.size(); ++place) {
    const std::vector<Piece>& pieces = normal.bids[place].pieces;
    bids.pieces.insert(bids.pieces.end(), pieces.begin(), pieces.end());
    bids.EndBid(place);
  }
  return bids;
}

// What a winner counts for in "W without it": it keeps its quantities and its penalty. Ties don't
// matter there, but the scale must match the other keys'.
template <typename Key>
std::vector<KeyPiece<Key>> ScaledPiecesWithoutValue(const Auction& auction,
                                                    const NormalAuction& normal, size_t place) {
  const NormalBid& bid = normal.bids[place];
  std::vector<KeyPiece<Key>> scaled;
  if (auction.reclaim_penalty_microcredits == 0 || auction.bids[bid.index].held_units == 0) {
    return scaled;
  }
  for (const Piece& piece : PiecesWithoutValue(auction, bid)) {
    scaled.push_back({piece.min_units, piece.max_units,
                      static_cast<Key>(piece.key_at_min * normal.key_scale),
                      static_cast<Key>(piece.key_slope * normal.key_scale)});
  }
  return scaled;
}

template <typename Key>
absl::StatusOr<Clearing> ClearByTables(const Auction& auction, const NormalAuction& normal,
                                       const KeyBids<Key>& bids, const MpspOptions& options) {
  const TableOptions table_options{options.table_bytes_max, options.always_tables,
                                   options.with_charges,
                                   options.portable ? Vectors::kPortable : Vectors::kBest};
  const TableResult<Key> result = SolveByTables(
      bids, normal.capacity_units, table_options,
      [&](size_t place) { return ScaledPiecesWithoutValue<Key>(auction, normal, place); });
  const auto gain = [&normal](Key key) { return FloorDivide(key, normal.key_scale); };
  const Microcredits reserve = auction.reserve_unit_price_microcredits;
  std::vector<int64_t> units(auction.bids.size(), 0);
  std::vector<Microcredits> charges(auction.bids.size(), 0);
  for (size_t place = 0; place < normal.bids.size(); ++place) {
    const size_t index = normal.bids[place].index;
    units[index] = result.units[place];
    if (units[index] == 0 || !options.with_charges) continue;
    const Int128 at_reserve = Int128{units[index]} * reserve;
    const Int128 net_value = ValueOf(auction.bids[index], units[index]) - at_reserve;
    charges[index] = static_cast<Microcredits>(at_reserve + gain(result.without[place]) -
                                               (gain(result.best) - net_value));
  }
  Int128 price = reserve;
  if (normal.capacity_units == auction.capacity_units && normal.capacity_units > 0) {
    price += gain(result.best) - gain(result.best_of_one_less);
  }
  if (auction.capacity_units == 0) {
    price = std::max<Int128>(price, HighestRejectedUnitPrice(auction, units));
  }
  return MakeClearing(auction, units, charges, static_cast<Microcredits>(price));
}

}  // namespace

absl::StatusOr<Clearing> ClearMpsp(const Auction& auction, const MpspOptions& options) {
  if (auto s = ValidateAuction(auction); !s.ok()) return s;
  if (!options.always_tables) {
    if (const auto awards = ClearConcave(auction, options.with_charges); awards.has_value()) {
      Microcredits price = awards->next_unit_price_microcredits;
      if (auction.capacity_units == 0) {
        price = std::max(price, HighestRejectedUnitPrice(auction, awards->units));
      }
      return MakeClearing(auction, awards->units,
                          options.with_charges ? awards->charges
                                               : std::vector<Microcredits>(auction.bids.size(), 0),
                          price);
    }
  }
  const NormalAuction normal = Normalise(auction);
  const KeyBids<Int128> bids = ToKeyBids(normal);
  return FitsIn64Bits(bids, normal.capacity_units)
             ? ClearByTables(auction, normal, Narrow(bids), options)
             : ClearByTables(auction, normal, bids, options);
}

}  // namespace nom::policies
