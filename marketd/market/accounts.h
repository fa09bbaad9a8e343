// SPDX-License-Identifier: Apache-2.0
// Whose money is where: accounts, and the entries that move money between them.
//
// An entry takes an amount out of one account and puts it into another, so the sum over all
// accounts of a book is zero at all times, and money is never made or lost. The operator is an
// owner like its tenants: what it earns and what it has put in circulation are accounts of its own.

#ifndef MARKETD_MARKET_ACCOUNTS_H_
#define MARKETD_MARKET_ACCOUNTS_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "marketd/market/types.h"

namespace nom::market {

// A tenant's id, or kOperator.
using Owner = std::string;
inline constexpr char kOperator[] = "@operator";  // No tenant can be called that.

enum class AccountKind : uint8_t {
  kAvailable = 1,  // To bid with. Never below zero.
  kEscrow = 2,     // Set aside for open contracts. Never below zero.
  kArrears = 3,    // Minus what is owed. Never above zero.
  kTransit = 4,    // Sent to other books, less what came from them.
  kRevenue = 5,    // The operator's only: what it earned.
  kIssued = 6,     // The operator's only: minus the money that it has put in circulation.
};
inline constexpr int kAccountKindsCount = 6;

// "available", "escrow", ...
absl::string_view AccountName(AccountKind kind);

struct Account {
  Owner owner;
  AccountKind kind = AccountKind::kAvailable;
  friend bool operator==(const Account&, const Account&) = default;
};

// One line of double entry.
struct Entry {
  Account from;
  Account to;
  GuestId guest_id = 0;                  // On whose behalf; 0: the owner's own.
  Microcredits amount_microcredits = 0;  // Above zero.
  friend bool operator==(const Entry&, const Entry&) = default;
};

// All accounts of one owner in a book, and what passed between it and others. What it holds is what
// it was given, less what it spent, and what it earned: for every owner, at all times,
//   available + escrow + arrears + transit + revenue = deposited - spent + earned.
struct Purse {
  Microcredits available = 0;
  Microcredits escrow = 0;
  Microcredits arrears = 0;  // <= 0
  Microcredits transit = 0;
  Microcredits revenue = 0;
  Microcredits issued = 0;     // <= 0 unless more was taken back than put in.
  Microcredits deposited = 0;  // Put in for it by the operator, less what was taken out.
  Microcredits spent = 0;      // Paid to others, all time; what is owed counts as paid.
  Microcredits earned = 0;     // Got from others, all time.

  Microcredits& operator[](AccountKind kind);
  Microcredits operator[](AccountKind kind) const;
  friend bool operator==(const Purse&, const Purse&) = default;
};
using Purses = std::map<Owner, Purse>;

// Whether the entry pays another owner for something: neither within a purse nor money put in or
// taken out.
bool IsPayment(const Entry& entry);

// Moves the money; an owner without a purse gets one. Changes nothing if it fails:
// INVALID_ARGUMENT (the amount is not above zero, both accounts are the same, an account that this
// owner cannot have), OUT_OF_RANGE (overflow), FAILED_PRECONDITION (a balance would be on the wrong
// side of zero).
absl::Status Post(const Entry& entry, Purses& purses);

// What entries add to each owner's purse, without looking at what it holds: what was posted is
// known to be good.
Purses PurseChanges(absl::Span<const Entry> entries);

// What the operator was really paid. Rent that could not be paid is booked as revenue when it falls
// due and stays in its tenant's arrears until it is paid; nothing else is ever in arrears.
Microcredits RevenuePaid(const Purses& purses);

// What does not add up in one purse, or "".
std::string FirstBrokenPromise(const Owner& owner, const Purse& purse);
// What does not add up in one of them or in their sum, or "".
std::string FirstBrokenPromise(const Purses& purses);

}  // namespace nom::market

#endif  // MARKETD_MARKET_ACCOUNTS_H_
