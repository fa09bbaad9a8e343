// SPDX-License-Identifier: Apache-2.0
// A ledger that keeps itself small: what is old goes to an archive, is read from there as before,
// and is proven there.
#include "marketd/ledger/sqlite/archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "marketd/ledger/sqlite/archiver.h"
#include "marketd/ledger/sqlite/sqlite_ledger.h"
#include "marketd/market/audit.h"
#include "marketd/market/clearing.h"
#include "marketd/market/money.h"
#include "policies/cases/case_file.h"
#include "tests/sim/world.h"
#include "tests/unit/marketd/ledger/sqlite/older_files.h"

namespace nom::market {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// As a person with a SQLite shell would. The first column of the first row, or the error.
std::string Shell(const std::string& path, const std::string& sql) {
  sqlite3* db = nullptr;
  EXPECT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  sqlite3_busy_timeout(db, 5'000);
  std::string out;
  char* error = nullptr;
  sqlite3_exec(
      db, sql.c_str(),
      [](void* to, int columns, char** texts, char**) {
        auto& text = *static_cast<std::string*>(to);
        if (columns > 0 && text.empty() && texts[0] != nullptr) text = texts[0];
        return 0;
      },
      &out, &error);
  if (error != nullptr) out = error;
  sqlite3_free(error);
  sqlite3_close(db);
  return out;
}

int64_t Number(const std::string& path, const std::string& sql) {
  return std::stoll(Shell(path, sql));
}

// All that can be read of a book and a host.
struct Story {
  std::vector<Round> rounds;
  std::vector<AuctionRecord> auctions;
  std::vector<std::tuple<uint64_t, absl::Time, std::string>> events;
  std::vector<std::tuple<uint64_t, absl::Time, Entry>> entries;
  uint64_t transactions = 0;
  std::vector<std::string> findings;
  friend bool operator==(const Story&, const Story&) = default;
};

// Page by page, so that pages that begin in the one file and end in the other are among them.
Story Read(LedgerReader& reader) {
  Story story;
  for (RoundId before = 0;;) {
    const auto page = reader.ListRounds("h", before, 7);
    EXPECT_TRUE(page.ok()) << page.status();
    if (!page.ok() || page->empty()) break;
    story.rounds.insert(story.rounds.end(), page->begin(), page->end());
    before = page->back().round_id;
  }
  for (const Round& round : story.rounds) {
    for (const ResourceKind kind : {ResourceKind::kMemory, ResourceKind::kCpu}) {
      const auto record = reader.GetAuction("h", round.round_id, kind);
      EXPECT_TRUE(record.ok()) << record.status();
      if (record.ok()) story.auctions.push_back(*record);
    }
  }
  const auto look = reader.Look(kMarketBook);
  EXPECT_TRUE(look.ok()) << look.status();
  for (const TenantId& tenant : {TenantId(), TenantId("ann")}) {
    for (uint64_t before = 0;;) {
      const auto page = (*look)->ReadEvents(tenant, {before, 3});
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok() || page->empty()) break;
      for (const LoggedEvent& e : *page) {
        story.events.emplace_back(e.transaction_id, e.time, e.event.kind);
      }
      before = page->back().transaction_id;
    }
  }
  for (uint64_t before = 0;;) {
    const auto page = (*look)->ReadStatement("ann", {before, 10});
    EXPECT_TRUE(page.ok()) << page.status();
    if (!page.ok() || page->entries.empty()) break;
    for (const LoggedEntry& e : page->entries) {
      story.entries.emplace_back(e.transaction_id, e.time, e.entry);
    }
    before = page->entries.back().transaction_id;
  }
  const auto audit = Audit(reader, ClearByRule);
  EXPECT_TRUE(audit.ok()) << audit.status();
  if (audit.ok()) {
    story.transactions = audit->transactions;
    story.findings = audit->findings;
  }
  return story;
}

class ArchiveTest : public testing::Test {
 protected:
  static World::Options OneHost() {
    World::Options options;
    options.config.hosts = {TestHostConfig("h", absl::Seconds(1))};
    options.hosts["h"] = TestHostOptions(5);
    return options;
  }
  // A market with a tenant, two guests that bid, and something for the log of events now and then.
  void Play(int rounds, World& world) {
    if (world.state().tenants.empty()) {
      ASSERT_TRUE(world.AskAsOperator(CreateTenant{"1", "ann"}).status.ok());
      ASSERT_TRUE(world.AskAsOperator(Deposit{"2", "ann", 1'000'000'000'000}).status.ok());
      for (const char* name : {"one", "two"}) {
        ASSERT_TRUE(world
                        .AskAsOperator(AdmitGuest{
                            name, "h", "ann", name, "image", "", {{ResourceKind::kMemory, 8}}})
                        .status.ok());
      }
    }
    for (int i = 0; i < rounds; ++i) {
      if (i % 10 == 3) {
        ASSERT_TRUE(
            world.AskAsOperator(Deposit{absl::StrCat("d", ++deposits_), "ann", 1'000}).status.ok());
      }
      world.Run(absl::Seconds(1));
    }
  }
  // All that is older than that.
  absl::Status Archive(World& world, absl::Duration retention) {
    return ArchiveBefore(world.clock.Now() - retention, world.ledger_path());
  }
  absl::Status ArchiveBefore(absl::Time cutoff, const std::string& path) {
    std::mutex writing;
    auto archiver = Archiver::Open(path, archive_, false, writing);
    if (!archiver.ok()) return archiver.status();
    for (;;) {
      const absl::StatusOr<bool> did = (*archiver)->Step(cutoff);
      if (!did.ok()) return did.status();
      if (!*did) return absl::OkStatus();
    }
  }
  World::Options WithArchive() {
    World::Options options = OneHost();
    options.open_ledger = [this](const std::string& path) {
      auto ledger =
          OpenSqliteLedger({.path = path, .sync_to_disk = false, .archive_path = archive_});
      EXPECT_TRUE(ledger.ok()) << ledger.status();
      return *std::move(ledger);
    };
    return options;
  }

  TempDirectory directory_;
  const std::string archive_ = directory_.File("old.archive");
  int deposits_ = 0;
};

TEST_F(ArchiveTest, WhatIsOldGoesAndIsReadAsBefore) {
  World world(WithArchive());
  Play(200, world);
  const Story before = Read(world.ledger().reader());
  ASSERT_GT(before.transactions, 3 * kTransactionsKept);
  ASSERT_THAT(before.findings, IsEmpty());
  const int64_t entries = Number(world.ledger_path(), "SELECT COUNT(*) FROM entries");
  AuditMark mark;
  ASSERT_TRUE(Audit(world.ledger().reader(), ClearByRule, mark).ok());

  ASSERT_TRUE(Archive(world, absl::Seconds(20)).ok());
  EXPECT_EQ(Read(world.ledger().reader()), before);
  // It has gone, but for the newest.
  const std::string path = world.ledger_path();
  EXPECT_LE(Number(path, "SELECT COUNT(*) FROM transactions"),
            static_cast<int64_t>(kTransactionsKept) + 20);
  EXPECT_LT(Number(path, "SELECT COUNT(*) FROM entries") * 2, entries);
  for (const char* table : {"rounds", "contracts", "lots", "outcomes", "auctions"}) {
    EXPECT_LT(Number(path, absl::StrCat("SELECT COUNT(*) FROM ", table)),
              Number(archive_, absl::StrCat("SELECT COUNT(*) FROM ", table)))
        << table;
  }
  EXPECT_EQ(Shell(path, "PRAGMA integrity_check"), "ok");

  // The market starts from it as from the whole, with the archive and without, and goes on.
  const State state = world.state();
  world.Restart();
  EXPECT_EQ(world.state().hosts.at("h").past_prices, state.hosts.at("h").past_prices);
  EXPECT_EQ(world.state().last_contract_id, state.last_contract_id);
  Play(50, world);
  EXPECT_EQ(CheckBooks(world.state()), "");
  ASSERT_TRUE(Archive(world, absl::Seconds(20)).ok());
  const Story after = Read(world.ledger().reader());
  EXPECT_THAT(after.findings, IsEmpty());
  EXPECT_GT(after.transactions, before.transactions);
  // An audit that goes on from before all this.
  const auto audit = Audit(world.ledger().reader(), ClearByRule, mark);
  ASSERT_TRUE(audit.ok()) << audit.status();
  EXPECT_THAT(audit->findings, IsEmpty());
  EXPECT_EQ(audit->transactions, after.transactions);
}

// Copied and not marked, marked and not deleted, deleted in part: whoever reads sees one ledger.
TEST_F(ArchiveTest, BetweenAnyTwoStepsItReadsAsBefore) {
  World world(WithArchive());
  Play(130, world);
  const Story before = Read(world.ledger().reader());
  ASSERT_THAT(before.findings, IsEmpty());
  const absl::Time cutoff = world.clock.Now();
  int steps = 0;
  for (bool did = true; did; ++steps) {
    std::mutex writing;
    const auto archiver = Archiver::Open(world.ledger_path(), archive_, false, writing);
    ASSERT_TRUE(archiver.ok()) << archiver.status();
    // One that copies and is then kept from marking it: the archive has more than the ledger says.
    sqlite3* writer = nullptr;
    ASSERT_EQ(sqlite3_open(world.ledger_path().c_str(), &writer), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(writer, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
    (void)(*archiver)->Step(cutoff);
    sqlite3_close(writer);
    EXPECT_EQ(Read(world.ledger().reader()), before) << "cut short in step " << steps;
    const absl::StatusOr<bool> done = (*archiver)->Step(cutoff);
    ASSERT_TRUE(done.ok()) << done.status();
    did = *done;
    EXPECT_EQ(Read(world.ledger().reader()), before) << "after step " << steps;
  }
  EXPECT_GT(steps, 5);
}

// What weights and learnt reserves look back to stays at hand, whatever went to the archive.
TEST_F(ArchiveTest, WhatWasAskedForAndLearntIsRememberedWithoutTheArchive) {
  for (const ObjectiveKind kind : {ObjectiveKind::kLeastSatisfied, ObjectiveKind::kRevenue}) {
    std::filesystem::remove(archive_);
    World::Options options = WithArchive();
    HostConfig& host = options.config.hosts[0];
    host.objective.kind = kind;
    if (kind == ObjectiveKind::kRevenue) {
      host.resources[1].reserve_kind = policies::ReserveKind::kLearnt;
      host.resources[1].reserve_ceiling_unit_price_microcredits = 5'000;
    }
    World world(std::move(options));
    Play(200, world);
    const Story before = Read(world.ledger().reader());
    ASSERT_THAT(before.findings, IsEmpty());
    ASSERT_TRUE(Archive(world, absl::Seconds(20)).ok());
    ASSERT_LT(Number(world.ledger_path(), "SELECT COUNT(*) FROM rounds"),
              static_cast<int64_t>(kPastAsksMax));
    EXPECT_EQ(Number(world.ledger_path(), "SELECT COUNT(*) FROM measures"),
              2 * Number(world.ledger_path(), "SELECT COUNT(*) FROM rounds"));
    EXPECT_EQ(Read(world.ledger().reader()), before) << "what rounds came to, too";
    const HostBook book = world.state().hosts.at("h");
    if (kind == ObjectiveKind::kLeastSatisfied) {
      ASSERT_GT(book.past_asks.size(), kPastAsksMax / 2) << "in the others nobody asked";
    } else {
      ASSERT_TRUE(book.past_prices.at(ResourceKind::kMemory)[50].best_unit_price_microcredits);
    }
    // Without the archive altogether.
    std::filesystem::rename(archive_, archive_ + ".away");
    world.Restart();
    std::filesystem::rename(archive_ + ".away", archive_);
    EXPECT_EQ(world.state().hosts.at("h").past_asks, book.past_asks);
    EXPECT_EQ(world.state().hosts.at("h").past_prices, book.past_prices);
    Play(20, world);
    ASSERT_TRUE(Archive(world, absl::Seconds(10)).ok());
    EXPECT_LE(Number(world.ledger_path(), "SELECT COUNT(DISTINCT round_id) FROM archived_asks"),
              static_cast<int64_t>(kPastAsksMax));
    EXPECT_THAT(Read(world.ledger().reader()).findings, IsEmpty());
  }
}

// A ledger and an archive as a market of before left them: nothing of what rounds came to.
TEST_F(ArchiveTest, FilesOfVersion10AreBroughtUp) {
  const std::string path = directory_.File("old.ledger");
  const auto open = [&] {
    auto ledger = OpenSqliteLedger({.path = path, .sync_to_disk = false, .archive_path = archive_});
    EXPECT_TRUE(ledger.ok()) << ledger.status();
    return *std::move(ledger);
  };
  State state;
  {
    const std::unique_ptr<Ledger> ledger = open();
    state = *ledger->Load({});
    policies::Auction auction{.capacity_units = 5, .reserve_unit_price_microcredits = 2};
    std::vector<Transaction> all;
    for (RoundId round_id = 1; round_id <= 300; ++round_id) {
      const absl::Time now = absl::FromUnixSeconds(1'000 + static_cast<int64_t>(round_id));
      Scribe decided(state, now, "round decided");
      PutRound put;
      put.round = {.host_id = "h",
                   .round_id = round_id,
                   .start_time = now,
                   .close_time = now,
                   .decided_time = now,
                   .effective_time = now,
                   .applied_time = absl::UnixEpoch(),
                   .period = absl::Seconds(1)};
      put.round.prices = {{.unit_price_microcredits = 2,
                           .reserve_unit_price_microcredits = 2,
                           .reserve_policy = "fixed/1",
                           .supply_units = 5,
                           .rule = "mpsp/1"}};
      put.auctions = {{.host_id = "h",
                       .round_id = round_id,
                       .rule = "mpsp/1",
                       .auction = policies::ToText(auction),
                       .work_max = 1'000}};
      decided.Write(put);
      all.push_back(std::move(decided).Finish());
      Scribe settled(state, now, "round settled");
      put.round.phase = RoundPhase::kSettled;
      settled.Write(UpdateRound{put.round});
      all.push_back(std::move(settled).Finish());
    }
    ASSERT_TRUE(ledger->Commit({}, all).ok());
  }
  ASSERT_TRUE(ArchiveBefore(absl::InfiniteFuture(), path).ok());
  ASSERT_LT(Number(path, "SELECT COUNT(*) FROM rounds"), 150);
  ASSERT_EQ(Shell(path, kBackTo10), "delete");
  // Nothing of it is another ledger's to change.
  ASSERT_EQ(Shell(archive_, kArchiveBackTo10), "delete");
  const std::string other = directory_.File("other.ledger");
  ASSERT_TRUE(OpenSqliteLedger({.path = other, .archive_path = archive_}).ok());
  EXPECT_EQ(Number(archive_, "PRAGMA user_version"), 10);
  for (int i = 0; i < 2; ++i) {  // And stays so.
    const std::unique_ptr<Ledger> ledger = open();
    EXPECT_EQ(*ledger->Load({}), state);
    const auto rounds = ledger->reader().ListRounds("h", 0, 1'000);
    ASSERT_TRUE(rounds.ok()) << rounds.status();
    EXPECT_EQ(rounds->size(), 300u);
    EXPECT_EQ(rounds->back().objective, "");
    EXPECT_EQ(rounds->back().prices[0].measures, std::nullopt);
    const auto audit = Audit(ledger->reader(), ClearByRule);
    ASSERT_TRUE(audit.ok()) << audit.status();
    EXPECT_THAT(audit->findings, IsEmpty());
    EXPECT_EQ(audit->rounds_replayed, 300u);
  }
  EXPECT_EQ(Number(archive_, "PRAGMA user_version"), 11);
  EXPECT_TRUE(ArchiveBefore(absl::InfiniteFuture(), path).ok()) << "and takes more";
}

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

TEST_F(ArchiveTest, WhatIsYoungStaysWhateverIsAsked) {
  World world(WithArchive());
  Play(40, world);
  ASSERT_TRUE(Archive(world, absl::Hours(1)).ok());
  EXPECT_EQ(Number(archive_, "SELECT COUNT(*) FROM transactions"), 0);
  Play(100, world);
  // Longer than before: nothing comes back, and nothing goes.
  ASSERT_TRUE(Archive(world, absl::Seconds(80)).ok());
  const int64_t moved = Number(archive_, "SELECT COUNT(*) FROM transactions");
  EXPECT_GT(moved, 0);
  ASSERT_TRUE(Archive(world, absl::Hours(1)).ok());
  EXPECT_EQ(Number(archive_, "SELECT COUNT(*) FROM transactions"), moved);
  // And shorter: more.
  ASSERT_TRUE(Archive(world, absl::ZeroDuration()).ok());
  EXPECT_GT(Number(archive_, "SELECT COUNT(*) FROM transactions"), moved);
  EXPECT_EQ(Number(world.ledger_path(), "SELECT COUNT(*) FROM transactions"),
            static_cast<int64_t>(kTransactionsKept));
  EXPECT_THAT(Read(world.ledger().reader()).findings, IsEmpty());
  world.Restart();
  EXPECT_EQ(CheckBooks(world.state()), "");
}

TEST_F(ArchiveTest, AClockThatRanAheadKeepsNothingForEver) {
  World world(WithArchive());
  Play(5, world);
  world.Step(absl::Hours(24 * 365));
  Play(100, world);  // Some hundred transactions of next year.
  world.Step(-absl::Hours(24 * 365));
  world.Restart();
  Play(150, world);
  ASSERT_TRUE(Archive(world, absl::Seconds(20)).ok());
  EXPECT_LE(Number(world.ledger_path(), "SELECT COUNT(*) FROM transactions"),
            static_cast<int64_t>(kTransactionsKept) + 100);
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

// With a market that is archived, and is closed: its ledger, to be opened again.
class ArchivedTest : public ArchiveTest {
 protected:
  ArchivedTest() {
    World world(WithArchive());
    Play(150, world);
    EXPECT_TRUE(Archive(world, absl::Seconds(10)).ok());
    EXPECT_EQ(Shell(world.ledger_path(), "VACUUM INTO '" + path_ + "'"), "");
    EXPECT_EQ(Shell(archive_, "VACUUM INTO '" + kept_ + "'"), "");
    through_ = static_cast<uint64_t>(Number(path_, "SELECT transaction_id FROM archived"));
  }
  absl::StatusOr<std::unique_ptr<Ledger>> Open(absl::Duration retention = absl::InfiniteDuration(),
                                               int64_t check_bytes_max = 8 << 20) {
    return OpenSqliteLedger({.path = path_,
                             .sync_to_disk = false,
                             .check_bytes_max = check_bytes_max,
                             .archive_path = archive_,
                             .retention = retention});
  }
  void PutBackTheArchive() {
    for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(archive_ + end);
    std::filesystem::copy_file(kept_, archive_);
  }
  // What an audit and the check behind say of it.
  std::pair<std::string, absl::Status> Judge() {
    const auto ledger = Open();
    if (!ledger.ok()) return {ledger.status().ToString(), ledger.status()};
    const absl::Status loaded = (*ledger)->Load({}).status();
    EXPECT_TRUE(loaded.ok()) << "the market goes on without an archive: " << loaded;
    const auto audit = Audit((*ledger)->reader(), ClearByRule);
    EXPECT_TRUE(audit.ok()) << audit.status();
    return {audit.ok() && !audit->findings.empty() ? audit->findings.front() : "",
            ProveArchive((*ledger)->reader(), nullptr)};
  }

  const std::string path_ = directory_.File("copy.ledger");
  const std::string kept_ = directory_.File("kept.archive");
  uint64_t through_ = 0;
};

TEST_F(ArchivedTest, AForgedArchiveIsFound) {
  EXPECT_THAT(Judge().first, "");
  EXPECT_TRUE(Judge().second.ok()) << Judge().second;
  const struct {
    std::string sql;
    const char* words;
  } kForgeries[] = {
      {"UPDATE entries SET amount_microcredits = amount_microcredits + 1"
       " WHERE transaction_id = (SELECT MIN(transaction_id) FROM entries)",
       "its digest"},
      {"DELETE FROM entries WHERE transaction_id = (SELECT MIN(transaction_id) FROM entries)",
       "its digest"},
      {"DELETE FROM transactions WHERE transaction_id = 20", "transaction 21: does not follow 19"},
      {"DELETE FROM transactions WHERE transaction_id < 20", "does not follow 0"},
      {"DELETE FROM transactions", "does not have transaction"},
      {"UPDATE transactions SET digest = 'a' WHERE transaction_id = " + std::to_string(through_),
       "does not have transaction"},
      {"UPDATE events SET who = 'bob' WHERE kind = 'deposit'", "its digest"},
      {"DELETE FROM events", "its digest"},
      {"UPDATE outcomes SET award_units = award_units + 1 WHERE round_id = 5 AND award_units > 0",
       "its digest"},
      {"UPDATE outcomes SET settled_microcredits = settled_microcredits + 1 WHERE round_id = 5",
       "its outcomes charged"},
      {"DELETE FROM rounds WHERE round_id = 9", "its digest"},
      {"UPDATE auctions SET auction = 'capacity_units: 7' WHERE round_id = 9", "its digest"},
      {"DELETE FROM contracts WHERE contract_id = 9", "its digest"},
      {"UPDATE lots SET units = units + 1 WHERE contract_id = 9", "its digest"},
      {"UPDATE identity SET ledger_id = 'another'", "is the archive of ledger another"},
      {"PRAGMA application_id = 7", "is no archive"},
      {"PRAGMA user_version = 7", "schema version 7"},
  };
  for (const auto& forgery : kForgeries) {
    SCOPED_TRACE(forgery.sql);
    PutBackTheArchive();
    ASSERT_EQ(Shell(archive_, forgery.sql), "");
    const auto [finding, proof] = Judge();
    EXPECT_THAT(finding, HasSubstr(forgery.words));
    EXPECT_FALSE(absl::IsDataLoss(proof)) << "it is the archive's, not the ledger's: " << proof;
    if (std::string(forgery.words) != "its outcomes charged") {
      EXPECT_TRUE(absl::IsFailedPrecondition(proof)) << proof;
    }
  }
}

TEST_F(ArchivedTest, WhatTheLedgerCarriedOverIsHeldAgainstTheArchive) {
  // Alike in all that the ledger has: without the archive nobody could tell.
  ASSERT_EQ(Shell(path_,
                  "UPDATE archived_purses SET available = available + 7, deposited = deposited + 7"
                  " WHERE owner = 'ann';"
                  "UPDATE archived_purses SET issued = issued - 7 WHERE owner = '@operator';"
                  "UPDATE purses SET available = available + 7, deposited = deposited + 7"
                  " WHERE owner = 'ann'; UPDATE purses SET issued = issued - 7"
                  " WHERE owner = '@operator'"),
            "");
  const auto [finding, proof] = Judge();
  EXPECT_THAT(finding, HasSubstr("as the archive was taken over"));
  EXPECT_TRUE(absl::IsDataLoss(proof)) << proof;
}

TEST_F(ArchivedTest, WhatTheLedgerCarriedOverIsHeldAgainstTheLedger) {
  for (const char* sql :
       {"UPDATE archived_purses SET available = available + 7,"
        " deposited = deposited + 7 WHERE owner = 'ann'",
        "DELETE FROM archived_purses WHERE owner = 'ann'",
        "UPDATE archived_charges SET charged_microcredits = 7", "UPDATE archived SET digest = 'a'",
        "UPDATE archived SET transaction_id = transaction_id + 1",
        "UPDATE archived SET transaction_id = 1000000"}) {
    SCOPED_TRACE(sql);
    const std::string good = directory_.File("good");
    std::filesystem::copy_file(path_, good, std::filesystem::copy_options::overwrite_existing);
    ASSERT_EQ(Shell(path_, sql), "");
    const absl::Status status = (*Open())->Load({}).status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    for (const char* end : {"-wal", "-shm"}) std::filesystem::remove(path_ + end);
    std::filesystem::rename(good, path_);
  }
}

TEST_F(ArchivedTest, WithoutItsArchiveALedgerSaysSoAndGoesOn) {
  for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(archive_ + end);
  const auto ledger = Open();
  ASSERT_TRUE(ledger.ok()) << ledger.status();
  ASSERT_TRUE((*ledger)->Load({}).ok());
  LedgerReader& reader = (*ledger)->reader();
  const auto newest = reader.ListRounds("h", 0, 3);
  ASSERT_TRUE(newest.ok()) << newest.status();
  EXPECT_EQ(newest->size(), 3u);
  // Less than was asked for is never given for all that there is.
  const auto expect_said = [this](const absl::Status& status) {
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(archive_));
    EXPECT_THAT(std::string(status.message()), HasSubstr("is not there"));
  };
  expect_said(reader.ListRounds("h", 0, 1'000).status());
  expect_said(reader.GetAuction("h", 1, ResourceKind::kMemory).status());
  const auto look = *reader.Look(kMarketBook);
  expect_said(look->ReadEvents("", {0, 1'000}).status());
  expect_said(look->ReadStatement("ann", {0, 1'000}).status());
  EXPECT_TRUE(look->ReadStatement("ann", {0, 5}).ok());
  expect_said(ProveArchive(reader, nullptr));
  const auto audit = Audit(reader, ClearByRule);
  ASSERT_TRUE(audit.ok()) << audit.status();
  EXPECT_THAT(audit->findings, ElementsAre(HasSubstr("can't be looked at")));
}

// Damage to an archive is none to the ledger.
TEST_F(ArchivedTest, ADamagedArchiveIsSaidAndTheMarketGoesOn) {
  PutBackTheArchive();
  std::filesystem::resize_file(archive_, 4096 * 5);
  const auto ledger = Open();
  ASSERT_TRUE(ledger.ok()) << ledger.status();
  ASSERT_TRUE((*ledger)->Load({}).ok());
  LedgerReader& reader = (*ledger)->reader();
  for (const absl::Status& status :
       {reader.ListRounds("h", 0, 1'000).status(), ProveArchive(reader, nullptr)}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("archive " + archive_));
  }
  EXPECT_TRUE(reader.ListRounds("h", 0, 3).ok());
}

TEST_F(ArchivedTest, NoNewArchiveIsBegunInPlaceOfOneThatIsMissing) {
  for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(archive_ + end);
  {
    const auto ledger = Open(absl::Seconds(1));
    ASSERT_TRUE(ledger.ok()) << ledger.status();
    ASSERT_TRUE((*ledger)->Load({}).ok());
    while ((*ledger)->archive_figures().failures == 0) std::this_thread::yield();
  }
  EXPECT_FALSE(std::filesystem::exists(archive_));
  PutBackTheArchive();
  EXPECT_EQ(Judge().first, "");
}

TEST_F(ArchiveTest, AnArchiveThatCannotBeMadeIsSaidAtTheStart) {
  const std::string path = directory_.File("market.ledger");
  const auto open = [&](const std::string& archive) {
    return OpenSqliteLedger({.path = path,
                             .sync_to_disk = false,
                             .archive_path = archive,
                             .retention = absl::Hours(1)})
        .status();
  };
  EXPECT_THAT(std::string(open(directory_.File("no/such/place")).message()),
              HasSubstr("no/such/place"));
  std::ofstream(archive_) << "somebody's diary, which is longer than the head of a database is: "
                             "a hundred bytes and some more of them";
  const auto bytes = std::filesystem::file_size(archive_);
  EXPECT_THAT(std::string(open(archive_).message()), HasSubstr(archive_));
  EXPECT_EQ(std::filesystem::file_size(archive_), bytes) << "and it stays what it is";
  std::filesystem::remove(archive_);
  EXPECT_TRUE(open(archive_).ok());
  // Another ledger's.
  const auto other = OpenSqliteLedger({.path = directory_.File("other.ledger"),
                                       .sync_to_disk = false,
                                       .archive_path = archive_,
                                       .retention = absl::Hours(1)});
  EXPECT_THAT(std::string(other.status().message()), HasSubstr("is the archive of ledger"));
}

TEST_F(ArchiveTest, WhetherAnArchiveCouldBeKeptThereIsKnownBeforehand) {
  const auto check = [](const std::string& path) {
    return std::string(CheckArchivePath(path).message());
  };
  EXPECT_EQ(check(archive_), "") << "it will be made";
  EXPECT_THAT(check(directory_.File("no/place")), HasSubstr("no/place: its folder can't be"));
  std::ofstream(archive_).flush();
  EXPECT_EQ(check(archive_), "") << "an empty one, too";
  std::ofstream(archive_) << "somebody's diary";
  EXPECT_THAT(check(archive_), HasSubstr(archive_ + ": is no archive"));
  std::filesystem::remove(archive_);
  EXPECT_THAT(check(directory_.File("")), HasSubstr("Is a directory"));
  World world(WithArchive());
  Play(10, world);
  EXPECT_THAT(check(world.ledger_path()), HasSubstr("is no archive"));
  ASSERT_TRUE(Archive(world, absl::Seconds(1)).ok());
  EXPECT_EQ(check(archive_), "");
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

TEST_F(ArchiveTest, WhatIsOpenStaysUntilItEnds) {
  const std::string path = directory_.File("market.ledger");
  const auto ledger =
      *OpenSqliteLedger({.path = path, .sync_to_disk = false, .archive_path = archive_});
  State state = *ledger->Load({});
  absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  const auto write = [&](const std::string& kind, const std::function<void(Scribe&)>& lines) {
    now += absl::Seconds(1);
    Scribe scribe(state, now, kind);
    lines(scribe);
    std::vector<Transaction> group;
    group.push_back(std::move(scribe).Finish());
    ASSERT_TRUE(ledger->Commit({}, group).ok());
  };
  const auto deposits = [&] {
    for (int i = 0; i < 300; ++i) {
      write("deposit", [](Scribe& s) { PostDeposit(s, "ann", 1); });
    }
  };
  write("tenant created", [](Scribe& s) {
    s.Write(PutTenant{{.tenant_id = "ann"}});
    PostDeposit(s, "ann", 1'000);
    s.Write(PutGuest{{.guest_id = 1,
                      .host_id = "h",
                      .tenant_id = "ann",
                      .name = "one",
                      .state = GuestState::kRunning,
                      .metered = {.guest_id = 1}}});
  });
  Contract contract{.contract_id = 1,
                    .guest_id = 1,
                    .tenant_id = "ann",
                    .lots = {{ResourceKind::kMemory, 4, 30}},
                    .from_round_id = 1,
                    .until_round_id = 1'000,
                    .period = absl::Seconds(10),
                    .policy = "forward/1",
                    .end_fee_ppm = 100'000};
  write("contract bought", [&](Scribe& s) {
    PostEscrow(s, contract, 30);
    s.Write(OpenContract{contract});
    Offer offer{.offer_id = 1, .host_id = "h", .tenant_id = "ann", .guest_id = 1};
    offer.contract = {.lots = contract.lots,  // Whose it will be is not said before it is taken.
                      .from_round_id = 2,
                      .until_round_id = 9,
                      .period = absl::Seconds(10)};
    offer.valid_until = now + absl::Hours(1);
    s.Write(OpenOffer{offer});
  });
  deposits();
  ASSERT_TRUE(ArchiveBefore(now, path).ok());
  EXPECT_EQ(*ledger->Load({}), state);
  EXPECT_EQ(Number(path, "SELECT COUNT(*) FROM transactions WHERE transaction_id < 10"), 0);
  EXPECT_EQ(Number(path, "SELECT COUNT(*) FROM contracts"), 1);
  EXPECT_EQ(Number(path, "SELECT COUNT(*) FROM offers"), 1);
  EXPECT_THAT(Audit(ledger->reader(), ClearByRule)->findings, IsEmpty());
  // Long after what opened them has gone.
  write("contract left", [&](Scribe& s) {
    Contract left = *s.state().contracts.Find(1);
    left.fees_microcredits = PostDue(s, left, 4, /*keep=*/0);
    PostRelease(s, left, /*keep=*/0);
    left.ended = kEndedLeft;
    s.Write(UpdateContract{left});
    Offer offer = s.state().offers.at(1);
    offer.closed = "lapsed";
    s.Write(UpdateOffer{offer});
  });
  EXPECT_THAT(Audit(ledger->reader(), ClearByRule)->findings, IsEmpty());
  ASSERT_TRUE(ArchiveBefore(now, path).ok());
  for (const char* table : {"contracts", "lots", "offers", "offer_lots"}) {
    EXPECT_EQ(Number(path, absl::StrCat("SELECT COUNT(*) FROM ", table)), 0) << table;
    EXPECT_EQ(Number(archive_, absl::StrCat("SELECT COUNT(*) FROM ", table)), 1) << table;
  }
  EXPECT_EQ(*ledger->Load({}), state) << "with the ids that were given out, and the fee";
  EXPECT_THAT(Audit(ledger->reader(), ClearByRule)->findings, IsEmpty());
}

TEST_F(ArchiveTest, OnlyWhatWasArchivedCanBeDeleted) {
  World world(WithArchive());
  Play(100, world);
  ASSERT_TRUE(Archive(world, absl::Seconds(10)).ok());
  for (const char* table : {"transactions", "entries", "events", "rounds", "auctions", "outcomes",
                            "contracts", "lots"}) {
    EXPECT_THAT(Shell(world.ledger_path(), absl::StrCat("DELETE FROM ", table)),
                HasSubstr("never deleted, only archived"))
        << table;
  }
}

// What is damaged is not moved, and above all not deleted.
TEST_F(ArchiveTest, WhatDoesNotAddUpStaysWhereItIs) {
  World world(WithArchive());
  Play(100, world);
  ASSERT_EQ(Shell(world.ledger_path(),
                  "DROP TRIGGER entries_kept_u; UPDATE entries SET amount_microcredits = 999"
                  " WHERE transaction_id = (SELECT MIN(transaction_id) FROM entries)"),
            "");
  const int64_t rows = Number(world.ledger_path(), "SELECT COUNT(*) FROM entries");
  const absl::Status status = Archive(world, absl::Seconds(10));
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("as its digest says"));
  EXPECT_EQ(Number(world.ledger_path(), "SELECT COUNT(*) FROM entries"), rows);
  EXPECT_EQ(Number(archive_, "SELECT COUNT(*) FROM transactions"), 0);
}

}  // namespace
}  // namespace nom::market
