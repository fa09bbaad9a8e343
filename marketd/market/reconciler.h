// SPDX-License-Identifier: Apache-2.0
// What a machine says when it is attached, and what the book says: made one.
//
// A machine goes on while nobody drives it: its guests keep what they hold, and its meters count.
// So what it says is where everything goes on from, and nothing is put in force by attaching. Where
// it differs from the book it is counted, and the next round puts it right, with notices.

#ifndef MARKETD_MARKET_RECONCILER_H_
#define MARKETD_MARKET_RECONCILER_H_

#include <map>
#include <string>

#include "marketd/market/event.h"
#include "marketd/market/guest_lives.h"
#include "marketd/market/host_market.h"
#include "marketd/market/live_book.h"
#include "marketd/market/rounds.h"

namespace nom::market {

class Reconciler {
 public:
  // All outlive it.
  Reconciler(LiveBook& book, GuestLives& lives, Rounds& rounds)
      : book_(book), lives_(lives), rounds_(rounds) {}

  // The answer to Attach. If the machine is one that can be used its rounds run from here on;
  // otherwise it is tried again.
  void OnAttached(HostMarket& host, const HostCommandDone& done);

 private:
  using Found = std::map<GuestId, const HostGuest*>;  // Of the ledger's guests.

  // In stages: another boot has no meters any more; a round that was applied and not noted takes
  // effect; then guest by guest; then what was decided, if its time has passed.
  void Reconcile(HostMarket& host, const HostFacts& facts);
  Found FindOurs(const HostMarket& host, const HostFacts& facts);
  void NoteRestart(HostMarket& host, uint64_t boot_id);
  void TakeEffectLate(HostMarket& host, const HostFacts& facts, const Found& found);

  LiveBook& book_;
  GuestLives& lives_;
  Rounds& rounds_;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_RECONCILER_H_
