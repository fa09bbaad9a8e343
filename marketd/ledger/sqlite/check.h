// SPDX-License-Identifier: Apache-2.0
// Whether a ledger's file is whole: at once for a small one, behind for a large one.

#ifndef MARKETD_LEDGER_SQLITE_CHECK_H_
#define MARKETD_LEDGER_SQLITE_CHECK_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "marketd/ledger/sqlite/database.h"
#include "marketd/market/ledger.h"

namespace nom::market {

// Reads every page. DATA_LOSS says what is damaged; other errors: it could not be looked at.
absl::Status CheckPages(Database& db);

// Goes through all pages, and proves all transactions of all books, on a thread and a connection of
// its own, while the ledger is used.
class CheckBehind {
 public:
  // `done` is called once, on that thread, with what was found (OK: nothing), unless the check is
  // ended before. What is wrong with the archive is FAILED_PRECONDITION: the ledger is good without
  // it. `reader` outlives this.
  static absl::StatusOr<std::unique_ptr<CheckBehind>> Begin(
      const std::string& path, const std::string& archive_path, LedgerReader& reader,
      std::function<void(const absl::Status&)> done);
  ~CheckBehind();  // Ends it, within a moment.

 private:
  CheckBehind(std::unique_ptr<Database> db, std::unique_ptr<Database> archive,
              absl::Status archive_status, LedgerReader& reader,
              std::function<void(const absl::Status&)> done);
  absl::Status Check();

  const std::unique_ptr<Database> db_;
  const std::unique_ptr<Database> archive_;  // Null: there is none, or
  const absl::Status archive_status_;        // this is why it can't be looked at.
  LedgerReader& reader_;
  const std::function<void(const absl::Status&)> done_;
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace nom::market

#endif  // MARKETD_LEDGER_SQLITE_CHECK_H_
