// SPDX-License-Identifier: Apache-2.0
#include "marketd/ledger/sqlite/keep.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "marketd/base/status.h"
#include "marketd/ledger/sqlite/archive.h"
#include "marketd/ledger/sqlite/database.h"
#include "marketd/ledger/sqlite/schema.h"
#include "marketd/ledger/sqlite/sqlite_ledger.h"
#include "marketd/market/audit.h"

namespace nom::market {
namespace {

// How long another connection's lock is waited for; readers of a write-ahead log need none.
constexpr int kBusyTimeoutMs = 10'000;
// Only who runs the market reads its books.
constexpr mode_t kFileMode = 0600;

absl::Status FileError(const std::string& path) {
  const std::string message = absl::StrCat(path, ": ", std::strerror(errno));
  if (errno == ENOENT) return absl::NotFoundError(message);
  if (errno == EEXIST) return absl::AlreadyExistsError(message);
  if (errno == ENOSPC) return absl::ResourceExhaustedError(message);
  return absl::FailedPreconditionError(message);
}

struct Closer {
  void operator()(sqlite3* db) const { sqlite3_close(db); }
};
using Connection = std::unique_ptr<sqlite3, Closer>;

absl::StatusOr<Connection> Connect(const std::string& path, int flags) {
  sqlite3* db = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &db, flags, nullptr);
  Connection connection(db);
  if (code != SQLITE_OK) return SqliteError(db, absl::StrCat("ledger ", path));
  sqlite3_busy_timeout(db, kBusyTimeoutMs);
  return connection;
}

// A file that is removed unless it is kept: half a copy must not be taken for a whole one.
class FreshFile {
 public:
  static absl::StatusOr<FreshFile> Make(const std::string& path) {
    if (unlink(path.c_str()) != 0 && errno != ENOENT) return FileError(path);
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kFileMode);
    if (fd < 0) return FileError(path);
    close(fd);
    return FreshFile(path);
  }
  FreshFile(FreshFile&& other) noexcept : path_(std::exchange(other.path_, "")) {}
  FreshFile& operator=(FreshFile&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  ~FreshFile() {
    if (path_.empty()) return;
    for (const char* end : {"", "-wal", "-shm", "-journal", ".lock"}) {
      unlink((path_ + end).c_str());
    }
  }
  const std::string& path() const { return path_; }

  // Gives the file its name, durably. It must not be there.
  absl::Status MoveTo(const std::string& name) {
    unlink((path_ + ".lock").c_str());
    const int fd = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return FileError(path_);
    const int synced = fsync(fd);
    close(fd);
    if (synced != 0) return FileError(path_);
    if (renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, name.c_str(), RENAME_NOREPLACE) != 0) {
      return FileError(name);
    }
    path_.clear();
    const size_t slash = name.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : name.substr(0, slash + 1);
    const int folder_fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0) return FileError(folder);
    const int folder_synced = fsync(folder_fd);
    close(folder_fd);
    return folder_synced == 0 ? absl::OkStatus() : FileError(folder);
  }

 private:
  explicit FreshFile(std::string path) : path_(std::move(path)) {}

  std::string path_;
};

bool IsThere(const std::string& path) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0;
}

// Makes a database one file that needs no other: its pages say that there is a log beside it, and
// whoever only reads them would have to make one, which a disk that can't be written does not let.
absl::Status LeaveNoLog(const std::string& path) {
  NOM_ASSIGN_OR_RETURN(const Connection db, Connect(path, SQLITE_OPEN_READWRITE));
  if (sqlite3_exec(db.get(), "PRAGMA journal_mode = DELETE", nullptr, nullptr, nullptr) ==
      SQLITE_OK) {
    return absl::OkStatus();
  }
  return SqliteError(db.get(), absl::StrCat("ledger ", path));
}

enum class Source {
  kLive,  // Somebody may write to it.
  kKept,  // Nobody does.
};

// What SQLite calls a file that it is to make nothing beside.
std::string ImmutableUri(const std::string& path) {
  std::string uri = "file:";
  for (const char c : path) {
    const bool plain = absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '/' || c == '.';
    absl::StrAppend(
        &uri, plain ? std::string(1, c)
                    : absl::StrCat("%", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2)));
  }
  return uri + "?immutable=1";
}

// All pages of `from` as they are at one instant. One step for all of them: a transaction that is
// committed meanwhile goes to the log, which this read keeps from being folded in.
absl::Status CopyPages(const std::string& from, Source kind, const std::string& to) {
  // Of what lies by itself, on a disk that can't be written or with backups of before that say that
  // they have a log.
  const bool alone =
      kind == Source::kKept && !IsThere(from + "-wal") && !IsThere(from + "-journal");
  NOM_ASSIGN_OR_RETURN(const Connection source,
                       Connect(alone ? ImmutableUri(from) : from,
                               SQLITE_OPEN_READONLY | (alone ? SQLITE_OPEN_URI : 0)));
  NOM_ASSIGN_OR_RETURN(const Connection target, Connect(to, SQLITE_OPEN_READWRITE));
  const std::string what = absl::StrCat("copy of ", from, " to ", to);
  sqlite3_backup* const backup = sqlite3_backup_init(target.get(), "main", source.get(), "main");
  if (backup == nullptr) return SqliteError(target.get(), what);
  const int code = sqlite3_backup_step(backup, -1);
  sqlite3_backup_finish(backup);
  return code == SQLITE_DONE ? absl::OkStatus() : SqliteError(target.get(), what);
}

// Opens the file as marketd would, with every page checked and every transaction proven, also those
// in the archive, if one is given.
absl::StatusOr<ChainHead> Prove(const std::string& path, const std::string& archive_path) {
  NOM_ASSIGN_OR_RETURN(
      const std::unique_ptr<Ledger> ledger,
      OpenSqliteLedger({.path = path, .check_bytes_max = INT64_MAX, .archive_path = archive_path}));
  NOM_ASSIGN_OR_RETURN(const std::vector<BookId> books, ledger->reader().ListBooks());
  for (const BookId& book_id : books) {
    NOM_RETURN_IF_ERROR(ledger->Load({.book_id = book_id}).status());
  }
  if (!archive_path.empty()) NOM_RETURN_IF_ERROR(ProveArchive(ledger->reader(), nullptr));
  NOM_ASSIGN_OR_RETURN(const std::unique_ptr<LedgerSnapshot> snapshot,
                       ledger->reader().Look(kMarketBook));
  return snapshot->Head();
}

absl::Status MustBeThere(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return FileError(path);
  // What is not there or empty is what marketd makes a new ledger of.
  if (info.st_size == 0) return absl::NotFoundError(absl::StrCat(path, ": is empty"));
  return absl::OkStatus();
}

struct ProvenFiles {
  FreshFile ledger;
  std::optional<FreshFile> archive;
  ChainHead head;
};

absl::StatusOr<bool> NeedsArchive(const std::string& path) {
  NOM_ASSIGN_OR_RETURN(const std::unique_ptr<Database> db,
                       Database::Open(path, Database::Mode::kReadOnly));
  NOM_ASSIGN_OR_RETURN(const int64_t version, db->QueryInt("PRAGMA user_version"));
  if (version < kSchemaVersionWithArchive) return false;
  return HasArchive(*db);
}

// A proven copy of the ledger `from` beside `place`, under another name, and of the archive that it
// needs beside `archive_place`; an empty `archive`: without.
absl::StatusOr<ProvenFiles> ProvenCopies(const std::string& from, const std::string& archive,
                                         Source kind, const std::string& place,
                                         const std::string& archive_place) {
  NOM_RETURN_IF_ERROR(MustBeThere(from));
  NOM_ASSIGN_OR_RETURN(FreshFile fresh, FreshFile::Make(place + ".copying"));
  NOM_RETURN_IF_ERROR(CopyPages(from, kind, fresh.path()));
  NOM_RETURN_IF_ERROR(LeaveNoLog(fresh.path()));
  NOM_ASSIGN_OR_RETURN(const bool needs_archive, NeedsArchive(fresh.path()));
  std::optional<FreshFile> fresh_archive;
  if (needs_archive && !archive.empty()) {
    // After the ledger: it has all that the ledger says, and what it has beyond that does no harm.
    if (const absl::Status s = MustBeThere(archive); !s.ok()) {
      return absl::FailedPreconditionError(
          absl::StrCat("the ledger's archive ", s.message(), ", and old rounds are in it"));
    }
    NOM_ASSIGN_OR_RETURN(FreshFile made, FreshFile::Make(archive_place + ".copying"));
    NOM_RETURN_IF_ERROR(CopyPages(archive, kind, made.path()));
    fresh_archive.emplace(std::move(made));
  }
  absl::StatusOr<ChainHead> head = Prove(fresh.path(), fresh_archive ? fresh_archive->path() : "");
  if (!head.ok()) {  // What is wrong with a copy is wrong with what it is a copy of.
    return absl::Status(head.status().code(),
                        absl::StrReplaceAll(head.status().message(), {{fresh.path(), from}}));
  }
  NOM_RETURN_IF_ERROR(LeaveNoLog(fresh.path()));
  if (fresh_archive) NOM_RETURN_IF_ERROR(LeaveNoLog(fresh_archive->path()));
  return ProvenFiles{std::move(fresh), std::move(fresh_archive), *std::move(head)};
}

absl::Status MustNotBeThere(const std::string& path) {
  if (access(path.c_str(), F_OK) != 0) return absl::OkStatus();
  return absl::AlreadyExistsError(
      absl::StrCat(path, ": is there already, and no backup is written over"));
}

constexpr const char* kParts[] = {"-wal", "-shm", ""};

bool AnyPartIsThere(const std::string& path) {
  return std::any_of(std::begin(kParts), std::end(kParts),
                     [&path](const char* end) { return IsThere(path + end); });
}

// Renames a database with its log; where to, or empty if there is none. A name that no part of
// another has, so that none is left without its log or gets a foreign one: SQLite takes any log of
// the right name for the file's own. For the same reason a log is put aside whose file is gone.
absl::StatusOr<std::string> PutAside(const std::string& path, absl::Time now) {
  if (!AnyPartIsThere(path)) return "";
  const std::string first = absl::StrCat(
      path, ".replaced-", absl::FormatTime("%Y%m%dT%H%M%SZ", now, absl::UTCTimeZone()));
  std::string aside = first;
  for (int count = 2; AnyPartIsThere(aside); ++count) aside = absl::StrCat(first, "-", count);
  // The log first: a file without its log is an older one, which nobody must take for this one.
  for (const char* end : kParts) {
    const std::string from = path + end;
    const std::string to = aside + end;
    if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) != 0 &&
        errno != ENOENT) {
      return FileError(to);
    }
  }
  return aside;
}

}  // namespace

absl::StatusOr<ChainHead> BackUpLedger(const std::string& path, const std::string& backup,
                                       const std::string& archive_path,
                                       std::string backup_archive) {
  if (backup_archive.empty()) backup_archive = DefaultArchivePath(backup);
  NOM_RETURN_IF_ERROR(MustNotBeThere(backup));
  if (!archive_path.empty()) NOM_RETURN_IF_ERROR(MustNotBeThere(backup_archive));
  NOM_ASSIGN_OR_RETURN(ProvenFiles copy,
                       ProvenCopies(path, archive_path, Source::kLive, backup, backup_archive));
  if (copy.archive) NOM_RETURN_IF_ERROR(copy.archive->MoveTo(backup_archive));
  NOM_RETURN_IF_ERROR(copy.ledger.MoveTo(backup));
  return copy.head;
}

absl::StatusOr<Restored> RestoreLedger(const std::string& backup, const std::string& path,
                                       absl::Time now, std::string archive_path) {
  if (archive_path.empty()) archive_path = DefaultArchivePath(path);
  // Held to the end: no marketd may begin on what is being exchanged.
  const std::string lock_path = path + ".lock";
  const int lock = open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kFileMode);
  if (lock < 0) return FileError(lock_path);
  const std::unique_ptr<const int, void (*)(const int*)> closer(&lock,
                                                                [](const int* fd) { close(*fd); });
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("ledger ", path, ": is in use by another process; stop marketd first"));
  }
  std::error_code error;
  if (std::filesystem::equivalent(backup, path, error)) {
    return absl::InvalidArgumentError(absl::StrCat(backup, ": is the ledger itself"));
  }
  const bool has_own = access(DefaultArchivePath(backup).c_str(), F_OK) == 0;
  absl::StatusOr<ProvenFiles> copy =
      ProvenCopies(backup, has_own ? DefaultArchivePath(backup) : archive_path, Source::kKept, path,
                   archive_path);
  Restored restored;
  if (!has_own && absl::IsFailedPrecondition(copy.status())) {
    // The one that is there is not this ledger's, or there is none.
    restored.archive = copy.status();
    copy = ProvenCopies(backup, "", Source::kKept, path, archive_path);
  }
  if (!copy.ok()) return copy.status();
  restored.head = copy->head;
  NOM_ASSIGN_OR_RETURN(restored.replaced, PutAside(path, now));
  NOM_ASSIGN_OR_RETURN(restored.archive_replaced, PutAside(archive_path, now));
  if (copy->archive) NOM_RETURN_IF_ERROR(copy->archive->MoveTo(archive_path));
  NOM_RETURN_IF_ERROR(copy->ledger.MoveTo(path));
  return restored;
}

}  // namespace nom::market
