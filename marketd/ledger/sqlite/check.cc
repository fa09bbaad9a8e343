// SPDX-License-Identifier: Apache-2.0
#include "marketd/ledger/sqlite/check.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"
#include "marketd/ledger/sqlite/archive.h"
#include "marketd/market/audit.h"

namespace nom::market {
namespace {

// How quick_check says SQLITE_IOERR_READ of a page.
constexpr char kReadFailed[] = "error code=266";

}  // namespace

absl::Status CheckPages(Database& db) {
  // A page that could not be read once is no damage to the file, and looks like one in most of what
  // SQLite says of it: what is damaged is so when it is looked at again.
  std::string answer;
  for (int i = 0; i < 2; ++i) {
    NOM_ASSIGN_OR_RETURN(answer, db.QueryText("PRAGMA quick_check(1)"));
    if (answer == "ok") return absl::OkStatus();
  }
  if (absl::StrContains(answer, kReadFailed)) {
    return absl::InternalError(absl::StrCat("ledger ", db.path(), ": disk I/O error: ", answer));
  }
  return absl::DataLossError(absl::StrCat("ledger ", db.path(), ": ", answer));
}

absl::StatusOr<std::unique_ptr<CheckBehind>> CheckBehind::Begin(
    const std::string& path, const std::string& archive_path, LedgerReader& reader,
    std::function<void(const absl::Status&)> done) {
  NOM_ASSIGN_OR_RETURN(std::unique_ptr<Database> db,
                       Database::Open(path, Database::Mode::kReadOnly));
  NOM_ASSIGN_OR_RETURN(const bool has_archive, HasArchive(*db));
  std::unique_ptr<Database> archive;
  absl::Status archive_status;
  if (has_archive) {
    auto opened = OpenArchive(*db, archive_path, Database::Mode::kReadOnly);
    archive_status = opened.status();
    if (opened.ok()) archive = *std::move(opened);
  }
  return std::unique_ptr<CheckBehind>(new CheckBehind(
      std::move(db), std::move(archive), std::move(archive_status), reader, std::move(done)));
}

CheckBehind::CheckBehind(std::unique_ptr<Database> db, std::unique_ptr<Database> archive,
                         absl::Status archive_status, LedgerReader& reader,
                         std::function<void(const absl::Status&)> done)
    : db_(std::move(db)),
      archive_(std::move(archive)),
      archive_status_(std::move(archive_status)),
      reader_(reader),
      done_(std::move(done)),
      thread_([this] {
        const absl::Status status = Check();
        if (!ending_) done_(status);
      }) {}

CheckBehind::~CheckBehind() {
  ending_ = true;
  db_->Interrupt();
  if (archive_ != nullptr) archive_->Interrupt();
  thread_.join();
}

absl::Status CheckBehind::Check() {
  // Asked for between any two transactions: between two statements there is nothing to interrupt.
  const auto ending = [this] { return ending_.load(); };
  const auto of = [this](const absl::Status& s) {
    return absl::Status(s.code(), absl::StrCat("ledger ", db_->path(), ": ", s.message()));
  };
  NOM_RETURN_IF_ERROR(CheckPages(*db_));
  if (const absl::Status s = ProveAll(reader_, ending); !s.ok()) return of(s);
  NOM_RETURN_IF_ERROR(archive_status_);
  if (archive_ == nullptr) return absl::OkStatus();
  if (const absl::Status s = CheckPages(*archive_); !s.ok()) {
    return absl::IsDataLoss(s) ? absl::FailedPreconditionError(s.message()) : s;
  }
  if (const absl::Status s = ProveArchive(reader_, ending); !s.ok()) return of(s);
  return absl::OkStatus();
}

}  // namespace nom::market
