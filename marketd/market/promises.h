// SPDX-License-Identifier: Apache-2.0
// What must hold after every transaction, whatever anybody asked. The engine looks after each one,
// in release builds too, and aborts on what is broken: nothing may be told that rests on a wrong
// book. A look costs what the transaction changed, not what there is.

#ifndef MARKETD_MARKET_PROMISES_H_
#define MARKETD_MARKET_PROMISES_H_

#include <set>
#include <string>

#include "marketd/market/accounts.h"
#include "marketd/market/holdings.h"
#include "marketd/market/host.h"
#include "marketd/market/shares.h"
#include "marketd/market/state.h"
#include "marketd/market/transaction.h"

namespace nom::market {

// Money: each purse adds up; it is what it was before and the entries, so that all purses together
// still sum to zero; its escrow is that of its open contracts; a round awards what it sold, and
// sold no more than there was.
class MoneyPromises {
 public:
  explicit MoneyPromises(const State& state) : purses_(state.purses) {}

  // What `transaction`, which `state` has in it and this has not yet seen, broke, or "".
  std::string FirstBroken(const Transaction& transaction, const State& state);

 private:
  Purses purses_;  // As the last transaction left them.
};

// The hosts of which `transaction` gives something to guests.
std::set<HostId> HostsGivenOut(const Transaction& transaction, const State& state);

// Capacity: what `transaction` gives to guests of the host, as seeds or by contracts, the host has
// beside all other seeds and contracts, in each round in which they are alive; seeds from
// `round_id` on. What is wrong, or "".
std::string FirstOversold(const Transaction& transaction, const HostShares& host, RoundId round_id);

// Grants: every guest that was told what it will hold, and runs, holds that. What is wrong, or "".
std::string FirstUntold(const GrantSet& told, const State& state, const HostHoldings& holdings);

// What a machine was made to hold is what its guests hold. While it was being told, a contract may
// have ended that gave a guest units of another's: the books are ahead of the machine then, and the
// next round puts it right, with notices. How many guests hold other than the books say.
int HoldAsTold(const GrantSet& told, const State& state, HostHoldings& holdings);

}  // namespace nom::market

#endif  // MARKETD_MARKET_PROMISES_H_
