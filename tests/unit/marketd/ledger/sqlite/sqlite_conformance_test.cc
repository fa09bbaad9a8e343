// SPDX-License-Identifier: Apache-2.0
#include <sqlite3.h>

#include "marketd/ledger/sqlite/sqlite_ledger.h"
#include "tests/sim/world.h"
#include "tests/unit/marketd/ledger/conformance/conformance.h"

namespace nom::market {
namespace {

class SqliteFactory : public LedgerFactory {
 public:
  std::unique_ptr<Ledger> Open() override {
    auto ledger = OpenSqliteLedger({.path = path_, .sync_to_disk = false});
    EXPECT_TRUE(ledger.ok()) << ledger.status();
    return *std::move(ledger);
  }
  void RaiseFence(const BookId& book_id) override {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
    const std::string sql = "UPDATE books SET fence = fence + 1 WHERE book_id = '" + book_id + "'";
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(db);
  }

 private:
  TempDirectory directory_;
  const std::string path_ = directory_.File("ledger");
};

std::unique_ptr<LedgerFactory> NewSqliteFactory() { return std::make_unique<SqliteFactory>(); }

INSTANTIATE_TEST_SUITE_P(Sqlite, LedgerConformance, testing::Values(&NewSqliteFactory));

}  // namespace
}  // namespace nom::market
