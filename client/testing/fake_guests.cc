// SPDX-License-Identifier: Apache-2.0
// The fake market's tiers, and the guests that are asked of it.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "client/testing/fake_market_impl.h"

namespace nom::testing {
namespace {

grpc::Status NotFound(const std::string& message) {
  return grpc::Status(grpc::StatusCode::NOT_FOUND, message);
}
grpc::Status Invalid(const std::string& message) {
  return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, message);
}

}  // namespace

const pb::Tier* FakeMarket::Impl::FindTier(const std::string& name) const {
  const auto found = std::find_if(tiers.begin(), tiers.end(),
                                  [&](const pb::Tier& tier) { return tier.name() == name; });
  return found == tiers.end() ? nullptr : &*found;
}

int64_t FakeMarket::Impl::SeedsOf(pb::ResourceKind kind) const {
  int64_t units = 0;
  for (const auto& [id, guest] : guests) units += guest.SeedOf(kind);
  return units;
}

grpc::Status FakeMarket::Impl::TooLittle(grpc::StatusCode code, const std::string& message,
                                         const Short& shortage) {
  pb::Shortage detail;
  detail.set_short_of(shortage.of);
  detail.set_kind(shortage.kind);
  detail.set_asked(shortage.asked);
  detail.set_free(shortage.free);
  pb::StatusDetails details;
  details.set_code(code);
  details.set_message(message);
  details.add_details()->PackFrom(detail);
  return grpc::Status(code, message, details.SerializeAsString());
}

grpc::Status FakeMarket::Impl::SetTier(grpc::ServerContext* /*context*/,
                                       const pb::SetTierRequest* request,
                                       pb::SetTierResponse* response) {
  return WriteOnce(*request, response, [&]() -> grpc::Status {
    const auto guest = guests.find(request->guest_id());
    if (guest == guests.end()) return NotFound("guest_id: no such guest");
    if (tiers.empty()) {
      return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "the host has no tiers");
    }
    if (FindTier(request->tier()) == nullptr) return Invalid("tier: there is no such tier");
    if (request->most_size() == 0) return Invalid("most: are none");
    for (const pb::Quantity& most : request->most()) {
      if (most.units() < 1 || most.units() > kBidUnitsMax) return Invalid("most[0].units");
    }
    if (request->ceiling_microcredits() < 1) return Invalid("ceiling_microcredits: out of range");
    pb::GuestTier& tier = guest->second.tier.emplace();
    tier.set_tier(request->tier());
    *tier.mutable_most() = request->most();
    tier.set_ceiling_microcredits(request->ceiling_microcredits());
    // Its bids go, as if a person had withdrawn them.
    for (auto bid = standing_bids.begin(); bid != standing_bids.end();) {
      if (bid->first.first == guest->first) {
        fences[bid->first] = {++last_fence, 0};
        bid = standing_bids.erase(bid);
      } else {
        ++bid;
      }
    }
    response->set_round_id(round);
    return grpc::Status::OK;
  });
}

grpc::Status FakeMarket::Impl::ClearTier(grpc::ServerContext* /*context*/,
                                         const pb::ClearTierRequest* request,
                                         pb::ClearTierResponse* response) {
  return WriteOnce(*request, response, [&]() -> grpc::Status {
    const auto guest = guests.find(request->guest_id());
    if (guest == guests.end()) return NotFound("guest_id: no such guest");
    response->set_removed(guest->second.tier.has_value());
    guest->second.tier.reset();
    return grpc::Status::OK;
  });
}

grpc::Status FakeMarket::Impl::BuyBundle(const pb::Bundle& bundle, uint64_t guest_id,
                                         uint64_t* contract_id) {
  if (bundle.lots_size() == 0) return Invalid("bundle.lots: are none");
  if (bundle.rounds() < 1) return Invalid("bundle.rounds: out of range");
  const uint64_t until = round + static_cast<uint64_t>(bundle.rounds());
  pb::Contract contract;
  int64_t charge = 0;
  for (const pb::Quantity& asked : bundle.lots()) {
    const auto of = sold.find(asked.kind());
    if (of == sold.end()) return Invalid("bundle.lots[0].kind: is not sold");
    if (asked.units() < 1 || asked.units() > kBidUnitsMax) return Invalid("bundle.lots[0].units");
    const int64_t free = of->second.supply - Promised(asked.kind(), round, until);
    if (asked.units() > free) {
      return TooLittle(grpc::StatusCode::RESOURCE_EXHAUSTED, "bundle.lots[0].units: too many",
                       {pb::SHORT_OF_SHARE, asked.kind(), asked.units(), free});
    }
    pb::Lot& lot = *contract.add_lots();
    lot.set_kind(asked.kind());
    lot.set_units(asked.units());
    lot.set_charge_microcredits(ForwardPrice(asked.kind()) * asked.units());
    charge += lot.charge_microcredits();
  }
  if (charge > bundle.ceiling_microcredits()) {
    return TooLittle(grpc::StatusCode::FAILED_PRECONDITION,
                     "bundle.ceiling_microcredits: a round costs more",
                     {pb::SHORT_OF_CEILING, pb::RESOURCE_KIND_UNSPECIFIED, charge,
                      bundle.ceiling_microcredits()});
  }
  contract.set_contract_id(++last_contract_id);
  contract.set_guest_id(guest_id);
  contract.set_kind(pb::CONTRACT_KIND_FORWARD);
  contract.set_from_round_id(round);
  contract.set_until_round_id(until);
  contract.set_period_ms(absl::ToInt64Milliseconds(period));
  contract.set_policy("forward/1");
  contract.set_renew_ceiling_microcredits(bundle.ceiling_microcredits());
  contracts[last_contract_id] = contract;
  *contract_id = last_contract_id;
  return grpc::Status::OK;
}

grpc::Status FakeMarket::Impl::RequestGuest(grpc::ServerContext* /*context*/,
                                            const pb::RequestGuestRequest* request,
                                            pb::RequestGuestResponse* response) {
  return WriteOnce(*request, response, [&]() -> grpc::Status {
    if (request->name().empty()) return Invalid("name: must be given");
    for (const auto& [id, guest] : guests) {
      if (guest.name == request->name()) {
        return grpc::Status(grpc::StatusCode::ALREADY_EXISTS, "name: is taken");
      }
    }
    if (quota_guests == 0) {
      return grpc::Status(grpc::StatusCode::PERMISSION_DENIED, "there is no quota for you");
    }
    const auto there = static_cast<int64_t>(guests.size());
    if (there >= quota_guests) {
      return TooLittle(grpc::StatusCode::RESOURCE_EXHAUSTED,
                       absl::StrCat("you may have ", quota_guests, " guests"),
                       {pb::SHORT_OF_QUOTA_GUESTS, pb::RESOURCE_KIND_UNSPECIFIED, 1,
                        std::max<int64_t>(0, quota_guests - there)});
    }
    Guest guest;
    guest.name = request->name();
    guest.is_requested = true;
    for (const pb::Quantity& seed : request->seeds()) {
      if (seed.units() < 1 || seed.units() > kBidUnitsMax) return Invalid("seeds[0].units");
      const auto most = quota_seeds.find(seed.kind());
      const int64_t free = (most == quota_seeds.end() ? 0 : most->second) - SeedsOf(seed.kind());
      if (seed.units() > free) {
        return TooLittle(
            grpc::StatusCode::RESOURCE_EXHAUSTED, "seeds[0].units: beyond your quota",
            {pb::SHORT_OF_QUOTA_SEEDS, seed.kind(), seed.units(), std::max<int64_t>(0, free)});
      }
      guest.seeds[seed.kind()] = seed.units();
    }
    if (request->has_bundle()) {
      uint64_t contract_id = 0;
      if (const grpc::Status status = BuyBundle(request->bundle(), last_guest_id + 1, &contract_id);
          !status.ok()) {
        return status;
      }
      response->set_contract_id(contract_id);
    }
    guests[++last_guest_id] = std::move(guest);
    response->set_guest_id(last_guest_id);
    return grpc::Status::OK;
  });
}

grpc::Status FakeMarket::Impl::GetQuota(grpc::ServerContext* /*context*/,
                                        const pb::GetQuotaRequest* /*request*/,
                                        pb::GetQuotaResponse* response) {
  std::lock_guard lock(mutex);
  response->set_guests_max(quota_guests);
  response->set_guests(static_cast<int64_t>(guests.size()));
  for (const auto& [kind, most] : quota_seeds) {
    pb::Quantity& may = *response->add_seeds_max();
    may.set_kind(kind);
    may.set_units(most);
    pb::Quantity& has = *response->add_seeds();
    has.set_kind(kind);
    has.set_units(SeedsOf(kind));
  }
  return grpc::Status::OK;
}

}  // namespace nom::testing
