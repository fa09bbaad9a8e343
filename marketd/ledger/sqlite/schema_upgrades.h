// SPDX-License-Identifier: Apache-2.0
// What brings a ledger of an older version up to this one, beside the tables that came with each
// (schema.h).

#ifndef MARKETD_LEDGER_SQLITE_SCHEMA_UPGRADES_H_
#define MARKETD_LEDGER_SQLITE_SCHEMA_UPGRADES_H_

namespace nom::market {

// From version 7 to 8. What was not noted before is 0.
inline constexpr char kUpgradeFrom7Sql[] = R"sql(
ALTER TABLE guests ADD COLUMN end_cause INTEGER NOT NULL DEFAULT 0;
ALTER TABLE guests ADD COLUMN arrears_rounds INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outcomes ADD COLUMN reason INTEGER NOT NULL DEFAULT 0;
)sql";

// From version 8 to 9, after kSchemaSince9Sql. A tenant had one token, which goes on being good.
inline constexpr char kUpgradeFrom8Sql[] = R"sql(
INSERT INTO tokens SELECT book, tenant_id, 1, token_hash, 'first', 1, 0, 0 FROM tenants
  WHERE token_hash <> '';
ALTER TABLE tenants DROP COLUMN token_hash;
ALTER TABLE tenants ADD COLUMN last_token_id INTEGER NOT NULL DEFAULT 1;
ALTER TABLE requests ADD COLUMN token_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE requests ADD COLUMN offer_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE requests ADD COLUMN contract_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE contracts ADD COLUMN policy TEXT NOT NULL DEFAULT '';
ALTER TABLE contracts ADD COLUMN end_fee_ppm INTEGER NOT NULL DEFAULT 0;
ALTER TABLE contracts ADD COLUMN left_from_round_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE contracts ADD COLUMN left_because TEXT NOT NULL DEFAULT '';
ALTER TABLE contracts ADD COLUMN renew_ceiling_microcredits INTEGER NOT NULL DEFAULT 0;
ALTER TABLE contracts ADD COLUMN fees_microcredits INTEGER NOT NULL DEFAULT 0;
DROP TRIGGER contracts_kept_u;
)sql";

// From version 9 to 10, before kTiersSql and kSchemaSince10Sql.
inline constexpr char kUpgradeFrom9Sql[] = R"sql(
ALTER TABLE auctions ADD COLUMN contracted_units INTEGER NOT NULL DEFAULT 0;
ALTER TABLE contracts ADD COLUMN paid_microcredits INTEGER NOT NULL DEFAULT 0;
)sql";

// From version 10 to 11, before kMeasuresSql and kSchemaSince11Sql: of a ledger, and of its
// archive.
inline constexpr char kUpgradeFrom10Sql[] = R"sql(
ALTER TABLE rounds ADD COLUMN objective TEXT NOT NULL DEFAULT '';
ALTER TABLE outcomes ADD COLUMN asked_units INTEGER NOT NULL DEFAULT 0;
)sql";

// From version 11 to 12, before kTermsKeptSql. Which of these there are depends on the version that
// the file was made with.
inline constexpr char kUpgradeFrom11Sql[] = R"sql(
DROP TRIGGER IF EXISTS outcomes_kept_u;
DROP TRIGGER IF EXISTS outcomes_asked_kept_u;
DROP TRIGGER IF EXISTS contracts_kept_u;
DROP TRIGGER IF EXISTS offers_kept_u;
)sql";

}  // namespace nom::market

#endif  // MARKETD_LEDGER_SQLITE_SCHEMA_UPGRADES_H_
