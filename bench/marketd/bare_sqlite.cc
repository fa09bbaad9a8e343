// SPDX-License-Identifier: Apache-2.0
#include "bench/marketd/bare_sqlite.h"

#include <variant>

#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"

namespace nom::market {

BareSqlite::BareSqlite(const std::string& path) {
  NOM_CHECK(sqlite3_open(path.c_str(), &connection_) == SQLITE_OK, sqlite3_errmsg(connection_));
  Execute("PRAGMA journal_mode = WAL");
  Execute("PRAGMA synchronous = FULL");
}

BareSqlite::~BareSqlite() {
  for (sqlite3_stmt* insert : inserts_) sqlite3_finalize(insert);
  sqlite3_close(connection_);
}

void BareSqlite::Execute(const std::string& sql) {
  NOM_CHECK(sqlite3_exec(connection_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK,
            absl::StrCat(sql, ": ", sqlite3_errmsg(connection_)));
}

void BareSqlite::Append(const RowChange& change) {
  if (change.write == RowWrite::kInsertPurse) return;  // Nothing, where there is one.
  sqlite3_stmt*& insert = inserts_.at(static_cast<size_t>(change.write));
  if (insert == nullptr) {
    const std::string table = absl::StrCat("rows_", static_cast<int>(change.write));
    std::string columns;
    std::string values;
    for (const Column& column : change.columns) {
      absl::StrAppend(&columns, columns.empty() ? "" : ", ", column.name);
      absl::StrAppend(&values, values.empty() ? "" : ", ", "?");
    }
    Execute(absl::StrCat("CREATE TABLE IF NOT EXISTS ", table, " (", columns, ")"));
    const std::string sql = absl::StrCat("INSERT INTO ", table, " VALUES (", values, ")");
    NOM_CHECK(sqlite3_prepare_v2(connection_, sql.c_str(), -1, &insert, nullptr) == SQLITE_OK,
              sqlite3_errmsg(connection_));
  }
  int parameter = 0;
  for (const Column& column : change.columns) {
    ++parameter;
    if (const auto* number = std::get_if<int64_t>(&column.value)) {
      sqlite3_bind_int64(insert, parameter, *number);
    } else if (const auto* text = std::get_if<absl::string_view>(&column.value)) {
      sqlite3_bind_text(insert, parameter, text->data() == nullptr ? "" : text->data(),
                        static_cast<int>(text->size()), SQLITE_STATIC);
    } else {
      sqlite3_bind_null(insert, parameter);
    }
  }
  NOM_CHECK(sqlite3_step(insert) == SQLITE_DONE, sqlite3_errmsg(connection_));
  sqlite3_reset(insert);
  ++rows_;
}

void BareSqlite::Commit(const std::vector<Transaction>& group) {
  static const std::string kDigest(64, '0');
  Execute("BEGIN IMMEDIATE");
  for (const Transaction& transaction : group) {
    const absl::Status status = ToRows(0, transaction, kDigest, [this](const RowChange& change) {
      Append(change);
      return absl::OkStatus();
    });
    NOM_CHECK(status.ok(), status.ToString());
  }
  Execute("COMMIT");
}

}  // namespace nom::market
