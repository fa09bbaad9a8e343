#include "marketd/market/state.h"

#include "marketd/base/money.h"
#include "marketd/base/status.h"

namespace nom::market {

Microcredits& Balances::operator[](Account account) {
  switch (account) {
    case Account::kAvailable:
      return available;
    case Account::kEscrow:
      return escrow;
    case Account::kArrears:
      return arrears;
    case Account::kRevenue:
      return revenue;
    case Account::kDeposits:
      return deposits;
  }
  Die(__FILE__, __LINE__, "no such account");
}

Microcredits Balances::operator[](Account account) const {
  Balances copy = *this;
  return copy[account];
}

int64_t Guest::seed_units(ResourceKind kind) const {
  for (const Holding& seed : seeds) {
    if (seed.kind == kind) return seed.seed_units;
  }
  return 0;
}

void AddOpenCharges(const Round& round, int sign, std::map<TenantId, Microcredits>& charges) {
  for (const Outcome& outcome : round.outcomes) {
    if (outcome.settled || outcome.charge_microcredits == 0) continue;
    Microcredits& sum = charges[outcome.tenant_id];
    sum = SaturatingAdd(sum, sign * outcome.charge_microcredits);
    if (sum == 0) charges.erase(outcome.tenant_id);
  }
}

void State::RebuildIndexes() {
  host_guests.clear();
  for (const auto& [guest_id, guest] : guests) host_guests[guest.host_id].insert(guest_id);
  open_charges.clear();
  for (const auto& [host_id, book] : hosts) {
    for (const auto& [round_id, round] : book.open_rounds) AddOpenCharges(round, 1, open_charges);
  }
}

const std::set<GuestId>& State::GuestsOf(const HostId& host_id) const {
  static const std::set<GuestId> kNone;
  const auto it = host_guests.find(host_id);
  return it == host_guests.end() ? kNone : it->second;
}

}  // namespace nom::market
