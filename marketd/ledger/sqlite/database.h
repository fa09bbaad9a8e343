// SPDX-License-Identifier: Apache-2.0
// A thin hold on SQLite: one connection, its statements, errors that say what and where.

#ifndef MARKETD_LEDGER_SQLITE_DATABASE_H_
#define MARKETD_LEDGER_SQLITE_DATABASE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "marketd/ledger/rows/columns.h"

struct sqlite3;
struct sqlite3_stmt;

namespace nom::market {

// A statement being run. Bind() in the order of its '?'; then Step() until it says false. The first
// error sticks and comes out of Step() or Run(). Goes back to its Database when it dies.
class Statement : public StoredRow {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement() override;

  Statement& Bind(int64_t value);
  Statement& Bind(absl::string_view text);
  Statement& BindNull();
  // 64-bit patterns, such as hashes; see Column's cast back.
  Statement& BindBits(uint64_t bits) { return Bind(static_cast<int64_t>(bits)); }

  // True: there is a row. False: no more.
  absl::StatusOr<bool> Step();
  // For statements without rows.
  absl::Status Run();

  // Of the present row; columns count from 0.
  int64_t Int(int column) const override;
  uint64_t Bits(int column) const { return static_cast<uint64_t>(Int(column)); }
  bool IsNull(int column) const override;
  std::string Text(int column) const override;

 private:
  friend class Database;
  Statement(sqlite3* connection, sqlite3_stmt* statement, const std::string& where,
            absl::Status status);

  sqlite3* connection_;
  sqlite3_stmt* statement_;
  const std::string& where_;
  int bound_ = 0;
  absl::Status status_;
};

// One connection; one thread at a time, but for Interrupt.
class Database {
 public:
  enum class Mode { kReadOnly, kReadWrite, kCreate };

  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path, Mode mode);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Runs one or several statements without parameters or rows.
  absl::Status Execute(const char* sql);
  // `sql` must live as long as the database: statements are kept by its address.
  Statement Prepare(const char* sql);
  // The first column of the first row. DATA_LOSS if there is no row.
  absl::StatusOr<int64_t> QueryInt(const char* sql);
  absl::StatusOr<std::string> QueryText(const char* sql);

  // Ends what another thread runs on this connection, with an error. Any thread may ask for it.
  void Interrupt();

  // Rows that the last statement changed.
  int64_t changes() const;
  const std::string& path() const { return path_; }

 private:
  Database(std::string path, sqlite3* connection);

  const std::string path_;
  sqlite3* const connection_;
  std::unordered_map<const char*, sqlite3_stmt*> statements_;
};

// What SQLite's last error means: DATA_LOSS for a damaged file, or one that is no database,
// FAILED_PRECONDITION for a row that breaks a rule, or a file that can't be opened or written,
// UNAVAILABLE when locked, RESOURCE_EXHAUSTED when the disk is full, INTERNAL otherwise.
absl::Status SqliteError(sqlite3* connection, const std::string& where);

}  // namespace nom::market

#endif  // MARKETD_LEDGER_SQLITE_DATABASE_H_
