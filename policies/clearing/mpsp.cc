#include "policies/clearing/mpsp.h"

#include <algorithm>

#include "policies/clearing/concave/concave_bids.h"
#include "policies/clearing/int128.h"
#include "policies/clearing/mpsp/in_money.h"
#include "policies/clearing/mpsp/normal_form.h"
#include "policies/clearing/mpsp/solver.h"
#include "policies/clearing/outcome.h"

namespace nom::policies {
namespace {

KeyBids<Int128> ToKeyBids(const NormalAuction& normal) {
  KeyBids<Int128> bids;
  for (size_t place = 0; place < normal.bids.size(); ++place) {
    const std::vector<Piece>& pieces = normal.bids[place].pieces;
    bids.pieces.insert(bids.pieces.end(), pieces.begin(), pieces.end());
    bids.EndBid(normal.bids[place].index);
  }
  return bids;
}

template <typename Key>
absl::StatusOr<Clearing> ClearByTables(const Auction& auction, const NormalAuction& normal,
                                       const KeyBids<Key>& bids, const MpspOptions& options) {
  const TableOptions table_options{options.table_bytes_max, options.always_tables,
                                   options.with_charges,
                                   options.portable ? Vectors::kPortable : Vectors::kBest};
  const TableResult<Key> result =
      SolveByTables(bids, normal.capacity_units, table_options, [&](size_t place) {
        return PiecesWithoutValue(auction, auction.bids[bids.origin[place]], bids.PiecesOf(place),
                                  normal.key_scale);
      });
  const InMoney money =
      ToMoney(auction, bids.origin, normal.key_scale, normal.capacity_units, result);
  Microcredits price = money.next_unit_price_microcredits;
  if (auction.capacity_units == 0) {
    price = std::max(price, HighestRejectedUnitPrice(auction, money.units));
  }
  return MakeClearing(auction, money.units, money.charges, price);
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
