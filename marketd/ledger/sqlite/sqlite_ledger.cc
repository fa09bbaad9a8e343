// SPDX-License-Identifier: Apache-2.0
#include "marketd/ledger/sqlite/sqlite_ledger.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"
#include "marketd/ledger/sqlite/check.h"
#include "marketd/ledger/sqlite/database.h"
#include "marketd/ledger/sqlite/schema.h"
#include "marketd/ledger/sqlite/tables.h"
#include "marketd/market/audit.h"

namespace nom::market {
namespace {

// Of a ledger too big to be proven as a whole when it is opened: the newest of it.
constexpr uint64_t kTransactionsProvenAtLeast = 100;

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

// Kept in the file for ever, which changes it by way of a journal: only where nobody has it yet.
absl::Status KeepLog(Database& db) {
  NOM_ASSIGN_OR_RETURN(const std::string mode, db.QueryText("PRAGMA journal_mode = WAL"));
  if (mode == "wal") return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("ledger ", db.path(), ": its file system can't keep a write-ahead log"));
}

// Made beside, and put in place when whole: a crash leaves no half of a ledger.
absl::Status Create(const std::string& path) {
  const std::string fresh = path + ".new";
  for (const char* of : {"", "-journal", "-wal", "-shm"}) {  // Of one that did not become whole.
    if (unlink((fresh + of).c_str()) != 0 && errno != ENOENT) return SystemError(fresh + of);
  }
  {
    NOM_ASSIGN_OR_RETURN(const std::unique_ptr<Database> db,
                         Database::Open(fresh, Database::Mode::kCreate));
    NOM_RETURN_IF_ERROR(db->Execute("PRAGMA synchronous = FULL; BEGIN IMMEDIATE"));
    NOM_RETURN_IF_ERROR(db->Execute(kSchemaSql));
    NOM_RETURN_IF_ERROR(db->Execute(kSchemaSince9Sql));
    NOM_RETURN_IF_ERROR(db->Execute(kContractsKeptSql));
    const std::string ids = absl::StrCat("PRAGMA application_id = ", kApplicationId,
                                         "; PRAGMA user_version = ", kSchemaVersion, "; COMMIT");
    NOM_RETURN_IF_ERROR(db->Execute(ids.c_str()));
    // Last: what is in a log would not be renamed with the file.
    NOM_RETURN_IF_ERROR(KeepLog(*db));
  }
  if (rename(fresh.c_str(), path.c_str()) != 0) return SystemError(path);
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const File file(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (file.fd() < 0 || fsync(file.fd()) != 0) return SystemError(directory);
  return absl::OkStatus();
}

// Brings a file of an older version up to this one: wholly, or not at all.
absl::Status Upgrade(Database& db) {
  NOM_ASSIGN_OR_RETURN(const int64_t version, db.QueryInt("PRAGMA user_version"));
  if (version == kSchemaVersion) return absl::OkStatus();
  NOM_RETURN_IF_ERROR(db.Execute("BEGIN IMMEDIATE"));
  absl::Status status = version < 8 ? db.Execute(kUpgradeFrom7Sql) : absl::OkStatus();
  if (status.ok()) status = db.Execute(kSchemaSince9Sql);
  if (status.ok()) status = db.Execute(kUpgradeFrom8Sql);
  if (status.ok()) status = db.Execute(kContractsKeptSql);
  if (status.ok()) {
    status = db.Execute(absl::StrCat("PRAGMA user_version = ", kSchemaVersion, "; COMMIT").c_str());
  }
  if (!status.ok()) (void)db.Execute("ROLLBACK");  // The first error is the one that matters.
  return status;
}

// A ledger that can only be read, or a disk that is full, is found out before anybody relies on it.
absl::Status TryWrite(Database& db) {
  return db.Execute("BEGIN IMMEDIATE; UPDATE openings SET count = count + 1; COMMIT");
}

// Two paths may lead to one file, and a name may come to mean another: the lock that counts is on
// the file itself. Nobody else may close a descriptor of it while SQLite has it open, as that would
// end SQLite's own locks (https://sqlite.org/howtocorrupt.html, 2.2): this one outlives SQLite's.
absl::StatusOr<File> LockInode(const std::string& path) {
  File file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd() < 0) return SystemError(path);
  if (flock(file.fd(), LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "ledger ", path, ": is in use by another process, under this or another name"));
  }
  return file;
}

// A line of `books`.
struct Book {
  int64_t ordinal = 0;
  uint64_t fence = 0;
  uint64_t last_transaction_id = 0;
};
constexpr int64_t kNoBook = -1;  // Nothing is written under it.

absl::StatusOr<std::optional<Book>> FindBook(Database& db, const BookId& book_id) {
  std::optional<Book> book;
  NOM_RETURN_IF_ERROR(ForEachRow(
      db.Prepare("SELECT ordinal, fence, last_transaction_id FROM books WHERE book_id = ?")
          .Bind(book_id),
      [&book](Statement& row) {
        book = Book{row.Int(0), row.Bits(1), row.Bits(2)};
        return absl::OkStatus();
      }));
  return book;
}

// Holds one snapshot of SQLite's from the first SELECT to the end.
class SqliteSnapshot : public LedgerSnapshot {
 public:
  static absl::StatusOr<std::unique_ptr<LedgerSnapshot>> Open(const std::string& path,
                                                              const BookId& book_id) {
    NOM_ASSIGN_OR_RETURN(std::unique_ptr<Database> db,
                         Database::Open(path, Database::Mode::kReadOnly));
    NOM_RETURN_IF_ERROR(db->Execute("BEGIN"));
    NOM_ASSIGN_OR_RETURN(const std::optional<Book> book, FindBook(*db, book_id));
    return std::make_unique<SqliteSnapshot>(std::move(db), book ? book->ordinal : kNoBook);
  }
  SqliteSnapshot(std::unique_ptr<Database> db, int64_t book) : db_(std::move(db)), book_(book) {}

  absl::StatusOr<ChainHead> Head() override { return ReadHead(*db_, book_); }
  absl::StatusOr<Purses> ReadPurses() override { return market::ReadPurses(*db_, book_); }
  absl::StatusOr<std::map<TenantId, Microcredits>> ReadFees() override {
    return market::ReadFees(*db_, book_);
  }
  absl::Status ReadTransactions(
      uint64_t after, uint64_t limit,
      const std::function<absl::Status(const ChainedTransaction&)>& visit) override {
    return ReadChain(*db_, book_, after, limit, visit);
  }
  absl::StatusOr<Round> ReadRound(const HostId& host_id, RoundId round_id) override {
    Round round{.host_id = host_id, .round_id = round_id};
    NOM_RETURN_IF_ERROR(market::ReadRound(*db_, round));
    return round;
  }
  absl::StatusOr<std::vector<LoggedEvent>> ReadEvents(const TenantId& tenant_id,
                                                      const NewestBelow& which) override {
    return market::ReadEvents(*db_, book_, tenant_id, which);
  }
  absl::StatusOr<AccountStatement> ReadStatement(const TenantId& tenant_id,
                                                 const NewestBelow& which) override {
    return market::ReadStatement(*db_, book_, tenant_id, which);
  }

 private:
  const std::unique_ptr<Database> db_;
  const int64_t book_;
};

class SqliteReader : public LedgerReader {
 public:
  SqliteReader(std::string path, std::unique_ptr<Database> db)
      : path_(std::move(path)), db_(std::move(db)) {}

  absl::StatusOr<std::vector<Round>> ListRounds(const HostId& host_id, RoundId before_round_id,
                                                int limit) override {
    return AtOneInstant([&] { return ListLocked(host_id, before_round_id, limit); });
  }

  absl::StatusOr<std::vector<Round>> ListPrices(const PricesWanted& wanted) override {
    return AtOneInstant([&] { return ReadPricesWanted(*db_, wanted); });
  }

  absl::StatusOr<AuctionRecord> GetAuction(const HostId& host_id, RoundId round_id,
                                           ResourceKind kind) override {
    std::lock_guard lock(mutex_);
    return ReadAuction(*db_, host_id, round_id, kind);
  }

  absl::StatusOr<Guest> GetEvictedGuest(GuestId guest_id) override {
    std::lock_guard lock(mutex_);
    return ReadEvictedGuest(*db_, guest_id);
  }

  absl::StatusOr<std::vector<BookId>> ListBooks() override {
    std::lock_guard lock(mutex_);
    std::vector<BookId> books;
    NOM_RETURN_IF_ERROR(ForEachRow(db_->Prepare("SELECT book_id FROM books ORDER BY book_id"),
                                   [&books](Statement& row) {
                                     books.push_back(row.Text(0));
                                     return absl::OkStatus();
                                   }));
    return books;
  }

  absl::StatusOr<std::vector<Transfer>> OpenTransfers(const BookId& to_book) override {
    std::lock_guard lock(mutex_);
    std::vector<Transfer> transfers;
    NOM_RETURN_IF_ERROR(ForEachRow(
        db_->Prepare("SELECT book_id, transfer_id, to_book, owner, amount_microcredits"
                     " FROM transfers JOIN books ON ordinal = from_book"
                     " WHERE accepted_transaction_id IS NULL AND (?1 = '' OR to_book = ?1)"
                     " ORDER BY book_id, transfer_id")
            .Bind(to_book),
        [&transfers](Statement& row) {
          transfers.push_back(Transfer{.from_book = row.Text(0),
                                       .transfer_id = row.Bits(1),
                                       .to_book = row.Text(2),
                                       .owner = row.Text(3),
                                       .amount_microcredits = row.Int(4)});
          return absl::OkStatus();
        }));
    return transfers;
  }

  absl::StatusOr<std::unique_ptr<LedgerSnapshot>> Look(const BookId& book_id) override {
    return SqliteSnapshot::Open(path_, book_id);
  }

 private:
  absl::StatusOr<std::vector<Round>> AtOneInstant(
      const std::function<absl::StatusOr<std::vector<Round>>()>& read) {
    std::lock_guard lock(mutex_);
    NOM_RETURN_IF_ERROR(db_->Execute("BEGIN"));
    absl::StatusOr<std::vector<Round>> rounds = read();
    const absl::Status end = db_->Execute("COMMIT");
    if (rounds.ok() && !end.ok()) return end;
    return rounds;
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
  SqliteLedger(std::vector<File> locks, std::unique_ptr<Database> db,
               std::unique_ptr<Database> reader_db, uint64_t proven_max,
               std::function<void(const absl::Status&)> on_checked)
      : locks_(std::move(locks)),
        db_(std::move(db)),
        writer_(*db_),
        reader_(db_->path(), std::move(reader_db)),
        proven_max_(proven_max),
        on_checked_(std::move(on_checked)) {}

  absl::StatusOr<State> Load(const Lead& lead) override {
    std::lock_guard lock(mutex_);
    NOM_ASSIGN_OR_RETURN(const Book book, Open(lead));
    NOM_RETURN_IF_ERROR(db_->Execute("BEGIN"));
    absl::StatusOr<State> state = ReadState(*db_, book.ordinal);
    const absl::StatusOr<ChainHead> head = ReadHead(*db_, book.ordinal);
    // What was wrong first is what matters: some errors have ended the transaction already.
    const absl::Status end = db_->Execute("COMMIT");
    if (!state.ok()) return state;
    if (!head.ok()) return head.status();
    NOM_RETURN_IF_ERROR(end);
    if (head->transaction_id != book.last_transaction_id) {
      return absl::DataLossError(absl::StrCat(Where(lead), "its last transaction is ",
                                              head->transaction_id, ", not ",
                                              book.last_transaction_id));
    }
    if (const std::string wrong = FirstBrokenPromise(*state); !wrong.empty()) {
      return absl::DataLossError(absl::StrCat(Where(lead), wrong));
    }
    NOM_ASSIGN_OR_RETURN(const auto snapshot, SqliteSnapshot::Open(db_->path(), lead.book_id));
    if (const absl::Status s = ProveLedger(*snapshot, proven_max_); !s.ok()) {
      return absl::Status(s.code(), absl::StrCat(Where(lead), s.message()));
    }
    loaded_[lead.book_id] = {book.ordinal, *head};
    if (on_checked_ && check_ == nullptr) {
      NOM_ASSIGN_OR_RETURN(check_, CheckBehind::Begin(db_->path(), reader_, on_checked_));
    }
    return state;
  }

  absl::Status Commit(const Lead& lead, absl::Span<const Transaction> transactions) override {
    std::lock_guard lock(mutex_);
    const auto loaded = loaded_.find(lead.book_id);
    if (loaded == loaded_.end()) {
      return absl::FailedPreconditionError(
          absl::StrCat(Where(lead), "load it before committing to it"));
    }
    if (transactions.empty()) return absl::OkStatus();
    const ChainHead& before = loaded->second.head;
    uint64_t last = before.transaction_id;
    for (const Transaction& transaction : transactions) {
      if (transaction.transaction_id == ++last) continue;
      return absl::FailedPreconditionError(absl::StrCat(
          Where(lead), "transaction ", transaction.transaction_id, " does not follow ", last - 1));
    }
    NOM_RETURN_IF_ERROR(db_->Execute("BEGIN IMMEDIATE"));
    ChainHead head = before;
    absl::Status status = WriteAll(lead, loaded->second.ordinal, transactions, head);
    if (status.ok()) status = db_->Execute("COMMIT");
    if (!status.ok()) {
      // The error that matters is the first. A failed rollback leaves the transaction open: then
      // nobody may try again as if nothing had been written, and every other commit fails, too.
      writer_.RolledBack();
      const absl::Status rolled_back = db_->Execute("ROLLBACK");
      if (!rolled_back.ok() && absl::IsUnavailable(status)) {
        return absl::InternalError(status.message());
      }
      return status;
    }
    loaded->second.head = std::move(head);
    return absl::OkStatus();
  }

  LedgerReader& reader() override { return reader_; }

 private:
  struct Loaded {
    int64_t ordinal = 0;
    ChainHead head;
  };

  std::string Where(const Lead& lead) const {
    return absl::StrCat("ledger ", db_->path(), ", book ", lead.book_id, ": ");
  }

  absl::Status NotCurrent(const Lead& lead) const {
    return absl::AbortedError(absl::StrCat(Where(lead), "fence ", lead.fence, " is not current"));
  }

  // A book that is not there begins, by the only fence that there is.
  absl::StatusOr<Book> Open(const Lead& lead) {
    NOM_ASSIGN_OR_RETURN(std::optional<Book> book, FindBook(*db_, lead.book_id));
    if (!book && lead.fence == Lead{}.fence) {
      NOM_RETURN_IF_ERROR(db_->Prepare("INSERT INTO books VALUES"
                                       " ((SELECT COUNT(*) FROM books), ?, ?, 0)")
                              .Bind(lead.book_id)
                              .BindBits(lead.fence)
                              .Run());
      NOM_ASSIGN_OR_RETURN(book, FindBook(*db_, lead.book_id));
    }
    if (!book || book->fence != lead.fence) return NotCurrent(lead);
    return *book;
  }

  absl::Status WriteAll(const Lead& lead, int64_t ordinal,
                        absl::Span<const Transaction> transactions, ChainHead& head) {
    NOM_RETURN_IF_ERROR(db_->Prepare("UPDATE books SET last_transaction_id = ? WHERE ordinal = ?"
                                     " AND fence = ? AND last_transaction_id = ?")
                            .BindBits(transactions.back().transaction_id)
                            .Bind(ordinal)
                            .BindBits(lead.fence)
                            .BindBits(head.transaction_id)
                            .Run());
    if (db_->changes() != 1) return NotCurrent(lead);
    for (const Transaction& transaction : transactions) {
      head = {transaction.transaction_id, NextDigest(head.digest, ToChain(transaction))};
      NOM_RETURN_IF_ERROR(writer_.Write(ordinal, transaction, head.digest));
    }
    return absl::OkStatus();
  }

  const std::vector<File> locks_;  // Let go last: see LockInode.
  const std::unique_ptr<Database> db_;
  TransactionWriter writer_;
  SqliteReader reader_;
  const uint64_t proven_max_;
  std::mutex mutex_;  // Books are committed to from threads of their own.
  std::map<BookId, Loaded> loaded_;
  const std::function<void(const absl::Status&)> on_checked_;  // Null: there is nothing to check.
  std::unique_ptr<CheckBehind> check_;                         // Ends first.
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
  if (kind == FileKind::kNew) NOM_RETURN_IF_ERROR(Create(path));
  NOM_ASSIGN_OR_RETURN(File inode_lock, LockInode(path));
  if (kind == FileKind::kNew) {
    bytes = 0;
  } else if (bytes <= options.check_bytes_max) {
    NOM_ASSIGN_OR_RETURN(const std::unique_ptr<Database> looker,
                         Database::Open(path, Database::Mode::kReadOnly));
    NOM_RETURN_IF_ERROR(CheckPages(*looker));
  }
  NOM_ASSIGN_OR_RETURN(std::unique_ptr<Database> db,
                       Database::Open(path, Database::Mode::kReadWrite));
  NOM_RETURN_IF_ERROR(KeepLog(*db));
  NOM_RETURN_IF_ERROR(
      db->Execute(options.sync_to_disk ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = OFF"));
  NOM_RETURN_IF_ERROR(db->Execute("PRAGMA foreign_keys = ON"));
  NOM_RETURN_IF_ERROR(Upgrade(*db));
  NOM_RETURN_IF_ERROR(TryWrite(*db));
  NOM_ASSIGN_OR_RETURN(std::unique_ptr<Database> reader_db,
                       Database::Open(path, Database::Mode::kReadOnly));
  const bool all = bytes <= options.check_bytes_max;
  std::vector<File> locks;
  locks.push_back(std::move(inode_lock));
  locks.push_back(std::move(lock));
  return std::unique_ptr<Ledger>(new SqliteLedger(
      std::move(locks), std::move(db), std::move(reader_db),
      all ? UINT64_MAX : kTransactionsProvenAtLeast, all ? nullptr : options.on_checked));
}

}  // namespace nom::market
