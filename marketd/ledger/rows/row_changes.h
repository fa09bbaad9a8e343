// SPDX-License-Identifier: Apache-2.0
// A transaction as the changes of rows that make it durable: pure, for any database.

#ifndef MARKETD_LEDGER_ROWS_ROW_CHANGES_H_
#define MARKETD_LEDGER_ROWS_ROW_CHANGES_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "marketd/ledger/rows/columns.h"
#include "marketd/market/transaction.h"

namespace nom::market {

// All changes of one kind have the same columns: a database prepares one statement for each.
enum class RowWrite : uint8_t {
  kInsertTransaction,
  kInsertEntry,
  kAddGuestSpent,
  kInsertPurse,
  kAddPurse,
  kPutTenant,
  kDeleteTokens,
  kInsertToken,
  kPutGuest,
  kDeleteMeters,
  kInsertMeter,
  kInsertSeed,
  kDeleteBid,
  kInsertBid,
  kInsertBidRange,
  kPutBidFence,
  kDeleteBidFences,
  kDeleteTier,
  kInsertTier,
  kInsertTierUnits,
  kInsertHost,
  kPutHost,
  kInsertRound,
  kUpdateRound,
  kInsertAuction,
  kInsertMeasures,
  kInsertJointAuction,
  kPutOutcome,
  kInsertContract,
  kUpdateContract,
  kSettleContract,  // The same of one that goes on as it was.
  kInsertLot,
  kInsertOffer,
  kUpdateOffer,
  kInsertOfferLot,
  kInsertTransfer,
  kAcceptTransfer,
  kInsertEvent,
  kPutRequest,
  kForgetRequests,
  kDeleteRequestsOfGuest,
};
inline constexpr int kRowWritesCount = static_cast<int>(RowWrite::kDeleteRequestsOfGuest) + 1;

enum class RowOp : uint8_t {
  kInsert,       // A row that there is not.
  kInsertIfNew,  // Or nothing, if there is one of that key.
  kPut,          // A new row; of one of that key the columns after the first `fixed`.
  kUpdate,       // The columns after the key, of the one row of that key.
  kAdd,          // Adds to them.
  kDelete,       // All rows of that key, and what depends on them.
  // The transfer of those columns becomes accepted by the transaction in the first: refused with
  // FAILED_PRECONDITION if there is none, or it was accepted before.
  kAccept,
  // Of a guest's bids (the first column) by an owner (the second) all requests but the newest (the
  // third says how many).
  kForget,
};

struct RowShape {
  const char* table = "";
  RowOp op = RowOp::kInsert;
  int key = 0;    // The first columns, which tell the row.
  int fixed = 0;  // The key, and what is never changed once it is there.
};
const RowShape& ShapeOf(RowWrite write);

// Its columns live until the sink returns.
struct RowChange {
  RowWrite write = RowWrite::kInsertTransaction;
  absl::Span<const Column> columns;
};
using RowSink = std::function<absl::Status(const RowChange&)>;

// Hands on the changes of `transaction`, with its digest (market/chain.h), in an order that keeps
// every reference between tables. The first error of `sink` comes back at once. Books are named by
// their ordinals. INTERNAL: a round without an auction for each of its prices.
absl::Status ToRows(int64_t book, const Transaction& transaction, const std::string& digest,
                    const RowSink& sink);

}  // namespace nom::market

#endif  // MARKETD_LEDGER_ROWS_ROW_CHANGES_H_
