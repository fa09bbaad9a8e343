// SPDX-License-Identifier: Apache-2.0
// The tables of a SQLite ledger.
//
// What was written about money and rounds stays written: triggers refuse to change or delete it,
// also for a person with a SQLite shell; only what an archive has (archive.h) may go. Text ids are
// compared byte by byte; times are Unix microseconds.

#ifndef MARKETD_LEDGER_SQLITE_SCHEMA_H_
#define MARKETD_LEDGER_SQLITE_SCHEMA_H_

#include <cstdint>

namespace nom::market {

inline constexpr int32_t kApplicationId = 0x4e6f4d31;     // "NoM1", at offset 68 of the file.
inline constexpr int32_t kSchemaVersion = 12;             // PRAGMA user_version.
inline constexpr int32_t kSchemaVersionWithArchive = 10;  // The first that can have one.
// Files below this were written before the first release, and are not read.
inline constexpr int32_t kSchemaVersionMin = 7;

inline constexpr char kSchemaSql[] = R"sql(
-- One row: written each time that the ledger is opened, before anybody is told that it is there.
CREATE TABLE openings (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  count INTEGER NOT NULL
) STRICT;
INSERT INTO openings VALUES (1, 0);

-- One row: which ledger this is, for ever.
CREATE TABLE identity (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  ledger_id TEXT NOT NULL
) STRICT;
INSERT INTO identity VALUES (1, lower(hex(randomblob(16))));

-- A unit of leadership (marketd/market/books.h); other tables name it by its ordinal. Here one
-- process leads all of them, and fence is 1.
CREATE TABLE books (
  ordinal INTEGER PRIMARY KEY CHECK (ordinal BETWEEN 0 AND 1048575),
  book_id TEXT NOT NULL UNIQUE,
  fence INTEGER NOT NULL,
  last_transaction_id INTEGER NOT NULL
) STRICT;

CREATE TABLE transactions (
  book INTEGER NOT NULL REFERENCES books,
  transaction_id INTEGER NOT NULL,
  time_us INTEGER NOT NULL,
  kind TEXT NOT NULL,
  digest TEXT NOT NULL,  -- marketd/market/chain.h
  PRIMARY KEY (book, transaction_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE tenants (
  book INTEGER NOT NULL REFERENCES books,
  tenant_id TEXT NOT NULL,
  display_name TEXT NOT NULL,
  last_token_id INTEGER NOT NULL,
  PRIMARY KEY (book, tenant_id)
) STRICT, WITHOUT ROWID;

-- Money went from one account to another. Owners are tenants and '@operator'. Account kinds:
-- 1 available, 2 escrow, 3 arrears, 4 transit, 5 revenue, 6 issued.
CREATE TABLE entries (
  book INTEGER NOT NULL,
  transaction_id INTEGER NOT NULL,
  position INTEGER NOT NULL,
  from_owner TEXT NOT NULL,
  from_kind INTEGER NOT NULL CHECK (from_kind BETWEEN 1 AND 6),
  to_owner TEXT NOT NULL,
  to_kind INTEGER NOT NULL CHECK (to_kind BETWEEN 1 AND 6),
  guest_id INTEGER NOT NULL,
  amount_microcredits INTEGER NOT NULL CHECK (amount_microcredits > 0),
  PRIMARY KEY (book, transaction_id, position),
  FOREIGN KEY (book, transaction_id) REFERENCES transactions
) STRICT, WITHOUT ROWID;

-- What an owner's entries add up to: its accounts, and what passed between it and others.
CREATE TABLE purses (
  book INTEGER NOT NULL REFERENCES books,
  owner TEXT NOT NULL,
  available INTEGER NOT NULL CHECK (available >= 0),
  escrow INTEGER NOT NULL CHECK (escrow >= 0),
  arrears INTEGER NOT NULL CHECK (arrears <= 0),
  transit INTEGER NOT NULL,
  revenue INTEGER NOT NULL,
  issued INTEGER NOT NULL,
  deposited INTEGER NOT NULL,
  spent INTEGER NOT NULL,
  earned INTEGER NOT NULL,
  PRIMARY KEY (book, owner),
  CHECK (owner = '@operator' OR revenue = 0 AND issued = 0),
  CHECK (available + escrow + arrears + transit + revenue = deposited - spent + earned)
) STRICT, WITHOUT ROWID;

-- Money on its way from one book to another; transfer_id is the transaction that sent it.
CREATE TABLE transfers (
  from_book INTEGER NOT NULL REFERENCES books,
  transfer_id INTEGER NOT NULL,
  to_book TEXT NOT NULL,
  owner TEXT NOT NULL,
  amount_microcredits INTEGER NOT NULL CHECK (amount_microcredits > 0),
  accepted_transaction_id INTEGER,  -- In to_book.
  PRIMARY KEY (from_book, transfer_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX transfers_open ON transfers (to_book) WHERE accepted_transaction_id IS NULL;

-- state: 1 admitted, 2 running, 3 ended, 4 evicted, 5 evicting.
CREATE TABLE guests (
  guest_id INTEGER PRIMARY KEY,
  host_id TEXT NOT NULL,
  tenant_id TEXT NOT NULL,
  name TEXT NOT NULL,
  image TEXT NOT NULL,
  arguments TEXT NOT NULL,
  memory_max_units INTEGER NOT NULL,
  state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 5),
  exit_reason TEXT NOT NULL,
  spent_microcredits INTEGER NOT NULL,
  has_run INTEGER NOT NULL CHECK (has_run IN (0, 1)),
  age_us INTEGER NOT NULL,    -- All up to this reading of the host's meters is billed; -1: lost.
  alive_us INTEGER NOT NULL,
  end_cause INTEGER NOT NULL DEFAULT 0,      -- EndCause of marketd/market/state.h
  arrears_rounds INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX guests_live ON guests (guest_id) WHERE state <> 4;

-- The counts of that reading: 64-bit patterns, stored as signed.
CREATE TABLE meters (
  guest_id INTEGER NOT NULL REFERENCES guests,
  kind INTEGER NOT NULL,
  offered_unit_us INTEGER NOT NULL,
  used_unit_us INTEGER NOT NULL,
  PRIMARY KEY (guest_id, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE seeds (
  guest_id INTEGER NOT NULL REFERENCES guests,
  kind INTEGER NOT NULL,
  units INTEGER NOT NULL CHECK (units >= 0),
  PRIMARY KEY (guest_id, kind)
) STRICT, WITHOUT ROWID;

-- kind 0: a bid for several kinds; valuation is its text then (marketd/market/joint_bids.h), and
-- empty otherwise.
CREATE TABLE bids (
  guest_id INTEGER NOT NULL REFERENCES guests,
  kind INTEGER NOT NULL,
  valuation TEXT NOT NULL,
  budget_microcredits INTEGER,
  first_round_id INTEGER NOT NULL,
  last_round_id INTEGER NOT NULL,
  lease_rounds INTEGER NOT NULL,
  PRIMARY KEY (guest_id, kind)
) STRICT, WITHOUT ROWID;

-- Who wrote a bid last, whether it stands or not. sequence is 0 without a lease.
CREATE TABLE bid_fences (
  guest_id INTEGER NOT NULL REFERENCES guests,
  kind INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  PRIMARY KEY (guest_id, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE bid_ranges (
  guest_id INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  position INTEGER NOT NULL,
  min_units INTEGER NOT NULL,
  max_units INTEGER NOT NULL,
  value_at_min_microcredits INTEGER NOT NULL,
  unit_price_microcredits INTEGER NOT NULL,
  PRIMARY KEY (guest_id, kind, position),
  FOREIGN KEY (guest_id, kind) REFERENCES bids ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- boot_id is a 64-bit pattern, stored as signed.
CREATE TABLE hosts (
  host_id TEXT PRIMARY KEY,
  book INTEGER NOT NULL REFERENCES books,
  boot_id INTEGER NOT NULL,
  in_force_round_id INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- phase: 2 grace, 3 effective, 4 settled, 5 released.
CREATE TABLE rounds (
  host_id TEXT NOT NULL,
  round_id INTEGER NOT NULL,
  phase INTEGER NOT NULL CHECK (phase BETWEEN 2 AND 5),
  start_us INTEGER NOT NULL,
  close_us INTEGER NOT NULL,
  decided_us INTEGER NOT NULL,
  effective_us INTEGER NOT NULL,
  applied_us INTEGER NOT NULL,
  period_us INTEGER NOT NULL,
  reason TEXT NOT NULL,
  book INTEGER NOT NULL,
  transaction_id INTEGER NOT NULL,
  objective TEXT NOT NULL DEFAULT '',  -- Not noted before version 11.
  PRIMARY KEY (host_id, round_id),
  FOREIGN KEY (book, transaction_id) REFERENCES transactions
) STRICT, WITHOUT ROWID;
CREATE INDEX rounds_by_transaction ON rounds (book, transaction_id);

-- bound_by: 1 reserve, 2 bids. method: 1 exact, 2 coarser, 3 greedy, 4 repeat last, 5 bounded.
-- work_max: steps of work that the rule was given; 0 is no limit. chain: which fallbacks it had.
-- Where all kinds were one auction, joint_auctions has it, and auction is empty. auction is packed
-- where it is long (marketd/ledger/rows/packed_text.h).
CREATE TABLE auctions (
  host_id TEXT NOT NULL,
  round_id INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  rule TEXT NOT NULL,
  method INTEGER NOT NULL,
  fault TEXT NOT NULL,
  unit_price_microcredits INTEGER NOT NULL,
  reserve_unit_price_microcredits INTEGER NOT NULL,
  reserve_policy TEXT NOT NULL,
  reserve_change_microcredits INTEGER NOT NULL,
  supply_units INTEGER NOT NULL,
  contracted_units INTEGER NOT NULL DEFAULT 0,  -- Not noted before version 10.
  demand_units INTEGER NOT NULL,
  sold_units INTEGER NOT NULL,
  highest_rejected_unit_price_microcredits INTEGER NOT NULL,
  bound_by INTEGER NOT NULL,
  auction TEXT NOT NULL,
  work_max INTEGER NOT NULL CHECK (work_max >= 0),
  chain INTEGER NOT NULL,
  PRIMARY KEY (host_id, round_id, kind),
  FOREIGN KEY (host_id, round_id) REFERENCES rounds
) STRICT, WITHOUT ROWID;

-- One auction for all kinds of a round, and its certificate.
CREATE TABLE joint_auctions (
  host_id TEXT NOT NULL,
  round_id INTEGER NOT NULL,
  rule TEXT NOT NULL,
  method INTEGER NOT NULL,
  fault TEXT NOT NULL,
  auction TEXT NOT NULL,
  work_max INTEGER NOT NULL CHECK (work_max >= 0),
  chain INTEGER NOT NULL,
  welfare_microcredits INTEGER NOT NULL,
  welfare_bound_microcredits INTEGER NOT NULL,
  charges_are_exact INTEGER NOT NULL CHECK (charges_are_exact IN (0, 1)),
  PRIMARY KEY (host_id, round_id),
  FOREIGN KEY (host_id, round_id) REFERENCES rounds
) STRICT, WITHOUT ROWID;

CREATE TABLE outcomes (
  host_id TEXT NOT NULL,
  round_id INTEGER NOT NULL,
  guest_id INTEGER NOT NULL REFERENCES guests,
  kind INTEGER NOT NULL,
  tenant_id TEXT NOT NULL,
  seed_units INTEGER NOT NULL,
  award_units INTEGER NOT NULL,
  contracted_units INTEGER NOT NULL,
  charge_microcredits INTEGER NOT NULL CHECK (charge_microcredits >= 0),
  settled INTEGER NOT NULL CHECK (settled IN (0, 1)),
  settled_microcredits INTEGER NOT NULL CHECK (settled_microcredits >= 0),
  rent_microcredits INTEGER NOT NULL CHECK (rent_microcredits >= 0),
  delivered_milliunits INTEGER NOT NULL,
  used_milliunits INTEGER NOT NULL,
  held_us INTEGER NOT NULL,
  reason INTEGER NOT NULL DEFAULT 0,  -- AwardReason of marketd/market/state.h
  asked_units INTEGER NOT NULL DEFAULT 0,  -- Not noted before version 11.
  PRIMARY KEY (host_id, round_id, guest_id, kind),
  FOREIGN KEY (host_id, round_id) REFERENCES rounds
) STRICT, WITHOUT ROWID;

-- Terms, and how each stands: ended is why it ended, '' while it is open. part_of: the contract of
-- another guest that its units are out of, 0: they are the host's own.
CREATE TABLE contracts (
  book INTEGER NOT NULL,
  contract_id INTEGER NOT NULL,
  transaction_id INTEGER NOT NULL,
  guest_id INTEGER NOT NULL REFERENCES guests,
  tenant_id TEXT NOT NULL,
  seller TEXT NOT NULL,
  part_of INTEGER NOT NULL,
  from_round_id INTEGER NOT NULL,
  until_round_id INTEGER NOT NULL CHECK (until_round_id > from_round_id),
  period_us INTEGER NOT NULL CHECK (period_us > 0),
  policy TEXT NOT NULL DEFAULT '',  -- What priced it; '': an award, or a sublet.
  end_fee_ppm INTEGER NOT NULL DEFAULT 0,
  escrow_microcredits INTEGER NOT NULL CHECK (escrow_microcredits >= 0),
  settled_through_us INTEGER NOT NULL,
  ended TEXT NOT NULL,
  left_from_round_id INTEGER NOT NULL DEFAULT 0,
  left_because TEXT NOT NULL DEFAULT '',
  renew_ceiling_microcredits INTEGER NOT NULL DEFAULT 0,
  fees_microcredits INTEGER NOT NULL DEFAULT 0,  -- Paid for leaving it.
  paid_microcredits INTEGER NOT NULL DEFAULT 0,  -- For what was held; not noted before version 10.
  PRIMARY KEY (book, contract_id),
  FOREIGN KEY (book, transaction_id) REFERENCES transactions,
  CHECK (ended = '' OR escrow_microcredits = 0)
) STRICT, WITHOUT ROWID;
CREATE INDEX contracts_by_transaction ON contracts (book, transaction_id);
CREATE INDEX contracts_open ON contracts (book, contract_id) WHERE ended = '';

CREATE TABLE lots (
  book INTEGER NOT NULL,
  contract_id INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  units INTEGER NOT NULL CHECK (units > 0),
  charge_microcredits INTEGER NOT NULL CHECK (charge_microcredits >= 0),
  PRIMARY KEY (book, contract_id, kind),
  FOREIGN KEY (book, contract_id) REFERENCES contracts
) STRICT, WITHOUT ROWID;

-- The answers to writes, so that a retry gets the same one. status is an absl::StatusCode.
-- bid_guest_id: of a bid, forgotten after so many newer ones; 0: never forgotten.
CREATE TABLE requests (
  book INTEGER NOT NULL,
  owner TEXT NOT NULL,
  request_id TEXT NOT NULL,
  bid_guest_id INTEGER NOT NULL,
  transaction_id INTEGER NOT NULL,
  fingerprint INTEGER NOT NULL,
  status INTEGER NOT NULL,
  message TEXT NOT NULL,
  guest_id INTEGER NOT NULL,
  token_id INTEGER NOT NULL,
  round_id INTEGER NOT NULL,
  removed INTEGER NOT NULL,
  available INTEGER NOT NULL,
  escrow INTEGER NOT NULL,
  arrears INTEGER NOT NULL,
  spent INTEGER NOT NULL,
  offer_id INTEGER NOT NULL DEFAULT 0,
  contract_id INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (book, owner, request_id),
  FOREIGN KEY (book, transaction_id) REFERENCES transactions
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_of_bids ON requests (bid_guest_id, owner, transaction_id)
  WHERE bid_guest_id <> 0;

CREATE TRIGGER transactions_kept_u BEFORE UPDATE ON transactions
  BEGIN SELECT RAISE(ABORT, 'transactions are never changed'); END;
CREATE TRIGGER entries_kept_u BEFORE UPDATE ON entries
  BEGIN SELECT RAISE(ABORT, 'entries are never changed'); END;
CREATE TRIGGER auctions_kept_u BEFORE UPDATE ON auctions
  BEGIN SELECT RAISE(ABORT, 'auctions are never changed'); END;
CREATE TRIGGER joint_auctions_kept_u BEFORE UPDATE ON joint_auctions
  BEGIN SELECT RAISE(ABORT, 'auctions are never changed'); END;
CREATE TRIGGER rounds_kept_u BEFORE UPDATE ON rounds
  WHEN NEW.phase < OLD.phase OR OLD.phase IN (4, 5) OR NEW.start_us <> OLD.start_us
    OR NEW.close_us <> OLD.close_us OR NEW.decided_us <> OLD.decided_us
    OR NEW.effective_us <> OLD.effective_us OR NEW.period_us <> OLD.period_us
    OR NEW.transaction_id <> OLD.transaction_id
  BEGIN SELECT RAISE(ABORT, 'a round only goes on to its next phase'); END;
CREATE TRIGGER books_kept_d BEFORE DELETE ON books
  BEGIN SELECT RAISE(ABORT, 'books are never deleted'); END;
CREATE TRIGGER transfers_kept_d BEFORE DELETE ON transfers
  BEGIN SELECT RAISE(ABORT, 'transfers are never deleted'); END;
CREATE TRIGGER transfers_kept_u BEFORE UPDATE ON transfers
  WHEN OLD.accepted_transaction_id IS NOT NULL OR NEW.from_book <> OLD.from_book
    OR NEW.transfer_id <> OLD.transfer_id OR NEW.to_book <> OLD.to_book
    OR NEW.owner <> OLD.owner OR NEW.amount_microcredits <> OLD.amount_microcredits
  BEGIN SELECT RAISE(ABORT, 'a transfer is accepted once and never changed'); END;
CREATE TRIGGER lots_kept_u BEFORE UPDATE ON lots
  BEGIN SELECT RAISE(ABORT, 'lots of contracts are never changed'); END;
CREATE TRIGGER requests_kept_d BEFORE DELETE ON requests WHEN OLD.bid_guest_id = 0
  BEGIN SELECT RAISE(ABORT, 'requests of money and guests are never deleted'); END;
CREATE TRIGGER identity_kept_u BEFORE UPDATE ON identity
  BEGIN SELECT RAISE(ABORT, 'a ledger keeps its id'); END;
CREATE TRIGGER identity_kept_d BEFORE DELETE ON identity
  BEGIN SELECT RAISE(ABORT, 'a ledger keeps its id'); END;
CREATE TRIGGER guests_kept_d BEFORE DELETE ON guests
  BEGIN SELECT RAISE(ABORT, 'guests are never deleted, only evicted'); END;
CREATE TRIGGER tenants_kept_d BEFORE DELETE ON tenants
  BEGIN SELECT RAISE(ABORT, 'tenants are never deleted'); END;
)sql";

// The same of what came with version 9, for new files and for older ones.
inline constexpr char kSchemaSince9Sql[] = R"sql(
-- The bearer tokens of a tenant that were not revoked, as hashes. scope: 1 full, 2 read only.
-- expires_us 0: never. created_us 0: before that was noted.
CREATE TABLE tokens (
  book INTEGER NOT NULL,
  tenant_id TEXT NOT NULL,
  token_id INTEGER NOT NULL,
  hash TEXT NOT NULL,
  label TEXT NOT NULL,
  scope INTEGER NOT NULL CHECK (scope IN (1, 2)),
  created_us INTEGER NOT NULL,
  expires_us INTEGER NOT NULL,
  PRIMARY KEY (book, tenant_id, token_id),
  FOREIGN KEY (book, tenant_id) REFERENCES tenants
) STRICT, WITHOUT ROWID;

-- Who did what. who: a tenant, '@operator' or '@market'.
CREATE TABLE events (
  book INTEGER NOT NULL,
  transaction_id INTEGER NOT NULL,
  position INTEGER NOT NULL,
  kind TEXT NOT NULL,
  who TEXT NOT NULL,
  who_token_id INTEGER NOT NULL,
  tenant_id TEXT NOT NULL,
  host_id TEXT NOT NULL,
  guest_id INTEGER NOT NULL,
  token_id INTEGER NOT NULL,
  amount_microcredits INTEGER NOT NULL,
  detail TEXT NOT NULL,
  PRIMARY KEY (book, transaction_id, position),
  FOREIGN KEY (book, transaction_id) REFERENCES transactions
) STRICT, WITHOUT ROWID;
CREATE INDEX events_by_tenant ON events (book, tenant_id, transaction_id);
CREATE TRIGGER events_kept_u BEFORE UPDATE ON events
  BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;

-- Contracts that may be taken (marketd/market/offers.h): terms, and how each stands. taken_as: the
-- contract that it became, 0: none.
CREATE TABLE offers (
  book INTEGER NOT NULL,
  offer_id INTEGER NOT NULL,
  transaction_id INTEGER NOT NULL,
  host_id TEXT NOT NULL,
  tenant_id TEXT NOT NULL,
  guest_id INTEGER NOT NULL,
  seller TEXT NOT NULL,
  part_of INTEGER NOT NULL,
  from_round_id INTEGER NOT NULL,
  until_round_id INTEGER NOT NULL CHECK (until_round_id > from_round_id),
  period_us INTEGER NOT NULL CHECK (period_us > 0),
  policy TEXT NOT NULL,
  end_fee_ppm INTEGER NOT NULL,
  valid_until_us INTEGER NOT NULL,
  taken_as INTEGER NOT NULL,
  closed TEXT NOT NULL,
  PRIMARY KEY (book, offer_id),
  FOREIGN KEY (book, transaction_id) REFERENCES transactions
) STRICT, WITHOUT ROWID;
CREATE INDEX offers_open ON offers (book, offer_id) WHERE closed = '';

CREATE TABLE offer_lots (
  book INTEGER NOT NULL,
  offer_id INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  units INTEGER NOT NULL CHECK (units > 0),
  charge_microcredits INTEGER NOT NULL CHECK (charge_microcredits >= 0),
  PRIMARY KEY (book, offer_id, kind),
  FOREIGN KEY (book, offer_id) REFERENCES offers
) STRICT, WITHOUT ROWID;
CREATE TRIGGER offer_lots_kept_u BEFORE UPDATE ON offer_lots
  BEGIN SELECT RAISE(ABORT, 'lots of offers are never changed'); END;

-- What went from a tenant to others and came from them, for its statements.
CREATE INDEX entries_from ON entries (book, from_owner, transaction_id)
  WHERE from_owner <> to_owner AND from_owner <> '@operator';
CREATE INDEX entries_to ON entries (book, to_owner, transaction_id)
  WHERE from_owner <> to_owner AND to_owner <> '@operator';
)sql";

// The same of tiers, which came with version 10.
inline constexpr char kTiersSql[] = R"sql(
-- What the market bids for guests that do not bid themselves (marketd/market/tiers.h): most units of
-- each kind in tier_units.
CREATE TABLE tiers (
  guest_id INTEGER PRIMARY KEY REFERENCES guests,
  tier TEXT NOT NULL,
  ceiling_microcredits INTEGER NOT NULL CHECK (ceiling_microcredits > 0),
  slot INTEGER NOT NULL CHECK (slot >= 0)
) STRICT;

CREATE TABLE tier_units (
  guest_id INTEGER NOT NULL REFERENCES tiers ON DELETE CASCADE,
  kind INTEGER NOT NULL,
  units INTEGER NOT NULL CHECK (units > 0),
  PRIMARY KEY (guest_id, kind)
) STRICT, WITHOUT ROWID;

-- Those that were bought or passed on, not won, nor floors, for who lists what has ended.
CREATE INDEX contracts_sold ON contracts (book, contract_id, tenant_id, guest_id)
  WHERE policy NOT IN ('', 'tiers/1') OR part_of <> 0;
)sql";

// Of contracts, as it is since version 9: after the column that it looks at.
inline constexpr char kContractsKeptSql[] = R"sql(
CREATE INDEX contracts_with_fees ON contracts (book, tenant_id) WHERE fees_microcredits <> 0;
)sql";

// The same of what came with version 10, for new files and for older ones: what an archive has.
//
// A ledger with an archive has gone over to it up to a transaction in each book and a round at each
// host; the archive is whole up to there. What is left of it here is being deleted, but for
// contracts and offers that were open then: those go when they end. References to what was moved
// lead into the archive.
inline constexpr char kSchemaSince10Sql[] = R"sql(
-- last_contract_id, last_offer_id: the highest that was deleted here.
CREATE TABLE archived (
  book INTEGER PRIMARY KEY REFERENCES books,
  transaction_id INTEGER NOT NULL,
  digest TEXT NOT NULL,
  last_contract_id INTEGER NOT NULL,
  last_offer_id INTEGER NOT NULL
) STRICT;

CREATE TABLE archived_rounds (
  host_id TEXT PRIMARY KEY,
  round_id INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What the entries up to there add up to: purses as they were.
CREATE TABLE archived_purses (
  book INTEGER NOT NULL REFERENCES books,
  owner TEXT NOT NULL,
  available INTEGER NOT NULL,
  escrow INTEGER NOT NULL,
  arrears INTEGER NOT NULL,
  transit INTEGER NOT NULL,
  revenue INTEGER NOT NULL,
  issued INTEGER NOT NULL,
  deposited INTEGER NOT NULL,
  spent INTEGER NOT NULL,
  earned INTEGER NOT NULL,
  PRIMARY KEY (book, owner)
) STRICT, WITHOUT ROWID;

-- What the outcomes of archived rounds charged each tenant, and what it paid for leaving contracts
-- that are there.
CREATE TABLE archived_charges (
  book INTEGER NOT NULL REFERENCES books,
  tenant_id TEXT NOT NULL,
  charged_microcredits INTEGER NOT NULL,
  fees_microcredits INTEGER NOT NULL,
  PRIMARY KEY (book, tenant_id)
) STRICT, WITHOUT ROWID;

-- The prices of archived rounds that forecasts still look back to.
CREATE TABLE archived_prices (
  host_id TEXT NOT NULL,
  round_id INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  unit_price_microcredits INTEGER NOT NULL,
  PRIMARY KEY (host_id, round_id, kind)
) STRICT, WITHOUT ROWID;

DROP TRIGGER IF EXISTS transactions_kept_d;
DROP TRIGGER IF EXISTS entries_kept_d;
DROP TRIGGER IF EXISTS events_kept_d;
DROP TRIGGER IF EXISTS rounds_kept_d;
DROP TRIGGER IF EXISTS auctions_kept_d;
DROP TRIGGER IF EXISTS joint_auctions_kept_d;
DROP TRIGGER IF EXISTS outcomes_kept_d;
DROP TRIGGER IF EXISTS contracts_kept_d;
DROP TRIGGER IF EXISTS lots_kept_d;
DROP TRIGGER IF EXISTS offers_kept_d;
DROP TRIGGER IF EXISTS offer_lots_kept_d;
CREATE TRIGGER transactions_kept_d BEFORE DELETE ON transactions
  WHEN OLD.transaction_id > COALESCE((SELECT transaction_id FROM archived WHERE book = OLD.book), 0)
  BEGIN SELECT RAISE(ABORT, 'transactions are never deleted, only archived'); END;
CREATE TRIGGER entries_kept_d BEFORE DELETE ON entries
  WHEN OLD.transaction_id > COALESCE((SELECT transaction_id FROM archived WHERE book = OLD.book), 0)
  BEGIN SELECT RAISE(ABORT, 'entries are never deleted, only archived'); END;
CREATE TRIGGER events_kept_d BEFORE DELETE ON events
  WHEN OLD.transaction_id > COALESCE((SELECT transaction_id FROM archived WHERE book = OLD.book), 0)
  BEGIN SELECT RAISE(ABORT, 'events are never deleted, only archived'); END;
CREATE TRIGGER rounds_kept_d BEFORE DELETE ON rounds
  WHEN OLD.round_id > COALESCE((SELECT round_id FROM archived_rounds
                                WHERE host_id = OLD.host_id), 0)
  BEGIN SELECT RAISE(ABORT, 'rounds are never deleted, only archived'); END;
CREATE TRIGGER auctions_kept_d BEFORE DELETE ON auctions
  WHEN OLD.round_id > COALESCE((SELECT round_id FROM archived_rounds
                                WHERE host_id = OLD.host_id), 0)
  BEGIN SELECT RAISE(ABORT, 'auctions are never deleted, only archived'); END;
CREATE TRIGGER joint_auctions_kept_d BEFORE DELETE ON joint_auctions
  WHEN OLD.round_id > COALESCE((SELECT round_id FROM archived_rounds
                                WHERE host_id = OLD.host_id), 0)
  BEGIN SELECT RAISE(ABORT, 'auctions are never deleted, only archived'); END;
CREATE TRIGGER outcomes_kept_d BEFORE DELETE ON outcomes
  WHEN OLD.round_id > COALESCE((SELECT round_id FROM archived_rounds
                                WHERE host_id = OLD.host_id), 0)
  BEGIN SELECT RAISE(ABORT, 'outcomes are never deleted, only archived'); END;
-- Of a contract and an offer the line goes first, and then its lots.
CREATE TRIGGER contracts_kept_d BEFORE DELETE ON contracts
  WHEN OLD.ended = ''
    OR OLD.transaction_id > COALESCE((SELECT transaction_id FROM archived
                                      WHERE book = OLD.book), 0)
  BEGIN SELECT RAISE(ABORT, 'contracts are never deleted, only archived'); END;
CREATE TRIGGER lots_kept_d BEFORE DELETE ON lots
  WHEN EXISTS (SELECT 1 FROM contracts WHERE book = OLD.book AND contract_id = OLD.contract_id)
  BEGIN SELECT RAISE(ABORT, 'lots of contracts are never deleted, only archived'); END;
CREATE TRIGGER offers_kept_d BEFORE DELETE ON offers
  WHEN OLD.closed = ''
    OR OLD.transaction_id > COALESCE((SELECT transaction_id FROM archived
                                      WHERE book = OLD.book), 0)
  BEGIN SELECT RAISE(ABORT, 'offers are never deleted, only archived'); END;
CREATE TRIGGER offer_lots_kept_d BEFORE DELETE ON offer_lots
  WHEN EXISTS (SELECT 1 FROM offers WHERE book = OLD.book AND offer_id = OLD.offer_id)
  BEGIN SELECT RAISE(ABORT, 'lots of offers are never deleted, only archived'); END;
)sql";

// Of archives, too: what each auction of a kind came to (marketd/market/measures.h). A table of its
// own, as prices of a long history are read without it.
inline constexpr char kMeasuresSql[] = R"sql(
CREATE TABLE measures (
  host_id TEXT NOT NULL,
  round_id INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  welfare_microcredits INTEGER,
  welfare_bound_microcredits INTEGER,
  maximised_microcredits INTEGER,
  maximised_bound_microcredits INTEGER,
  revenue_microcredits INTEGER NOT NULL,
  moved_units INTEGER NOT NULL CHECK (moved_units >= 0),
  jain_index_ppm INTEGER CHECK (jain_index_ppm BETWEEN 0 AND 1000000),
  best_unit_price_microcredits INTEGER,
  PRIMARY KEY (host_id, round_id, kind),
  FOREIGN KEY (host_id, round_id, kind) REFERENCES auctions
) STRICT, WITHOUT ROWID;
)sql";

// The same of what else came with version 11, for new files and for older ones.
inline constexpr char kSchemaSince11Sql[] = R"sql(
-- What tenants asked for and were awarded in archived rounds that weights still look back to.
CREATE TABLE archived_asks (
  host_id TEXT NOT NULL,
  round_id INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  tenant_id TEXT NOT NULL,
  asked_units INTEGER NOT NULL CHECK (asked_units > 0),
  awarded_units INTEGER NOT NULL,
  PRIMARY KEY (host_id, round_id, kind, tenant_id)
) STRICT, WITHOUT ROWID;
-- NULL: not noted.
ALTER TABLE archived_prices ADD COLUMN best_unit_price_microcredits INTEGER;

CREATE TRIGGER measures_kept_u BEFORE UPDATE ON measures
  BEGIN SELECT RAISE(ABORT, 'measures are never changed'); END;
CREATE TRIGGER measures_kept_d BEFORE DELETE ON measures
  WHEN OLD.round_id > COALESCE((SELECT round_id FROM archived_rounds
                                WHERE host_id = OLD.host_id), 0)
  BEGIN SELECT RAISE(ABORT, 'measures are never deleted, only archived'); END;
CREATE TRIGGER rounds_objective_kept_u BEFORE UPDATE ON rounds
  WHEN NEW.objective <> OLD.objective
  BEGIN SELECT RAISE(ABORT, 'what a round was for is never changed'); END;
)sql";

// What keeps terms as they were, as it is since version 12. By column: a statement that settles,
// and names none of these, is not held up by looking at them, and a round has ten thousand such.
inline constexpr char kTermsKeptSql[] = R"sql(
CREATE TRIGGER outcomes_kept_u BEFORE UPDATE OF host_id, round_id, guest_id, kind, tenant_id,
    seed_units, award_units, contracted_units, charge_microcredits, asked_units ON outcomes
  BEGIN SELECT RAISE(ABORT, 'an outcome is never decided again'); END;
CREATE TRIGGER outcomes_settled_kept_u BEFORE UPDATE ON outcomes
  WHEN OLD.settled = 1 AND (NEW.settled <> 1
                            OR NEW.settled_microcredits <> OLD.settled_microcredits)
  BEGIN SELECT RAISE(ABORT, 'an outcome is settled once'); END;
CREATE TRIGGER contracts_kept_u BEFORE UPDATE OF contract_id, transaction_id, guest_id, tenant_id,
    seller, book, part_of, from_round_id, until_round_id, period_us, policy, end_fee_ppm
    ON contracts
  BEGIN SELECT RAISE(ABORT, 'the terms of a contract are never changed'); END;
CREATE TRIGGER contracts_ended_kept_u BEFORE UPDATE ON contracts WHEN OLD.ended <> ''
  BEGIN SELECT RAISE(ABORT, 'a contract that has ended is never changed'); END;
CREATE TRIGGER offers_kept_u BEFORE UPDATE OF offer_id, transaction_id, host_id, tenant_id,
    guest_id, seller, book, part_of, from_round_id, until_round_id, period_us, policy, end_fee_ppm,
    valid_until_us ON offers
  BEGIN SELECT RAISE(ABORT, 'the terms of an offer are never changed'); END;
CREATE TRIGGER offers_closed_kept_u BEFORE UPDATE ON offers WHEN OLD.closed <> ''
  BEGIN SELECT RAISE(ABORT, 'an offer that is closed is never changed'); END;
)sql";

}  // namespace nom::market

#endif  // MARKETD_LEDGER_SQLITE_SCHEMA_H_
