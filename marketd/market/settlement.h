// SPDX-License-Identifier: Apache-2.0
// Money at the turns of a host's market: what is set aside, billed, given back and ended when a
// round is decided, takes effect or is released, and when guests or machines go. Each function
// writes lines of one transaction that its caller commits; every line of money is billing.h's or
// money.h's.
//
// Knows accounts, contracts, readings of meters and outcomes; not links, clocks or callers.

#ifndef MARKETD_MARKET_SETTLEMENT_H_
#define MARKETD_MARKET_SETTLEMENT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "marketd/market/billing.h"
#include "marketd/market/state.h"
#include "marketd/market/transaction.h"
#include "marketd/market/types.h"

namespace nom::market {

// What could not be charged, over several bills.
struct Uncharged {
  uint64_t meters_lost = 0;
  Microcredits forgiven = 0;

  void Add(const Billed& billed);
  void Add(const Uncharged& more);
};

// --- A round. ---

// It is being decided: contracts that are alive in it and were open before are covered for it, or
// end. Those of guests that have ended or leave are billed once more, and end then.
void CoverContracts(Scribe& scribe, const HostId& host_id, RoundId round_id);

// An award: its charge for a period set aside, and the contract opened. Requires lots.
void OpenAward(Scribe& scribe, Contract contract);

// The decided round is in force since `meters` were read. In stages: all guests are billed for what
// they held until then, on the outcomes of the round before, or of this one if there is none; the
// round before is settled; contracts whose rounds are over end; this one is the one in force.
struct TookEffect {
  Uncharged uncharged;
  std::vector<Outcome> settled;  // Of the round before; empty if there was none.
  RoundId settled_round_id = 0;  // 0: there was none.
};
TookEffect SettleAndPutInForce(Scribe& scribe, const HostId& host_id,
                               absl::Span<const Resource> resources,
                               const std::vector<GuestMeters>& meters);

// The decided round does not come: what was set aside for it goes back, contracts of it alone end.
void ReleaseRound(Scribe& scribe, const Round& decided, const std::string& why);

// --- Guests and machines. ---

// The host has nothing of the guest any more: billed to its last reading (null: none), and its
// contracts end.
Uncharged BillGone(Scribe& scribe, GuestId guest_id, const GuestMeters* reading,
                   absl::Span<const Resource> resources, const std::string& why);
// The machine does not know a guest that should run: nobody knows what it held last.
Uncharged BillLost(Scribe& scribe, GuestId guest_id, absl::Span<const Resource> resources);
// The machine has restarted, and forgot its guests and their meters.
Uncharged BillRestart(Scribe& scribe, const HostId& host_id, absl::Span<const Resource> resources);
// Nobody can meter or drive the host any more: all escrow goes back, its rounds are closed.
void CloseHost(Scribe& scribe, const HostId& host_id, const std::string& why);

// --- Arrears. ---

// Running guests of the host whose tenants have owed rent at the end of more than `grace` rounds in
// a row. 0: nobody has.
std::vector<GuestId> GuestsInArrears(const State& state, const HostId& host_id, uint32_t grace);

}  // namespace nom::market

#endif  // MARKETD_MARKET_SETTLEMENT_H_
