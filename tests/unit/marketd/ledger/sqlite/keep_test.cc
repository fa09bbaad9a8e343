// SPDX-License-Identifier: Apache-2.0
#include "marketd/ledger/sqlite/keep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

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
  EXPECT_FALSE(RestoreLedger(backup_, path_, absl::UnixEpoch()).ok());
  EXPECT_EQ(*StateOf(restored->replaced), later);
  EXPECT_EQ(*StateOf(path_), then);
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

}  // namespace
}  // namespace nom::market
