// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/reserves.h"

#include "absl/status/statusor.h"
#include "marketd/base/status.h"
#include "marketd/market/clearing.h"

namespace nom::market {

policies::ReservePolicy ReservePolicyOf(const Resource& resource, uint64_t market_seed,
                                        const HostId& host_id) {
  return {.kind = resource.reserve_kind,
          .floor_unit_price_microcredits = resource.reserve_unit_price_microcredits,
          .ceiling_unit_price_microcredits = resource.reserve_ceiling_unit_price_microcredits,
          .knee_ppm = resource.reserve_knee_ppm,
          // No round has the id 0, so no auction's ties are drawn from the same numbers.
          .seed = AuctionSeed(market_seed, host_id, 0, resource.kind)};
}

policies::ReserveOutput ReserveOfRound(const policies::ReservePolicy& policy, RoundId round_id,
                                       const ResourcePrice* last) {
  policies::ReserveInput input{.round = round_id};
  if (last != nullptr) {
    input.capacity_units = last->supply_units;
    input.sold_units = last->sold_units;
    if (last->reserve_policy == policies::ReserveName(policy.kind)) {
      input.last_reserve_unit_price_microcredits = last->reserve_unit_price_microcredits;
      input.last_change_microcredits = last->reserve_change_microcredits;
    }
  }
  const absl::StatusOr<policies::ReserveOutput> reserve = policies::NextReserve(policy, input);
  NOM_CHECK(reserve.ok(), "a reserve policy was not checked");
  return *reserve;
}

std::map<ResourceKind, policies::ReserveOutput> ReservesOfRound(
    absl::Span<const Resource> resources, uint64_t market_seed, const HostId& host_id,
    RoundId round_id, absl::Span<const ResourcePrice> last) {
  std::map<ResourceKind, policies::ReserveOutput> out;
  for (const Resource& resource : resources) {
    // Some reserve policies start from the last reserve, from what was sold at it, or from how it
    // changed.
    const ResourcePrice* of_kind = nullptr;
    for (const ResourcePrice& price : last) {
      if (price.kind == resource.kind) of_kind = &price;
    }
    out[resource.kind] =
        ReserveOfRound(ReservePolicyOf(resource, market_seed, host_id), round_id, of_kind);
  }
  return out;
}

}  // namespace nom::market
