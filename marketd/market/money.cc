#include "marketd/market/money.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "marketd/base/money.h"
#include "marketd/base/status.h"

namespace nom::market {
namespace {

const Balances& BalancesOf(const State& state, const TenantId& tenant_id) {
  const auto it = state.tenants.find(tenant_id);
  NOM_CHECK(it != state.tenants.end(), absl::StrCat("tenant ", tenant_id, " has no books"));
  return it->second.balances;
}

void RepayArrears(Scribe& scribe, const TenantId& tenant_id) {
  const Balances& balances = BalancesOf(scribe.state(), tenant_id);
  scribe.Move(tenant_id, 0, Account::kAvailable, Account::kArrears,
              std::min(balances.available, -balances.arrears));
}

}  // namespace

absl::Status CheckDeposit(const State& state, const TenantId& tenant_id, Microcredits amount) {
  const auto tenant = state.tenants.find(tenant_id);
  if (tenant == state.tenants.end()) {
    return absl::NotFoundError(absl::StrCat("tenant_id: no tenant ", tenant_id));
  }
  const Balances& balances = tenant->second.balances;
  if (amount == 0) return absl::InvalidArgumentError("amount_microcredits: is 0");
  const auto total = CheckedSubtract(balances.deposits, amount);
  if (!total || *total < -kDepositsMaxMicrocredits || *total > kDepositsMaxMicrocredits) {
    return absl::InvalidArgumentError(absl::StrCat("amount_microcredits: ", amount,
                                                   " would bring the deposits of ", tenant_id,
                                                   " above ", kDepositsMaxMicrocredits));
  }
  if (amount < 0 && balances.available < -amount) {
    return absl::FailedPreconditionError(absl::StrCat("amount_microcredits: ", tenant_id, " has ",
                                                      balances.available, " available, not ",
                                                      -amount));
  }
  return absl::OkStatus();
}

void PostDeposit(Scribe& scribe, const TenantId& tenant_id, Microcredits amount) {
  if (amount > 0) {
    scribe.Move(tenant_id, 0, Account::kDeposits, Account::kAvailable, amount);
    RepayArrears(scribe, tenant_id);
  } else {
    scribe.Move(tenant_id, 0, Account::kAvailable, Account::kDeposits, -amount);
  }
}

void PostEscrow(Scribe& scribe, const Outcome& outcome) {
  scribe.Move(outcome.tenant_id, outcome.guest_id, Account::kAvailable, Account::kEscrow,
              outcome.charge_microcredits);
}

void PostSettlement(Scribe& scribe, const Delivered* delivered, absl::Duration interval,
                    absl::Duration period, Outcome& outcome) {
  if (outcome.settled) return;
  Microcredits paid = 0;
  if (delivered != nullptr) {
    outcome.delivered_milliunits = std::max<int64_t>(0, delivered->offered_milliunits);
    outcome.used_milliunits = std::max<int64_t>(0, delivered->used_milliunits);
    if (outcome.award_units > 0) {
      const int64_t award_milliunits = outcome.award_units * 1000;
      const int64_t got_milliunits = std::clamp<int64_t>(
          outcome.delivered_milliunits - outcome.seed_units * 1000, 0, award_milliunits);
      const int64_t period_us = absl::ToInt64Microseconds(period);
      const int64_t held_us =
          std::clamp<int64_t>(absl::ToInt64Microseconds(interval), 0, period_us);
      paid = ShareRoundedDown(outcome.charge_microcredits, got_milliunits, award_milliunits);
      paid = ShareRoundedDown(paid, held_us, period_us);
    }
  }
  outcome.settled = true;
  outcome.settled_microcredits = paid;
  scribe.Move(outcome.tenant_id, outcome.guest_id, Account::kEscrow, Account::kRevenue, paid);
  scribe.Move(outcome.tenant_id, outcome.guest_id, Account::kEscrow, Account::kAvailable,
              outcome.charge_microcredits - paid);
  RepayArrears(scribe, outcome.tenant_id);
}

void PostRelease(Scribe& scribe, Outcome& outcome) {
  PostSettlement(scribe, nullptr, absl::ZeroDuration(), absl::Seconds(1), outcome);
}

std::map<ResourceKind, Microcredits> PostRent(Scribe& scribe, GuestId guest_id,
                                              absl::Span<const Resource> resources,
                                              absl::Duration period) {
  std::map<ResourceKind, Microcredits> rents;
  Guest guest = scribe.state().guests.at(guest_id);
  const int64_t period_us = absl::ToInt64Microseconds(period);
  const int64_t held_us = std::clamp<int64_t>(
      absl::ToInt64Microseconds(scribe.now() - guest.rented_until), 0, period_us);
  guest.rented_until = scribe.now();
  scribe.Write(PutGuest{guest});
  for (const Resource& resource : resources) {
    const Microcredits rent =
        ShareRoundedDown(SaturatingMultiply(guest.seed_units(resource.kind),
                                            resource.seed_rent_unit_price_microcredits),
                         held_us, period_us);
    const Balances& balances = BalancesOf(scribe.state(), guest.tenant_id);
    const Microcredits paid = std::min(rent, balances.available);
    const Microcredits owed = std::min(rent - paid, kArrearsMaxMicrocredits + balances.arrears);
    scribe.Move(guest.tenant_id, guest_id, Account::kAvailable, Account::kRevenue, paid);
    scribe.Move(guest.tenant_id, guest_id, Account::kArrears, Account::kRevenue, owed);
    rents[resource.kind] = paid + owed;
  }
  return rents;
}

}  // namespace nom::market
