// SPDX-License-Identifier: Apache-2.0
// Moves what is old from a ledger to its archive, a little at a time, while the ledger is used.
//
// Two files are never changed as one. So rows are copied first, held against the chain of digests,
// and made durable in the archive; then the ledger says that the archive has them; then they are
// deleted. Whatever ends this in between, nothing is lost, and what is done again is the same:
// rows replace themselves. The ledger's lock is held for the second and the third alone, for some
// hundred rows at a time, and nothing waits for the disk then: a deletion that a power cut takes
// back is done again.

#ifndef MARKETD_LEDGER_SQLITE_ARCHIVER_H_
#define MARKETD_LEDGER_SQLITE_ARCHIVER_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "marketd/ledger/sqlite/archive.h"
#include "marketd/ledger/sqlite/database.h"

namespace nom::market {

// So many of the newest transactions stay in the ledger however old they are: what a start proves.
inline constexpr uint64_t kTransactionsKept = 200;

class Archiver {
 public:
  // Of the ledger at `path`, which somebody has open. `writing` is held by whoever writes to it in
  // this process. `sync_to_disk` false: for simulations. Errors: those of OpenArchive.
  static absl::StatusOr<std::unique_ptr<Archiver>> Open(const std::string& path,
                                                        const std::string& archive_path,
                                                        bool sync_to_disk, std::mutex& writing);

  // One step: what of the oldest is of before `cutoff`. False: there is nothing to do. After an
  // error the same may be tried again. DATA_LOSS: what would be moved does not add up, and stays
  // where it is.
  absl::StatusOr<bool> Step(absl::Time cutoff);

  uint64_t rows_moved() const { return rows_moved_; }
  // How long others were kept from writing in the last step.
  absl::Duration held() const { return held_; }
  absl::StatusOr<int64_t> Pages() { return ledger_->QueryInt("PRAGMA page_count"); }
  absl::StatusOr<int64_t> FreePages() { return ledger_->QueryInt("PRAGMA freelist_count"); }

 private:
  struct Book {
    int64_t ordinal = 0;
    uint64_t last_transaction_id = 0;
    ArchivedBook archived;
  };
  struct Host {
    HostId host_id;
    int64_t book = 0;
    RoundId in_force = 0;
    RoundId last = 0;
    RoundId archived = 0;
  };

  Archiver(std::unique_ptr<Database> ledger, std::unique_ptr<Database> archive,
           std::mutex& writing);

  absl::Status MakeCopies();
  const char* Copies(const std::string& table) { return copies_.at(table).c_str(); }
  absl::Status Trim();
  absl::StatusOr<std::vector<Book>> ReadBooks();
  absl::StatusOr<std::vector<Host>> ReadHosts();

  absl::StatusOr<bool> Sweep(const std::vector<Book>& books, const std::vector<Host>& hosts);
  absl::StatusOr<bool> MoveContracts(const Book& book);
  absl::StatusOr<bool> MoveOffers(const Book& book);
  // Leaves behind what was asked for in the host's rounds up to `last` that are about to go.
  absl::Status LeaveAsks(const Host& host, RoundId last);
  absl::StatusOr<bool> MoveRounds(const Book& book, const Host& host);
  absl::StatusOr<bool> MoveTransactions(const Book& book, absl::Time cutoff);
  absl::StatusOr<bool> GiveBackPages();

  absl::StatusOr<uint64_t> FindEnd(const Book& book, absl::Time cutoff);

  // Copies to the archive, all or nothing, durably.
  absl::Status Copy(const std::function<absl::Status()>& copy);
  // Changes the ledger, all or nothing, while nobody else does.
  absl::Status Change(const std::function<absl::Status()>& change);

  const std::unique_ptr<Database> ledger_;
  const std::unique_ptr<Database> archive_;  // With the ledger attached, as `live`.
  std::mutex& writing_;
  std::map<std::string, std::string> copies_;  // The statement that copies rows of each table.
  uint64_t rows_moved_ = 0;
  absl::Duration held_;
  int changes_since_checkpoint_ = 0;
};

// Archives on a thread of its own, for as long as it lives.
class ArchiverThread {
 public:
  struct Options {
    std::string path;
    std::string archive_path;
    absl::Duration retention;
    std::function<absl::Time()> now;
    bool sync_to_disk = true;
  };
  ArchiverThread(Options options, std::mutex& writing);
  ~ArchiverThread();  // Ends it after the step under way.

  ArchiveFigures figures() const;

 private:
  void Run();
  absl::Status ArchiveAll(std::unique_ptr<Archiver>& archiver);
  bool WaitFor(absl::Duration pause);  // False: it is to end.

  const Options options_;
  std::mutex& writing_;
  mutable std::mutex mutex_;
  std::condition_variable ended_;
  bool ending_ = false;     // Guarded by mutex_, as is
  ArchiveFigures figures_;  // this.
  std::thread thread_;
};

}  // namespace nom::market

#endif  // MARKETD_LEDGER_SQLITE_ARCHIVER_H_
