// SPDX-License-Identifier: Apache-2.0
#include "client/src/guests.h"

#include <map>

#include "client/src/convert.h"

namespace nom::client {
namespace {

namespace pb = market::v1;
using Quantities = google::protobuf::RepeatedPtrField<pb::Quantity>;

std::map<Resource, int64_t> UnitsOf(const Quantities& quantities) {
  std::map<Resource, int64_t> units;
  for (const pb::Quantity& quantity : quantities) {
    const std::optional<Resource> resource = FromProto(quantity.kind());
    if (resource) units[*resource] = quantity.units();
  }
  return units;
}

void SetUnits(const std::map<Resource, int64_t>& units, Quantities* out) {
  for (const auto& [resource, count] : units) {
    pb::Quantity& quantity = *out->Add();
    quantity.set_kind(ToProto(resource));
    quantity.set_units(count);
  }
}

}  // namespace

GuestTier FromProto(const pb::GuestTier& tier) {
  return {.tier = tier.tier(),
          .most_units = UnitsOf(tier.most()),
          .ceiling_microcredits = tier.ceiling_microcredits()};
}

Tier FromProto(const pb::Tier& tier) {
  return {.name = tier.name(),
          .price_multiple_ppm = tier.price_multiple_ppm(),
          .floor_units = UnitsOf(tier.floor()),
          .floor_every_rounds = tier.floor_every_rounds()};
}

std::optional<ForwardState> FromProto(const pb::ForwardOnSale& forward) {
  const std::optional<Resource> resource = FromProto(forward.kind());
  if (!resource) return std::nullopt;
  ForwardState state{.resource = *resource,
                     .round_id = forward.round_id(),
                     .share_units = forward.share_units(),
                     .sold_units = forward.sold_units(),
                     .forecast_unit_price_microcredits = forward.forecast_unit_price_microcredits(),
                     .unit_price_microcredits = std::nullopt,
                     .rounds_max = forward.rounds_max()};
  if (forward.has_unit_price_microcredits()) {
    state.unit_price_microcredits = forward.unit_price_microcredits();
  }
  return state;
}

GuestQuota FromProto(const pb::GetQuotaResponse& quota) {
  return {.guests_max = quota.guests_max(),
          .guests = quota.guests(),
          .seeds_max = UnitsOf(quota.seeds_max()),
          .seeds = UnitsOf(quota.seeds())};
}

pb::SetTierRequest ToProto(const TierOptions& tier) {
  pb::SetTierRequest request;
  request.set_guest_id(tier.guest_id);
  request.set_tier(tier.wish.tier);
  SetUnits(tier.wish.most_units, request.mutable_most());
  request.set_ceiling_microcredits(tier.wish.ceiling_microcredits);
  return request;
}

pb::RequestGuestRequest ToProto(const GuestRequest& guest) {
  pb::RequestGuestRequest request;
  request.set_name(guest.name);
  request.set_image(guest.image);
  request.set_arguments(guest.arguments);
  SetUnits(guest.seeds, request.mutable_seeds());
  request.set_memory_max_units(guest.memory_max_units);
  if (guest.bundle) {
    pb::Bundle& bundle = *request.mutable_bundle();
    SetUnits(guest.bundle->units, bundle.mutable_lots());
    bundle.set_rounds(guest.bundle->rounds);
    bundle.set_ceiling_microcredits(guest.bundle->ceiling_microcredits);
  }
  return request;
}

}  // namespace nom::client
