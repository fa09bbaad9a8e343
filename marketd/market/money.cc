// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/money.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "marketd/base/money.h"
#include "marketd/base/status.h"

namespace nom::market {
namespace {

constexpr auto kAvailable = AccountKind::kAvailable;
constexpr auto kEscrow = AccountKind::kEscrow;
constexpr auto kArrears = AccountKind::kArrears;

Account Revenue() { return {kOperator, AccountKind::kRevenue}; }
Account Issued() { return {kOperator, AccountKind::kIssued}; }

void RepayArrears(Scribe& scribe, const TenantId& tenant_id) {
  const Purse& purse = scribe.state().PurseOf(tenant_id);
  scribe.Move({tenant_id, kAvailable}, {tenant_id, kArrears}, 0,
              std::min(purse.available, -purse.arrears));
}

}  // namespace

absl::Status CheckDeposit(const State& state, const TenantId& tenant_id, Microcredits amount) {
  if (!state.tenants.contains(tenant_id)) {
    return absl::NotFoundError(absl::StrCat("tenant_id: no tenant ", tenant_id));
  }
  if (amount == 0) return absl::InvalidArgumentError("amount_microcredits: is 0");
  const Purse& purse = state.PurseOf(tenant_id);
  // This account is below zero: it is what the operator owes for all deposits.
  const auto total = CheckedAdd(-state.PurseOf(kOperator).issued, amount);
  if (!total || *total > kIssuedMaxMicrocredits || *total < -kIssuedMaxMicrocredits) {
    return absl::InvalidArgumentError(absl::StrCat("amount_microcredits: ", amount, " for ",
                                                   tenant_id, " would bring all deposits above ",
                                                   kIssuedMaxMicrocredits));
  }
  if (amount < 0 && purse.available < -amount) {
    return absl::FailedPreconditionError(absl::StrCat(
        "amount_microcredits: ", tenant_id, " has ", purse.available, " available, not ", -amount));
  }
  return absl::OkStatus();
}

void PostDeposit(Scribe& scribe, const TenantId& tenant_id, Microcredits amount) {
  if (amount > 0) {
    scribe.Move(Issued(), {tenant_id, kAvailable}, 0, amount);
    // At once, and before it can be bid with: who owes rent does not buy with the money first.
    RepayArrears(scribe, tenant_id);
  } else {
    scribe.Move({tenant_id, kAvailable}, Issued(), 0, -amount);
  }
}

void PostEscrow(Scribe& scribe, Contract& contract, Microcredits amount) {
  scribe.Move({contract.tenant_id, kAvailable}, {contract.tenant_id, kEscrow}, contract.guest_id,
              amount);
  contract.escrow_microcredits += amount;
}

void PostSend(Scribe& scribe, const BookId& to_book, const Owner& owner, Microcredits amount) {
  scribe.Move({owner, kAvailable}, {owner, AccountKind::kTransit}, 0, amount);
  scribe.Write(SendTransfer{{.transfer_id = scribe.transaction_id(),
                             .to_book = to_book,
                             .owner = owner,
                             .amount_microcredits = amount}});
}

void PostAccept(Scribe& scribe, const Transfer& transfer) {
  scribe.Move({transfer.owner, AccountKind::kTransit}, {transfer.owner, kAvailable}, 0,
              transfer.amount_microcredits);
  scribe.Write(AcceptTransfer{transfer});
  // The operator owes itself nothing.
  if (transfer.owner != kOperator) RepayArrears(scribe, transfer.owner);
}

std::optional<MeteredInterval> Between(const GuestMeters& from, const GuestMeters& to) {
  MeteredInterval out{.age_us = to.age_us - from.age_us, .alive_us = to.alive_us - from.alive_us};
  if (to.age_us < 0 || to.alive_us < 0 || out.age_us < 0 || out.alive_us < 0) return std::nullopt;
  for (const GuestMeters::Amount& now : to.amounts) {
    const auto then =
        std::find_if(from.amounts.begin(), from.amounts.end(),
                     [&now](const GuestMeters::Amount& a) { return a.kind == now.kind; });
    // A kind that the machine did not count before, as it was not sold there, begins at nothing.
    const GuestMeters::Amount zero{.kind = now.kind};
    const GuestMeters::Amount& before = then == from.amounts.end() ? zero : *then;
    // Modulo 2^64, as the meters count; a fall shows as a negative difference.
    MeteredInterval::Amount amount{
        .kind = now.kind,
        .offered_unit_us = static_cast<int64_t>(now.offered_unit_us - before.offered_unit_us),
        .used_unit_us = static_cast<int64_t>(now.used_unit_us - before.used_unit_us)};
    if (amount.offered_unit_us < 0 || amount.used_unit_us < 0) return std::nullopt;
    out.amounts.push_back(amount);
  }
  return out;
}

Microcredits PostDue(Scribe& scribe, Contract& contract, Microcredits due, Microcredits keep) {
  const Owner payee = scribe.state().contracts.PayeeOf(contract);
  // A tenant that passed units on between two guests of its own: the money is where it belongs
  // already.
  if (payee == contract.tenant_id) return 0;
  const Account seller = payee == kOperator ? Revenue() : Account{payee, kAvailable};
  const Microcredits from_escrow =
      std::min(due, std::max<Microcredits>(0, contract.escrow_microcredits - keep));
  scribe.Move({contract.tenant_id, kEscrow}, seller, contract.guest_id, from_escrow);
  contract.escrow_microcredits -= from_escrow;
  // No further than there is money: the interval was longer than the period because we were away,
  // and nobody falls into debt by that.
  const Microcredits beyond =
      std::min(due - from_escrow, scribe.state().PurseOf(contract.tenant_id).available);
  scribe.Move({contract.tenant_id, kAvailable}, seller, contract.guest_id, beyond);
  // A tenant that sells to others may owe rent itself.
  if (payee != kOperator) RepayArrears(scribe, payee);
  return from_escrow + beyond;
}

void PostRelease(Scribe& scribe, Contract& contract, Microcredits keep) {
  const Microcredits back = std::max<Microcredits>(0, contract.escrow_microcredits - keep);
  scribe.Move({contract.tenant_id, kEscrow}, {contract.tenant_id, kAvailable}, contract.guest_id,
              back);
  contract.escrow_microcredits -= back;
  RepayArrears(scribe, contract.tenant_id);
}

void PostRent(Scribe& scribe, const MeteredInterval& interval,
              Microcredits seed_rent_unit_price_microcredits, absl::Duration period,
              Outcome& outcome) {
  const Microcredits rent =
      ShareRoundedDown(SaturatingMultiply(outcome.seed_units, seed_rent_unit_price_microcredits),
                       interval.alive_us, absl::ToInt64Microseconds(period));
  const Purse& purse = scribe.state().PurseOf(outcome.tenant_id);
  const Microcredits paid = std::min(rent, purse.available);
  // Arrears and revenue stay within the bounds that keep every sum within 64 bits; what would go
  // beyond is forgiven.
  const Microcredits owed =
      std::min({rent - paid, kArrearsMaxMicrocredits + purse.arrears,
                std::max<Microcredits>(
                    0, kRevenueMaxMicrocredits - scribe.state().PurseOf(kOperator).revenue)});
  scribe.Move({outcome.tenant_id, kAvailable}, Revenue(), outcome.guest_id, paid);
  scribe.Move({outcome.tenant_id, kArrears}, Revenue(), outcome.guest_id, owed);
  outcome.rent_microcredits += paid + owed;
}

}  // namespace nom::market
