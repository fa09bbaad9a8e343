// SPDX-License-Identifier: Apache-2.0
// Transactions into tables: each kind of row change is one statement, made from its shape.

#include <variant>

#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"
#include "marketd/ledger/sqlite/tables.h"

namespace nom::market {
namespace {

// Columns from `first` on, before `last`, each as `of(name, parameter)`; parameters count from 1.
template <typename Of>
std::string Join(absl::Span<const Column> columns, int first, int last, const char* separator,
                 const Of& of) {
  std::string out;
  for (int i = first; i < last; ++i) {
    absl::StrAppend(&out, i == first ? "" : separator,
                    of(columns[static_cast<size_t>(i)].name, absl::StrCat("?", i + 1)));
  }
  return out;
}

std::string InsertInto(const RowShape& shape, absl::Span<const Column> columns) {
  const int all = static_cast<int>(columns.size());
  const auto name = [](const char* n, const std::string&) { return std::string(n); };
  const auto value = [](const char*, const std::string& parameter) { return parameter; };
  return absl::StrCat("INTO ", shape.table, " (", Join(columns, 0, all, ", ", name), ") VALUES (",
                      Join(columns, 0, all, ", ", value), ")");
}

std::string SqlOf(const RowChange& change) {
  const RowShape& shape = ShapeOf(change.write);
  const absl::Span<const Column> columns = change.columns;
  const int all = static_cast<int>(columns.size());
  const auto name = [](const char* n, const std::string&) { return std::string(n); };
  const auto is = [](const char* n, const std::string& parameter) {
    return absl::StrCat(n, " = ", parameter);
  };
  const auto add = [](const char* n, const std::string& parameter) {
    return absl::StrCat(n, " = ", n, " + ", parameter);
  };
  const auto take = [](const char* n, const std::string&) {
    return absl::StrCat(n, " = excluded.", n);
  };
  const std::string where = absl::StrCat(" WHERE ", Join(columns, 0, shape.key, " AND ", is));
  switch (shape.op) {
    case RowOp::kInsert:
      return absl::StrCat("INSERT ", InsertInto(shape, columns));
    case RowOp::kInsertIfNew:
      return absl::StrCat("INSERT OR IGNORE ", InsertInto(shape, columns));
    case RowOp::kPut:
      return absl::StrCat("INSERT ", InsertInto(shape, columns), " ON CONFLICT (",
                          Join(columns, 0, shape.key, ", ", name), ") DO UPDATE SET ",
                          Join(columns, shape.fixed, all, ", ", take));
    case RowOp::kUpdate:
      return absl::StrCat("UPDATE ", shape.table, " SET ", Join(columns, shape.key, all, ", ", is),
                          where);
    case RowOp::kAdd:
      return absl::StrCat("UPDATE ", shape.table, " SET ", Join(columns, shape.key, all, ", ", add),
                          where);
    case RowOp::kDelete:
      // The index of bids' requests is of these alone, and SQLite must be told that it may use it.
      return absl::StrCat(
          "DELETE FROM ", shape.table, where,
          change.write == RowWrite::kDeleteRequestsOfGuest ? " AND bid_guest_id <> 0" : "");
    case RowOp::kAccept:
      return "UPDATE transfers SET accepted_transaction_id = ?1 WHERE transfer_id = ?2"
             " AND from_book = (SELECT ordinal FROM books WHERE book_id = ?3)"
             " AND to_book = (SELECT book_id FROM books WHERE ordinal = ?4) AND owner = ?5"
             " AND amount_microcredits = ?6 AND accepted_transaction_id IS NULL";
    case RowOp::kForget:
      return "DELETE FROM requests WHERE bid_guest_id = ?1 AND bid_guest_id <> 0 AND owner = ?2"
             " AND transaction_id <= (SELECT transaction_id FROM requests"
             "  WHERE bid_guest_id = ?1 AND bid_guest_id <> 0 AND owner = ?2"
             "  ORDER BY transaction_id DESC LIMIT 1 OFFSET ?3)";
  }
  return "";
}

void Bind(Statement& statement, const ColumnValue& value) {
  if (const auto* number = std::get_if<int64_t>(&value)) {
    statement.Bind(*number);
  } else if (const auto* text = std::get_if<absl::string_view>(&value)) {
    statement.Bind(*text);
  } else {
    statement.BindNull();
  }
}

}  // namespace

absl::Status TransactionWriter::Write(const RowChange& change) {
  if (change.write == RowWrite::kInsertPurse &&
      !purses_
           .emplace(std::get<int64_t>(change.columns[0].value),
                    std::get<absl::string_view>(change.columns[1].value))
           .second) {
    return absl::OkStatus();
  }
  std::string& sql = sql_.at(static_cast<size_t>(change.write));
  if (sql.empty()) sql = SqlOf(change);
  Statement statement = db_.Prepare(sql.c_str());
  for (const Column& column : change.columns) Bind(statement, column.value);
  NOM_RETURN_IF_ERROR(statement.Run());
  const RowShape& shape = ShapeOf(change.write);
  if (shape.op == RowOp::kAccept && db_.changes() != 1) {
    return absl::FailedPreconditionError(absl::StrCat(
        "ledger ", db_.path(), ": transfer ", std::get<int64_t>(change.columns[1].value),
        " of book ", std::get<absl::string_view>(change.columns[2].value),
        " is not one to accept, or was accepted before"));
  }
  if (shape.op == RowOp::kUpdate && db_.changes() != 1) {
    return absl::FailedPreconditionError(
        absl::StrCat("ledger ", db_.path(), ": ", shape.table, ": there is no row to update"));
  }
  return absl::OkStatus();
}

absl::Status TransactionWriter::Write(int64_t book, const Transaction& transaction,
                                      const std::string& digest) {
  return ToRows(book, transaction, digest,
                [this](const RowChange& change) { return Write(change); });
}

}  // namespace nom::market
