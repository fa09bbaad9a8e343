// SPDX-License-Identifier: Apache-2.0
// Rows of a SQLite ledger as values: the columns are those that marketd/ledger/rows says.

#ifndef MARKETD_LEDGER_SQLITE_SELECT_H_
#define MARKETD_LEDGER_SQLITE_SELECT_H_

#include <mutex>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"
#include "marketd/ledger/rows/from_rows.h"
#include "marketd/ledger/sqlite/database.h"
#include "marketd/ledger/sqlite/tables.h"

namespace nom::market {

// All columns of a row type. `from` is the table and which of its rows: a string literal, as
// statements are kept by its address.
template <typename Row>
const char* SelectSql(const char* from) {
  static std::mutex mutex;
  static std::unordered_map<const char*, std::string> selects;
  std::lock_guard lock(mutex);
  std::string& sql = selects[from];
  if (sql.empty()) sql = absl::StrCat("SELECT ", ColumnsOf<Row>(), " FROM ", from);
  return sql.c_str();
}

inline void BindAll(Statement&) {}
template <typename T, typename... Rest>
void BindAll(Statement& statement, const T& first, const Rest&... rest) {
  if constexpr (std::is_integral_v<T>) {
    statement.Bind(static_cast<int64_t>(first));
  } else {
    statement.Bind(absl::string_view(first));
  }
  BindAll(statement, rest...);
}

// Visits the rows of a select as values.
template <typename Row, typename Visit, typename... Parameters>
absl::Status ForEach(Database& db, const char* from, const Visit& visit,
                     const Parameters&... parameters) {
  Statement select = db.Prepare(SelectSql<Row>(from));
  BindAll(select, parameters...);
  return ForEachRow(select, [&](Statement& stored) {
    Row row;
    if (const absl::Status s = FromRow(stored, row); !s.ok()) {
      return absl::Status(s.code(), absl::StrCat("ledger ", db.path(), ": ", s.message()));
    }
    if constexpr (std::is_same_v<decltype(visit(std::move(row))), absl::Status>) {
      return visit(std::move(row));
    } else {
      visit(std::move(row));
      return absl::OkStatus();
    }
  });
}

// The first row alone; false if there is none.
template <typename Row, typename... Parameters>
absl::StatusOr<bool> ReadOne(Database& db, const char* from, Row& row,
                             const Parameters&... parameters) {
  bool found = false;
  NOM_RETURN_IF_ERROR(ForEach<Row>(
      db, from,
      [&](Row&& read) {
        if (!std::exchange(found, true)) row = std::move(read);
      },
      parameters...));
  return found;
}

}  // namespace nom::market

#endif  // MARKETD_LEDGER_SQLITE_SELECT_H_
