// Bills one guest for what it held: the step that every end of an interval takes (a round takes
// effect, a guest is destroyed, a machine restarts).

#ifndef MARKETD_MARKET_BILLING_H_
#define MARKETD_MARKET_BILLING_H_

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
// there is none), on its outcomes in `round`: settles its awards if the round is in force, and adds
// its seed rent, also to outcomes made for it if it came after the decision. `round` is null before
// a host's first decision: then nothing is billed and the interval goes on. Moves the ledger's
// reading, and writes the guest; the caller writes the round.
Billed BillGuest(Scribe& scribe, GuestId guest_id, const GuestMeters* reading,
                 absl::Span<const Resource> resources, Round* round);

// The outcome of a guest and kind, or null. Outcomes are sorted by guest_id and kind.
const Outcome* FindOutcome(const Round& round, GuestId guest_id, ResourceKind kind);

// The reading after which nothing is known: the next one only begins a new interval.
GuestMeters LostMeters(GuestId guest_id);

}  // namespace nom::market

#endif  // MARKETD_MARKET_BILLING_H_
