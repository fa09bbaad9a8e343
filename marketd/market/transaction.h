// SPDX-License-Identifier: Apache-2.0
// The one way in which durable state changes: a numbered transaction, all of it or none.
//
// A transaction carries entries that move money between accounts and the new value of each thing
// that it changes. It is made by a Scribe, which applies every line to the State at once, so that
// what the engine believes and what the ledger stores come from the same words.

#ifndef MARKETD_MARKET_TRANSACTION_H_
#define MARKETD_MARKET_TRANSACTION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "marketd/market/books.h"
#include "marketd/market/offers.h"
#include "marketd/market/state.h"
#include "policies/clearing/fallback.h"

namespace nom::market {

// With all of its tokens.
struct PutTenant {
  Tenant tenant;
};
// The whole guest; kEvicted takes it out of the state, with the ids of its bids. spent_microcredits
// is moved by entries only.
struct PutGuest {
  Guest guest;
};
struct PutBid {
  StandingBid bid;
};
struct DropBid {
  BidKey key;
  BidFence fence;  // Of who withdrew it; fence 0: it lapsed, and the last writer stays the last.
};
// A resource's auction as it was cleared, in the text of policies/cases, for ever; or that of all
// kinds of the host together (joint_round.h).
struct AuctionRecord {
  HostId host_id;
  RoundId round_id = 0;
  ResourceKind kind = ResourceKind::kMemory;  // kSeveralKinds: of all, one auction.
  std::string rule;
  policies::Method method = policies::Method::kExact;
  std::string auction;
  std::string fault;  // Why the rule failed and the last awards were repeated; empty: it did not.
  int64_t work_max = 0;  // That it was cleared within; see ClearByRule.
  // Which chain of fallbacks that was (policies/clearing/fallback.h).
  int64_t chain = policies::kFallbackChain;
  friend bool operator==(const AuctionRecord&, const AuctionRecord&) = default;
};
// The guest's tier, or another one in its place. It goes with its guest.
struct PutTier {
  GuestTier tier;
};
struct DropTier {
  GuestId guest_id = 0;
};
// A round was decided: it becomes open, and its prices the host's.
struct PutRound {
  Round round;
  std::vector<AuctionRecord> auctions;  // One for each price, or one of kSeveralKinds.
};
// The round's phase, applied time, reason, and every outcome anew; outcomes of guests that came
// after the decision may be added. kSettled and kReleased close it.
struct UpdateRound {
  Round round;
  // Those of its outcomes that are not as they were, for ledgers; set by the Scribe. Without it all
  // are written.
  std::optional<std::vector<Outcome>> changed;
};
// A contract begins: its terms, for ever.
struct OpenContract {
  Contract contract;
};
// How an open contract stands; its terms are ignored here. With a reason why it ended it is closed.
struct UpdateContract {
  Contract contract;
  // Nothing of it is other than it was but what is set aside, what was paid and up to when it is
  // billed, as with each contract in each round. The scribe says so; a ledger then writes those.
  bool settles_only = false;
};
// An offer is made: its terms, for ever.
struct OpenOffer {
  Offer offer;
};
// How an open offer stands; its terms are ignored here. With a reason why it is closed, it is.
struct UpdateOffer {
  Offer offer;
};
// Money leaves for another book; the entries move it into transit. transfer_id is the
// transaction's, and from_book its book: both are ignored here.
struct SendTransfer {
  Transfer transfer;
};
// And arrives in this one; the entries move it out of transit.
struct AcceptTransfer {
  Transfer transfer;
};
// The host's own line: boot and the round in force.
struct PutHost {
  HostId host_id;
  uint64_t boot_id = 0;
  RoundId in_force_round_id = 0;
};
// Who did what, for ever: no part of the state, and of the chain.
struct LogEvent {
  AuditEvent event;
};
// For ever, or as one of a guest's bids: see Request.
struct PutRequest {
  Request request;
};

using Change = std::variant<PutTenant, PutGuest, PutBid, DropBid, PutTier, DropTier, PutRound,
                            UpdateRound, OpenContract, UpdateContract, OpenOffer, UpdateOffer,
                            SendTransfer, AcceptTransfer, PutHost, LogEvent, PutRequest>;

struct Transaction {
  uint64_t transaction_id = 0;  // Counts from 1 without a gap.
  absl::Time time;
  std::string kind;  // "deposit", "round decided", ...: for people and metrics; a small fixed set.
  std::vector<Entry> entries;
  std::vector<Change> changes;
};

// Applies one line. Entries: the errors of Post (accounts.h), and NOT_FOUND for an unknown tenant;
// nothing is changed then.
absl::Status ApplyEntry(const Entry& entry, State& state);
void ApplyChange(const Change& change, State& state);

// Writes one transaction and applies it as it goes. The caller has checked before it writes: a line
// that can't be applied is a broken promise and aborts.
class Scribe {
 public:
  Scribe(State& state, absl::Time now, std::string kind);
  Scribe(const Scribe&) = delete;
  Scribe& operator=(const Scribe&) = delete;

  State& state() { return state_; }
  uint64_t transaction_id() const { return transaction_.transaction_id; }
  absl::Time now() const { return transaction_.time; }
  bool empty() const { return transaction_.entries.empty() && transaction_.changes.empty(); }

  // Moves `amount` >= 0 between two accounts; nothing if it is 0. Joins an entry of just before
  // that says the same of the same guest: what a guest pays for two kinds is one entry.
  void Move(Account from, Account to, GuestId guest_id, Microcredits amount);
  void Write(Change change);

  // The finished transaction. If nothing was written its id is given back; don't commit it then.
  Transaction Finish() &&;

 private:
  void Record(Entry entry);

  State& state_;
  Transaction transaction_;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_TRANSACTION_H_
