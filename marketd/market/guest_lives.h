// SPDX-License-Identifier: Apache-2.0
// Guests coming and going: admitted, created when there is room, ended, started again, evicted, and
// what is found of them on a machine that was away.
//
// What is asked for is durable before the machine is told, and done when the machine has confirmed
// it; where a death or a lost link comes in between, attaching to the machine (Reconcile) makes up
// for what is missing. Money is settlement.h's.
//
// Not thread-safe: the engine's thread owns it.

#ifndef MARKETD_MARKET_GUEST_LIVES_H_
#define MARKETD_MARKET_GUEST_LIVES_H_

#include <string>

#include "absl/status/status.h"
#include "marketd/market/bid_leases.h"
#include "marketd/market/event.h"
#include "marketd/market/guest_notes.h"
#include "marketd/market/host_market.h"
#include "marketd/market/live_book.h"
#include "marketd/market/notices.h"
#include "marketd/market/settlement.h"
#include "marketd/market/waiting_calls.h"

namespace nom::market {

class GuestLives {
 public:
  // All outlive it.
  GuestLives(LiveBook& book, BidLeases& leases, Notices& notices, NotesOfGuests& notes,
             WaitingCalls& waiting);

  // Above all that the ledger has given out, and that any machine was seen to have.
  GuestId NextGuestId() const;
  // A machine has a guest of that id, whoever made it.
  void Saw(GuestId guest_id);

  // Creates the admitted guests whose seeds fit beside all that is, or is about to be, in force.
  void CreateWhatFits(HostMarket& host);
  // Of a guest that has ended, and is to be started: its old instance, if the host still has it,
  // goes before the new one is created.
  void ClearAwayForStart(HostMarket& host, GuestId guest_id);
  // What EvictGuest begins, with what `scribe` has: durable at once, done when the host has
  // confirmed it.
  void BeginEviction(HostMarket& host, Scribe&& scribe, GuestId guest_id, EndCause cause,
                     const std::string& reason);
  // Ends the bids and changes the state; money is left to the round.
  void EndLife(Scribe& scribe, GuestId guest_id, GuestState state, EndCause cause,
               const std::string& reason);
  // What is known of a guest that is gone. `host` null: it is not in the config.
  void Forget(HostMarket* host, GuestId guest_id);

  // --- What the machine says. ---

  void OnCreated(HostMarket& host, GuestId guest_id, const absl::Status& status);
  // The host's meters are in `done`, if it had the guest.
  void OnDestroyed(HostMarket& host, GuestId guest_id, const HostCommandDone& done);
  void OnEnded(HostMarket& host, const GuestEnded& ended);
  // A guest of the ledger, and what the host has of it (null: nothing).
  void Reconcile(HostMarket& host, const Guest& guest, const HostGuest* has);

 private:
  void RefuseStart(HostMarket& host, Scribe& scribe, GuestId guest_id, const absl::Status& status);
  void RefuseAdmission(HostMarket& host, GuestId guest_id, const absl::Status& status);
  void CreateAnew(HostMarket& host, const Guest& guest);

  LiveBook& book_;
  BidLeases& leases_;
  Notices& notices_;
  NotesOfGuests& notes_;
  WaitingCalls& waiting_;
  GuestId seen_max_ = 0;
};

// What could not be charged is counted for the host.
void Count(HostMarket& host, const Uncharged& uncharged);

}  // namespace nom::market

#endif  // MARKETD_MARKET_GUEST_LIVES_H_
