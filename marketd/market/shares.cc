#include "marketd/market/shares.h"

#include <algorithm>
#include <set>

namespace nom::market {

const HostBook& BookOf(const State& state, const HostId& host_id) {
  static const HostBook kNone;
  const auto it = state.hosts.find(host_id);
  return it == state.hosts.end() ? kNone : it->second;
}

const Round* RoundInForce(const HostBook& book) {
  const auto it = book.open_rounds.find(book.in_force_round_id);
  return it == book.open_rounds.end() ? nullptr : &it->second;
}

const Round* RoundDecided(const HostBook& book) {
  if (book.open_rounds.empty()) return nullptr;
  const Round& last = book.open_rounds.rbegin()->second;
  return last.phase == RoundPhase::kGrace ? &last : nullptr;
}

Units SupplyOf(const HostShares& host, RoundId round_id) {
  Units supply;
  for (const Resource& resource : host.resources) supply[resource.kind] = resource.capacity_units;
  for (const GuestId guest_id : host.state.GuestsOf(host.host_id)) {
    const Guest& guest = host.state.guests.at(guest_id);
    // One that has ended may be started again if there is room then; until then others have its
    // seed.
    const bool has_seed = guest.state != GuestState::kEnded;
    for (auto& [kind, units] : supply) {
      units -= (has_seed ? guest.seed_units(kind) : 0) +
               host.state.contracts.PromisedUnits(guest_id, kind, round_id);
    }
  }
  for (const HostGuest& guest : host.unmanaged) {
    for (const Holding& holding : guest.holdings) {
      if (!guest.ended && supply.contains(holding.kind)) supply[holding.kind] -= holding.units();
    }
  }
  for (auto& [kind, units] : supply) units = std::max<int64_t>(0, units);
  return supply;
}

Units SupplyFrom(const HostShares& host, RoundId round_id) {
  std::set<RoundId> rounds = {round_id};  // What is promised grows where a contract begins only.
  for (const GuestId guest_id : host.state.GuestsOf(host.host_id)) {
    for (const Contract* contract : host.state.contracts.Of(guest_id)) {
      if (contract->from_round_id > round_id) rounds.insert(contract->from_round_id);
    }
  }
  Units least;
  for (const RoundId id : rounds) {
    for (const auto& [kind, units] : SupplyOf(host, id)) {
      const auto [it, fresh] = least.emplace(kind, units);
      if (!fresh) it->second = std::min(it->second, units);
    }
  }
  return least;
}

std::map<BidKey, int64_t> HeldByAwards(const HostShares& host, RoundId round_id) {
  std::map<BidKey, int64_t> held;
  const Round* const in_force = RoundInForce(BookOf(host.state, host.host_id));
  if (in_force == nullptr) return held;
  for (const GuestId guest_id : host.state.GuestsOf(host.host_id)) {
    for (const Contract* contract : host.state.contracts.AliveIn(guest_id, in_force->round_id)) {
      if (AliveIn(*contract, round_id)) continue;  // It goes on, and is not in the auction.
      for (const Lot& lot : contract->lots) held[{guest_id, lot.kind}] += lot.units;
    }
  }
  return held;
}

std::vector<Holding> HoldingsIn(const HostShares& host, const Guest& guest, const Round* round) {
  const bool holds = guest.state == GuestState::kRunning || guest.state == GuestState::kEvicting;
  std::vector<Holding> out;
  for (const Resource& resource : host.resources) {
    Holding holding{.kind = resource.kind};
    if (guest.state != GuestState::kEnded) holding.seed_units = guest.seed_units(resource.kind);
    if (round != nullptr && holds) {
      holding.award_units =
          host.state.contracts.HeldUnits(guest.guest_id, resource.kind, round->round_id);
    }
    out.push_back(holding);
  }
  if (round == nullptr || !holds) return out;
  for (const Contract* contract : host.state.contracts.AliveIn(guest.guest_id, round->round_id)) {
    for (const Lot& lot : contract->lots) {
      for (Holding& holding : out) {
        if (holding.kind == lot.kind) holding.charge_microcredits += lot.charge_microcredits;
      }
    }
  }
  return out;
}

std::vector<Holding> HoldingsNow(const HostShares& host, const Guest& guest) {
  std::vector<Holding> out =
      HoldingsIn(host, guest, RoundInForce(BookOf(host.state, host.host_id)));
  if (!host.holdings.Has(guest.guest_id)) return out;
  for (Holding& holding : out) {
    holding.award_units = host.holdings.Units(guest.guest_id, holding.kind) - holding.seed_units;
  }
  return out;
}

GrantSet GrantsUntil(const HostShares& host, const Round* next) {
  GrantSet set;
  set.round_id =
      next == nullptr ? BookOf(host.state, host.host_id).in_force_round_id : next->round_id;
  for (const GuestId guest_id : host.state.GuestsOf(host.host_id)) {
    const Guest& guest = host.state.guests.at(guest_id);
    if (guest.state != GuestState::kRunning) continue;
    const std::vector<Holding> now = HoldingsNow(host, guest);
    set.grants.push_back(
        GuestGrant{.guest_id = guest_id,
                   .now = now,
                   .next = next == nullptr ? now : HoldingsIn(host, guest, next),
                   .balance_microcredits = host.state.PurseOf(guest.tenant_id).available,
                   .spent_microcredits = guest.spent_microcredits});
  }
  return set;
}

GrantSet GrantsIn(const HostShares& host, const Round& round) {
  GrantSet set = GrantsUntil(host, &round);
  for (GuestGrant& grant : set.grants) grant.now = grant.next;
  return set;
}

}  // namespace nom::market
