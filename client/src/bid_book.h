// SPDX-License-Identifier: Apache-2.0
// What a program wants to bid, what is known to stand, and what may stand: kept apart, as the
// answers of a market can be lost. A deterministic state machine without threads, I/O or a clock.
//
// For each guest and resource, and for each guest's bid for several resources together, it knows
//
//   the wish: what the program last asked for. Tried until it stands, is refused, or is replaced.
//   what is placed: what the market last said stands.
//   attempts: what was sent and never answered. Each may stand, until the market has said.
//
// Only one of these can stand at a time, as a bid replaces the one before, so what a bid may cost
// is the highest budget among them. An attempt is forgotten when a later write of the same lease
// was taken (the market then refuses older ones), or when a renewal has said what stands.
//
// A guest has either bids for single resources or one for several, each of which replaces the
// other. Of the two sides one is wished for; the wishes of the other are displaced: not written any
// more, gone for good once one that displaced them was taken, and back if none was.
//
// Not thread-safe.

#ifndef CLIENT_SRC_BID_BOOK_H_
#define CLIENT_SRC_BID_BOOK_H_

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nom/events.h"
#include "nom/pacing.h"
#include "nom/types.h"

namespace nom::client {

// A guest and a resource, or kSeveralResources.
using BidKey = std::pair<uint64_t, Resource>;
// In place of a resource: the guest's bid for several together. Comes before all resources.
inline constexpr Resource kSeveralResources{0};

inline BidKey KeyOf(const Bid& bid) {
  return {bid.guest_id, bid.valuation ? kSeveralResources : bid.resource};
}
// True of one for several resources and one for a single one, of the same guest.
inline bool ExcludeEachOther(BidKey a, BidKey b) {
  return a.first == b.first && (a.second == kSeveralResources) != (b.second == kSeveralResources);
}
// True if it is a withdrawal.
bool WantsNothing(const Bid& bid);
// OK if the bids, whose guests are known, can be wished for in one call: none twice, and none that
// replaces another. INVALID_ARGUMENT names the first that is not so.
absl::Status CheckTogether(const std::vector<Bid>& bids);

// True if the market may have carried a call out although it failed here.
bool IsUnsure(const absl::Status& status);
// An answer for more or fewer bids than were asked about says nothing of any: INTERNAL.
absl::Status CheckCount(size_t answered, size_t asked);

class BidBook {
 public:
  struct Limits {
    uint32_t lifetime_rounds = 3;
    std::optional<int64_t> budget_per_round_microcredits;
    std::map<Resource, int64_t> unit_price_ceilings_microcredits;
    std::optional<PacingOptions> pacing;  // Checked.
  };

  // One bid of a call to the market.
  struct Item {
    BidKey key;
    std::optional<Bid> bid;  // Unset: withdraw.
    uint64_t wish_id = 0;
  };
  struct Write {
    uint64_t fence = 0;
    uint64_t sequence = 0;
    std::string ledger_id;
    std::vector<Item> items;
  };
  struct Renewal {
    uint64_t fence = 0;
    uint64_t sequence = 0;  // No write up to this one is waited for any more.
    std::string ledger_id;
    std::vector<BidKey> keys;
  };
  enum class LeasedState { kHeld, kNone, kTakenOver, kWithdrawn, kGuestGone };
  // What the market said of one item of a write.
  struct Placed {
    absl::Status status;
    uint64_t round_id = 0;
    bool removed = false;
    std::optional<LeasedState> lost_to = std::nullopt;
  };
  // What it said of one key of a renewal.
  struct Leased {
    LeasedState state = LeasedState::kNone;
    uint64_t last_round_id = 0;
    uint64_t sequence = 0;
  };

  // For whoever waits for a wish.
  struct Answer {
    uint64_t wish_id = 0;
    absl::StatusOr<uint64_t> round_id;
    bool removed = false;
  };
  struct Counters {
    uint64_t placed = 0;
    uint64_t refused = 0;
    uint64_t lost = 0;
  };

  explicit BidBook(Limits limits);

  // --- What the program wants. ---

  // Takes a wish, whose guest_id is known, and returns its id; an Answer follows. The bid is
  // checked, cut to the ceiling, and its budget held within the session's; from here on it counts
  // against that. One that wants nothing is a withdrawal. Errors as Session::Bid(): nothing is
  // changed then.
  absl::StatusOr<uint64_t> Want(Bid bid, bool fresh);
  // Nobody waits for the wish any more: `why` is its answer. If it was never sent, it is as if it
  // had not been asked for.
  void GiveUp(uint64_t wish_id, const absl::Status& why);
  // All wishes that wait and could not be sent now: prices are stale.
  void GiveUpUnsent(const absl::Status& why);
  void WithdrawAll();
  // Everything is placed anew under the next lease.
  void TakeOver();

  // --- What is to be sent. At most one write is on its way at a time. ---

  bool NeedsLease(bool fresh) const { return fence_ == 0 && AnyToWrite(fresh); }
  void OnLease(uint64_t fence, int bids_per_call);
  // None could be opened. Wishes that wait end by it unless trying again can help.
  void OnLeaseFailed(const absl::Status& status);
  // What is to be written now, if anything. `fresh`: prices are, so that bids may be placed.
  std::optional<Write> NextWrite(bool fresh);
  bool AnyToWrite(bool fresh) const;
  // `placed` is in the order of the items if `status` is OK; see CheckCount().
  void OnWritten(const Write& write, const absl::Status& status, const std::vector<Placed>& placed);

  bool AnyInDoubt() const;
  bool AnyToRenew() const;
  // Nullopt if there is nothing to ask about.
  std::optional<Renewal> NextRenewal();
  // `leased` is in the order of the keys; see CheckCount().
  void OnRenewed(const Renewal& renewal, const std::vector<Leased>& leased);

  // --- What the market told of itself. ---

  // A write sent now takes part from `first_round_id` on, at the earliest.
  void OnRound(uint64_t first_round_id);
  // The ledger is back at an earlier round, with all that was charged since undone.
  void OnRoundsUndone(uint64_t round_id);
  // The guests that can bid, all of them, and whose each bid is that stands.
  void OnGuests(const std::set<uint64_t>& guest_ids, const std::map<BidKey, uint64_t>& fences);
  void OnLedger(const std::string& ledger_id);
  // What a round was decided to cost.
  void OnDecided(const Round& round);

  // --- What came of it. ---

  std::vector<Answer> TakeAnswers() { return std::exchange(answers_, {}); }
  std::vector<BidEvent> TakeEvents() { return std::exchange(events_, {}); }
  const Counters& counters() const { return counters_; }
  std::vector<StandingBid> standing_bids() const;
  // What all bids together may be charged in a round, as far as anyone can know.
  int64_t ReservedMicrocredits() const;
  // Nothing is to be written, on its way or in doubt.
  bool Settled() const;

 private:
  // Sent with these sequences and not answered; equal bids that follow each other are one.
  struct Attempt {
    uint64_t first = 0;
    uint64_t last = 0;
    std::optional<Bid> bid;
  };
  struct Entry {
    std::optional<Bid> wish;
    uint64_t wish_id = 0;
    bool to_write = false;      // The wish is not known to be what stands.
    bool is_awaited = false;    // Its answer is.
    bool is_sent = false;       // Once, at least.
    bool is_kept = false;       // It stood once, so that a refusal does not end it.
    bool is_displaced = false;  // Ones that exclude it were wished for since.
    std::optional<Bid> before;  // The wish that was kept before this one.

    std::optional<Bid> placed;
    uint64_t placed_sequence = 0;
    uint64_t first_round_id = 0;
    uint64_t through_round_id = 0;

    // Nothing written up to here stands: one that excludes it was taken since.
    uint64_t replaced_sequence = 0;

    std::vector<Attempt> attempts;
    uint64_t in_flight = 0;         // The sequence of the write on its way; 0: none is.
    uint64_t refused_round_id = 0;  // Not tried again in this round.
    absl::Status problem;
  };
  using Entries = std::map<BidKey, Entry>;

  // As the sequence of what no renewal resolves.
  static constexpr uint64_t kSequenceNever = std::numeric_limits<uint64_t>::max();
  static absl::Status StatusOf(BidChange change);

  template <typename Each>
  void ForEachThatExcludes(BidKey key, const Each& each);
  bool AnyWished(uint64_t guest_id, bool several) const;
  bool AnyMayStand(uint64_t guest_id, bool several) const;

  static std::optional<BudgetPacer> MakePacer(const Limits& limits);
  absl::StatusOr<Bid> WithinLimits(Bid bid);
  absl::StatusOr<Bid> WithinBudget(Bid bid, int64_t limit) const;
  static int64_t Reserved(const Entry& entry);
  static bool IsOfLeaseBefore(const Entry& entry);
  uint64_t StandsRounds(const Bid& bid) const;
  static bool WantsWrite(const Entry& entry, bool fresh, uint64_t round_id);
  void Reply(Entry& entry, absl::StatusOr<uint64_t> result, bool removed = false);
  void Tell(const Entry& entry, BidKey key, BidChange change, absl::Status status);
  void Problem(Entry& entry, BidKey key, BidChange change, const absl::Status& status);
  void Drop(Entry& entry);
  void Revert(Entry& entry);
  void Displace(BidKey key);
  static void BringBack(Entry& entry);
  void DropDisplaced(BidKey key);
  void Restore(uint64_t guest_id);
  void Replace(BidKey key, uint64_t sequence);
  void OnTaken(BidKey key, Entry& entry, const Item& item, uint64_t sequence, const Placed& placed);
  void OnUnanswered(const Item& item, Entry& entry, const absl::Status& status, bool put_off);
  static void Unsend(Entry& entry, uint64_t sequence);
  void OnRefused(BidKey key, Entry& entry, const Item& item, uint64_t sequence,
                 const absl::Status& status);
  Entries::iterator Lose(Entries::iterator it, BidChange change, const absl::Status& status);
  void Resign(BidKey key, Entry& entry);
  void Resolve(BidKey key, Entry& entry, uint64_t through_sequence, const Leased& leased);
  void TakeWhatStands(BidKey key, Entry& entry, uint64_t through_sequence, const Leased& leased);
  static std::optional<Attempt> AttemptThatStands(const Entry& entry, uint64_t through_sequence,
                                                  uint64_t sequence);
  void SettleWithdrawal(Entry& entry, bool had_placed);
  void SettleWish(BidKey key, Entry& entry);
  void Forget(BidKey key);
  void TellPacer(uint64_t round_id);

  const Limits limits_;
  std::optional<BudgetPacer> pacer_;
  std::set<BidKey> ever_bid_;  // For what rounds cost, while there is a pacer.

  std::set<uint64_t> seen_guest_ids_;  // In the last list of guests.
  std::string ledger_id_;
  uint64_t fence_ = 0;
  uint64_t sequence_ = 0;
  size_t bids_per_call_ = 1;
  bool in_flight_ = false;
  uint64_t round_id_ = 0;
  uint64_t last_wish_id_ = 0;
  Entries entries_;
  std::vector<Answer> answers_;
  std::vector<BidEvent> events_;
  Counters counters_;
};

}  // namespace nom::client

#endif  // CLIENT_SRC_BID_BOOK_H_
