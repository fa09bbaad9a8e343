// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/reserves.h"

#include <vector>

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
          .look_back_rounds = resource.reserve_look_back_rounds,
          // No round has the id 0, so no auction's ties are drawn from the same numbers.
          .seed = AuctionSeed(market_seed, host_id, 0, resource.kind)};
}

policies::ReserveOutput ReserveOfRound(const policies::ReservePolicy& policy, RoundId round_id,
                                       const ResourcePrice* last,
                                       absl::Span<const PastPrice> past) {
  policies::ReserveInput input{.round = round_id};
  if (last != nullptr) {
    input.capacity_units = last->supply_units;
    input.sold_units = last->sold_units;
    if (last->reserve_policy == policies::ReserveName(policy.kind)) {
      input.last_reserve_unit_price_microcredits = last->reserve_unit_price_microcredits;
      input.last_change_microcredits = last->reserve_change_microcredits;
    }
  }
  std::vector<Microcredits> best;
  if (policy.kind == policies::ReserveKind::kLearnt) {
    for (const PastPrice& price : past) {
      const bool counts =
          price.round_id + static_cast<RoundId>(policy.look_back_rounds) >= round_id;
      if (counts && price.best_unit_price_microcredits) {
        best.push_back(*price.best_unit_price_microcredits);
      }
    }
    input.best_unit_prices = best;
  }
  const absl::StatusOr<policies::ReserveOutput> reserve = policies::NextReserve(policy, input);
  NOM_CHECK(reserve.ok(), "a reserve policy was not checked");
  return *reserve;
}

std::map<ResourceKind, policies::ReserveOutput> ReservesOfRound(
    absl::Span<const Resource> resources, uint64_t market_seed, const HostId& host_id,
    RoundId round_id, const HostBook& book) {
  std::map<ResourceKind, policies::ReserveOutput> out;
  for (const Resource& resource : resources) {
    // Some reserve policies start from the last reserve, from what was sold at it, or from how it
    // changed.
    const ResourcePrice* of_kind = nullptr;
    for (const ResourcePrice& price : book.prices) {
      if (price.kind == resource.kind) of_kind = &price;
    }
    const auto past = book.past_prices.find(resource.kind);
    out[resource.kind] = ReserveOfRound(
        ReservePolicyOf(resource, market_seed, host_id), round_id, of_kind,
        past == book.past_prices.end() ? absl::Span<const PastPrice>() : past->second);
  }
  return out;
}

}  // namespace nom::market
