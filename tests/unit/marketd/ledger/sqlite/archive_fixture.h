// SPDX-License-Identifier: Apache-2.0
// A market whose ledger has an archive, and all that can be read of it.

#ifndef TESTS_UNIT_MARKETD_LEDGER_SQLITE_ARCHIVE_FIXTURE_H_
#define TESTS_UNIT_MARKETD_LEDGER_SQLITE_ARCHIVE_FIXTURE_H_

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "marketd/ledger/sqlite/archive.h"
#include "marketd/ledger/sqlite/archiver.h"
#include "marketd/ledger/sqlite/sqlite_ledger.h"
#include "marketd/market/audit.h"
#include "marketd/market/clearing.h"
#include "tests/sim/world.h"

namespace nom::market {

// As a person with a SQLite shell would. The first column of the first row, or the error.
inline std::string Shell(const std::string& path, const std::string& sql) {
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

inline int64_t Number(const std::string& path, const std::string& sql) {
  return std::stoll(Shell(path, sql));
}

// All that can be read of a book and a host.
struct Story {
  std::vector<Round> rounds;
  std::vector<Round> prices;   // Without the rest, and
  std::vector<Round> windows;  // of some rounds, and of some time.
  std::vector<AuctionRecord> auctions;
  std::vector<std::tuple<uint64_t, absl::Time, std::string>> events;
  std::vector<std::tuple<uint64_t, absl::Time, Entry>> entries;
  uint64_t transactions = 0;
  std::vector<std::string> findings;
  friend bool operator==(const Story&, const Story&) = default;
};

// Page by page, so that pages that begin in the one file and end in the other are among them.
inline Story Read(LedgerReader& reader) {
  Story story;
  for (RoundId before = 0;;) {
    const auto page = reader.ListRounds("h", before, 7);
    EXPECT_TRUE(page.ok()) << page.status();
    if (!page.ok() || page->empty()) break;
    story.rounds.insert(story.rounds.end(), page->begin(), page->end());
    before = page->back().round_id;
  }
  const auto list_prices = [&reader](const PricesWanted& wanted, std::vector<Round>& out) {
    const auto page = reader.ListPrices(wanted);
    EXPECT_TRUE(page.ok()) << page.status();
    if (!page.ok() || page->empty()) return RoundId{0};
    out.insert(out.end(), page->begin(), page->end());
    return page->back().round_id;
  };
  for (RoundId before = 0;;) {
    before =
        list_prices({.host_id = "h", .before_round_id = before, .rounds_max = 5}, story.prices);
    if (before == 0) break;
  }
  for (size_t i = 0; i + 9 < story.rounds.size(); i += 3) {  // Newest first.
    const Round& last = story.rounds[i];
    const Round& first = story.rounds[i + 9];
    list_prices({.host_id = "h",
                 .first_round_id = first.round_id,
                 .before_round_id = last.round_id,
                 .rounds_max = 100},
                story.windows);
    list_prices(
        {.host_id = "h", .since = first.close_time, .until = last.close_time, .rounds_max = 5},
        story.windows);
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

}  // namespace nom::market

#endif  // TESTS_UNIT_MARKETD_LEDGER_SQLITE_ARCHIVE_FIXTURE_H_
