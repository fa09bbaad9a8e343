// SPDX-License-Identifier: Apache-2.0
// The audit log and statements, newest first, page by page.

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>

#include "marketd/ledger/sqlite/select.h"

namespace nom::market {
namespace {

int64_t Below(const Between& which) {
  return which.below == 0 || which.below > INT64_MAX ? INT64_MAX
                                                     : static_cast<int64_t>(which.below);
}

absl::StatusOr<absl::Time> TimeOf(Database& db, int64_t book, uint64_t transaction_id) {
  TransactionRow row;
  NOM_RETURN_IF_ERROR(
      ReadOne(db, "transactions WHERE book = ? AND transaction_id = ?", row, book, transaction_id)
          .status());
  return row.transaction.time;
}

// Rows with a transaction_id become what is handed out, with the time of each transaction.
template <typename Logged, typename Row, typename Move>
absl::StatusOr<std::vector<Logged>> WithTimes(Database& db, int64_t book, std::vector<Row> rows,
                                              const Move& move) {
  std::vector<Logged> out;
  for (Row& row : rows) {
    Logged& logged = out.emplace_back();
    logged.transaction_id = row.transaction_id;
    move(row, logged);
    const bool again = out.size() > 1 && out[out.size() - 2].transaction_id == row.transaction_id;
    if (again) {
      logged.time = out[out.size() - 2].time;
    } else {
      NOM_ASSIGN_OR_RETURN(logged.time, TimeOf(db, book, row.transaction_id));
    }
  }
  return out;
}

}  // namespace

absl::StatusOr<std::vector<LoggedEvent>> ReadEvents(Database& db, int64_t book,
                                                    const TenantId& tenant_id,
                                                    const Between& which) {
  std::vector<EventRow> rows;
  const auto take = [&rows](EventRow&& row) { rows.push_back(std::move(row)); };
  // Two statements, as each has an index of its own.
  const absl::Status status =
      tenant_id.empty()
          ? ForEach<EventRow>(
                db,
                "events WHERE book = ?1 AND transaction_id IN (SELECT DISTINCT transaction_id"
                "  FROM events WHERE book = ?1 AND transaction_id > ?4 AND transaction_id < ?2"
                "  ORDER BY transaction_id DESC LIMIT ?3)"
                " ORDER BY transaction_id DESC, position",
                take, book, Below(which), which.transactions_max, which.above)
          : ForEach<EventRow>(
                db,
                "events WHERE book = ?1 AND tenant_id = ?4 AND transaction_id IN"
                " (SELECT DISTINCT transaction_id FROM events WHERE book = ?1 AND tenant_id = ?4"
                "  AND transaction_id > ?5 AND transaction_id < ?2"
                " ORDER BY transaction_id DESC LIMIT ?3)"
                " ORDER BY transaction_id DESC, position",
                take, book, Below(which), which.transactions_max, tenant_id, which.above);
  NOM_RETURN_IF_ERROR(status);
  return WithTimes<LoggedEvent>(db, book, std::move(rows), [](EventRow& row, LoggedEvent& out) {
    out.event = std::move(row.event);
  });
}

absl::StatusOr<std::vector<LoggedEntry>> ReadEntries(Database& db, int64_t book,
                                                     const TenantId& tenant_id,
                                                     const Between& which) {
  std::vector<EntryRow> rows;
  // The conditions are those of the indexes, word for word, and SQLite is told to use them: of its
  // own accord it would go through everybody's entries in the hope of soon finding enough.
  NOM_RETURN_IF_ERROR(ForEach<EntryRow>(
      db,
      "entries WHERE book = ?1 AND from_owner <> to_owner AND (from_owner = ?4 OR to_owner = ?4)"
      " AND transaction_id IN ("
      "  SELECT transaction_id FROM entries INDEXED BY entries_from"
      "   WHERE book = ?1 AND from_owner = ?4 AND from_owner <> to_owner"
      "   AND from_owner <> '@operator' AND transaction_id > ?5 AND transaction_id < ?2"
      "  UNION SELECT transaction_id FROM entries INDEXED BY entries_to"
      "   WHERE book = ?1 AND to_owner = ?4 AND from_owner <> to_owner"
      "   AND to_owner <> '@operator' AND transaction_id > ?5 AND transaction_id < ?2"
      "  ORDER BY transaction_id DESC LIMIT ?3)"
      " ORDER BY transaction_id DESC, position",
      [&rows](EntryRow&& row) { rows.push_back(std::move(row)); }, book, Below(which),
      which.transactions_max, tenant_id, which.above));
  return WithTimes<LoggedEntry>(db, book, std::move(rows), [](EntryRow& row, LoggedEntry& logged) {
    logged.entry = std::move(row.entry);
  });
}

}  // namespace nom::market
