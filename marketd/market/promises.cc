// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/promises.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"

namespace nom::market {
namespace {

std::string FirstMisawarded(const Round& round) {
  std::map<ResourceKind, int64_t> awarded;
  for (const Outcome& outcome : round.outcomes) awarded[outcome.kind] += outcome.award_units;
  for (const ResourcePrice& price : round.prices) {
    const int64_t units = awarded[price.kind];
    // Prices say how much was sold, and outcomes to whom. Both are published, and each is worked
    // out by itself.
    if (units == price.sold_units && units <= price.supply_units) continue;
    return absl::StrCat("resource ", static_cast<int>(price.kind), ": ", units, " units awarded, ",
                        price.sold_units, " sold of ", price.supply_units);
  }
  return "";
}

// Beside what the host's guests have that the ledger does not know.
int64_t Capacity(const HostShares& host, ResourceKind kind) {
  int64_t units = 0;
  for (const Resource& resource : host.resources) {
    if (resource.kind == kind) units = resource.capacity_units;
  }
  for (const HostGuest& guest : host.unmanaged) {
    for (const Holding& holding : guest.holdings) {
      if (!guest.ended && holding.kind == kind) units -= holding.units();
    }
  }
  return units;
}

std::string Oversold(const HostShares& host, ResourceKind kind, RoundId from, RoundId until) {
  const HostIndex& index = host.state.Host(host.host_id);
  const int64_t given = index.SeedUnits(kind) + index.PromisedUnitsFrom(kind, from, until);
  const int64_t has = Capacity(host, kind);
  if (given <= has) return "";
  return absl::StrCat("host ", host.host_id, ", resource ", static_cast<int>(kind), ", round ",
                      from, " or later: ", given, " units are given out, of ", has);
}

}  // namespace

std::string MoneyPromises::FirstBroken(const Transaction& transaction, const State& state) {
  for (const auto& [owner, change] : PurseChanges(transaction.entries)) {
    const Purse& now = state.PurseOf(owner);
    if (std::string wrong = FirstBrokenPromise(owner, now); !wrong.empty()) return wrong;
    // Kept beside the state and changed by the entries alone: a balance that anything else has
    // touched shows at once.
    Purse& known = purses_[owner];
    for (int k = 1; k <= kAccountKindsCount; ++k) {
      const auto kind = static_cast<AccountKind>(k);
      known[kind] += change[kind];
      if (known[kind] == now[kind]) continue;
      return absl::StrCat(owner, ": ", AccountName(kind), " is ", now[kind], ", and should be ",
                          known[kind], " after these entries");
    }
  }
  // Also where a contract changed and no money moved.
  std::map<Owner, bool> owners;
  for (const Entry& entry : transaction.entries) {
    owners[entry.from.owner] = owners[entry.to.owner] = true;
  }
  for (const Change& change : transaction.changes) {
    if (const auto* open = std::get_if<OpenContract>(&change)) {
      owners[open->contract.tenant_id] = true;
    } else if (const auto* update = std::get_if<UpdateContract>(&change)) {
      owners[update->contract.tenant_id] = true;
    } else if (const auto* put = std::get_if<PutRound>(&change)) {
      if (std::string wrong = FirstMisawarded(put->round); !wrong.empty()) return wrong;
    }
  }
  for (const auto& [owner, concerned] : owners) {
    if (std::string wrong = FirstBrokenEscrow(state, owner); !wrong.empty()) return wrong;
  }
  return "";
}

std::set<HostId> HostsGivenOut(const Transaction& transaction, const State& state) {
  std::set<HostId> hosts;
  for (const Change& change : transaction.changes) {
    GuestId guest_id = 0;
    if (const auto* open = std::get_if<OpenContract>(&change)) {
      guest_id = open->contract.guest_id;
    } else if (const auto* put = std::get_if<PutGuest>(&change)) {
      guest_id = put->guest.guest_id;
    }
    const auto guest = state.guests.find(guest_id);
    if (guest != state.guests.end()) hosts.insert(guest->second.host_id);
  }
  return hosts;
}

std::string FirstOversold(const Transaction& transaction, const HostShares& host,
                          RoundId round_id) {
  const auto is_here = [&host](GuestId guest_id) {
    const auto guest = host.state.guests.find(guest_id);
    return guest != host.state.guests.end() && guest->second.host_id == host.host_id;
  };
  for (const Change& change : transaction.changes) {
    if (const auto* open = std::get_if<OpenContract>(&change)) {
      const Contract& contract = open->contract;
      // What is passed on is out of what was counted when the whole was opened.
      if (!is_here(contract.guest_id) || !host.state.contracts.IsOfHost(contract)) continue;
      for (const Lot& lot : contract.lots) {
        std::string wrong =
            Oversold(host, lot.kind, contract.from_round_id, contract.until_round_id);
        if (!wrong.empty()) return wrong;
      }
    } else if (const auto* put = std::get_if<PutGuest>(&change)) {
      // A guest that is there already has its seed, and keeps it if the machine becomes smaller.
      if (put->guest.state != GuestState::kAdmitted || put->guest.has_run ||
          !is_here(put->guest.guest_id)) {
        continue;
      }
      for (const Holding& seed : put->guest.seeds) {
        if (seed.seed_units == 0) continue;
        std::string wrong = Oversold(host, seed.kind, round_id, kNoRound);
        if (!wrong.empty()) return wrong;
      }
    }
  }
  return "";
}

std::string FirstUntold(const GrantSet& told, const State& state, const HostHoldings& holdings) {
  for (const GuestGrant& grant : told.grants) {
    const auto guest = state.guests.find(grant.guest_id);
    // It has ended since it was told.
    if (guest == state.guests.end() || guest->second.state != GuestState::kRunning) continue;
    for (const Holding& holding : grant.next) {
      const int64_t holds = holdings.Units(grant.guest_id, holding.kind);
      if (holds == holding.units()) continue;
      return absl::StrCat("guest ", grant.guest_id, ", resource ", static_cast<int>(holding.kind),
                          ": was told of ", holding.units(), " units, and holds ", holds);
    }
  }
  return "";
}

int HoldAsTold(const GrantSet& told, const State& state, HostHoldings& holdings) {
  int differ = 0;
  for (const GuestGrant& grant : told.grants) {
    const auto guest = state.guests.find(grant.guest_id);
    if (guest == state.guests.end() || guest->second.state != GuestState::kRunning) continue;
    const bool differs =
        std::any_of(grant.next.begin(), grant.next.end(), [&](const Holding& holding) {
          return holdings.Units(grant.guest_id, holding.kind) != holding.units();
        });
    if (!differs) continue;
    ++differ;
    holdings.Set(grant.guest_id, grant.next);
  }
  return differ;
}

}  // namespace nom::market
