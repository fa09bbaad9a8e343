// SPDX-License-Identifier: Apache-2.0
// What is archived goes a little at a time, beside a market that writes, and the ledger gets
// smaller by it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <iostream>
#include <mutex>
#include <string>
#include <utility>

#include "tests/unit/marketd/ledger/sqlite/archive_fixture.h"

namespace nom::market {
namespace {

using testing::IsEmpty;

// Rows, not the time that they take: others write in between.
TEST_F(ArchiveTest, NobodyIsKeptFromWritingForLong) {
  World world(WithArchive());
  Play(150, world);
  const auto rows = [&] {
    return Number(world.ledger_path(),
                  "SELECT (SELECT COUNT(*) FROM entries) + (SELECT COUNT(*) FROM transactions) +"
                  " (SELECT COUNT(*) FROM events) + (SELECT COUNT(*) FROM rounds) +"
                  " (SELECT COUNT(*) FROM auctions) + (SELECT COUNT(*) FROM outcomes) +"
                  " (SELECT COUNT(*) FROM contracts) + (SELECT COUNT(*) FROM lots)");
  };
  std::mutex writing;
  const auto archiver = *Archiver::Open(world.ledger_path(), archive_, false, writing);
  const int64_t before = rows();
  int64_t most = 0;
  absl::Duration longest;
  for (int64_t last = before;;) {
    const absl::StatusOr<bool> did = archiver->Step(world.clock.Now() - absl::Seconds(20));
    ASSERT_TRUE(did.ok()) << did.status();
    if (!*did) break;
    const int64_t now = rows();
    most = std::max(most, std::exchange(last, now) - now);
    longest = std::max(longest, archiver->held());
    world.Run(absl::Milliseconds(100));  // The market writes between any two.
  }
  std::cout << "held for up to " << longest << ", " << most << " rows" << std::endl;
  EXPECT_GT(before, 4 * most);
  EXPECT_LE(most, 400);
}

// However long a copy and its proof take, the market's writer is not kept waiting by them.
TEST_F(ArchiveTest, CopyingTakesNoLockOfTheLedger) {
  World world(WithArchive());
  Play(120, world);
  std::mutex writing;
  const auto archiver = *Archiver::Open(world.ledger_path(), archive_, false, writing);
  const absl::Time cutoff = world.clock.Now() - absl::Seconds(20);
  sqlite3* writer = nullptr;
  ASSERT_EQ(sqlite3_open(world.ledger_path().c_str(), &writer), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(writer, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  const absl::Status busy = archiver->Step(cutoff).status();
  EXPECT_TRUE(absl::IsUnavailable(busy)) << "what is copied can't be marked yet: " << busy;
  EXPECT_GT(Number(archive_, "SELECT COUNT(*) FROM transactions"), 0) << "but it was copied";
  ASSERT_EQ(sqlite3_exec(writer, "ROLLBACK", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(writer);
  EXPECT_TRUE(archiver->Step(cutoff).value_or(false)) << "and the same is done again";
  ASSERT_TRUE(Archive(world, absl::Seconds(20)).ok());
  EXPECT_THAT(Read(world.ledger().reader()).findings, IsEmpty());
}

// The file's pages, not the time that things take.
TEST_F(ArchiveTest, TheLedgerStaysLevel) {
  World world(WithArchive());
  Play(250, world);
  ASSERT_TRUE(Archive(world, absl::Seconds(20)).ok());
  const auto pages = [&] { return Number(world.ledger_path(), "PRAGMA page_count"); };
  const auto used = [&] { return pages() - Number(world.ledger_path(), "PRAGMA freelist_count"); };
  const int64_t then = pages();
  const int64_t used_then = used();
  for (int i = 0; i < 10; ++i) {
    Play(50, world);
    ASSERT_TRUE(Archive(world, absl::Seconds(20)).ok());
  }
  // What is for ever is not much: ids of requests, a price a round as long as forecasts need it.
  EXPECT_LT(used(), used_then + 40);
  EXPECT_LT(pages(), then + 100);
  EXPECT_LT(pages(), Number(archive_, "PRAGMA page_count"));
}

TEST_F(ArchiveTest, PagesAreGivenBack) {
  World world(WithArchive());
  Play(800, world);
  const int64_t before = Number(world.ledger_path(), "PRAGMA page_count");
  ASSERT_GT(before, 300);
  ASSERT_TRUE(Archive(world, absl::Seconds(20)).ok());
  EXPECT_LT(Number(world.ledger_path(), "PRAGMA page_count") * 2, before);
  EXPECT_EQ(Shell(world.ledger_path(), "PRAGMA integrity_check"), "ok");
  EXPECT_THAT(Read(world.ledger().reader()).findings, IsEmpty());
}

// On a thread of the ledger's own, while the market goes on.
TEST_F(ArchiveTest, GoesOnBesideTheMarket) {
  World* now = nullptr;
  World::Options options = OneHost();
  options.open_ledger = [&](const std::string& path) {
    auto ledger = OpenSqliteLedger(
        {.path = path,
         .sync_to_disk = false,
         .archive_path = archive_,
         .retention = absl::Seconds(5),
         .now = [&now] { return now == nullptr ? absl::UnixEpoch() : now->clock.Now(); }});
    EXPECT_TRUE(ledger.ok()) << ledger.status();
    return *std::move(ledger);
  };
  World world(options);
  now = &world;
  uint64_t moved = 0;
  for (int i = 0; i < 10; ++i) {
    Play(30, world);
    if (i % 3 == 2) {
      moved += world.ledger().archive_figures().rows_moved;
      world.Restart();
    }
  }
  while (world.ledger().archive_figures().rows_moved + moved < 1'000) {
    ASSERT_EQ(world.ledger().archive_figures().failures, 0u);
    Play(1, world);
  }
  EXPECT_THAT(Read(world.ledger().reader()).findings, IsEmpty());
  EXPECT_EQ(CheckBooks(world.state()), "");
  EXPECT_GT(world.ledger().archive_figures().pages, 0);
  EXPECT_GE(world.ledger().archive_figures().moved, absl::FromUnixSeconds(1'600'000'000));
}

}  // namespace
}  // namespace nom::market
