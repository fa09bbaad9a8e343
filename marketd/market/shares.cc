// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/shares.h"

#include <algorithm>

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

namespace {

// The capacity less the seeds, less what guests hold that the ledger does not know, less what
// `promised` says of a kind; never below zero.
template <typename Promised>
Units Unsold(const HostShares& host, const Promised& promised) {
  const HostIndex& index = host.state.Host(host.host_id);
  Units units;
  for (const Resource& resource : host.resources) {
    units[resource.kind] =
        resource.capacity_units - index.SeedUnits(resource.kind) - promised(index, resource.kind);
  }
  for (const HostGuest& guest : host.unmanaged) {
    for (const Holding& holding : guest.holdings) {
      if (!guest.ended && units.contains(holding.kind)) units[holding.kind] -= holding.units();
    }
  }
  for (auto& [kind, unsold] : units) unsold = std::max<int64_t>(0, unsold);
  return units;
}

}  // namespace

Units SupplyOf(const HostShares& host, RoundId round_id) {
  return Unsold(host, [round_id](const HostIndex& index, ResourceKind kind) {
    return index.PromisedUnits(kind, round_id);
  });
}

Units SupplyFrom(const HostShares& host, RoundId round_id) {
  return Unsold(host, [round_id](const HostIndex& index, ResourceKind kind) {
    return index.PromisedUnitsFrom(kind, round_id);
  });
}

Units FreeWithin(const HostShares& host, RoundId from, RoundId until) {
  return Unsold(host, [from, until](const HostIndex& index, ResourceKind kind) {
    return index.SpokenForUnits(kind, from, until);
  });
}

namespace {

// What of the kind there is besides seeds, guests that the ledger does not know, and `units` more:
// others may have that.
int64_t Beside(const HostShares& host, ResourceKind kind, int64_t units) {
  return Unsold(host, [](const HostIndex&, ResourceKind) { return 0; }).at(kind) - units;
}

}  // namespace

RoundId FirstFree(const HostShares& host, ResourceKind kind, RoundId from, RoundId rounds,
                  int64_t units) {
  return host.state.Host(host.host_id)
      .FirstSpokenFor(kind, from, rounds, Beside(host, kind, units));
}

RoundId FirstSupply(const HostShares& host, ResourceKind kind, RoundId from, int64_t units) {
  return host.state.Host(host.host_id)
      .FirstPromised(kind, from, kNoRound, Beside(host, kind, units));
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
