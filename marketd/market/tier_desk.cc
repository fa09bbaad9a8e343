// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/tier_desk.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "marketd/base/money.h"
#include "marketd/market/billing.h"
#include "marketd/market/money.h"
#include "marketd/market/requests.h"
#include "marketd/market/reserves.h"
#include "policies/tiers/tiers.h"

namespace nom::market {
namespace {

Reply Refused(absl::Status status) { return Reply{.status = std::move(status)}; }

absl::Status NoSuchGuest(GuestId guest_id) {
  return absl::NotFoundError(absl::StrCat("guest_id: no guest ", guest_id));
}

LogEvent EventOf(const char* kind, const Caller& caller, const Guest& guest,
                 const GuestTier& tier) {
  std::string detail = absl::StrCat("tier ", tier.tier);
  for (const UnitsOfKind& most : tier.most) {
    absl::StrAppend(&detail, ", ", KindName(most.kind), "=", most.units);
  }
  return LogEvent{{.kind = kind,
                   .by = caller.is_operator ? kOperator : caller.tenant_id,
                   .by_token_id = caller.token_id,
                   .tenant_id = guest.tenant_id,
                   .host_id = guest.host_id,
                   .guest_id = guest.guest_id,
                   .amount_microcredits = tier.ceiling_microcredits,
                   .detail = std::move(detail)}};
}

}  // namespace

TierDesk::TierDesk(LiveBook& book, HostMarkets& hosts, BidLeases& leases, uint64_t market_seed)
    : book_(book), hosts_(hosts), leases_(leases), market_seed_(market_seed) {}

absl::StatusOr<GuestTier> TierDesk::Check(const SetTier& call, const Guest& guest,
                                          const HostMarket& host) const {
  const std::vector<Tier>& table = host.config.tiers;
  if (table.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("host ", host.id(), " has no tiers: its operator has to configure them"));
  }
  const Tier* const tier = FindTier(table, call.tier);
  if (tier == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        "tier: host ", host.id(), " has no such tier; it has ",
        absl::StrJoin(table, ", ", [](std::string* out, const Tier& t) { *out += t.name; })));
  }
  GuestTier out{.guest_id = guest.guest_id,
                .tier = tier->name,
                .ceiling_microcredits = call.ceiling_microcredits};
  if (call.most.empty()) return absl::InvalidArgumentError("most: is of no kind");
  std::set<ResourceKind> kinds;
  for (size_t i = 0; i < call.most.size(); ++i) {
    const auto& [kind, units] = call.most[i];
    const std::string at = absl::StrCat("most[", i, "].");
    if (FindResource(host.link.resources(), kind) == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(at, "kind: ", KindName(kind), " is not sold on host ", host.id()));
    }
    if (!kinds.insert(kind).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(at, "kind: ", KindName(kind), " is there twice"));
    }
    if (units < 1 || units > policies::kUnitsMax) {
      return absl::InvalidArgumentError(
          absl::StrCat(at, "units: ", units, " is outside [1, ", policies::kUnitsMax, "]"));
    }
    out.most.push_back({kind, units});
  }
  std::sort(out.most.begin(), out.most.end(),
            [](const UnitsOfKind& a, const UnitsOfKind& b) { return a.kind < b.kind; });
  if (out.ceiling_microcredits < 1 || out.ceiling_microcredits > policies::kValueMaxMicrocredits) {
    return absl::InvalidArgumentError(
        absl::StrCat("ceiling_microcredits: ", out.ceiling_microcredits, " is outside [1, ",
                     policies::kValueMaxMicrocredits, "]"));
  }
  if (guest.state != GuestState::kRunning && guest.state != GuestState::kAdmitted) {
    return absl::FailedPreconditionError(
        absl::StrCat("guest ", guest.guest_id, " has ended: ", guest.exit_reason));
  }
  // A guest that only changes what it asks of its tier keeps its turn.
  const auto before = book_.state().tiers.find(guest.guest_id);
  out.slot = before != book_.state().tiers.end() && before->second.tier == tier->name
                 ? before->second.slot
                 : SlotFor(book_.state(), host.id(), *tier, guest.guest_id);
  return out;
}

Reply TierDesk::Set(const SetTier& call, const Caller& caller, const Request& request) {
  const Guest* const guest = hosts_.FindGuest(book_.state(), call.guest_id, caller);
  if (guest == nullptr) return Refused(NoSuchGuest(call.guest_id));
  HostMarket& host = *hosts_.Find(guest->host_id);
  absl::StatusOr<GuestTier> tier = Check(call, *guest, host);
  if (!tier.ok()) return Refused(tier.status());
  const Reply reply{.round_id = RoundOfNewBids(book_.state(), host)};
  Scribe scribe = book_.Begin("tier set");
  for (const BidKey& key : book_.state().BidsOf(call.guest_id)) {
    scribe.Write(DropBid{key, leases_.NextFence()});
    leases_.Forget(key);
  }
  scribe.Write(EventOf("tier_set", caller, *guest, *tier));
  scribe.Write(PutTier{*std::move(tier)});
  Remember(scribe, request, reply);
  book_.Commit(std::move(scribe));
  ++host.counters.tiers_set;
  return reply;
}

Reply TierDesk::Clear(const ClearTier& call, const Caller& caller, const Request& request) {
  const Guest* const guest = hosts_.FindGuest(book_.state(), call.guest_id, caller);
  if (guest == nullptr) return Refused(NoSuchGuest(call.guest_id));
  const auto tier = book_.state().tiers.find(call.guest_id);
  const Reply reply{.removed = tier != book_.state().tiers.end()};
  Scribe scribe = book_.Begin("tier cleared");
  if (reply.removed) {
    scribe.Write(EventOf("tier_cleared", caller, *guest, tier->second));
    scribe.Write(DropTier{call.guest_id});
  }
  Remember(scribe, request, reply);
  book_.Commit(std::move(scribe));
  return reply;
}

std::optional<Contract> TierDesk::FloorContract(const HostMarket& host, const Guest& guest,
                                                const UnitPrices& reserves,
                                                const Units& supply) const {
  const State& state = book_.state();
  const RoundId round_id = host.clock.round_id();
  const auto tier = state.tiers.find(guest.guest_id);
  if (tier == state.tiers.end() || guest.state != GuestState::kRunning) return std::nullopt;
  for (const Contract* contract : state.contracts.AliveIn(guest.guest_id, round_id)) {
    // It was given before a restart.
    if (IsFloor(*contract)) return std::nullopt;
  }
  GuestTier wish = tier->second;
  for (UnitsOfKind& most : wish.most) {
    most.units -= state.contracts.HeldUnits(guest.guest_id, most.kind, round_id);
    if (most.kind == ResourceKind::kMemory && guest.memory_max_units > 0) {
      most.units =
          std::min(most.units, guest.memory_max_units - guest.seed_units(most.kind) -
                                   state.contracts.HeldUnits(guest.guest_id, most.kind, round_id));
    }
  }
  Contract contract{.contract_id = state.last_contract_id + 1,
                    .guest_id = guest.guest_id,
                    .tenant_id = guest.tenant_id,
                    .lots = FloorOf(host.config.tiers, wish, reserves, supply, round_id),
                    .from_round_id = round_id,
                    .until_round_id = round_id + 1,
                    .period = host.config.period,
                    .policy = std::string(policies::kTierBids)};
  if (contract.lots.empty() || ChargeOf(contract) > state.PurseOf(guest.tenant_id).available) {
    return std::nullopt;
  }
  return contract;
}

void TierDesk::GiveFloors(HostMarket& host) {
  const State& state = book_.state();
  if (host.config.tiers.empty()) return;
  UnitPrices reserves;
  for (const auto& [kind, reserve] : ReservesOfRound(host.link.resources(), market_seed_, host.id(),
                                                     host.clock.round_id(), host.Book(state))) {
    reserves[kind] = reserve.reserve_unit_price_microcredits;
  }
  Scribe scribe = book_.Begin("tier floors given");
  for (const GuestId guest_id : state.GuestsOf(host.id())) {
    const Units supply = SupplyOf(host.Shares(state), host.clock.round_id());
    std::optional<Contract> floor =
        FloorContract(host, state.guests.at(guest_id), reserves, supply);
    if (!floor) continue;
    PostEscrow(scribe, *floor, ChargeOf(*floor));
    scribe.Write(OpenContract{*std::move(floor)});
    ++host.counters.tier_floors;
  }
  book_.Commit(std::move(scribe));
}

}  // namespace nom::market
