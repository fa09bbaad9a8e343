// SPDX-License-Identifier: Apache-2.0
// A ledger that keeps itself small: what is old goes to an archive, and is read from there as
// before.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "marketd/market/money.h"
#include "policies/cases/case_file.h"
#include "tests/unit/marketd/ledger/sqlite/archive_fixture.h"
#include "tests/unit/marketd/ledger/sqlite/older_files.h"

namespace nom::market {
namespace {

using testing::IsEmpty;

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
  ASSERT_EQ(Shell(path, std::string(kBackTo11) + kBackTo10), "delete");
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
  EXPECT_EQ(Number(archive_, "PRAGMA user_version"), 12);
  EXPECT_TRUE(ArchiveBefore(absl::InfiniteFuture(), path).ok()) << "and takes more";
  // One of version 11 has the same tables.
  ASSERT_EQ(Shell(path, kBackTo11), "delete");
  ASSERT_EQ(Shell(archive_, "PRAGMA user_version = 11"), "");
  EXPECT_EQ(*open()->Load({}), state);
  EXPECT_EQ(Number(archive_, "PRAGMA user_version"), 12);
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

}  // namespace
}  // namespace nom::market
