// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/accounts.h"

#include <utility>

#include "absl/numeric/int128.h"
#include "absl/strings/str_cat.h"
#include "marketd/base/money.h"
#include "marketd/base/status.h"

namespace nom::market {
namespace {

bool OnlyTheOperators(AccountKind kind) {
  return kind == AccountKind::kRevenue || kind == AccountKind::kIssued;
}

bool OnTheWrongSide(AccountKind kind, Microcredits balance) {
  switch (kind) {
    case AccountKind::kAvailable:
    case AccountKind::kEscrow:
      return balance < 0;
    case AccountKind::kArrears:
      return balance > 0;
    case AccountKind::kTransit:
    case AccountKind::kRevenue:
    case AccountKind::kIssued:
      return false;
  }
  Die(__FILE__, __LINE__, "no such account");
}

std::string NameOf(const Account& account) {
  return absl::StrCat(account.owner, ", ", AccountName(account.kind));
}

// One side of an entry; `amount` is below zero where money goes out.
absl::Status Change(const Account& account, Microcredits amount, Purse& purse) {
  if (OnlyTheOperators(account.kind) && account.owner != kOperator) {
    return absl::InvalidArgumentError(absl::StrCat(NameOf(account), ": only the operator has it"));
  }
  Microcredits& balance = purse[account.kind];
  const auto sum = CheckedAdd(balance, amount);
  if (!sum) return absl::OutOfRangeError(absl::StrCat(NameOf(account), ": overflow"));
  // Here, where all money passes, so that no caller can spend what is not there, whatever it has
  // checked.
  if (OnTheWrongSide(account.kind, *sum)) {
    return absl::FailedPreconditionError(
        absl::StrCat(NameOf(account), ": ", *sum, " is on the wrong side of zero"));
  }
  balance = *sum;
  return absl::OkStatus();
}

// What was put in, taken out or passed on to another. False on overflow.
bool CountTotals(const Entry& entry, Purse& from, Purse& to) {
  const auto add = [](Microcredits& total, Microcredits amount) {
    const auto sum = CheckedAdd(total, amount);
    if (sum) total = *sum;
    return sum.has_value();
  };
  const Microcredits amount = entry.amount_microcredits;
  if (IsPayment(entry)) return add(from.spent, amount) && add(to.earned, amount);
  if (entry.to.kind == AccountKind::kIssued) return add(from.deposited, -amount);
  if (entry.from.kind == AccountKind::kIssued) return add(to.deposited, amount);
  return true;
}

absl::Status PostBetween(const Entry& entry, Purse& from, Purse& to) {
  const Microcredits amount = entry.amount_microcredits;
  if (absl::Status s = Change(entry.from, -amount, from); !s.ok()) return s;
  if (absl::Status s = Change(entry.to, amount, to); !s.ok()) return s;
  if (CountTotals(entry, from, to)) return absl::OkStatus();
  return absl::OutOfRangeError(
      absl::StrCat(entry.from.owner, ", ", entry.to.owner, ": what passed between them overflows"));
}

}  // namespace

absl::string_view AccountName(AccountKind kind) {
  switch (kind) {
    case AccountKind::kAvailable:
      return "available";
    case AccountKind::kEscrow:
      return "escrow";
    case AccountKind::kArrears:
      return "arrears";
    case AccountKind::kTransit:
      return "transit";
    case AccountKind::kRevenue:
      return "revenue";
    case AccountKind::kIssued:
      return "issued";
  }
  Die(__FILE__, __LINE__, "no such account");
}

Microcredits& Purse::operator[](AccountKind kind) {
  switch (kind) {
    case AccountKind::kAvailable:
      return available;
    case AccountKind::kEscrow:
      return escrow;
    case AccountKind::kArrears:
      return arrears;
    case AccountKind::kTransit:
      return transit;
    case AccountKind::kRevenue:
      return revenue;
    case AccountKind::kIssued:
      return issued;
  }
  Die(__FILE__, __LINE__, "no such account");
}

Microcredits Purse::operator[](AccountKind kind) const {
  Purse copy = *this;
  return copy[kind];
}

bool IsPayment(const Entry& entry) {
  return entry.from.owner != entry.to.owner && entry.from.kind != AccountKind::kIssued &&
         entry.to.kind != AccountKind::kIssued;
}

absl::Status Post(const Entry& entry, Purses& purses) {
  if (entry.amount_microcredits <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("an entry of ", entry.amount_microcredits, " moves nothing"));
  }
  if (entry.from == entry.to) {
    return absl::InvalidArgumentError(
        absl::StrCat(NameOf(entry.from), ": an entry from an account to itself"));
  }
  const auto copy = [&purses](const Owner& owner) {
    const auto it = purses.find(owner);
    return it == purses.end() ? Purse{} : it->second;
  };
  // Copies: an entry that is refused on its second side must not have changed the first. Within one
  // purse both sides work on the same copy.
  const bool within = entry.from.owner == entry.to.owner;
  Purse from = copy(entry.from.owner);
  Purse other = within ? Purse{} : copy(entry.to.owner);
  if (absl::Status s = PostBetween(entry, from, within ? from : other); !s.ok()) return s;
  purses[entry.from.owner] = from;
  if (!within) purses[entry.to.owner] = other;
  return absl::OkStatus();
}

Purses PurseChanges(absl::Span<const Entry> entries) {
  Purses out;
  for (const Entry& entry : entries) {
    const Microcredits amount = entry.amount_microcredits;
    Purse& from = out[entry.from.owner];
    Purse& to = out[entry.to.owner];
    from[entry.from.kind] -= amount;
    to[entry.to.kind] += amount;
    // It was posted before, so that it does not overflow here.
    CountTotals(entry, from, to);
  }
  return out;
}

Microcredits RevenuePaid(const Purses& purses) {
  Microcredits paid = 0;
  for (const auto& [owner, purse] : purses) {
    // The order of owners does not matter: neither sum leaves 64 bits (kRevenueMaxMicrocredits).
    paid += purse.revenue + purse.arrears;
  }
  return paid;
}

std::string FirstBrokenPromise(const Owner& owner, const Purse& purse) {
  absl::int128 holds = 0;
  for (int k = 1; k <= kAccountKindsCount; ++k) {
    const auto kind = static_cast<AccountKind>(k);
    const Microcredits balance = purse[kind];
    // The issued account is the other side of all deposits, and no money that the operator holds.
    if (kind != AccountKind::kIssued) holds += balance;
    if (OnTheWrongSide(kind, balance)) {
      return absl::StrCat(NameOf({owner, kind}), ": ", balance, " is on the wrong side of zero");
    }
    if (OnlyTheOperators(kind) && owner != kOperator && balance != 0) {
      return absl::StrCat(NameOf({owner, kind}), ": ", balance, ", which only the operator has");
    }
  }
  if (holds != absl::int128(purse.deposited) - purse.spent + purse.earned) {
    return absl::StrCat(owner, ": what it holds is not what was put in, less ", purse.spent,
                        " spent, and ", purse.earned, " earned");
  }
  return "";
}

std::string FirstBrokenPromise(const Purses& purses) {
  absl::int128 sum = 0;
  for (const auto& [owner, purse] : purses) {
    if (std::string wrong = FirstBrokenPromise(owner, purse); !wrong.empty()) return wrong;
    for (int k = 1; k <= kAccountKindsCount; ++k) sum += purse[static_cast<AccountKind>(k)];
  }
  return sum == 0 ? "" : "the accounts of all owners do not sum to zero";
}

}  // namespace nom::market
