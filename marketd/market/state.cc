#include "marketd/market/state.h"

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

}  // namespace nom::market
