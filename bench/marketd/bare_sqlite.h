// SPDX-License-Identifier: Apache-2.0
// The peer of a ledger: SQLite with as many rows of the same columns, and nothing else.

#ifndef BENCH_MARKETD_BARE_SQLITE_H_
#define BENCH_MARKETD_BARE_SQLITE_H_

#include <sqlite3.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "marketd/ledger/rows/row_changes.h"

namespace nom::market {

// Appends every row change of a transaction to a table of its columns without keys, checks, indexes
// or triggers; durable as a ledger is (WAL, synchronous = FULL). Aborts on any error.
class BareSqlite {
 public:
  explicit BareSqlite(const std::string& path);
  ~BareSqlite();
  BareSqlite(const BareSqlite&) = delete;
  BareSqlite& operator=(const BareSqlite&) = delete;

  void Commit(const std::vector<Transaction>& group);
  uint64_t rows() const { return rows_; }

 private:
  void Execute(const std::string& sql);
  void Append(const RowChange& change);

  sqlite3* connection_ = nullptr;
  std::array<sqlite3_stmt*, kRowWritesCount> inserts_{};
  uint64_t rows_ = 0;
};

}  // namespace nom::market

#endif  // BENCH_MARKETD_BARE_SQLITE_H_
