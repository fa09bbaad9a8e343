// SPDX-License-Identifier: Apache-2.0
#include "marketd/ledger/sqlite/database.h"

#include <sqlite3.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace nom::market {

namespace {

// Longer waits are the caller's affair, who can tell somebody.
constexpr int kBusyTimeoutMs = 1'000;

}  // namespace

absl::Status SqliteError(sqlite3* connection, const std::string& where) {
  const int code = sqlite3_errcode(connection) & 0xff;
  const std::string what = absl::StrCat("ledger ", where, ": ", sqlite3_errmsg(connection), " (",
                                        sqlite3_extended_errcode(connection), ")");
  switch (code) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(what);
    case SQLITE_CONSTRAINT:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return absl::FailedPreconditionError(what);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::UnavailableError(what);
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(what);
    default:
      return absl::InternalError(what);
  }
}

Statement::Statement(sqlite3* connection, sqlite3_stmt* statement, const std::string& where,
                     absl::Status status)
    : connection_(connection), statement_(statement), where_(where), status_(std::move(status)) {}

Statement::Statement(Statement&& other) noexcept
    : connection_(other.connection_),
      statement_(std::exchange(other.statement_, nullptr)),
      where_(other.where_),
      bound_(other.bound_),
      status_(std::move(other.status_)) {}

Statement::~Statement() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

Statement& Statement::Bind(int64_t value) {
  ++bound_;
  if (status_.ok() && sqlite3_bind_int64(statement_, bound_, value) != SQLITE_OK) {
    status_ = SqliteError(connection_, where_);
  }
  return *this;
}

Statement& Statement::Bind(absl::string_view text) {
  ++bound_;
  // Never null, which would be NULL; copied, as the caller's text may go before the row is written.
  const char* data = text.empty() ? "" : text.data();
  if (status_.ok() && sqlite3_bind_text64(statement_, bound_, data, text.size(), SQLITE_TRANSIENT,
                                          SQLITE_UTF8) != SQLITE_OK) {
    status_ = SqliteError(connection_, where_);
  }
  return *this;
}

Statement& Statement::BindNull() {
  ++bound_;
  if (status_.ok() && sqlite3_bind_null(statement_, bound_) != SQLITE_OK) {
    status_ = SqliteError(connection_, where_);
  }
  return *this;
}

absl::StatusOr<bool> Statement::Step() {
  if (!status_.ok()) return status_;
  const int result = sqlite3_step(statement_);
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  return status_ = SqliteError(connection_, where_);
}

absl::Status Statement::Run() { return Step().status(); }

int64_t Statement::Int(int column) const { return sqlite3_column_int64(statement_, column); }

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

std::string Statement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  const int bytes = sqlite3_column_bytes(statement_, column);
  return text == nullptr ? std::string() : std::string(text, static_cast<size_t>(bytes));
}

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path, Mode mode) {
  int flags = SQLITE_OPEN_NOMUTEX;
  switch (mode) {
    case Mode::kReadOnly:
      flags |= SQLITE_OPEN_READONLY;
      break;
    case Mode::kReadWrite:
      flags |= SQLITE_OPEN_READWRITE;
      break;
    case Mode::kCreate:
      flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
      break;
  }
  sqlite3* connection = nullptr;
  const int result = sqlite3_open_v2(path.c_str(), &connection, flags, nullptr);
  if (connection == nullptr) return absl::ResourceExhaustedError("ledger: out of memory");
  std::unique_ptr<Database> database(new Database(path, connection));
  if (result != SQLITE_OK) return SqliteError(connection, path);
  sqlite3_extended_result_codes(connection, 1);
  sqlite3_busy_timeout(connection, kBusyTimeoutMs);
  return database;
}

Database::Database(std::string path, sqlite3* connection)
    : path_(std::move(path)), connection_(connection) {}

Database::~Database() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(connection_);
}

absl::Status Database::Execute(const char* sql) {
  if (sqlite3_exec(connection_, sql, nullptr, nullptr, nullptr) == SQLITE_OK) {
    return absl::OkStatus();
  }
  return SqliteError(connection_, path_);
}

void Database::Interrupt() { sqlite3_interrupt(connection_); }

int64_t Database::changes() const { return sqlite3_changes64(connection_); }

Statement Database::Prepare(const char* sql) {
  sqlite3_stmt*& statement = statements_[sql];
  absl::Status status;
  if (statement == nullptr && sqlite3_prepare_v3(connection_, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                                 &statement, nullptr) != SQLITE_OK) {
    status = SqliteError(connection_, path_);
  }
  return Statement(connection_, statement, path_, std::move(status));
}

absl::StatusOr<int64_t> Database::QueryInt(const char* sql) {
  Statement statement = Prepare(sql);
  const absl::StatusOr<bool> row = statement.Step();
  if (!row.ok()) return row.status();
  if (!*row) return absl::DataLossError(absl::StrCat("ledger ", path_, ": no answer to ", sql));
  return statement.Int(0);
}

absl::StatusOr<std::string> Database::QueryText(const char* sql) {
  Statement statement = Prepare(sql);
  const absl::StatusOr<bool> row = statement.Step();
  if (!row.ok()) return row.status();
  if (!*row) return absl::DataLossError(absl::StrCat("ledger ", path_, ": no answer to ", sql));
  return statement.Text(0);
}

}  // namespace nom::market
