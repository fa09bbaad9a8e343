// SPDX-License-Identifier: Apache-2.0
#include "marketd/ledger/sqlite/keep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "marketd/ledger/sqlite/archiver.h"
#include "marketd/ledger/sqlite/sqlite_ledger.h"
#include "marketd/market/audit.h"
#include "tests/sim/world.h"

namespace nom::market {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const Account kAvailable{"ann", AccountKind::kAvailable};
const Account kIssued{kOperator, AccountKind::kIssued};

class KeepTest : public testing::Test {
 protected:
  KeepTest() {
    auto ledger = OpenSqliteLedger({.path = path_, .sync_to_disk = false});
    EXPECT_TRUE(ledger.ok()) << ledger.status();
    ledger_ = *std::move(ledger);
    state_ = *ledger_->Load({});
    Scribe first(state_, absl::FromUnixSeconds(1), "tenant created");
    first.Write(PutTenant{{.tenant_id = "ann", .display_name = "Ann"}});
    const std::vector<Transaction> group = {std::move(first).Finish()};
    EXPECT_TRUE(ledger_->Commit({}, group).ok());
  }
  void Deposit() {
    Scribe scribe(state_, absl::FromUnixSeconds(2), "deposit");
    scribe.Move(kIssued, kAvailable, 0, 100);
    const std::vector<Transaction> group = {std::move(scribe).Finish()};
    EXPECT_TRUE(ledger_->Commit({}, group).ok());
  }
  absl::StatusOr<State> StateOf(const std::string& path) {
    auto ledger = OpenSqliteLedger({.path = path});
    if (!ledger.ok()) return ledger.status();
    return (*ledger)->Load({});
  }
  // The second page is a table's.
  static void Damage(const std::string& path) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096);
    file << std::string(4096, '\xff');
  }

  TempDirectory directory_;
  const std::string path_ = directory_.File("market.ledger");
  const std::string backup_ = directory_.File("backup");
  std::unique_ptr<Ledger> ledger_;
  State state_;
};

TEST_F(KeepTest, ABackupOfALedgerInUseIsThatLedger) {
  Deposit();
  const absl::StatusOr<ChainHead> head = BackUpLedger(path_, backup_);
  ASSERT_TRUE(head.ok()) << head.status();
  EXPECT_EQ(head->transaction_id, 2u);
  const State then = state_;
  Deposit();
  EXPECT_EQ(*StateOf(backup_), then) << "as it was at that instant";
  struct stat info {};
  ASSERT_EQ(stat(backup_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(KeepTest, IsConsistentWhileTransactionsGoOn) {
  // As many as fit in the time that the backups take, up to what keeps the test short.
  constexpr int kDepositsMax = 500;
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (int i = 0; i < kDepositsMax && !stop; ++i) Deposit();
  });
  for (int i = 0; i < 5; ++i) {
    const std::string file = directory_.File("backup" + std::to_string(i));
    const absl::StatusOr<ChainHead> head = BackUpLedger(path_, file);
    EXPECT_TRUE(head.ok()) << head.status();
    const absl::StatusOr<State> state = StateOf(file);
    EXPECT_TRUE(state.ok()) << state.status();
  }
  stop = true;
  writer.join();
}

TEST_F(KeepTest, NothingIsWrittenOverAndNothingIsLeftBehind) {
  std::ofstream(backup_) << "somebody's";
  EXPECT_EQ(BackUpLedger(path_, backup_).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(std::filesystem::file_size(backup_), 10u);
  EXPECT_EQ(BackUpLedger(directory_.File("none"), directory_.File("b")).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(directory_.File("none"))) << "no ledger was made";
  EXPECT_FALSE(BackUpLedger(path_, "/nowhere/backup").ok());
  for (const auto& entry : std::filesystem::directory_iterator(directory_.File(""))) {
    EXPECT_THAT(entry.path().filename().string(), testing::Not(HasSubstr("copying")));
  }
}

TEST_F(KeepTest, RestoreAfterTheDiskIsLost) {
  Deposit();
  const absl::StatusOr<ChainHead> head = BackUpLedger(path_, backup_);
  ASSERT_TRUE(head.ok()) << head.status();
  const State then = state_;
  ledger_.reset();
  for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(path_ + end);
  const absl::StatusOr<Restored> restored = RestoreLedger(backup_, path_, absl::UnixEpoch());
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->head.digest, head->digest);
  EXPECT_EQ(restored->replaced, "");
  EXPECT_EQ(*StateOf(path_), then);
  EXPECT_TRUE(std::filesystem::exists(backup_)) << "the backup stays";
}

TEST_F(KeepTest, RestoreKeepsWhatWasThere) {
  ASSERT_TRUE(BackUpLedger(path_, backup_).ok());
  const State then = state_;
  Deposit();
  absl::StatusOr<Restored> restored = RestoreLedger(backup_, path_, absl::UnixEpoch());
  EXPECT_EQ(restored.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(restored.status().message()), HasSubstr("stop marketd first"));
  const State later = state_;
  ledger_.reset();
  restored = RestoreLedger(backup_, path_, absl::UnixEpoch());
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->replaced, path_ + ".replaced-19700101T000000Z");
  EXPECT_EQ(*StateOf(path_), then);
  EXPECT_EQ(*StateOf(restored->replaced), later);
  // Again in the same second: what was put aside stays what it is.
  const absl::StatusOr<Restored> again = RestoreLedger(backup_, path_, absl::UnixEpoch());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->replaced, path_ + ".replaced-19700101T000000Z-2");
  EXPECT_EQ(*StateOf(restored->replaced), later);
  EXPECT_EQ(*StateOf(again->replaced), then);
  EXPECT_EQ(*StateOf(path_), then);
}

// Of a marketd that was killed: its newest transactions are in the log alone.
TEST_F(KeepTest, WhatIsPutAsideKeepsItsLogAndGetsNoOther) {
  ASSERT_TRUE(BackUpLedger(path_, backup_).ok());
  const std::string killed = directory_.File("killed.ledger");
  std::vector<std::pair<std::string, State>> aside;
  for (int i = 0; i < 3; ++i) {
    Deposit();
    for (const char* end : {"", "-wal"}) {
      std::filesystem::copy_file(path_ + end, killed + end,
                                 std::filesystem::copy_options::overwrite_existing);
    }
    if (i == 0) std::ofstream(killed + ".replaced-19700101T000000Z-wal") << "another's";
    const absl::StatusOr<Restored> restored = RestoreLedger(backup_, killed, absl::UnixEpoch());
    ASSERT_TRUE(restored.ok()) << restored.status();
    ASSERT_GT(std::filesystem::file_size(restored->replaced + "-wal"), 0u);
    aside.emplace_back(restored->replaced, state_);
  }
  for (const auto& [name, state] : aside) EXPECT_EQ(*StateOf(name), state) << name;
}

// SQLite would go on from any log of the right name, and mix two ledgers up.
TEST_F(KeepTest, ALogWhoseLedgerIsGoneIsTakenForNobodyElses) {
  for (int i = 0; i < 20; ++i) Deposit();
  const State then = state_;
  ASSERT_TRUE(BackUpLedger(path_, backup_).ok());
  for (int i = 0; i < 20; ++i) Deposit();
  const std::string lost = directory_.File("lost.ledger");
  std::filesystem::copy_file(path_ + "-wal", lost + "-wal");
  for (const absl::Status& status :
       {OpenSqliteLedger({.path = lost}).status(), CheckLedgerPath(lost)}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(lost + "-wal"));
  }
  EXPECT_FALSE(std::filesystem::exists(lost)) << "no new market is begun in its place";
  const absl::StatusOr<Restored> restored = RestoreLedger(backup_, lost, absl::UnixEpoch());
  ASSERT_TRUE(restored.ok()) << restored.status();
  const absl::StatusOr<State> state = StateOf(lost);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(*state, then);
  EXPECT_TRUE(std::filesystem::exists(restored->replaced + "-wal"));
}

// One file that needs no other, and that nothing is made beside: it may be a snapshot, or on a disk
// that can't be written.
TEST_F(KeepTest, ABackupIsReadWhereItLies) {
  const std::string shelf = directory_.File("a shelf, 50% & read-only?#");
  std::filesystem::create_directory(shelf);
  const std::string backup = shelf + "/backup";
  ASSERT_TRUE(BackUpLedger(path_, backup).ok());
  // Bytes 18 and 19: 1 is a file by itself, 2 one with a log (https://sqlite.org/fileformat.html).
  const auto versions = [&backup] {
    std::ifstream file(backup, std::ios::binary);
    file.seekg(18);
    return std::pair(file.get(), file.get());
  };
  EXPECT_EQ(versions(), std::pair(1, 1));
  const State then = state_;
  const std::string other = directory_.File("other.ledger");
  const auto restore = [&] {
    const absl::StatusOr<Restored> restored = RestoreLedger(backup, other, absl::UnixEpoch());
    EXPECT_TRUE(restored.ok()) << restored.status();
    for (const auto& entry : std::filesystem::directory_iterator(shelf)) {
      EXPECT_EQ(entry.path().string(), backup);
    }
    EXPECT_EQ(*StateOf(other), then);
  };
  restore();
  // As backups of before are.
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(backup.c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, "PRAGMA journal_mode = WAL", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
  ASSERT_EQ(versions(), std::pair(2, 2));
  restore();
}

// The files of a marketd that was killed, copied as they are: the newest is in the log alone.
TEST_F(KeepTest, WhatHasALogBesideItIsReadWithIt) {
  for (int i = 0; i < 3; ++i) Deposit();
  const std::string killed = directory_.File("killed.ledger");
  for (const char* end : {"", "-wal"}) std::filesystem::copy_file(path_ + end, killed + end);
  const std::string other = directory_.File("other.ledger");
  const absl::StatusOr<Restored> restored = RestoreLedger(killed, other, absl::UnixEpoch());
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->head.transaction_id, state_.last_transaction_id);
  EXPECT_EQ(*StateOf(other), state_);
}

TEST_F(KeepTest, WhatIsNoBackupIsNamed) {
  ASSERT_TRUE(BackUpLedger(path_, backup_).ok());
  ledger_.reset();
  const std::string text = directory_.File("text");
  std::ofstream(text) << std::string(5'000, 'x');
  const std::string foreign = directory_.File("foreign");
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(foreign.c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, "CREATE TABLE t (x)", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
  for (const std::string& name : {text, foreign, path_}) {
    const absl::Status status = RestoreLedger(name, path_, absl::UnixEpoch()).status();
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(std::string(status.message()), HasSubstr(name + (name == text ? " to " : ": is ")));
  }
}

TEST_F(KeepTest, WhatIsDamagedIsNoBackupAndIsNotRestored) {
  ASSERT_TRUE(BackUpLedger(path_, backup_).ok());
  ledger_.reset();
  const State then = *StateOf(path_);
  Damage(backup_);
  EXPECT_FALSE(RestoreLedger(backup_, path_, absl::UnixEpoch()).ok());
  EXPECT_EQ(*StateOf(path_), then) << "what is there stays in its place";
  std::ofstream(directory_.File("text")) << "hello";
  EXPECT_FALSE(RestoreLedger(directory_.File("text"), path_, absl::UnixEpoch()).ok());
  Damage(path_);
  EXPECT_FALSE(BackUpLedger(path_, directory_.File("of_damage")).ok());
  EXPECT_FALSE(std::filesystem::exists(directory_.File("of_damage")));
}

// With an archive that has begun.
class KeepArchiveTest : public KeepTest {
 protected:
  KeepArchiveTest() {
    for (int i = 0; i < 300; ++i) Deposit();
    Archive();
  }
  void Archive() {
    std::mutex writing;
    const auto archiver = Archiver::Open(path_, archive_, false, writing);
    ASSERT_TRUE(archiver.ok()) << archiver.status();
    for (absl::StatusOr<bool> did = true; *did;) {
      did = (*archiver)->Step(absl::Now());
      ASSERT_TRUE(did.ok()) << did.status();
    }
  }
  // All of it is there: the number of transactions that an audit went over.
  static uint64_t Audited(const std::string& path) {
    const auto ledger = OpenSqliteLedger({.path = path});
    EXPECT_TRUE(ledger.ok()) << ledger.status();
    const absl::StatusOr<State> state = (*ledger)->Load({});
    EXPECT_TRUE(state.ok()) << state.status();
    const auto audit = Audit((*ledger)->reader(), ClearByRule);
    EXPECT_TRUE(audit.ok()) << audit.status();
    EXPECT_THAT(audit->findings, testing::IsEmpty());
    return audit->findings.empty() ? audit->transactions : 0;
  }
  void LoseTheDisk() {
    ledger_.reset();
    for (const std::string& file : {path_, archive_}) {
      for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(file + end);
    }
  }

  const std::string archive_ = path_ + ".archive";
};

TEST_F(KeepArchiveTest, BothComeBackAfterTheDiskIsLost) {
  ASSERT_TRUE(BackUpLedger(path_, backup_, archive_).ok());
  EXPECT_EQ(Audited(backup_), 301u) << "they are good where they are";
  const State then = state_;
  LoseTheDisk();
  const absl::StatusOr<Restored> restored = RestoreLedger(backup_, path_, absl::UnixEpoch());
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_TRUE(restored->archive.ok()) << restored->archive;
  EXPECT_EQ(*StateOf(path_), then);
  EXPECT_EQ(Audited(path_), 301u);
}

TEST_F(KeepArchiveTest, ALedgerAloneComesBackAndSaysWhatIsMissing) {
  ASSERT_TRUE(BackUpLedger(path_, backup_).ok());
  EXPECT_FALSE(std::filesystem::exists(backup_ + ".archive"));
  const State then = state_;
  LoseTheDisk();
  const absl::StatusOr<Restored> restored = RestoreLedger(backup_, path_, absl::UnixEpoch());
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_THAT(std::string(restored->archive.message()), HasSubstr("archive"));
  EXPECT_EQ(*StateOf(path_), then);
}

TEST_F(KeepArchiveTest, AnOlderBackupGoesOnFromALaterArchive) {
  ASSERT_TRUE(BackUpLedger(path_, backup_).ok());
  const State then = state_;
  for (int i = 0; i < 100; ++i) Deposit();
  Archive();
  ledger_.reset();
  const absl::StatusOr<Restored> restored = RestoreLedger(backup_, path_, absl::UnixEpoch());
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_TRUE(restored->archive.ok()) << restored->archive;
  EXPECT_EQ(restored->archive_replaced, archive_ + ".replaced-19700101T000000Z");
  EXPECT_EQ(*StateOf(path_), then);
  EXPECT_EQ(Audited(path_), 301u);
  // Another history begins, of the same ids, and is moved in its turn.
  ledger_ = *OpenSqliteLedger({.path = path_, .sync_to_disk = false});
  state_ = *ledger_->Load({});
  for (int i = 0; i < 150; ++i) {
    Scribe scribe(state_, absl::FromUnixSeconds(3), "deposit");
    scribe.Move(kIssued, kAvailable, 0, 7);
    const std::vector<Transaction> group = {std::move(scribe).Finish()};
    ASSERT_TRUE(ledger_->Commit({}, group).ok());
  }
  Archive();
  ledger_.reset();
  EXPECT_EQ(Audited(path_), 451u);
  // And what was put aside is what it was.
  std::filesystem::copy_file(restored->archive_replaced, restored->replaced + ".archive");
  EXPECT_EQ(Audited(restored->replaced), 401u);
}

TEST_F(KeepArchiveTest, ADamagedArchiveIsNoBackup) {
  ledger_.reset();
  {
    std::mutex writing;  // What is in the log goes into the file.
    ASSERT_TRUE(Archiver::Open(path_, archive_, false, writing).ok());
  }
  std::filesystem::resize_file(archive_, 4096 * 5);
  EXPECT_FALSE(BackUpLedger(path_, backup_, archive_).ok());
  EXPECT_FALSE(std::filesystem::exists(backup_));
  EXPECT_FALSE(std::filesystem::exists(backup_ + ".archive"));
  for (const auto& entry : std::filesystem::directory_iterator(directory_.File(""))) {
    EXPECT_THAT(entry.path().filename().string(), testing::Not(HasSubstr("copying")));
  }
}

}  // namespace
}  // namespace nom::market
