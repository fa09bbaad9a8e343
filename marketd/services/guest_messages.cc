// SPDX-License-Identifier: Apache-2.0
#include "marketd/services/guest_messages.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"
#include "marketd/market/shortage.h"
#include "marketd/server/status.h"
#include "marketd/services/convert.h"

namespace nom::marketd {
namespace {

using Quantities = google::protobuf::RepeatedPtrField<market_pb::Quantity>;
using UnitsOfKinds = std::vector<std::pair<market::ResourceKind, int64_t>>;

constexpr int kQuantitiesMax = 16;

absl::StatusOr<UnitsOfKinds> UnitsFromProto(const Quantities& quantities, absl::string_view field) {
  if (quantities.size() > kQuantitiesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": ", quantities.size(), " are too many"));
  }
  UnitsOfKinds out;
  for (int i = 0; i < quantities.size(); ++i) {
    NOM_ASSIGN_OR_RETURN(
        const market::ResourceKind kind,
        KindFromProto(quantities[i].kind(), absl::StrCat(field, "[", i, "].kind")));
    out.emplace_back(kind, quantities[i].units());
  }
  return out;
}

void AddQuantity(market::ResourceKind kind, int64_t units, Quantities* out) {
  market_pb::Quantity* const quantity = out->Add();
  quantity->set_kind(ToProto(kind));
  quantity->set_units(units);
}

void AddQuantities(const std::map<market::ResourceKind, int64_t>& units, Quantities* out) {
  for (const auto& [kind, count] : units) AddQuantity(kind, count, out);
}

}  // namespace

absl::StatusOr<market::SetTier> FromProto(const market_pb::SetTierRequest& request) {
  market::SetTier out{.request_id = request.request_id(),
                      .guest_id = request.guest_id(),
                      .tier = request.tier(),
                      .most = {},
                      .ceiling_microcredits = request.ceiling_microcredits()};
  NOM_ASSIGN_OR_RETURN(out.most, UnitsFromProto(request.most(), "most"));
  return out;
}

absl::StatusOr<std::optional<market::Bundle>> BundleFromProto(bool is_there,
                                                              const market_pb::Bundle& bundle) {
  if (!is_there) return std::optional<market::Bundle>();
  market::Bundle out{
      .lots = {}, .rounds = bundle.rounds(), .ceiling_microcredits = bundle.ceiling_microcredits()};
  NOM_ASSIGN_OR_RETURN(out.lots, UnitsFromProto(bundle.lots(), "bundle.lots"));
  return std::optional<market::Bundle>(std::move(out));
}

absl::StatusOr<market::AdmitGuest> FromProto(const market_pb::RequestGuestRequest& request) {
  market::AdmitGuest out;
  out.request_id = request.request_id();
  out.name = request.name();
  out.image = request.image();
  out.arguments = request.arguments();
  NOM_ASSIGN_OR_RETURN(out.seeds, UnitsFromProto(request.seeds(), "seeds"));
  out.memory_max_units = request.memory_max_units();
  NOM_ASSIGN_OR_RETURN(out.bundle, BundleFromProto(request.has_bundle(), request.bundle()));
  out.by_tenant = true;
  return out;
}

market_pb::Tier ToProto(const market::Tier& tier) {
  market_pb::Tier out;
  out.set_name(tier.name);
  out.set_price_multiple_ppm(tier.price_multiple_ppm);
  AddQuantities(tier.floor_units, out.mutable_floor());
  out.set_floor_every_rounds(tier.floor_every_rounds);
  return out;
}

market_pb::GuestTier ToProto(const market::GuestTier& tier) {
  market_pb::GuestTier out;
  out.set_tier(tier.tier);
  for (const market::UnitsOfKind& most : tier.most) {
    AddQuantity(most.kind, most.units, out.mutable_most());
  }
  out.set_ceiling_microcredits(tier.ceiling_microcredits);
  return out;
}

market_pb::GetQuotaResponse QuotaToProto(const market::View& view, const market::HostView& host,
                                         const market::TenantId& tenant_id) {
  const auto own = host.tenant_quotas.find(tenant_id);
  const market::GuestQuota& quota = own == host.tenant_quotas.end() ? host.quota : own->second;
  std::map<market::ResourceKind, int64_t> seeds;
  int64_t guests = 0;
  for (const auto& guest : view.guests) {
    if (guest->guest.tenant_id != tenant_id || guest->guest.host_id != host.host_id) continue;
    ++guests;
    for (const market::Holding& seed : guest->guest.seeds) seeds[seed.kind] += seed.seed_units;
  }
  market_pb::GetQuotaResponse out;
  out.set_guests_max(quota.guests_max);
  out.set_guests(guests);
  AddQuantities(quota.seed_units, out.mutable_seeds_max());
  AddQuantities(seeds, out.mutable_seeds());
  return out;
}

grpc::Status ToAnswer(const absl::Status& status) {
  grpc::Status answer = ToGrpcStatus(status);
  const std::optional<market::Shortage> shortage = market::ShortageOf(status);
  if (!shortage) return answer;
  market_pb::Shortage message;
  message.set_short_of(static_cast<market_pb::ShortOf>(shortage->short_of));
  if (shortage->kind) message.set_kind(ToProto(*shortage->kind));
  message.set_asked(shortage->asked);
  message.set_free(shortage->free);
  message.set_until_round_id(shortage->until_round_id);
  market_pb::StatusDetails details;
  details.set_code(answer.error_code());
  details.set_message(answer.error_message());
  details.add_details()->PackFrom(message);
  return {answer.error_code(), answer.error_message(), details.SerializeAsString()};
}

}  // namespace nom::marketd
