// SPDX-License-Identifier: Apache-2.0
// Prices and the head of the books as guests read them, on every kind of host: nomhv's publication
// and a Linux host's board hold the same rows.

#ifndef MARKETD_HOST_BOARD_PRICES_H_
#define MARKETD_HOST_BOARD_PRICES_H_

#include <cstdint>
#include <cstring>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/types/span.h"
#include "marketd/market/host.h"
#include "nomhv/abi/board.h"

namespace nom::market {

// Puts the first NOM_RESOURCES_MAX of `prices` behind those that `page` has; `page` is a struct of
// the ABI with `prices` and `resource_count`.
template <typename Page>
void PutPrices(absl::Span<const BoardPrice> prices, Page& page) {
  for (const BoardPrice& from : prices) {
    if (page.resource_count == NOM_RESOURCES_MAX) break;
    NomPrice& price = page.prices[page.resource_count++];
    price.kind = static_cast<uint32_t>(from.kind);
    price.bound_by =
        from.bound_by == policies::BoundBy::kBids ? NOM_BOUND_BY_BIDS : NOM_BOUND_BY_RESERVE;
    price.unit_size = from.unit_size;
    price.unit_price_microcredits = from.unit_price_microcredits;
    price.reserve_unit_price_microcredits = from.reserve_unit_price_microcredits;
    price.highest_rejected_unit_price_microcredits = from.highest_rejected_unit_price_microcredits;
    price.supply_units = from.supply_units;
    price.demand_units = from.demand_units;
    price.sold_units = from.sold_units;
  }
}

// All zeros if it is not known.
inline NomChainHead ToNomHead(const ChainHead& head) {
  NomChainHead out{};
  const std::string digest = absl::HexStringToBytes(head.digest);
  if (digest.size() != sizeof(out.digest)) return out;
  out.transaction_id = head.transaction_id;
  std::memcpy(out.digest, digest.data(), sizeof(out.digest));
  return out;
}

}  // namespace nom::market

#endif  // MARKETD_HOST_BOARD_PRICES_H_
