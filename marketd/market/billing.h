// SPDX-License-Identifier: Apache-2.0
// Bills one guest for what it held: the step that every end of an interval takes (a round takes
// effect, a guest is destroyed, a machine restarts).

#ifndef MARKETD_MARKET_BILLING_H_
#define MARKETD_MARKET_BILLING_H_

#include <string>

#include "absl/types/span.h"
#include "marketd/market/state.h"
#include "marketd/market/transaction.h"
#include "marketd/market/types.h"

namespace nom::market {

struct Billed {
  bool meters_lost = false;   // It ran, and nothing is known of the interval: nothing is charged.
  Microcredits forgiven = 0;  // Held beyond the round's period, and not to be had.
};

// Bills `guest_id` for the interval from the reading that the ledger holds to `reading` (null:
// there is none), on its outcomes in `round`: if the round is in force, what its contracts that are
// alive in it cost, and the rent of its seed, also on outcomes made for it if it came after the
// decision. `round` is null before a host's first decision: then nothing is billed and the interval
// goes on. `decided` is the round that waits for its time, 0 if none does: what is set aside for it
// stays; what was for the round billed, and is not spent, goes back. Moves the ledger's reading,
// and writes the guest and its contracts, which stay open; the caller writes the round.
Billed BillGuest(Scribe& scribe, GuestId guest_id, const GuestMeters* reading,
                 absl::Span<const Resource> resources, Round* round, RoundId decided);

// Whether the round is still to be billed for the contract.
bool IsToBeBilled(const Round& round, const Contract& contract);

// Ends a contract: what is left of its escrow goes back.
void EndContract(Scribe& scribe, const Contract& contract, const std::string& why);
// The same before its time, and it is its tenant's doing: it pays the fee for leaving the rounds
// from `from` on.
void BreakContract(Scribe& scribe, const Contract& contract, RoundId from, const std::string& why);
// One of a guest that has ended: broken if that was its tenant's doing.
void EndBrokenOff(Scribe& scribe, const Contract& contract, RoundId from, const std::string& why);
// All open contracts of a guest that has ended, like that.
void EndContracts(Scribe& scribe, GuestId guest_id, RoundId from, const std::string& why);
// The holder leaves the contract, or can't pay it: the fee is paid at once, and from round `from`
// on it is not alive. One that has not begun by then ends.
void LeaveFrom(Scribe& scribe, const Contract& contract, RoundId from, const std::string& why);

// What more must be set aside for a contract that is alive in the round being decided, beside what
// is still to be billed for the one in force (null: none is).
Microcredits MissingFor(const Contract& contract, RoundId decided, const Round* in_force);
// Sets that aside. False, and nothing changes, if it is more than its tenant has.
bool CoverRound(Scribe& scribe, const Contract& contract, RoundId decided, const Round* in_force);

// No more will be charged for what they awarded.
void CloseOutcomes(Round& round);

// The outcome of a guest and kind, or null. Outcomes are sorted by guest_id and kind.
const Outcome* FindOutcome(const Round& round, GuestId guest_id, ResourceKind kind);

// The reading after which nothing is known: the next one only begins a new interval.
GuestMeters LostMeters(GuestId guest_id);

}  // namespace nom::market

#endif  // MARKETD_MARKET_BILLING_H_
