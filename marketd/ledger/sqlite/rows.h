// Rows to values and back; used by the writer and the readers of a SQLite ledger.

#ifndef MARKETD_LEDGER_SQLITE_ROWS_H_
#define MARKETD_LEDGER_SQLITE_ROWS_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "marketd/ledger/sqlite/database.h"
#include "marketd/market/chain.h"
#include "marketd/market/state.h"
#include "marketd/market/transaction.h"

namespace nom::market {

inline int64_t ToMicros(absl::Time time) { return absl::ToUnixMicros(time); }

// Books are named by their ordinals.
//
// Writes one transaction with its digest; the caller has begun one in SQLite.
absl::Status WriteTransaction(Database& db, int64_t book, const Transaction& transaction,
                              const std::string& digest);

// Those above `after` by rising id, at most `limit`, as far as the chain covers them.
absl::Status ReadChain(Database& db, int64_t book, uint64_t after, uint64_t limit,
                       const std::function<absl::Status(const ChainedTransaction&)>& visit);
absl::StatusOr<ChainHead> ReadHead(Database& db, int64_t book);
absl::StatusOr<Purses> ReadPurses(Database& db, int64_t book);

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

// Steps through all rows of a statement.
absl::Status ForEachRow(Statement& statement, const std::function<absl::Status(Statement&)>& visit);
inline absl::Status ForEachRow(Statement&& statement,
                               const std::function<absl::Status(Statement&)>& visit) {
  return ForEachRow(statement, visit);
}

}  // namespace nom::market

#endif  // MARKETD_LEDGER_SQLITE_ROWS_H_
