// SPDX-License-Identifier: Apache-2.0
#include "marketd/ledger/sqlite/sqlite_ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <sstream>
#include <vector>

#include "absl/strings/str_split.h"
#include "marketd/market/audit.h"
#include "tests/sim/world.h"
#include "tests/unit/marketd/ledger/sqlite/older_files.h"

namespace nom::market {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

const Account kAvailable{"ann", AccountKind::kAvailable};
const Account kIssued{kOperator, AccountKind::kIssued};

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

void Write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// As a person with a SQLite shell would. Returns the error, or "".
std::string Shell(const std::string& path, const std::string& sql) {
  sqlite3* db = nullptr;
  EXPECT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  char* error = nullptr;
  sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &error);
  const std::string out = error == nullptr ? "" : error;
  sqlite3_free(error);
  sqlite3_close(db);
  return out;
}

// Every table's columns by name, sorted, and what each trigger does.
std::string Columns(const std::string& path) {
  sqlite3* db = nullptr;
  EXPECT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  std::string out;
  EXPECT_EQ(sqlite3_exec(
                db,
                "SELECT m.type || ' ' || m.name || ': ' || COALESCE(GROUP_CONCAT(c.name), '') ||"
                " CASE m.type WHEN 'trigger' THEN m.sql ELSE '' END FROM"
                " sqlite_schema m LEFT JOIN (SELECT p.name, s.name AS of FROM sqlite_schema s,"
                " pragma_table_info(s.name) p ORDER BY s.name, p.name) c ON c.of = m.name"
                " GROUP BY m.type, m.name ORDER BY m.type, m.name",
                [](void* to, int, char** texts, char**) {
                  *static_cast<std::string*>(to) += std::string(texts[0]) + "\n";
                  return 0;
                },
                &out, nullptr),
            SQLITE_OK);
  sqlite3_close(db);
  return out;
}

World::Options OneHost() {
  World::Options options;
  options.config.hosts = {TestHostConfig("h", absl::Seconds(1))};
  options.hosts["h"] = TestHostOptions(5);
  return options;
}

// A tenant with money and a guest.
void AdmitOne(World& world) {
  ASSERT_TRUE(world.AskAsOperator(CreateTenant{"1", "ann"}).status.ok());
  ASSERT_TRUE(world.AskAsOperator(Deposit{"2", "ann", 1'000'000'000}).status.ok());
  ASSERT_TRUE(world
                  .AskAsOperator(
                      AdmitGuest{"3", "h", "ann", "one", "image", "", {{ResourceKind::kMemory, 8}}})
                  .status.ok());
}

class SqliteLedgerTest : public testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<Ledger>> Open() {
    return OpenSqliteLedger({.path = path_, .sync_to_disk = false});
  }
  // One tenant with money, through a Scribe, as the engine does.
  void Fill(bool with_events = true) {
    auto ledger = Open();
    ASSERT_TRUE(ledger.ok()) << ledger.status();
    State state = *(*ledger)->Load({});
    Scribe first(state, absl::FromUnixSeconds(1), "tenant created");
    first.Write(PutTenant{{.tenant_id = "ann",
                           .display_name = "Ann",
                           .tokens = {{.token_id = 1, .hash = "a hash", .label = "first"}},
                           .last_token_id = 1}});
    if (with_events) {
      first.Write(LogEvent{{.kind = "tenant_created", .by = kOperator, .tenant_id = "ann"}});
    }
    std::vector<Transaction> group;
    group.push_back(std::move(first).Finish());
    Scribe second(state, absl::FromUnixSeconds(2), "deposit");
    second.Move(kIssued, kAvailable, 0, 100);
    group.push_back(std::move(second).Finish());
    ASSERT_TRUE((*ledger)->Commit({}, group).ok());
    EXPECT_EQ(*(*ledger)->Load({}), state);
    filled_ = state;
  }
  // It is refused with these words, and not a byte of it changes.
  void ExpectRefused(const std::string& words) {
    const std::string before = Contents(path_);
    const auto ledger = Open();
    ASSERT_FALSE(ledger.ok());
    EXPECT_THAT(std::string(ledger.status().message()), HasSubstr(words));
    EXPECT_THAT(std::string(ledger.status().message()), HasSubstr(path_));
    EXPECT_EQ(Contents(path_), before);
  }

  TempDirectory directory_;
  const std::string path_ = directory_.File("market.ledger");
  State filled_;
};

TEST_F(SqliteLedgerTest, WhatWasCommittedComesBack) {
  Fill();
  auto again = Open();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*(*again)->Load({}), filled_);
}

TEST_F(SqliteLedgerTest, AnEmptyFileBecomesALedger) {
  Write(path_, "");
  EXPECT_TRUE(Open().ok());
}

TEST_F(SqliteLedgerTest, RefusesWhatIsNoDatabase) {
  Write(path_, "host: alpha\n# a config, not a ledger: somebody mixed up two flags\n" +
                   std::string(200, 'x'));
  ExpectRefused("is not a SQLite database");
  EXPECT_FALSE(std::filesystem::exists(path_ + ".lock")) << "nothing is left beside it";
}

TEST_F(SqliteLedgerTest, RefusesAnotherProgramsDatabase) {
  ASSERT_EQ(Shell(path_, "CREATE TABLE bookmarks (url TEXT); PRAGMA user_version = 1"), "");
  ExpectRefused("another program's");
}

TEST_F(SqliteLedgerTest, RefusesANewerSchema) {
  Fill();
  ASSERT_EQ(Shell(path_, "PRAGMA journal_mode = DELETE; PRAGMA user_version = 99"), "");
  ExpectRefused("schema version 99");
}

// What makes a file of version 9 of one of version 10, which has no tiers and no archive.
constexpr char kBackTo9[] = R"sql(
PRAGMA journal_mode = DELETE;
DROP TABLE tier_units;
DROP TABLE tiers;
DROP INDEX contracts_sold;
ALTER TABLE auctions DROP COLUMN contracted_units;
ALTER TABLE contracts DROP COLUMN paid_microcredits;
DROP TRIGGER transactions_kept_d;
DROP TRIGGER entries_kept_d;
DROP TRIGGER events_kept_d;
DROP TRIGGER rounds_kept_d;
DROP TRIGGER auctions_kept_d;
DROP TRIGGER joint_auctions_kept_d;
DROP TRIGGER outcomes_kept_d;
DROP TRIGGER contracts_kept_d;
DROP TRIGGER lots_kept_d;
DROP TRIGGER offers_kept_d;
DROP TRIGGER offer_lots_kept_d;
DROP TABLE archived;
DROP TABLE archived_rounds;
DROP TABLE archived_purses;
DROP TABLE archived_charges;
DROP TABLE archived_prices;
CREATE TRIGGER entries_kept_d BEFORE DELETE ON entries
  BEGIN SELECT RAISE(ABORT, 'entries are never deleted'); END;
PRAGMA user_version = 9;
)sql";

// What makes a file of version 8 of one of version 9, whose tenants have a token each at the most.
constexpr char kBackTo8[] = R"sql(
PRAGMA journal_mode = DELETE;
DROP INDEX entries_from;
DROP INDEX entries_to;
DROP TABLE events;
DROP TABLE offer_lots;
DROP TABLE offers;
DROP TRIGGER contracts_kept_u;
DROP INDEX contracts_with_fees;
ALTER TABLE contracts DROP COLUMN policy;
ALTER TABLE contracts DROP COLUMN end_fee_ppm;
ALTER TABLE contracts DROP COLUMN left_from_round_id;
ALTER TABLE contracts DROP COLUMN left_because;
ALTER TABLE contracts DROP COLUMN renew_ceiling_microcredits;
ALTER TABLE contracts DROP COLUMN fees_microcredits;
CREATE TRIGGER contracts_kept_u BEFORE UPDATE ON contracts
  WHEN OLD.ended <> '' BEGIN SELECT RAISE(ABORT, 'terms never change'); END;
ALTER TABLE requests DROP COLUMN offer_id;
ALTER TABLE requests DROP COLUMN contract_id;
ALTER TABLE requests DROP COLUMN token_id;
ALTER TABLE tenants ADD COLUMN token_hash TEXT NOT NULL DEFAULT '';
UPDATE tenants SET token_hash = (SELECT hash FROM tokens WHERE tokens.tenant_id = tenants.tenant_id);
DROP TABLE tokens;
ALTER TABLE tenants DROP COLUMN last_token_id;
PRAGMA user_version = 8;
)sql";

// A file that was filled and then made older by `back` is brought up, once: all that was in it is
// there, and its tables are those of a new file, whose columns may stand in another order.
class BroughtUpTest : public SqliteLedgerTest {
 protected:
  void ExpectBroughtUp(const std::string& back) {
    ASSERT_EQ(Shell(path_, back), "");
    auto again = Open();
    ASSERT_TRUE(again.ok()) << again.status();
    const auto loaded = (*again)->Load({});
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ(*loaded, filled_);
    (*again).reset();
    EXPECT_TRUE(Open().ok()) << "and stays so";
    const std::string fresh = directory_.File("fresh.ledger");
    ASSERT_TRUE(OpenSqliteLedger({.path = fresh, .sync_to_disk = false}).ok());
    EXPECT_EQ(Columns(path_), Columns(fresh));
  }
};

TEST_F(BroughtUpTest, AFileOfVersion11) {
  Fill();
  ExpectBroughtUp(kBackTo11);
}

TEST_F(BroughtUpTest, AFileOfVersion10) {
  Fill();
  ExpectBroughtUp(std::string(kBackTo11) + kBackTo10);
}

TEST_F(BroughtUpTest, AFileOfVersion9) {
  Fill();
  ExpectBroughtUp(std::string(kBackTo11) + kBackTo10 + kBackTo9);
  EXPECT_THAT(Shell(path_, "DELETE FROM entries"), HasSubstr("only archived"));
}

TEST_F(BroughtUpTest, AFileOfVersion8WhoseTokensStayGood) {
  Fill(/*with_events=*/false);
  EXPECT_EQ(filled_.tenants.at("ann").tokens.at(0).hash, "a hash");
  ExpectBroughtUp(std::string(kBackTo11) + kBackTo10 + kBackTo9 + kBackTo8);
}

TEST_F(BroughtUpTest, AFileOfVersion7) {
  Fill(/*with_events=*/false);
  ExpectBroughtUp(std::string(kBackTo11) + kBackTo10 + kBackTo9 + kBackTo8 +
                  "ALTER TABLE guests DROP COLUMN end_cause;"
                  " ALTER TABLE guests DROP COLUMN arrears_rounds;"
                  " ALTER TABLE outcomes DROP COLUMN reason; PRAGMA user_version = 7");
}

TEST_F(SqliteLedgerTest, RefusesASchemaOfBeforeTheFirstRelease) {
  Fill();
  for (const std::string version : {"0", "4"}) {
    ASSERT_EQ(Shell(path_, "PRAGMA journal_mode = DELETE; PRAGMA user_version = " + version), "");
    ExpectRefused("schema version " + version + ", of before the first release");
  }
}

TEST_F(SqliteLedgerTest, RefusesADamagedFile) {
  Fill();
  ASSERT_EQ(Shell(path_, "PRAGMA journal_mode = DELETE"), "");
  std::string bytes = Contents(path_);
  ASSERT_GT(bytes.size(), 3 * 4096u);
  for (size_t i = 4096; i < bytes.size(); i += 64) bytes.replace(i, 8, "GARBAGE!");
  Write(path_, bytes);
  ExpectRefused("");
  EXPECT_TRUE(absl::IsDataLoss(Open().status())) << Open().status();
}

// One whose file is large, by what it says: it is opened and loaded at once.
class LargeLedgerTest : public SqliteLedgerTest {
 protected:
  // Above what is proven at once.
  void FillMuch() {
    Fill();
    const auto ledger = *Open();
    State state = *ledger->Load({});
    std::vector<Transaction> many;
    for (int i = 0; i < 300; ++i) {
      Scribe scribe(state, absl::FromUnixSeconds(1'800'000'000), "deposit");
      scribe.Move(kIssued, kAvailable, 0, 1'000);
      many.push_back(std::move(scribe).Finish());
    }
    ASSERT_TRUE(ledger->Commit({}, many).ok());
  }

  // What the check behind found, while the ledger was there to be used.
  absl::Status Checked() {
    std::promise<absl::Status> found;
    const auto ledger = OpenSqliteLedger(
        {.path = path_,
         .sync_to_disk = false,
         .check_bytes_max = 1,
         .on_checked = [&found](const absl::Status& status) { found.set_value(status); }});
    if (!ledger.ok()) return absl::UnknownError(ledger.status().ToString());
    const absl::StatusOr<State> state = (*ledger)->Load({});
    if (!state.ok()) return absl::UnknownError(state.status().ToString());
    return found.get_future().get();
  }
};

TEST_F(LargeLedgerTest, IsCheckedBehind) {
  FillMuch();
  EXPECT_TRUE(Checked().ok());
  EXPECT_TRUE(Checked().ok()) << "and that changes nothing";
}

TEST_F(LargeLedgerTest, AnOldForgeryIsFoundBehind) {
  FillMuch();
  ASSERT_EQ(Shell(path_,
                  "DROP TRIGGER entries_kept_u;"
                  "UPDATE entries SET amount_microcredits = 999 WHERE transaction_id = 20"),
            "");
  const absl::Status found = Checked();
  EXPECT_TRUE(absl::IsDataLoss(found)) << found;
  EXPECT_THAT(std::string(found.message()), HasSubstr("transaction 20: its digest"));
}

TEST_F(LargeLedgerTest, ADamagedPageIsFoundBehind) {
  FillMuch();
  // A table that nothing at a start reads.
  ASSERT_EQ(Shell(path_,
                  "CREATE TABLE filler (text); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT"
                  " i + 1 FROM n WHERE i < 2000) INSERT INTO filler SELECT hex(randomblob(200))"
                  " FROM n; PRAGMA journal_mode = DELETE"),
            "");
  std::string bytes = Contents(path_);
  const size_t last = bytes.size() / 4096 - 3;
  for (size_t i = last * 4096; i < (last + 1) * 4096; i += 16) bytes.replace(i, 8, "GARBAGE!");
  Write(path_, bytes);
  const absl::Status found = Checked();
  EXPECT_TRUE(absl::IsDataLoss(found)) << found;
}

TEST_F(LargeLedgerTest, TheCheckEndsWithItsLedger) {
  FillMuch();
  for (int i = 0; i < 20; ++i) {
    std::atomic<int> told{0};
    {
      const auto ledger =
          *OpenSqliteLedger({.path = path_,
                             .sync_to_disk = false,
                             .check_bytes_max = 1,
                             .on_checked = [&told](const absl::Status&) { ++told; }});
      ASSERT_TRUE(ledger->Load({}).ok());
      ASSERT_TRUE(ledger->Load({}).ok());
    }
    EXPECT_LE(told, 1) << "once at most, and nothing after it has gone";
  }
}

TEST_F(SqliteLedgerTest, RefusesATruncatedFile) {
  Fill();
  ASSERT_EQ(Shell(path_, "PRAGMA journal_mode = DELETE"), "");
  Write(path_, Contents(path_).substr(0, 6'000));
  EXPECT_TRUE(absl::IsDataLoss(Open().status())) << Open().status();
}

TEST_F(SqliteLedgerTest, RefusesADirectoryAndAPathThatIsNone) {
  std::filesystem::create_directory(path_);
  EXPECT_THAT(std::string(Open().status().message()), HasSubstr("is not a file"));
  EXPECT_FALSE(OpenSqliteLedger({.path = directory_.File("no/such/place")}).ok());
}

TEST_F(SqliteLedgerTest, OneProcessAtATime) {
  const auto first = Open();
  ASSERT_TRUE(first.ok());
  EXPECT_THAT(std::string(Open().status().message()), HasSubstr("in use by another process"));
}

TEST_F(SqliteLedgerTest, TransactionsFollowEachOther) {
  Fill();
  auto ledger = *Open();
  EXPECT_TRUE(absl::IsFailedPrecondition(ledger->Commit({}, {Transaction{.transaction_id = 3}})))
      << "not loaded yet";
  ASSERT_TRUE(ledger->Load({}).ok());
  for (const uint64_t id : {2u, 4u}) {
    EXPECT_TRUE(
        absl::IsFailedPrecondition(ledger->Commit({}, {Transaction{.transaction_id = id}})));
  }
  EXPECT_TRUE(ledger->Commit({}, {Transaction{.transaction_id = 3, .kind = "x"}}).ok());
}

TEST_F(SqliteLedgerTest, AGroupIsWholeOrNothing) {
  Fill();
  auto ledger = *Open();
  ASSERT_TRUE(ledger->Load({}).ok());
  Transaction good{.transaction_id = 3, .kind = "deposit"};
  good.entries = {{kIssued, kAvailable, 0, 7}};
  Transaction bad{.transaction_id = 4, .kind = "theft"};
  bad.entries = {{kAvailable, {kOperator, AccountKind::kRevenue}, 0, 108}};
  EXPECT_TRUE(absl::IsFailedPrecondition(ledger->Commit({}, {good, bad})))
      << "the tables themselves refuse a balance below zero";
  EXPECT_EQ(*ledger->Load({}), filled_);
  EXPECT_TRUE(ledger->Commit({}, {good}).ok()) << "and it goes on";
}

TEST_F(SqliteLedgerTest, BooksAreNeverRewritten) {
  Fill();
  for (const char* sql :
       {"UPDATE events SET who = 'bob'", "DELETE FROM events",
        "UPDATE entries SET amount_microcredits = 1", "DELETE FROM entries",
        "DELETE FROM transactions", "UPDATE transactions SET kind = 'x'", "DELETE FROM tenants"}) {
    EXPECT_THAT(Shell(path_, sql), HasSubstr("never")) << sql;
  }
}

// Terms stay as they are, each column of them; how a thing stands may change until it is closed.
TEST_F(SqliteLedgerTest, TermsAreNeverRewritten) {
  Fill();
  const std::string terms =
      "book, transaction_id, guest_id, tenant_id, seller, part_of, from_round_id, until_round_id,"
      " period_us, policy, end_fee_ppm";
  const std::string values = " VALUES (0, 1, 1, 'ann', 'bob', 0, 4, 9, 1, 'forward/1', 2, ";
  const auto fill = [&] {
    ASSERT_EQ(
        Shell(path_, "INSERT INTO contracts (" + terms +
                         ", contract_id, escrow_microcredits, settled_through_us, ended)" + values +
                         "1, 5, 6, '');"
                         "INSERT INTO offers (" +
                         terms + ", offer_id, host_id, valid_until_us, taken_as, closed)" + values +
                         "1, 'h', 7, 0, '');"
                         "INSERT INTO outcomes (host_id, round_id, guest_id, kind, tenant_id,"
                         " seed_units, award_units, contracted_units, charge_microcredits, settled,"
                         " settled_microcredits, rent_microcredits, delivered_milliunits,"
                         " used_milliunits, held_us) VALUES"
                         " ('h', 4, 1, 2, 'ann', 1, 2, 3, 4, 0, 0, 0, 0, 0, 0)"),
        "");
  };
  fill();
  const auto expect_refused = [&](const std::string& table,
                                  const std::vector<std::string>& columns) {
    for (const std::string& column : columns) {
      const std::string sql = "UPDATE " + table + " SET " + column + " = 77";
      EXPECT_THAT(Shell(path_, sql), HasSubstr("never")) << sql;
    }
  };
  const std::vector<std::string> both = absl::StrSplit(terms, ", ");
  expect_refused("contracts", both);
  expect_refused("contracts", {"contract_id"});
  expect_refused("offers", both);
  expect_refused("offers", {"offer_id", "host_id", "valid_until_us"});
  expect_refused("outcomes",
                 {"host_id", "round_id", "guest_id", "kind", "tenant_id", "seed_units",
                  "award_units", "contracted_units", "charge_microcredits", "asked_units"});
  EXPECT_EQ(Shell(path_,
                  "UPDATE contracts SET escrow_microcredits = 0, paid_microcredits = 5,"
                  " settled_through_us = 8, ended = 'over'"),
            "");
  EXPECT_EQ(Shell(path_, "UPDATE offers SET closed = 'taken', taken_as = 1"), "");
  EXPECT_EQ(Shell(path_, "UPDATE outcomes SET settled = 1, settled_microcredits = 3"), "");
  EXPECT_EQ(Shell(path_, "UPDATE outcomes SET rent_microcredits = 3"), "");
  expect_refused("contracts", {"paid_microcredits", "escrow_microcredits", "ended"});
  expect_refused("offers", {"closed", "taken_as"});
  EXPECT_THAT(Shell(path_, "UPDATE outcomes SET settled = 0"), HasSubstr("settled once"));
  EXPECT_THAT(Shell(path_, "UPDATE outcomes SET settled_microcredits = 4"),
              HasSubstr("settled once"));
}

TEST_F(SqliteLedgerTest, TheAuditFindsATamperedBalance) {
  Fill();
  auto ledger = *Open();
  ASSERT_EQ(
      Shell(path_, "UPDATE purses SET available = 1000, deposited = 1000 WHERE owner = 'ann'"), "");
  const auto audit = Audit(ledger->reader(), ClearByRule);
  ASSERT_TRUE(audit.ok());
  EXPECT_FALSE(audit->balanced());
  EXPECT_EQ(audit->transactions, 2u);
  EXPECT_EQ(audit->entries, 1u);
}

// With all of a shell's powers: the triggers are no obstacle to it. Each would have been served.
TEST_F(SqliteLedgerTest, WhatDoesNotAddUpIsSaidAndNotServed) {
  World world(OneHost());
  AdmitOne(world);
  world.Run(absl::Seconds(5));
  const struct {
    const char* sql;
    const char* words;
  } kForgeries[] = {
      {"UPDATE purses SET available = available + 1000, deposited = deposited + 1000"
       " WHERE owner = 'ann'",
       "do not sum to zero"},
      {"UPDATE purses SET available = available + 1000, deposited = deposited + 1000"
       " WHERE owner = 'ann';"
       "UPDATE purses SET issued = issued - 1000 WHERE owner = '@operator'",
       "its entries add up to"},
      {"UPDATE purses SET available = available + 1, escrow = escrow - 1 WHERE owner = 'ann'",
       "in escrow, for open contracts of"},
      // Alike in both: only the chain can tell.
      {"UPDATE purses SET available = available + 1000, deposited = deposited + 1000"
       " WHERE owner = 'ann';"
       "UPDATE purses SET issued = issued - 1000 WHERE owner = '@operator';"
       "DROP TRIGGER entries_kept_u; UPDATE entries SET amount_microcredits = amount_microcredits +"
       " 1000 WHERE from_kind = 6",
       "its digest"},
      {"DROP TRIGGER transactions_kept_d; PRAGMA foreign_keys = OFF;"
       "DELETE FROM transactions WHERE transaction_id = 3",
       "transaction 4: does not follow 2"},
      {"DROP TRIGGER outcomes_kept_u; UPDATE outcomes SET award_units = award_units + 1 WHERE"
       " round_id = 1 AND award_units > 0",
       "its digest"},
      {"DROP TRIGGER contracts_kept_u; DROP TRIGGER contracts_ended_kept_u;"
       " UPDATE contracts SET until_round_id = until_round_id + 1 WHERE contract_id = 1",
       "its digest"},
      {"DROP TRIGGER lots_kept_u; UPDATE lots SET units = units + 1 WHERE contract_id = 1",
       "its digest"},
      {"UPDATE contracts SET escrow_microcredits = escrow_microcredits + 1 WHERE ended = ''",
       "for open contracts of"},
      {"DROP TRIGGER events_kept_u; UPDATE events SET who = 'bob' WHERE kind = 'deposit'",
       "its digest"},
      {"DROP TRIGGER events_kept_d; DELETE FROM events WHERE kind = 'guest_admitted'",
       "its digest"},
      {"DROP TRIGGER auctions_kept_u; UPDATE auctions SET auction = auction || '#'",
       "a packed text is damaged"},
      {"DROP TRIGGER auctions_kept_u; UPDATE auctions SET auction = 'capacity_units: 7'",
       "its digest"},
      {"DROP TRIGGER rounds_kept_u; UPDATE outcomes SET rent_microcredits = rent_microcredits + 1"
       " WHERE round_id = 1",
       "its outcomes charged"},
  };
  for (const auto& forgery : kForgeries) {
    SCOPED_TRACE(forgery.sql);
    std::filesystem::remove(path_);
    ASSERT_EQ(Shell(world.ledger_path(), "VACUUM INTO '" + path_ + "'"), "");
    ASSERT_TRUE((*Open())->Load({}).ok());
    ASSERT_EQ(Shell(path_, forgery.sql), "");
    const absl::Status status = (*Open())->Load({}).status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(forgery.words));
    EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
  }
}

TEST_F(SqliteLedgerTest, ALedgerThatCannotBeWrittenIsRefusedAtOnce) {
  Fill();
  ASSERT_EQ(Shell(path_,
                  "CREATE TRIGGER full BEFORE UPDATE ON openings"
                  " BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"),
            "");
  EXPECT_THAT(std::string(Open().status().message()), HasSubstr("the disk is full"));
}

TEST_F(SqliteLedgerTest, TheLockIsOnTheFileNotOnItsName) {
  const auto first = Open();
  ASSERT_TRUE(first.ok());
  const std::string other = directory_.File("other.ledger");
  std::filesystem::create_hard_link(path_, other);
  EXPECT_THAT(std::string(OpenSqliteLedger({.path = other}).status().message()),
              HasSubstr("in use by another process"));
  std::filesystem::remove(other);
  std::filesystem::create_symlink(path_, other);
  EXPECT_THAT(std::string(OpenSqliteLedger({.path = other}).status().message()),
              HasSubstr("in use by another process"));
}

TEST_F(SqliteLedgerTest, RoundsAreReadWhileOthersAreWritten) {
  World world(OneHost());
  AdmitOne(world);
  world.Run(absl::Seconds(30));
  LedgerReader& reader = world.ledger().reader();
  const auto newest = reader.ListRounds("h", 0, 5);
  ASSERT_TRUE(newest.ok());
  ASSERT_EQ(newest->size(), 5u);
  const auto older = reader.ListRounds("h", newest->back().round_id, 1'000);
  ASSERT_TRUE(older.ok());
  EXPECT_EQ(older->front().round_id + 1, newest->back().round_id);
  EXPECT_EQ(older->back().round_id, 1u);
  EXPECT_EQ(older->back().phase, RoundPhase::kSettled);
  EXPECT_THAT(*reader.ListRounds("nowhere", 0, 5), IsEmpty());
  EXPECT_TRUE(reader.GetAuction("h", 1, ResourceKind::kMemory).ok());
  EXPECT_TRUE(absl::IsNotFound(reader.GetAuction("h", 1, ResourceKind::kDisk).status()));
  EXPECT_TRUE(absl::IsNotFound(reader.GetAuction("h", 9'999, ResourceKind::kCpu).status()));
  const auto audit = Audit(reader, ClearByRule);
  ASSERT_TRUE(audit.ok()) << audit.status();
  EXPECT_THAT(audit->findings, IsEmpty());
  EXPECT_GE(audit->rounds_replayed, newest->front().round_id);
}

}  // namespace
}  // namespace nom::market
