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
#include "marketd/base/money.h"
#include "marketd/base/status.h"
#include "marketd/ledger/sqlite/archive.h"
#include "marketd/ledger/sqlite/archiver.h"
#include "marketd/ledger/sqlite/check.h"
#include "marketd/ledger/sqlite/database.h"
#include "marketd/ledger/sqlite/new_file.h"
#include "marketd/ledger/sqlite/schema.h"
#include "marketd/ledger/sqlite/schema_upgrades.h"
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

// What the first bytes of a file say. SQLite keeps the user version at offset 60 and the
// application id at 68, big-endian (https://sqlite.org/fileformat.html). Read here and not through
// SQLite, which may write to what it opens.
enum class FileKind { kNew, kLedger };

absl::StatusOr<FileKind> LookAt(const std::string& path, int64_t* bytes) {
  const File file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // Waits for no pipe.
  const auto wrong = [&path](const std::string& what) {
    return absl::FailedPreconditionError(absl::StrCat("ledger ", path, ": ", what));
  };
  struct stat info {};
  // A new one must not begin beside the log of one that is gone: SQLite would mix them up.
  const auto begin_new = [&]() -> absl::StatusOr<FileKind> {
    const std::string log = path + "-wal";
    if (stat(log.c_str(), &info) != 0 || info.st_size == 0) return FileKind::kNew;
    return wrong(absl::StrCat("is not there, and its log is (", log,
                              "): put the ledger back beside it, or restore a backup; to begin a "
                              "new market, move the log away"));
  };
  if (file.fd() < 0) return errno == ENOENT ? begin_new() : SystemError(path);
  if (fstat(file.fd(), &info) != 0) return SystemError(path);
  if (!S_ISREG(info.st_mode)) return wrong("is not a file");
  *bytes = info.st_size;
  if (info.st_size == 0) return begin_new();
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

absl::Status Create(const std::string& path) {
  return MakeDatabase(path, kApplicationId, kSchemaVersion, &MakeLedgerTables);
}

// Brings a file of an older version up to this one: wholly, or not at all.
absl::Status Upgrade(Database& db) {
  NOM_ASSIGN_OR_RETURN(const int64_t version, db.QueryInt("PRAGMA user_version"));
  if (version == kSchemaVersion) return absl::OkStatus();
  NOM_RETURN_IF_ERROR(db.Execute("BEGIN IMMEDIATE"));
  absl::Status status = version < 8 ? db.Execute(kUpgradeFrom7Sql) : absl::OkStatus();
  if (version < 9) {
    if (status.ok()) status = db.Execute(kSchemaSince9Sql);
    if (status.ok()) status = db.Execute(kUpgradeFrom8Sql);
    if (status.ok()) status = db.Execute(kContractsKeptSql);
  }
  if (version < 10) {
    if (status.ok()) status = db.Execute(kUpgradeFrom9Sql);
    if (status.ok()) status = db.Execute(kTiersSql);
    if (status.ok()) status = db.Execute(kSchemaSince10Sql);
  }
  if (version < 11) {
    if (status.ok()) status = db.Execute(kUpgradeFrom10Sql);
    if (status.ok()) status = db.Execute(kMeasuresSql);
    if (status.ok()) status = db.Execute(kSchemaSince11Sql);
  }
  if (status.ok()) status = db.Execute(kUpgradeFrom11Sql);
  if (status.ok()) status = db.Execute(kTermsKeptSql);
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
                                                              const std::string& archive_path,
                                                              const BookId& book_id) {
    NOM_ASSIGN_OR_RETURN(std::unique_ptr<Database> db,
                         Database::Open(path, Database::Mode::kReadOnly));
    NOM_RETURN_IF_ERROR(db->Execute("BEGIN"));
    NOM_ASSIGN_OR_RETURN(const std::optional<Book> book, FindBook(*db, book_id));
    return std::make_unique<SqliteSnapshot>(std::move(db), archive_path,
                                            book ? book->ordinal : kNoBook);
  }
  // The archive is opened after the ledger was looked at: it has whatever the ledger says, and what
  // it has beyond that is not read.
  SqliteSnapshot(std::unique_ptr<Database> db, const std::string& archive_path, int64_t book)
      : db_(std::move(db)), files_(*db_, archive_path), book_(book) {}

  absl::StatusOr<ChainHead> Head() override { return ReadHead(*db_, book_); }
  absl::StatusOr<Carried> ReadCarried() override { return market::ReadCarried(files_, book_); }
  absl::StatusOr<Purses> ReadPurses() override { return market::ReadPurses(*db_, book_); }
  absl::StatusOr<std::map<TenantId, Microcredits>> ReadFees() override {
    NOM_ASSIGN_OR_RETURN(auto fees, market::ReadFees(*db_, book_));
    NOM_ASSIGN_OR_RETURN(const auto archived, ReadArchivedFees(*db_, book_));
    for (const auto& [tenant_id, paid] : archived) {
      fees[tenant_id] = SaturatingAdd(fees[tenant_id], paid);
    }
    return fees;
  }
  absl::Status ReadTransactions(
      uint64_t after, uint64_t limit,
      const std::function<absl::Status(const ChainedTransaction&)>& visit) override {
    return ReadChain(files_, book_, after, limit, visit);
  }
  absl::StatusOr<Round> ReadRound(const HostId& host_id, RoundId round_id) override {
    Round round{.host_id = host_id, .round_id = round_id};
    NOM_ASSIGN_OR_RETURN(Database* const file, files_.OfRound(host_id, round_id));
    NOM_RETURN_IF_ERROR(market::ReadRound(*file, round));
    return round;
  }
  absl::StatusOr<std::vector<Contract>> ReadEndedContracts(const TenantId& tenant_id,
                                                           GuestId guest_id, ContractId before,
                                                           int limit) override {
    return market::ReadEndedContracts(files_, book_, tenant_id, guest_id, before, limit);
  }
  absl::StatusOr<std::vector<LoggedEvent>> ReadEvents(const TenantId& tenant_id,
                                                      const NewestBelow& which) override {
    return market::ReadEvents(files_, book_, tenant_id, which);
  }
  absl::StatusOr<AccountStatement> ReadStatement(const TenantId& tenant_id,
                                                 const NewestBelow& which) override {
    return market::ReadStatement(files_, book_, tenant_id, which);
  }

 private:
  const std::unique_ptr<Database> db_;
  LedgerFiles files_;
  const int64_t book_;
};

class SqliteReader : public LedgerReader {
 public:
  SqliteReader(std::string path, std::string archive_path, std::unique_ptr<Database> db)
      : path_(std::move(path)),
        archive_path_(std::move(archive_path)),
        db_(std::move(db)),
        files_(*db_, archive_path_) {}

  absl::StatusOr<std::vector<Round>> ListRounds(const HostId& host_id, RoundId before_round_id,
                                                int limit) override {
    return AtOneInstant(
        [&] { return market::ListRounds(files_, host_id, before_round_id, limit); });
  }

  absl::StatusOr<std::vector<Round>> ListPrices(const PricesWanted& wanted) override {
    return AtOneInstant([&] { return market::ListPrices(files_, wanted); });
  }

  absl::StatusOr<AuctionRecord> GetAuction(const HostId& host_id, RoundId round_id,
                                           ResourceKind kind) override {
    return AtOneInstant([&]() -> absl::StatusOr<AuctionRecord> {
      NOM_ASSIGN_OR_RETURN(Database* const file, files_.OfRound(host_id, round_id));
      return ReadAuction(*file, host_id, round_id, kind);
    });
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
    return SqliteSnapshot::Open(path_, archive_path_, book_id);
  }

 private:
  // What is moved to the archive meanwhile is read here still: a snapshot has the one or the other.
  template <typename Read>
  auto AtOneInstant(const Read& read) -> decltype(read()) {
    std::lock_guard lock(mutex_);
    NOM_RETURN_IF_ERROR(db_->Execute("BEGIN"));
    auto out = read();
    const absl::Status end = db_->Execute("COMMIT");
    if (out.ok() && !end.ok()) return end;
    return out;
  }

  const std::string path_;
  const std::string archive_path_;
  std::mutex mutex_;
  const std::unique_ptr<Database> db_;  // Guarded by mutex_,
  LedgerFiles files_;                   // and so is this.
};

class SqliteLedger : public Ledger {
 public:
  SqliteLedger(std::vector<File> locks, std::unique_ptr<Database> db,
               std::unique_ptr<Database> reader_db, uint64_t proven_max,
               SqliteLedgerOptions options)
      : locks_(std::move(locks)),
        db_(std::move(db)),
        writer_(*db_),
        options_(std::move(options)),
        reader_(db_->path(), options_.archive_path, std::move(reader_db)),
        proven_max_(proven_max) {}

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
    NOM_ASSIGN_OR_RETURN(const auto snapshot, reader_.Look(lead.book_id));
    if (const absl::Status s = ProveLedger(*snapshot, proven_max_); !s.ok()) {
      return absl::Status(s.code(), absl::StrCat(Where(lead), s.message()));
    }
    loaded_[lead.book_id] = {book.ordinal, *head};
    if (options_.on_checked && check_ == nullptr) {
      NOM_ASSIGN_OR_RETURN(check_, CheckBehind::Begin(db_->path(), options_.archive_path, reader_,
                                                      options_.on_checked));
    }
    if (options_.retention != absl::InfiniteDuration() && archiver_ == nullptr) {
      archiver_ = std::make_unique<ArchiverThread>(
          ArchiverThread::Options{.path = db_->path(),
                                  .archive_path = options_.archive_path,
                                  .retention = options_.retention,
                                  .now = options_.now,
                                  .sync_to_disk = options_.sync_to_disk},
          mutex_);
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

  ArchiveFigures archive_figures() const override {
    ArchiveFigures figures;
    if (archiver_ != nullptr) figures = archiver_->figures();
    const auto look = Database::Open(db_->path(), Database::Mode::kReadOnly);
    if (!look.ok()) return figures;
    figures.pages = (*look)->QueryInt("PRAGMA page_count").value_or(0);
    figures.pages_free = (*look)->QueryInt("PRAGMA freelist_count").value_or(0);
    return figures;
  }

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
  const SqliteLedgerOptions options_;
  SqliteReader reader_;
  const uint64_t proven_max_;
  std::mutex mutex_;  // Books are committed to from threads of their own.
  std::map<BookId, Loaded> loaded_;
  std::unique_ptr<ArchiverThread> archiver_;
  std::unique_ptr<CheckBehind> check_;  // Ends first.
};

}  // namespace

absl::Status MakeLedgerTables(Database& db) {
  for (const char* sql : {kSchemaSql, kSchemaSince9Sql, kContractsKeptSql, kTiersSql,
                          kSchemaSince10Sql, kMeasuresSql, kSchemaSince11Sql, kTermsKeptSql}) {
    NOM_RETURN_IF_ERROR(db.Execute(sql));
  }
  return absl::OkStatus();
}

absl::Status CheckLedgerPath(const std::string& path) {
  int64_t bytes = 0;
  NOM_RETURN_IF_ERROR(LookAt(path, &bytes).status());
  const auto wrong = [&path](const std::string& what) {
    return absl::FailedPreconditionError(
        absl::StrCat("ledger ", path, ": ", what, " can't be written: ", std::strerror(errno)));
  };
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  // SQLite makes files beside it.
  if (access(folder.c_str(), W_OK | X_OK) != 0) return wrong("its folder");
  // Whoever looked at it as root may have left files that the market's user can't open.
  for (const char* end : {"", "-wal", "-shm", ".lock"}) {
    const std::string name = path + end;
    const File file(open(name.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
    if (file.fd() < 0 && errno != ENOENT) return wrong(name);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Ledger>> OpenSqliteLedger(const SqliteLedgerOptions& given) {
  SqliteLedgerOptions options = given;
  const std::string& path = options.path;
  if (options.archive_path.empty()) options.archive_path = DefaultArchivePath(path);
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
  // One that can't be is none to this marketd, and whoever needs it is told so; the market goes on.
  (void)UpgradeArchive(*db, options.archive_path);
  NOM_ASSIGN_OR_RETURN(std::unique_ptr<Database> reader_db,
                       Database::Open(path, Database::Mode::kReadOnly));
  NOM_ASSIGN_OR_RETURN(const bool has_archive, HasArchive(*db));
  if (options.retention != absl::InfiniteDuration() && !has_archive) {
    NOM_RETURN_IF_ERROR(MakeArchive(*db, options.archive_path));
    NOM_RETURN_IF_ERROR(
        OpenArchive(*db, options.archive_path, Database::Mode::kReadWrite).status());
  }
  const bool all = bytes <= options.check_bytes_max;
  if (all && !has_archive) options.on_checked = nullptr;
  std::vector<File> locks;
  locks.push_back(std::move(inode_lock));
  locks.push_back(std::move(lock));
  return std::unique_ptr<Ledger>(
      new SqliteLedger(std::move(locks), std::move(db), std::move(reader_db),
                       all ? UINT64_MAX : kTransactionsProvenAtLeast, std::move(options)));
}

}  // namespace nom::market
