// SPDX-License-Identifier: Apache-2.0
// An archive is proven against its ledger, and a ledger against its archive: what is forged,
// foreign, damaged or missing is found and said.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <utility>

#include "tests/unit/marketd/ledger/sqlite/archive_fixture.h"

namespace nom::market {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

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
