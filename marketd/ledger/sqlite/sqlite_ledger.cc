#include "marketd/ledger/sqlite/sqlite_ledger.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"
#include "marketd/ledger/sqlite/database.h"
#include "marketd/ledger/sqlite/rows.h"
#include "marketd/ledger/sqlite/schema.h"

namespace nom::market {
namespace {

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  File& operator=(File&&) = delete;
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

absl::Status SystemError(const std::string& path) {
  return absl::FailedPreconditionError(absl::StrCat("ledger ", path, ": ", std::strerror(errno)));
}

// What the first bytes of a file say. SQLite keeps the user version at offset 60 and the
// application id at 68, big-endian (https://sqlite.org/fileformat.html). Read here and not through
// SQLite, which may write to what it opens.
enum class FileKind { kNew, kLedger };

absl::StatusOr<FileKind> LookAt(const std::string& path, int64_t* bytes) {
  const File file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd() < 0) {
    if (errno == ENOENT) return FileKind::kNew;
    return SystemError(path);
  }
  struct stat info {};
  if (fstat(file.fd(), &info) != 0) return SystemError(path);
  const auto wrong = [&path](const std::string& what) {
    return absl::FailedPreconditionError(absl::StrCat("ledger ", path, ": ", what));
  };
  if (!S_ISREG(info.st_mode)) return wrong("is not a file");
  *bytes = info.st_size;
  if (info.st_size == 0) return FileKind::kNew;
  std::array<unsigned char, 100> header{};
  const ssize_t got = pread(file.fd(), header.data(), header.size(), 0);
  static constexpr char kMagic[16] = "SQLite format 3";
  if (got != static_cast<ssize_t>(header.size()) ||
      std::memcmp(header.data(), kMagic, sizeof(kMagic)) != 0) {
    return wrong("is not a SQLite database (byte 0)");
  }
  const auto word = [&header](size_t at) {
    return static_cast<int32_t>(static_cast<uint32_t>(header[at]) << 24 |
                                static_cast<uint32_t>(header[at + 1]) << 16 |
                                static_cast<uint32_t>(header[at + 2]) << 8 | header[at + 3]);
  };
  if (word(68) != kApplicationId) {
    return wrong("is another program's SQLite database (application id at byte 68)");
  }
  if (word(60) > kSchemaVersion) {
    return wrong(absl::StrCat("has schema version ", word(60), "; this marketd knows up to ",
                              kSchemaVersion));
  }
  if (word(60) < kSchemaVersionMin) {
    return wrong(absl::StrCat("has schema version ", word(60),
                              ", of before the first release; this ", "marketd reads none below ",
                              kSchemaVersionMin, ": keep the file, and begin another ledger"));
  }
  return FileKind::kLedger;
}

// Made beside, and put in place when whole: a crash leaves no half of a ledger.
absl::Status Create(const std::string& path) {
  const std::string fresh = path + ".new";
  if (unlink(fresh.c_str()) != 0 && errno != ENOENT) return SystemError(fresh);
  {
    NOM_ASSIGN_OR_RETURN(const std::unique_ptr<Database> db,
                         Database::Open(fresh, Database::Mode::kCreate));
    NOM_RETURN_IF_ERROR(db->Execute("PRAGMA synchronous = FULL; BEGIN IMMEDIATE"));
    NOM_RETURN_IF_ERROR(db->Execute(kSchemaSql));
    const std::string ids = absl::StrCat("PRAGMA application_id = ", kApplicationId,
                                         "; PRAGMA user_version = ", kSchemaVersion, "; COMMIT");
    NOM_RETURN_IF_ERROR(db->Execute(ids.c_str()));
  }
  if (rename(fresh.c_str(), path.c_str()) != 0) return SystemError(path);
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const File file(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (file.fd() < 0 || fsync(file.fd()) != 0) return SystemError(directory);
  return absl::OkStatus();
}

// A ledger that can only be read, or a disk that is full, is found out before anybody relies on it.
absl::Status TryWrite(Database& db) {
  return db.Execute("BEGIN IMMEDIATE; UPDATE openings SET count = count + 1; COMMIT");
}

absl::Status CheckPages(const std::string& path) {
  NOM_ASSIGN_OR_RETURN(const std::unique_ptr<Database> db,
                       Database::Open(path, Database::Mode::kReadOnly));
  const absl::StatusOr<std::string> answer = db->QueryText("PRAGMA quick_check(1)");
  if (!answer.ok()) return absl::DataLossError(answer.status().message());
  if (*answer != "ok") return absl::DataLossError(absl::StrCat("ledger ", path, ": ", *answer));
  return absl::OkStatus();
}

// Reading holds one snapshot from the first SELECT to the end.
class Snapshot {
 public:
  static absl::StatusOr<Snapshot> Open(const std::string& path) {
    NOM_ASSIGN_OR_RETURN(std::unique_ptr<Database> db,
                         Database::Open(path, Database::Mode::kReadOnly));
    NOM_RETURN_IF_ERROR(db->Execute("BEGIN"));
    return Snapshot(std::move(db));
  }
  Database& db() { return *db_; }

 private:
  explicit Snapshot(std::unique_ptr<Database> db) : db_(std::move(db)) {}
  std::unique_ptr<Database> db_;
};

class SqliteReader : public LedgerReader {
 public:
  SqliteReader(std::string path, std::unique_ptr<Database> db)
      : path_(std::move(path)), db_(std::move(db)) {}

  absl::StatusOr<std::vector<Round>> ListRounds(const HostId& host_id, RoundId before_round_id,
                                                int limit) override {
    std::lock_guard lock(mutex_);
    NOM_RETURN_IF_ERROR(db_->Execute("BEGIN"));
    absl::StatusOr<std::vector<Round>> rounds = ListLocked(host_id, before_round_id, limit);
    const absl::Status end = db_->Execute("COMMIT");
    if (rounds.ok() && !end.ok()) return end;
    return rounds;
  }

  absl::StatusOr<AuctionRecord> GetAuction(const HostId& host_id, RoundId round_id,
                                           ResourceKind kind) override {
    std::lock_guard lock(mutex_);
    AuctionRecord record{.host_id = host_id, .round_id = round_id, .kind = kind};
    Statement select = db_->Prepare(
        "SELECT rule, method, auction, fault, work_max FROM auctions"
        " WHERE host_id = ? AND round_id = ? AND kind = ?");
    select.Bind(host_id).Bind(static_cast<int64_t>(round_id)).Bind(static_cast<int64_t>(kind));
    const absl::StatusOr<bool> row = select.Step();
    if (!row.ok()) return row.status();
    if (!*row) {
      return absl::NotFoundError(absl::StrCat("host ", host_id, " sold no resource ",
                                              static_cast<int>(kind), " in round ", round_id));
    }
    Fill(select, 0, record);
    return record;
  }

  absl::StatusOr<std::map<TenantId, Balances>> ReadBooks(
      const std::function<absl::Status(uint64_t, const Entry&)>& visit, Counts* counts) override {
    NOM_ASSIGN_OR_RETURN(Snapshot snapshot, Snapshot::Open(path_));
    Database& db = snapshot.db();
    std::map<TenantId, Balances> stored;
    NOM_RETURN_IF_ERROR(
        ForEachRow(db.Prepare("SELECT tenant_id, account, amount_microcredits FROM balances"),
                   [&](Statement& row) {
                     stored[row.Text(0)][static_cast<Account>(row.Int(1))] = row.Int(2);
                     return absl::OkStatus();
                   }));
    *counts = Counts{};
    NOM_RETURN_IF_ERROR(ForEachRow(
        db.Prepare("SELECT transaction_id, tenant_id, account, guest_id,"
                   " amount_microcredits FROM entries ORDER BY transaction_id, position"),
        [&](Statement& row) {
          ++counts->entries;
          return visit(row.Bits(0), Entry{row.Text(1), static_cast<Account>(row.Int(2)),
                                          row.Bits(3), row.Int(4)});
        }));
    NOM_ASSIGN_OR_RETURN(const int64_t transactions,
                         db.QueryInt("SELECT COUNT(*) FROM transactions"));
    NOM_ASSIGN_OR_RETURN(const int64_t rounds, db.QueryInt("SELECT COUNT(*) FROM rounds"));
    counts->transactions = static_cast<uint64_t>(transactions);
    counts->rounds = static_cast<uint64_t>(rounds);
    return stored;
  }

  absl::Status ReadAuctions(
      uint64_t rounds_max,
      const std::function<absl::Status(const AuctionRecord&, const Round&)>& visit) override {
    NOM_ASSIGN_OR_RETURN(Snapshot snapshot, Snapshot::Open(path_));
    Database& db = snapshot.db();
    Statement select = db.Prepare(
        "SELECT host_id, round_id FROM rounds ORDER BY transaction_id DESC, host_id LIMIT ?");
    select.Bind(rounds_max == 0 ? -1 : static_cast<int64_t>(rounds_max));
    return ForEachRow(std::move(select), [&](Statement& row) {
      Round round{.host_id = row.Text(0), .round_id = row.Bits(1)};
      NOM_RETURN_IF_ERROR(ReadRound(db, round));
      Statement auctions = db.Prepare(
          "SELECT kind, rule, method, auction, fault, work_max FROM auctions"
          " WHERE host_id = ? AND round_id = ? ORDER BY kind");
      auctions.Bind(round.host_id).Bind(static_cast<int64_t>(round.round_id));
      return ForEachRow(std::move(auctions), [&](Statement& a) {
        AuctionRecord record{.host_id = round.host_id,
                             .round_id = round.round_id,
                             .kind = static_cast<ResourceKind>(a.Int(0))};
        Fill(a, 1, record);
        return visit(record, round);
      });
    });
  }

 private:
  static void Fill(const Statement& row, int column, AuctionRecord& record) {
    record.rule = row.Text(column);
    record.method = static_cast<policies::Method>(row.Int(column + 1) - 1);
    record.auction = row.Text(column + 2);
    record.fault = row.Text(column + 3);
    record.work_max = row.Int(column + 4);
  }

  absl::StatusOr<std::vector<Round>> ListLocked(const HostId& host_id, RoundId before_round_id,
                                                int limit) {
    std::vector<Round> rounds;
    Statement select = db_->Prepare(
        "SELECT round_id FROM rounds WHERE host_id = ? AND round_id < ?"
        " ORDER BY round_id DESC LIMIT ?");
    select.Bind(host_id)
        .Bind(before_round_id == 0 || before_round_id > INT64_MAX
                  ? INT64_MAX
                  : static_cast<int64_t>(before_round_id))
        .Bind(limit);
    NOM_RETURN_IF_ERROR(ForEachRow(std::move(select), [&](Statement& row) {
      rounds.push_back(Round{.host_id = host_id, .round_id = row.Bits(0)});
      return ReadRound(*db_, rounds.back());
    }));
    return rounds;
  }

  const std::string path_;
  std::mutex mutex_;
  const std::unique_ptr<Database> db_;  // Guarded by mutex_.
};

class SqliteLedger : public Ledger {
 public:
  SqliteLedger(File lock, std::unique_ptr<Database> db, std::unique_ptr<Database> reader_db)
      : lock_(std::move(lock)), db_(std::move(db)), reader_(db_->path(), std::move(reader_db)) {}

  absl::StatusOr<State> Load() override {
    NOM_RETURN_IF_ERROR(db_->Execute("BEGIN"));
    absl::StatusOr<State> state = ReadState(*db_);
    NOM_RETURN_IF_ERROR(db_->Execute("COMMIT"));
    if (state.ok()) last_transaction_id_ = state->last_transaction_id;
    loaded_ = state.ok();
    return state;
  }

  absl::Status Commit(absl::Span<const Transaction> transactions) override {
    if (!loaded_) return absl::FailedPreconditionError("ledger: load it before committing");
    if (transactions.empty()) return absl::OkStatus();
    uint64_t last = last_transaction_id_;
    for (const Transaction& transaction : transactions) {
      if (transaction.transaction_id != ++last) {
        return absl::FailedPreconditionError(absl::StrCat("ledger ", db_->path(), ": transaction ",
                                                          transaction.transaction_id,
                                                          " does not follow ", last - 1));
      }
    }
    NOM_RETURN_IF_ERROR(db_->Execute("BEGIN IMMEDIATE"));
    absl::Status status = WriteAll(transactions);
    if (status.ok()) status = db_->Execute("COMMIT");
    if (!status.ok()) {
      // The error that matters is the first; a failed rollback leaves the transaction open, and the
      // process ends anyway.
      (void)db_->Execute("ROLLBACK");
      return status;
    }
    last_transaction_id_ = last;
    return absl::OkStatus();
  }

  LedgerReader& reader() override { return reader_; }

 private:
  absl::Status WriteAll(absl::Span<const Transaction> transactions) {
    for (const Transaction& transaction : transactions) {
      NOM_RETURN_IF_ERROR(WriteTransaction(*db_, transaction));
    }
    return absl::OkStatus();
  }

  const File lock_;
  const std::unique_ptr<Database> db_;
  SqliteReader reader_;
  uint64_t last_transaction_id_ = 0;
  bool loaded_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Ledger>> OpenSqliteLedger(const SqliteLedgerOptions& options) {
  const std::string& path = options.path;
  const std::string lock_path = path + ".lock";
  int64_t bytes = 0;
  // Before anything is made beside it: a path that names someone else's file leaves no trace.
  NOM_ASSIGN_OR_RETURN(FileKind kind, LookAt(path, &bytes));
  File lock(open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (lock.fd() < 0) return SystemError(lock_path);
  if (flock(lock.fd(), LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("ledger ", path, ": is in use by another process (", lock_path, ")"));
  }
  NOM_ASSIGN_OR_RETURN(kind, LookAt(path, &bytes));  // Again, now that nobody else makes it.
  if (kind == FileKind::kNew) {
    NOM_RETURN_IF_ERROR(Create(path));
  } else if (bytes <= options.check_bytes_max) {
    NOM_RETURN_IF_ERROR(CheckPages(path));
  }
  NOM_ASSIGN_OR_RETURN(std::unique_ptr<Database> db,
                       Database::Open(path, Database::Mode::kReadWrite));
  NOM_ASSIGN_OR_RETURN(const std::string mode, db->QueryText("PRAGMA journal_mode = WAL"));
  if (mode != "wal") {
    return absl::FailedPreconditionError(
        absl::StrCat("ledger ", path, ": its file system can't keep a write-ahead log"));
  }
  NOM_RETURN_IF_ERROR(
      db->Execute(options.sync_to_disk ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = OFF"));
  NOM_RETURN_IF_ERROR(db->Execute("PRAGMA foreign_keys = ON"));
  NOM_RETURN_IF_ERROR(TryWrite(*db));
  NOM_ASSIGN_OR_RETURN(std::unique_ptr<Database> reader_db,
                       Database::Open(path, Database::Mode::kReadOnly));
  return std::unique_ptr<Ledger>(
      new SqliteLedger(std::move(lock), std::move(db), std::move(reader_db)));
}

}  // namespace nom::market
