// SPDX-License-Identifier: Apache-2.0
#include "marketd/ledger/sqlite/new_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"

namespace nom::market {

absl::Status SystemError(const std::string& path) {
  return absl::FailedPreconditionError(absl::StrCat("ledger ", path, ": ", std::strerror(errno)));
}

absl::Status KeepLog(Database& db) {
  NOM_ASSIGN_OR_RETURN(const std::string mode, db.QueryText("PRAGMA journal_mode = WAL"));
  if (mode == "wal") return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("ledger ", db.path(), ": its file system can't keep a write-ahead log"));
}

absl::Status MakeDatabase(const std::string& path, int32_t application_id, int32_t version,
                          const std::function<absl::Status(Database&)>& fill) {
  const std::string fresh = path + ".new";
  for (const char* of : {"", "-journal", "-wal", "-shm"}) {  // Of one that did not become whole.
    if (unlink((fresh + of).c_str()) != 0 && errno != ENOENT) return SystemError(fresh + of);
  }
  {
    NOM_ASSIGN_OR_RETURN(const std::unique_ptr<Database> db,
                         Database::Open(fresh, Database::Mode::kCreate));
    // Before there is a table: pages that become free can be given back (Archiver), a few at a
    // time.
    NOM_RETURN_IF_ERROR(db->Execute(
        "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA synchronous = FULL; BEGIN IMMEDIATE"));
    NOM_RETURN_IF_ERROR(fill(*db));
    const std::string ids = absl::StrCat("PRAGMA application_id = ", application_id,
                                         "; PRAGMA user_version = ", version, "; COMMIT");
    NOM_RETURN_IF_ERROR(db->Execute(ids.c_str()));
    // Last: what is in a log would not be renamed with the file.
    NOM_RETURN_IF_ERROR(KeepLog(*db));
  }
  if (rename(fresh.c_str(), path.c_str()) != 0) return SystemError(path);
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int file = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = file >= 0 && fsync(file) == 0;
  const absl::Status status = synced ? absl::OkStatus() : SystemError(directory);
  if (file >= 0) close(file);
  return status;
}

}  // namespace nom::market
