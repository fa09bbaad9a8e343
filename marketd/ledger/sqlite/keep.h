// SPDX-License-Identifier: Apache-2.0
// Keeping a ledger: a backup taken while marketd runs, and putting one back.
//
// Both are for a process of its own beside marketd's: they open the file as a stranger would, and
// nothing in them waits for marketd or makes it wait.

#ifndef MARKETD_LEDGER_SQLITE_KEEP_H_
#define MARKETD_LEDGER_SQLITE_KEEP_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "marketd/market/ledger.h"

namespace nom::market {

// Copies the ledger at `path`, as it is at one instant, to `backup`, by SQLite's online backup
// (https://sqlite.org/backup.html). The copy is proven as a whole (pages, digests, sums) before it
// gets its name, and is one file that needs no other. The answer is its head (of the book
// kMarketBook): note it down, and a file that comes later goes on from it or is not this ledger any
// more.
//
// If the ledger has an archive, at `archive_path`, a copy of it goes to `backup_archive`, proven
// together with it; if that is empty, to DefaultArchivePath(backup). An empty `archive_path`: the
// ledger alone, whose backup is good without the archive, but for what is in it.
//
// Errors: ALREADY_EXISTS (one of them is there: nothing is ever written over), NOT_FOUND (no
// ledger), DATA_LOSS (the ledger does not add up), RESOURCE_EXHAUSTED (disk full),
// FAILED_PRECONDITION (the archive is not there or does not add up, too).
absl::StatusOr<ChainHead> BackUpLedger(const std::string& path, const std::string& backup,
                                       const std::string& archive_path = "",
                                       std::string backup_archive = "");

struct Restored {
  ChainHead head;
  std::string replaced;  // Where the ledger that was there before lies now; empty if none was.
  std::string archive_replaced;  // The same of its archive.
  absl::Status archive;          // Why there is no archive for it, if it needs one.
};

// Proves `backup` and puts a copy of it in place of the ledger at `path`. What was there is renamed
// to PATH.replaced-TIME with its log, never deleted. So is an archive at `archive_path`: in its
// place comes a copy of the backup's, or, if that has none, of the one that was there, if it
// belongs to the ledger; otherwise the ledger is restored without. An empty `archive_path`: the
// default. Nothing is made beside the backup, which may lie on a disk that can't be written.
// Errors: as above; FAILED_PRECONDITION if a marketd holds the ledger; INVALID_ARGUMENT if the
// backup is the ledger itself.
absl::StatusOr<Restored> RestoreLedger(const std::string& backup, const std::string& path,
                                       absl::Time now, std::string archive_path = "");

}  // namespace nom::market

#endif  // MARKETD_LEDGER_SQLITE_KEEP_H_
