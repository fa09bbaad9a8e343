// SPDX-License-Identifier: Apache-2.0
// A host's rounds: collect until close, clear and commit, tell, let the grace pass, put in force,
// settle the round before.
//
// Decides what the round clock (round_clock.h) says is due. What becomes of money is
// settlement.h's, what the machine does host_link.h's; a decision is told to nobody before it is
// durable, as everything else goes out through the book.
//
// Clearing is done at once, or beside the engine (Effects::clearings), for as many hosts at once as
// whoever owns the engine likes. What comes meanwhile is for the next round. Where a decision that
// was made beside can't be done any more, the same bids are cleared again at once.
//
// Not thread-safe: the engine's thread owns it.

#ifndef MARKETD_MARKET_ROUNDS_H_
#define MARKETD_MARKET_ROUNDS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "marketd/market/bid_desk.h"
#include "marketd/market/bid_leases.h"
#include "marketd/market/config.h"
#include "marketd/market/decision.h"
#include "marketd/market/event.h"
#include "marketd/market/guest_lives.h"
#include "marketd/market/guest_notes.h"
#include "marketd/market/host_market.h"
#include "marketd/market/live_book.h"
#include "marketd/market/notices.h"
#include "marketd/market/product_desk.h"
#include "marketd/market/tier_desk.h"

namespace nom::market {

class Rounds {
 public:
  struct Options {
    ClearFunctions clear;
    bool beside = false;  // Cleared by whoever owns the engine, not in Advance.
    uint64_t market_seed = 0;
    size_t hosts = 1;  // That share the processor which clears.
  };

  // All outlive it.
  Rounds(Options options, LiveBook& book, BidLeases& leases, Notices& notices, NotesOfGuests& notes,
         GuestLives& lives, BidDesk& desk, ProductDesk& products, TierDesk& tiers);

  // The host was attached and reconciled: rounds run, from the one that was decided before it, or
  // this process, was lost, or from a new one.
  void Begin(HostMarket& host);
  // Does what is due.
  void Advance(HostMarket& host);
  // A round was cleared beside the engine; passed over if it is not the one that is waited for.
  void OnCleared(HostMarket& host, const ClearDone& done);
  // The machine has put the decided round in force, or refused.
  void OnApplied(HostMarket& host, const HostCommandDone& done);

  // The decided round is in force since `meters` were read.
  void TakeEffect(HostMarket& host, const std::vector<GuestMeters>& meters);
  // The decided round, if there is one, never comes. Its notices are withdrawn, and bids for a
  // number of rounds get this one back.
  void Release(HostMarket& host, const std::string& why);

 private:
  // --- From close to decision, in stages. ---
  void Decide(HostMarket& host);
  RoundSnapshot Snapshot(const HostMarket& host) const;
  // The decision becomes the round. `scribe` has what went before it.
  void Conclude(HostMarket& host, const RoundSnapshot& snapshot, Decision decision,
                Scribe&& scribe);
  void WriteDecision(HostMarket& host, const RoundSnapshot& snapshot, Decision decision,
                     Scribe& scribe);
  // What one guest got: outcomes to the round, its award, if it has one, to `scribe`.
  void WriteAwards(const HostMarket& host, const RoundSnapshot& snapshot, const Guest& guest,
                   const std::map<BidKey, KindAward>& awards,
                   const std::map<BidKey, int64_t>& asked, Round& round, Scribe& scribe);
  // Guests are told what they will hold, all others the prices.
  void TellDecision(HostMarket& host);

  // --- From its time to its being in force, in stages. ---
  void Apply(HostMarket& host);
  void Refused(HostMarket& host, const std::string& why);
  // What guests were told and what they hold now is the same, or this aborts.
  void CheckTold(HostMarket& host);
  void HoldNext(HostMarket& host, const Round& next);
  void NoteSettled(const TookEffect& took);
  void DropUsedBids(HostMarket& host, RoundId in_force, Scribe& scribe);
  void EvictInArrears(HostMarket& host);
  void Next(HostMarket& host);

  void GiveRoundBack(const HostMarket& host, RoundId round_id, Scribe& scribe);
  void WithdrawNotices(HostMarket& host, RoundId round_id);

  const Options options_;
  LiveBook& book_;
  BidLeases& leases_;
  Notices& notices_;
  NotesOfGuests& notes_;
  GuestLives& lives_;
  BidDesk& desk_;
  ProductDesk& products_;
  TierDesk& tiers_;
  uint64_t next_clear_id_ = 1;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_ROUNDS_H_
