// SPDX-License-Identifier: Apache-2.0
// What makes a file of an older version of one of this, to see it brought up again.

#ifndef TESTS_UNIT_MARKETD_LEDGER_SQLITE_OLDER_FILES_H_
#define TESTS_UNIT_MARKETD_LEDGER_SQLITE_OLDER_FILES_H_

namespace nom::market {

// A ledger of version 10, which says of no round what it came to, of this version.
inline constexpr char kBackTo10[] = R"sql(
PRAGMA journal_mode = DELETE;
DROP TABLE measures;
DROP TABLE archived_asks;
DROP TRIGGER rounds_objective_kept_u;
DROP TRIGGER outcomes_asked_kept_u;
ALTER TABLE archived_prices DROP COLUMN best_unit_price_microcredits;
ALTER TABLE rounds DROP COLUMN objective;
ALTER TABLE outcomes DROP COLUMN asked_units;
PRAGMA user_version = 10;
)sql";

// The same of an archive.
inline constexpr char kArchiveBackTo10[] = R"sql(
PRAGMA journal_mode = DELETE;
DROP TABLE measures;
ALTER TABLE rounds DROP COLUMN objective;
ALTER TABLE outcomes DROP COLUMN asked_units;
PRAGMA user_version = 10;
)sql";

}  // namespace nom::market

#endif  // TESTS_UNIT_MARKETD_LEDGER_SQLITE_OLDER_FILES_H_
