#include "marketd/market/state.h"

#include "absl/numeric/int128.h"
#include "absl/strings/str_cat.h"
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

bool operator==(const StandingBid& a, const StandingBid& b) {
  const bool same_valuation =
      a.valuation == b.valuation ||
      (a.valuation != nullptr && b.valuation != nullptr && *a.valuation == *b.valuation);
  return same_valuation && a.guest_id == b.guest_id && a.kind == b.kind && a.ranges == b.ranges &&
         a.budget_microcredits == b.budget_microcredits && a.first_round_id == b.first_round_id &&
         a.last_round_id == b.last_round_id;
}

absl::string_view KindName(ResourceKind kind) {
  if (kind == kSeveralKinds) return "several kinds";
  switch (kind) {
    case ResourceKind::kCpu:
      return "cpu";
    case ResourceKind::kMemory:
      return "memory";
    case ResourceKind::kCache:
      return "cache";
    case ResourceKind::kNetwork:
      return "network";
    case ResourceKind::kDisk:
      return "disk";
    case ResourceKind::kDevice:
      return "device";
  }
  return "unknown";
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

std::string FirstBrokenPromise(const State& state) {
  for (const auto& [tenant_id, tenant] : state.tenants) {
    const Balances& b = tenant.balances;
    const auto open = state.open_charges.find(tenant_id);
    const Microcredits charges = open == state.open_charges.end() ? 0 : open->second;
    if (b.available < 0 || b.escrow < 0 || b.arrears > 0) {
      return absl::StrCat("tenant ", tenant_id, ": a balance is on the wrong side of zero");
    }
    absl::int128 sum = 0;
    for (int a = 1; a <= kAccountsCount; ++a) sum += b[static_cast<Account>(a)];
    if (sum != 0) return absl::StrCat("tenant ", tenant_id, ": the accounts do not sum to zero");
    if (b.escrow != charges) {
      return absl::StrCat("tenant ", tenant_id, ": ", b.escrow, " in escrow, for open charges of ",
                          charges);
    }
  }
  return "";
}

std::vector<BidKey> State::BidsOf(GuestId guest_id) const {
  std::vector<BidKey> keys;
  for (auto bid = bids.lower_bound({guest_id, kSeveralKinds});
       bid != bids.end() && bid->first.first == guest_id; ++bid) {
    keys.push_back(bid->first);
  }
  return keys;
}

const std::set<GuestId>& State::GuestsOf(const HostId& host_id) const {
  static const std::set<GuestId> kNone;
  const auto it = host_guests.find(host_id);
  return it == host_guests.end() ? kNone : it->second;
}

}  // namespace nom::market
