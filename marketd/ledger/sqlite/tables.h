// SPDX-License-Identifier: Apache-2.0
// A SQLite ledger's tables: what is written to them and read from them. What a row has in its
// columns is not said here, but in marketd/ledger/rows.

#ifndef MARKETD_LEDGER_SQLITE_TABLES_H_
#define MARKETD_LEDGER_SQLITE_TABLES_H_

#include <array>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "marketd/ledger/rows/row_changes.h"
#include "marketd/ledger/sqlite/database.h"
#include "marketd/market/chain.h"
#include "marketd/market/ledger.h"
#include "marketd/market/state.h"
#include "marketd/market/transaction.h"

namespace nom::market {

// Books are named by their ordinals. What reads here reads one file: archive.h says which.

// Of a ledger that begins.
absl::Status MakeLedgerTables(Database& db);

// Writes transactions to one database, which outlives it; one thread at a time.
class TransactionWriter {
 public:
  explicit TransactionWriter(Database& db) : db_(db) {}

  // One transaction with its digest; the caller has begun one in SQLite.
  absl::Status Write(int64_t book, const Transaction& transaction, const std::string& digest);
  // What was written since SQLite's transaction began is not there.
  void RolledBack() { purses_.clear(); }

 private:
  absl::Status Write(const RowChange& change);

  Database& db_;
  std::array<std::string, kRowWritesCount> sql_;  // Made when first needed, and kept.
  // That there are for sure: each is begun once, and not looked for with each change of it.
  std::set<std::pair<int64_t, Owner>> purses_;
};

// Lines of transactions above `after` by rising id, at most `limit`, up to `through`.
absl::Status ReadTransactionLines(Database& db, int64_t book, uint64_t after, uint64_t limit,
                                  uint64_t through,
                                  const std::function<absl::Status(ChainedTransaction&&)>& visit);
// What a transaction has in this file: its entries and events; the rounds decided, of those
// that `counts` says are here, with all they have; the contracts opened.
absl::Status AddEntries(Database& db, int64_t book, ChainedTransaction& out);
absl::Status AddEvents(Database& db, int64_t book, ChainedTransaction& out);
absl::Status AddRounds(Database& db, int64_t book,
                       const std::function<absl::StatusOr<bool>(const Round&)>& counts,
                       ChainedTransaction& out);
absl::Status AddContracts(Database& db, int64_t book, ChainedTransaction& out);
absl::StatusOr<ChainHead> ReadHead(Database& db, int64_t book);
absl::StatusOr<Purses> ReadPurses(Database& db, int64_t book);
absl::StatusOr<std::map<TenantId, Microcredits>> ReadFees(Database& db, int64_t book);
absl::StatusOr<RoundId> ReadLastDecided(Database& db, const HostId& host_id);

// Reads all that an engine starts from.
absl::StatusOr<State> ReadState(Database& db, int64_t book);

// Completes a round, whose host_id and round_id are set, with its line, prices and outcomes.
// DATA_LOSS if there is none.
absl::Status ReadRound(Database& db, Round& round);

// The record of one resource's auction, or of the one of all kinds that it was in. NOT_FOUND if it
// was not sold in that round.
absl::StatusOr<AuctionRecord> ReadAuction(Database& db, const HostId& host_id, RoundId round_id,
                                          ResourceKind kind);

// Of one that was evicted. NOT_FOUND if there is none.
absl::StatusOr<Guest> ReadEvictedGuest(Database& db, GuestId guest_id);

// The newest of those between the two, see LedgerSnapshot.
struct Between {
  uint64_t above = 0;
  uint64_t below = 0;  // 0: all.
  int transactions_max = 0;
};
absl::StatusOr<std::vector<LoggedEvent>> ReadEvents(Database& db, int64_t book,
                                                    const TenantId& tenant_id,
                                                    const Between& which);
absl::StatusOr<std::vector<LoggedEntry>> ReadEntries(Database& db, int64_t book,
                                                     const TenantId& tenant_id,
                                                     const Between& which);
// The newest below `before`, of one file; see LedgerSnapshot.
absl::StatusOr<std::vector<Contract>> ReadEndedContracts(Database& db, int64_t book,
                                                         const TenantId& tenant_id,
                                                         GuestId guest_id, ContractId before,
                                                         int limit);
// Of those that this file has; see LedgerReader.
absl::StatusOr<std::vector<Round>> ReadPricesWanted(Database& db, const PricesWanted& wanted);

// Steps through all rows of a statement.
absl::Status ForEachRow(Statement& statement, const std::function<absl::Status(Statement&)>& visit);
inline absl::Status ForEachRow(Statement&& statement,
                               const std::function<absl::Status(Statement&)>& visit) {
  return ForEachRow(statement, visit);
}

}  // namespace nom::market

#endif  // MARKETD_LEDGER_SQLITE_TABLES_H_
