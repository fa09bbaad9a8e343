// SPDX-License-Identifier: Apache-2.0
// Where the market's truth is kept. The market owns this interface; marketd/ledger implements it.

#ifndef MARKETD_MARKET_LEDGER_H_
#define MARKETD_MARKET_LEDGER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "marketd/market/books.h"
#include "marketd/market/chain.h"
#include "marketd/market/state.h"
#include "marketd/market/transaction.h"

namespace nom::market {

// A line of the audit log as it is in a ledger.
struct LoggedEvent {
  uint64_t transaction_id = 0;
  absl::Time time;
  AuditEvent event;
};

// An entry between an owner and others as it is in a ledger.
struct LoggedEntry {
  uint64_t transaction_id = 0;
  absl::Time time;
  Entry entry;
};

// What a tenant has, and the newest of what came to it and went from it.
struct AccountStatement {
  Purse purse;
  std::vector<LoggedEntry> entries;
};

// Which of a list, newest first: of the newest `transactions_max` transactions that have any, those
// below `before` (0: all).
struct NewestBelow {
  uint64_t before = 0;
  int transactions_max = 0;
};

// Which rounds' prices: those that closed from `since` on and before `until`, with ids from
// `first_round_id` on and below `before_round_id` (0: all). Of these the newest `rounds_max`.
struct PricesWanted {
  HostId host_id;
  RoundId first_round_id = 0;
  RoundId before_round_id = 0;
  absl::Time since = absl::InfinitePast();
  absl::Time until = absl::InfiniteFuture();
  int rounds_max = 0;
};

// What of a book has gone over into an archive, to which a ledger may move what is old: for those
// who prove the rest without it.
struct Carried {
  ChainHead through;  // The last transaction there; id 0: there is no archive.
  Purses purses;      // What its entries add up to.
  std::map<TenantId, Microcredits> charged;  // By the outcomes of the rounds that are there.
  std::set<std::pair<HostId, RoundId>> rounds_left;  // Decided up to then, and not there.
  absl::Status archive;                              // Why it can't be read, if it can't.
};

// How a ledger keeps itself small, for metrics.
struct ArchiveFigures {
  uint64_t rows_moved = 0;               // Since the start, as all that follows.
  uint64_t failures = 0;                 // Steps that could not be done.
  absl::Time moved = absl::UnixEpoch();  // When something was moved last; the epoch: not yet.
  int64_t pages = 0;                     // Of the ledger's file,
  int64_t pages_free = 0;                // and those of them that nothing is in.
};

// One book of a ledger at one instant, for one thread. An error from `visit` ends the reading and
// comes back. What is in an archive is read from there, wherever one looks: FAILED_PRECONDITION
// says that it is needed and can't be read, and why.
class LedgerSnapshot {
 public:
  virtual ~LedgerSnapshot() = default;

  virtual absl::StatusOr<ChainHead> Head() = 0;
  virtual absl::StatusOr<Carried> ReadCarried() { return Carried(); }
  virtual absl::StatusOr<Purses> ReadPurses() = 0;
  // What each tenant paid for leaving contracts; those that paid nothing are not there.
  virtual absl::StatusOr<std::map<TenantId, Microcredits>> ReadFees() = 0;
  // By rising id, those above `after`, at most `limit`.
  virtual absl::Status ReadTransactions(
      uint64_t after, uint64_t limit,
      const std::function<absl::Status(const ChainedTransaction&)>& visit) = 0;
  // NOT_FOUND if there is none.
  virtual absl::StatusOr<Round> ReadRound(const HostId& host_id, RoundId round_id) = 0;

  // Contracts that were bought or passed on and have ended: of one tenant or (empty) all, of one
  // guest or (0) all; newest first, those below `before` (0: all), at most `limit`.
  virtual absl::StatusOr<std::vector<Contract>> ReadEndedContracts(const TenantId& tenant_id,
                                                                   GuestId guest_id,
                                                                   ContractId before,
                                                                   int limit) = 0;

  // Both newest transaction first, and what one transaction has in its order and never cut.
  // Of one tenant, or (empty) all.
  virtual absl::StatusOr<std::vector<LoggedEvent>> ReadEvents(const TenantId& tenant_id,
                                                              const NewestBelow& which) = 0;
  // Money that went from a tenant to others or came from them: not what moved within its purse.
  virtual absl::StatusOr<AccountStatement> ReadStatement(const TenantId& tenant_id,
                                                         const NewestBelow& which) = 0;
};

// What a reader may ask of a ledger, from any thread, while another commits. A reader sees whole
// transactions only. As with a look, what is in an archive is read from there.
class LedgerReader {
 public:
  virtual ~LedgerReader() = default;

  // Rounds of a host below `before_round_id` (0: all), newest first, at most `limit`. Rounds whose
  // guests were evicted since are complete.
  virtual absl::StatusOr<std::vector<Round>> ListRounds(const HostId& host_id,
                                                        RoundId before_round_id, int limit) = 0;

  // Rounds with their lines and prices alone, newest first: without outcomes and certificates,
  // which grow with the number of guests, and without what they came to (RoundMeasures). Times are
  // looked up by bisection, as closing times rise with rounds; where a clock was set back between
  // two starts, one of the places that fit is found.
  virtual absl::StatusOr<std::vector<Round>> ListPrices(const PricesWanted& wanted) = 0;

  // NOT_FOUND if there was no such round, or the resource was not sold in it. Where all kinds were
  // one auction, that one, whose kind is kSeveralKinds.
  virtual absl::StatusOr<AuctionRecord> GetAuction(const HostId& host_id, RoundId round_id,
                                                   ResourceKind kind) = 0;

  // A guest as it was when it was evicted. NOT_FOUND if no such guest was.
  virtual absl::StatusOr<Guest> GetEvictedGuest(GuestId guest_id) = 0;

  // All books, by rising id.
  virtual absl::StatusOr<std::vector<BookId>> ListBooks() = 0;

  // What was sent to a book and is not accepted yet; empty: to any. By rising from_book and
  // transfer_id.
  virtual absl::StatusOr<std::vector<Transfer>> OpenTransfers(const BookId& to_book) = 0;

  // A look at one instant; lives no longer than the reader. While it lives the ledger can't reuse
  // what was overwritten since: look, and let go. A book that there is not is empty.
  virtual absl::StatusOr<std::unique_ptr<LedgerSnapshot>> Look(const BookId& book_id) = 0;
};

class Ledger {
 public:
  virtual ~Ledger() = default;

  // All that a book's engine starts from, proven as far as the implementation says. A book that
  // there is not begins. Errors: DATA_LOSS names what does not add up; nothing of such a book may
  // be served. ABORTED: the fence is not current.
  virtual absl::StatusOr<State> Load(const Lead& lead) = 0;

  // Makes transactions of one book durable in order, each wholly or not at all. UNAVAILABLE:
  // another program is in the way and nothing was written; the same may be tried again. ABORTED:
  // another leads the book by now, and nothing was written. On another error a prefix of them may
  // be durable, and this book's engine can't go on: others can. Their ids must follow the last one
  // committed through this object (FAILED_PRECONDITION): a gap is a mistake of the caller's. From
  // one thread a book.
  virtual absl::Status Commit(const Lead& lead, absl::Span<const Transaction> transactions) = 0;

  // A reader of its own. Lives no longer than the ledger.
  virtual LedgerReader& reader() = 0;

  // From any thread.
  virtual ArchiveFigures archive_figures() const { return {}; }
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_LEDGER_H_
