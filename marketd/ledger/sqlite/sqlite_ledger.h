// SPDX-License-Identifier: Apache-2.0
// A ledger in one SQLite file: the embedded default.
//
// Write-ahead log, synchronous=FULL: what Commit has confirmed survives a power cut. One process at
// a time may hold a ledger (locks beside the file and on the file itself say so); readers have
// connections of their own and never wait for the writer.
//
// What is old can go to an archive, a second file (archive.h), while the ledger is used.
//
// A file that is not a ledger, is damaged, does not add up, or was written by a newer marketd is
// refused. One that can't be written to is refused when it is opened, not at the first commit.

#ifndef MARKETD_LEDGER_SQLITE_SQLITE_LEDGER_H_
#define MARKETD_LEDGER_SQLITE_SQLITE_LEDGER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "marketd/base/clock.h"
#include "marketd/market/ledger.h"

namespace nom::market {

struct SqliteLedgerOptions {
  std::string path;
  // False risks the last transactions at a power cut (not at a crash of the process): for
  // simulations only.
  bool sync_to_disk = true;
  // Larger files are not gone through before they are opened: only the newest transactions are
  // proven then, so that a start takes a moment whatever there is,
  int64_t check_bytes_max = int64_t{8} << 20;
  // and the whole behind, with the archive, if somebody wants to know. Called once, from a thread
  // of the ledger's: OK, DATA_LOSS (nothing of this ledger may be served any more), or why it could
  // not be done; FAILED_PRECONDITION if it is the archive that is missing or damaged. Not called
  // for what was checked at once, nor after the ledger has gone. Begins when the first book was
  // loaded.
  std::function<void(const absl::Status&)> on_checked;

  // Where old transactions and rounds go, and are read from; empty: DefaultArchivePath.
  std::string archive_path;
  // How old they have to be, by `now`; what is open, and the newest, stays in any case. They go
  // from the first Load on, on a thread of the ledger's.
  absl::Duration retention = absl::InfiniteDuration();
  std::function<absl::Time()> now = [] { return Clock::Real().Now(); };
};

// Opens the ledger, or makes a new one if there is no file or an empty one. Errors name the path:
// FAILED_PRECONDITION (not a database, another program's, a newer schema, in use by another
// process), DATA_LOSS (damaged), INTERNAL, RESOURCE_EXHAUSTED. An archive that is to begin must be
// one that can be made; one that has begun may be missing: what is in it can't be read then,
// nothing more goes there, and everything else goes on.
absl::StatusOr<std::unique_ptr<Ledger>> OpenSqliteLedger(const SqliteLedgerOptions& options);

// Whether a ledger could be opened or begun there, as far as can be seen without doing it, also
// while another process has it: its folder can be written, and what is there is a ledger that this
// marketd reads, and can be written. Errors say what is wrong.
absl::Status CheckLedgerPath(const std::string& path);

}  // namespace nom::market

#endif  // MARKETD_LEDGER_SQLITE_SQLITE_LEDGER_H_
