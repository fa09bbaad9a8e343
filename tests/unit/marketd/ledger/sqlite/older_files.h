// SPDX-License-Identifier: Apache-2.0
// What makes a file of an older version of one of this, to see it brought up again.

#ifndef TESTS_UNIT_MARKETD_LEDGER_SQLITE_OLDER_FILES_H_
#define TESTS_UNIT_MARKETD_LEDGER_SQLITE_OLDER_FILES_H_

namespace nom::market {

// A ledger of version 11, whose triggers look at each row that is changed, of this version.
inline constexpr char kBackTo11[] = R"sql(
PRAGMA journal_mode = DELETE;
DROP TRIGGER outcomes_kept_u;
DROP TRIGGER outcomes_settled_kept_u;
DROP TRIGGER contracts_kept_u;
DROP TRIGGER contracts_ended_kept_u;
DROP TRIGGER offers_kept_u;
DROP TRIGGER offers_closed_kept_u;
CREATE TRIGGER outcomes_kept_u BEFORE UPDATE ON outcomes
  WHEN NEW.host_id <> OLD.host_id OR NEW.round_id <> OLD.round_id
    OR NEW.guest_id <> OLD.guest_id OR NEW.kind <> OLD.kind OR NEW.tenant_id <> OLD.tenant_id
    OR NEW.seed_units <> OLD.seed_units OR NEW.award_units <> OLD.award_units
    OR NEW.contracted_units <> OLD.contracted_units
    OR NEW.charge_microcredits <> OLD.charge_microcredits
    OR (OLD.settled = 1 AND (NEW.settled <> 1
                             OR NEW.settled_microcredits <> OLD.settled_microcredits))
  BEGIN SELECT RAISE(ABORT, 'an outcome is settled once and never decided again'); END;
CREATE TRIGGER outcomes_asked_kept_u BEFORE UPDATE ON outcomes
  WHEN NEW.asked_units <> OLD.asked_units
  BEGIN SELECT RAISE(ABORT, 'what was asked for is never changed'); END;
CREATE TRIGGER contracts_kept_u BEFORE UPDATE ON contracts
  WHEN NEW.contract_id <> OLD.contract_id OR NEW.transaction_id <> OLD.transaction_id
    OR NEW.guest_id <> OLD.guest_id OR NEW.tenant_id <> OLD.tenant_id OR NEW.seller <> OLD.seller
    OR NEW.book <> OLD.book OR NEW.part_of <> OLD.part_of OR NEW.from_round_id <> OLD.from_round_id
    OR NEW.until_round_id <> OLD.until_round_id OR NEW.period_us <> OLD.period_us
    OR NEW.policy <> OLD.policy OR NEW.end_fee_ppm <> OLD.end_fee_ppm OR OLD.ended <> ''
  BEGIN SELECT RAISE(ABORT, 'the terms of a contract are never changed'); END;
CREATE TRIGGER offers_kept_u BEFORE UPDATE ON offers
  WHEN NEW.offer_id <> OLD.offer_id OR NEW.transaction_id <> OLD.transaction_id
    OR NEW.host_id <> OLD.host_id OR NEW.tenant_id <> OLD.tenant_id
    OR NEW.guest_id <> OLD.guest_id OR NEW.seller <> OLD.seller OR NEW.book <> OLD.book
    OR NEW.part_of <> OLD.part_of OR NEW.from_round_id <> OLD.from_round_id
    OR NEW.until_round_id <> OLD.until_round_id OR NEW.period_us <> OLD.period_us
    OR NEW.policy <> OLD.policy OR NEW.end_fee_ppm <> OLD.end_fee_ppm
    OR NEW.valid_until_us <> OLD.valid_until_us OR OLD.closed <> ''
  BEGIN SELECT RAISE(ABORT, 'the terms of an offer are never changed'); END;
PRAGMA user_version = 11;
)sql";

// One of version 10 of one of 11: it says of no round what it came to.
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
