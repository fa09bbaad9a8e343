// SPDX-License-Identifier: Apache-2.0
#include "marketd/ledger/sqlite/archiver.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/base/log.h"
#include "marketd/base/status.h"
#include "marketd/ledger/sqlite/new_file.h"
#include "marketd/ledger/sqlite/select.h"
#include "marketd/ledger/sqlite/tables.h"
#include "marketd/market/accounts.h"
#include "marketd/market/measures.h"

namespace nom::market {
namespace {

// Transactions that are looked at for one step,
constexpr int64_t kTransactionsAStep = 256;
// and rows that one copies at least, if there are so many; a transaction or a round is never cut.
constexpr int64_t kRowsAStep = 1'000;
// Rows that are deleted while nobody else can write: one to two milliseconds.
constexpr int64_t kRowsDeletedAStep = 300;
constexpr int64_t kContractsAStep = 100;
// Pages that are free are written again soon: only more than a quarter, and than this, are given
// back, so many at a time.
constexpr int64_t kPagesFreeMin = 64;
constexpr int64_t kPagesAStep = 64;
// The log is folded in by hand when it has got so long, as the archiver's own commits never do it.
constexpr int kStepsACheckpoint = 16;

// How often the archiver looks whether something has become old, at most and at least.
constexpr absl::Duration kLookMin = absl::Milliseconds(100);
constexpr absl::Duration kLookMax = absl::Minutes(1);
// Between two steps: others write for four times as long as they were kept from it.
constexpr int kShare = 4;
constexpr absl::Duration kPauseMin = absl::Milliseconds(1);
// After an error.
constexpr absl::Duration kPauseAfterError = absl::Seconds(10);

}  // namespace

Archiver::Archiver(std::unique_ptr<Database> ledger, std::unique_ptr<Database> archive,
                   std::mutex& writing)
    : ledger_(std::move(ledger)), archive_(std::move(archive)), writing_(writing) {}

absl::StatusOr<std::unique_ptr<Archiver>> Archiver::Open(const std::string& path,
                                                         const std::string& archive_path,
                                                         bool sync_to_disk, std::mutex& writing) {
  NOM_ASSIGN_OR_RETURN(std::unique_ptr<Database> ledger,
                       Database::Open(path, Database::Mode::kReadWrite));
  // References may lead into the archive; what they say is held by the order in which rows go.
  NOM_RETURN_IF_ERROR(ledger->Execute("PRAGMA foreign_keys = OFF; PRAGMA wal_autocheckpoint = 0"));
  NOM_RETURN_IF_ERROR(
      ledger->Execute(sync_to_disk ? "PRAGMA synchronous = NORMAL" : "PRAGMA synchronous = OFF"));
  NOM_RETURN_IF_ERROR(MakeArchive(*ledger, archive_path));
  NOM_ASSIGN_OR_RETURN(std::unique_ptr<Database> archive,
                       OpenArchive(*ledger, archive_path, Database::Mode::kReadWrite));
  NOM_RETURN_IF_ERROR(KeepLog(*archive));  // One that was put back has none.
  NOM_RETURN_IF_ERROR(
      archive->Execute(sync_to_disk ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = OFF"));
  NOM_RETURN_IF_ERROR(archive->Prepare("ATTACH ? AS live").Bind(path).Run());
  std::unique_ptr<Archiver> out(new Archiver(std::move(ledger), std::move(archive), writing));
  NOM_RETURN_IF_ERROR(out->MakeCopies());
  NOM_RETURN_IF_ERROR(out->Trim());
  return out;
}

// Columns by name: a ledger that was brought up to this version has some of them in another order.
absl::Status Archiver::MakeCopies() {
  static const std::pair<const char*, const char*> kTables[] = {
      {"transactions", "book = ? AND transaction_id = ?"},
      {"entries", "book = ? AND transaction_id = ?"},
      {"events", "book = ? AND transaction_id = ?"},
      {"rounds", "host_id = ? AND round_id = ?"},
      {"auctions", "host_id = ? AND round_id = ?"},
      {"measures", "host_id = ? AND round_id = ?"},
      {"joint_auctions", "host_id = ? AND round_id = ?"},
      {"outcomes", "host_id = ? AND round_id = ?"},
      {"contracts", "book = ? AND contract_id = ?"},
      {"lots", "book = ? AND contract_id = ?"},
      {"offers", "book = ? AND offer_id = ?"},
      {"offer_lots", "book = ? AND offer_id = ?"}};
  for (const auto& [table, where] : kTables) {
    Statement columns = archive_->Prepare(
        "SELECT GROUP_CONCAT(name, ', ') FROM pragma_table_info(?) WHERE schema = 'main'");
    NOM_RETURN_IF_ERROR(columns.Bind(table).Step().status());
    const std::string names = columns.Text(0);
    copies_[table] = absl::StrCat("INSERT OR REPLACE INTO main.", table, " (", names, ") SELECT ",
                                  names, " FROM live.", table, " WHERE ", where);
  }
  return absl::OkStatus();
}

// What the archive has beyond what the ledger says is the rest of a step that was cut short, or of
// what came after a backup that was put back: of another history.
absl::Status Archiver::Trim() {
  NOM_ASSIGN_OR_RETURN(const std::vector<Book> books, ReadBooks());
  NOM_ASSIGN_OR_RETURN(const std::vector<Host> hosts, ReadHosts());
  // Each by the first columns of a key or an index: an archive may be long.
  static constexpr const char* kOfTransactions[] = {
      "DELETE FROM main.entries WHERE book = ? AND transaction_id > ?",
      "DELETE FROM main.events WHERE book = ? AND transaction_id > ?",
      "DELETE FROM main.transactions WHERE book = ? AND transaction_id > ?",
      ("DELETE FROM main.lots WHERE (book, contract_id) IN (SELECT book, contract_id"
       " FROM main.contracts WHERE book = ? AND transaction_id > ?)"),
      "DELETE FROM main.contracts WHERE book = ? AND transaction_id > ?"};
  static constexpr const char* kOfOffers[] = {
      "DELETE FROM main.offer_lots WHERE book = ? AND offer_id > ?",
      "DELETE FROM main.offers WHERE book = ? AND offer_id > ?"};
  static constexpr const char* kOfRounds[] = {
      "DELETE FROM main.outcomes WHERE host_id = ? AND round_id > ?",
      "DELETE FROM main.auctions WHERE host_id = ? AND round_id > ?",
      "DELETE FROM main.measures WHERE host_id = ? AND round_id > ?",
      "DELETE FROM main.joint_auctions WHERE host_id = ? AND round_id > ?",
      "DELETE FROM main.rounds WHERE host_id = ? AND round_id > ?"};
  return Copy([&]() -> absl::Status {
    for (const Book& book : books) {
      for (const char* sql : kOfTransactions) {
        NOM_RETURN_IF_ERROR(
            archive_->Prepare(sql).Bind(book.ordinal).BindBits(book.archived.transaction_id).Run());
      }
      for (const char* sql : kOfOffers) {
        NOM_RETURN_IF_ERROR(
            archive_->Prepare(sql).Bind(book.ordinal).BindBits(book.archived.last_offer_id).Run());
      }
    }
    for (const Host& host : hosts) {
      for (const char* sql : kOfRounds) {
        NOM_RETURN_IF_ERROR(
            archive_->Prepare(sql).Bind(host.host_id).BindBits(host.archived).Run());
      }
    }
    return absl::OkStatus();
  });
}

absl::Status Archiver::Copy(const std::function<absl::Status()>& copy) {
  // Not IMMEDIATE, which would take the lock of the attached ledger, too: it is only read here, and
  // whoever writes to it goes on.
  NOM_RETURN_IF_ERROR(archive_->Execute("BEGIN"));
  absl::Status status = copy();
  if (status.ok()) status = archive_->Execute("COMMIT");
  if (!status.ok()) (void)archive_->Execute("ROLLBACK");  // The first error is what matters.
  return status;
}

absl::Status Archiver::Change(const std::function<absl::Status()>& change) {
  using Stopwatch = std::chrono::steady_clock;
  std::lock_guard lock(writing_);
  const auto begin = Stopwatch::now();
  NOM_RETURN_IF_ERROR(ledger_->Execute("BEGIN IMMEDIATE"));
  absl::Status status = change();
  if (status.ok()) status = ledger_->Execute("COMMIT");
  if (!status.ok()) (void)ledger_->Execute("ROLLBACK");
  held_ = absl::FromChrono(Stopwatch::now() - begin);
  ++changes_since_checkpoint_;
  return status;
}

absl::StatusOr<std::vector<Archiver::Book>> Archiver::ReadBooks() {
  std::vector<Book> books;
  NOM_RETURN_IF_ERROR(ForEachRow(
      ledger_->Prepare("SELECT ordinal, last_transaction_id FROM books ORDER BY ordinal"),
      [&books](Statement& row) {
        books.push_back({.ordinal = row.Int(0), .last_transaction_id = row.Bits(1)});
        return absl::OkStatus();
      }));
  for (Book& book : books) {
    NOM_ASSIGN_OR_RETURN(book.archived, ReadArchivedBook(*ledger_, book.ordinal));
  }
  return books;
}

absl::StatusOr<std::vector<Archiver::Host>> Archiver::ReadHosts() {
  std::vector<Host> hosts;
  NOM_RETURN_IF_ERROR(ForEachRow(
      ledger_->Prepare("SELECT host_id, book, in_force_round_id FROM hosts ORDER BY host_id"),
      [&hosts](Statement& row) {
        hosts.push_back({.host_id = row.Text(0), .book = row.Int(1), .in_force = row.Bits(2)});
        return absl::OkStatus();
      }));
  for (Host& host : hosts) {
    NOM_ASSIGN_OR_RETURN(host.last, ReadLastDecided(*ledger_, host.host_id));
    NOM_ASSIGN_OR_RETURN(host.archived, ReadArchivedRound(*ledger_, host.host_id));
  }
  return hosts;
}

absl::StatusOr<bool> Archiver::Step(absl::Time cutoff) {
  held_ = absl::ZeroDuration();
  if (changes_since_checkpoint_ >= kStepsACheckpoint) {
    changes_since_checkpoint_ = 0;
    // Nobody is kept from writing by it; what is in use is left for the next time.
    NOM_RETURN_IF_ERROR(ledger_->QueryInt("PRAGMA wal_checkpoint(PASSIVE)").status());
  }
  NOM_ASSIGN_OR_RETURN(const std::vector<Book> books, ReadBooks());
  NOM_ASSIGN_OR_RETURN(const std::vector<Host> hosts, ReadHosts());
  NOM_ASSIGN_OR_RETURN(bool did, Sweep(books, hosts));
  if (did) return true;
  for (const Book& book : books) {
    NOM_ASSIGN_OR_RETURN(did, MoveContracts(book));
    if (did) return true;
    NOM_ASSIGN_OR_RETURN(did, MoveOffers(book));
    if (did) return true;
    for (const Host& host : hosts) {
      if (host.book != book.ordinal) continue;
      NOM_ASSIGN_OR_RETURN(did, MoveRounds(book, host));
      if (did) return true;
    }
    NOM_ASSIGN_OR_RETURN(did, MoveTransactions(book, cutoff));
    if (did) return true;
  }
  return GiveBackPages();
}

// Deletes what the archive is known to have.
absl::StatusOr<bool> Archiver::Sweep(const std::vector<Book>& books,
                                     const std::vector<Host>& hosts) {
  // The line of a transaction goes last, and that of a round, too: while there is one there may be
  // more.
  static constexpr const char* kOfBook[] = {
      "DELETE FROM entries WHERE (book, transaction_id, position) IN (SELECT book, transaction_id,"
      " position FROM entries WHERE book = ?1 AND transaction_id <= ?2 LIMIT ?3)",
      "DELETE FROM events WHERE (book, transaction_id, position) IN (SELECT book, transaction_id,"
      " position FROM events WHERE book = ?1 AND transaction_id <= ?2 LIMIT ?3)",
      "DELETE FROM transactions WHERE (book, transaction_id) IN (SELECT book, transaction_id"
      " FROM transactions WHERE book = ?1 AND transaction_id <= ?2 LIMIT ?3)"};
  static constexpr const char* kOfHost[] = {
      "DELETE FROM outcomes WHERE (host_id, round_id, guest_id, kind) IN (SELECT host_id, round_id,"
      " guest_id, kind FROM outcomes WHERE host_id = ?1 AND round_id <= ?2 LIMIT ?3)",
      "DELETE FROM auctions WHERE (host_id, round_id, kind) IN (SELECT host_id, round_id, kind"
      " FROM auctions WHERE host_id = ?1 AND round_id <= ?2 LIMIT ?3)",
      "DELETE FROM measures WHERE (host_id, round_id, kind) IN (SELECT host_id, round_id, kind"
      " FROM measures WHERE host_id = ?1 AND round_id <= ?2 LIMIT ?3)",
      "DELETE FROM joint_auctions WHERE (host_id, round_id) IN (SELECT host_id, round_id"
      " FROM joint_auctions WHERE host_id = ?1 AND round_id <= ?2 LIMIT ?3)",
      "DELETE FROM rounds WHERE (host_id, round_id) IN (SELECT host_id, round_id"
      " FROM rounds WHERE host_id = ?1 AND round_id <= ?2 LIMIT ?3)"};
  // Looked for before anybody is kept from writing.
  bool any = false;
  for (const Book& book : books) {
    Statement look = ledger_->Prepare(
        "SELECT EXISTS (SELECT 1 FROM transactions WHERE book = ?1 AND transaction_id <= ?2)");
    NOM_RETURN_IF_ERROR(
        look.Bind(book.ordinal).BindBits(book.archived.transaction_id).Step().status());
    any = any || look.Int(0) != 0;
  }
  for (const Host& host : hosts) {
    Statement look = ledger_->Prepare(
        "SELECT EXISTS (SELECT 1 FROM rounds WHERE host_id = ?1 AND round_id <= ?2)");
    NOM_RETURN_IF_ERROR(look.Bind(host.host_id).BindBits(host.archived).Step().status());
    any = any || look.Int(0) != 0;
  }
  if (!any) return false;
  int64_t left = kRowsDeletedAStep;
  NOM_RETURN_IF_ERROR(Change([&]() -> absl::Status {
    for (const Book& book : books) {
      for (const char* sql : kOfBook) {
        if (left <= 0) return absl::OkStatus();
        NOM_RETURN_IF_ERROR(ledger_->Prepare(sql)
                                .Bind(book.ordinal)
                                .BindBits(book.archived.transaction_id)
                                .Bind(left)
                                .Run());
        left -= ledger_->changes();
      }
    }
    for (const Host& host : hosts) {
      for (const char* sql : kOfHost) {
        if (left <= 0) return absl::OkStatus();
        NOM_RETURN_IF_ERROR(
            ledger_->Prepare(sql).Bind(host.host_id).BindBits(host.archived).Bind(left).Run());
        left -= ledger_->changes();
      }
    }
    return absl::OkStatus();
  }));
  rows_moved_ += static_cast<uint64_t>(kRowsDeletedAStep - left);
  return true;
}

// Contracts end in any order, and some long after what opened them was moved.
absl::StatusOr<bool> Archiver::MoveContracts(const Book& book) {
  std::vector<int64_t> ids;
  NOM_RETURN_IF_ERROR(ForEachRow(
      ledger_
          ->Prepare("SELECT contract_id FROM contracts INDEXED BY contracts_by_transaction"
                    " WHERE book = ? AND transaction_id <= ? AND ended <> ''"
                    " ORDER BY transaction_id LIMIT ?")
          .Bind(book.ordinal)
          .BindBits(book.archived.transaction_id)
          .Bind(kContractsAStep),
      [&ids](Statement& row) {
        ids.push_back(row.Int(0));
        return absl::OkStatus();
      }));
  if (ids.empty()) return false;
  NOM_RETURN_IF_ERROR(Copy([&]() -> absl::Status {
    for (const int64_t id : ids) {
      for (const char* sql : {Copies("contracts"), Copies("lots")}) {
        NOM_RETURN_IF_ERROR(archive_->Prepare(sql).Bind(book.ordinal).Bind(id).Run());
      }
    }
    return absl::OkStatus();
  }));
  int64_t rows = 0;
  NOM_RETURN_IF_ERROR(Change([&]() -> absl::Status {
    for (const int64_t id : ids) {
      NOM_RETURN_IF_ERROR(
          ledger_
              ->Prepare("INSERT INTO archived_charges SELECT book, tenant_id, 0, fees_microcredits"
                        " FROM contracts WHERE book = ? AND contract_id = ?"
                        " AND fees_microcredits <> 0 ON CONFLICT DO UPDATE SET"
                        " fees_microcredits = fees_microcredits + excluded.fees_microcredits")
              .Bind(book.ordinal)
              .Bind(id)
              .Run());
      for (const char* sql : {"DELETE FROM contracts WHERE book = ? AND contract_id = ?",
                              "DELETE FROM lots WHERE book = ? AND contract_id = ?"}) {
        NOM_RETURN_IF_ERROR(ledger_->Prepare(sql).Bind(book.ordinal).Bind(id).Run());
        rows += ledger_->changes();
      }
    }
    return ledger_
        ->Prepare("UPDATE archived SET last_contract_id = MAX(last_contract_id, ?) WHERE book = ?")
        .Bind(*std::max_element(ids.begin(), ids.end()))
        .Bind(book.ordinal)
        .Run();
  }));
  rows_moved_ += static_cast<uint64_t>(rows);
  return true;
}

absl::StatusOr<bool> Archiver::MoveOffers(const Book& book) {
  // By rising id, as they were made: those that are left of before are the open ones.
  std::vector<int64_t> ids;
  Statement select = ledger_->Prepare(
      "SELECT offer_id, transaction_id, closed FROM offers WHERE book = ? ORDER BY offer_id");
  select.Bind(book.ordinal);
  while (static_cast<int64_t>(ids.size()) < kContractsAStep) {
    NOM_ASSIGN_OR_RETURN(const bool row, select.Step());
    if (!row || select.Bits(1) > book.archived.transaction_id) break;
    if (!select.Text(2).empty()) ids.push_back(select.Int(0));
  }
  if (ids.empty()) return false;
  { const Statement done = std::move(select); }  // Its look ends here.
  NOM_RETURN_IF_ERROR(Copy([&]() -> absl::Status {
    for (const int64_t id : ids) {
      for (const char* sql : {Copies("offers"), Copies("offer_lots")}) {
        NOM_RETURN_IF_ERROR(archive_->Prepare(sql).Bind(book.ordinal).Bind(id).Run());
      }
    }
    return absl::OkStatus();
  }));
  int64_t rows = 0;
  NOM_RETURN_IF_ERROR(Change([&]() -> absl::Status {
    for (const int64_t id : ids) {
      for (const char* sql : {"DELETE FROM offers WHERE book = ? AND offer_id = ?",
                              "DELETE FROM offer_lots WHERE book = ? AND offer_id = ?"}) {
        NOM_RETURN_IF_ERROR(ledger_->Prepare(sql).Bind(book.ordinal).Bind(id).Run());
        rows += ledger_->changes();
      }
    }
    return ledger_
        ->Prepare(
            "UPDATE archived SET last_offer_id = MAX(last_offer_id, ?)"
            " WHERE book = ?")
        .Bind(ids.back())
        .Bind(book.ordinal)
        .Run();
  }));
  rows_moved_ += static_cast<uint64_t>(rows);
  return true;
}

absl::Status Archiver::LeaveAsks(const Host& host, RoundId last) {
  // Those that are too old to count are left out at once.
  const RoundId kept = host.last > kPastAsksMax ? host.last - kPastAsksMax : 0;
  const RoundId begin = std::max(host.archived, kept);
  for (RoundId round_id = begin + 1; round_id <= last; ++round_id) {
    Round round{.host_id = host.host_id, .round_id = round_id};
    RoundRow line;
    NOM_ASSIGN_OR_RETURN(const bool is_there,
                         ReadOne(*ledger_, "rounds WHERE host_id = ? AND round_id = ?", line,
                                 host.host_id, round_id));
    if (!is_there || line.round.objective != policies::kLeastSatisfied) continue;
    NOM_RETURN_IF_ERROR(ReadRound(*ledger_, round));
    for (const TenantAsk& ask : AsksOf(round)) {
      NOM_RETURN_IF_ERROR(ledger_->Prepare("INSERT INTO archived_asks VALUES (?, ?, ?, ?, ?, ?)")
                              .Bind(host.host_id)
                              .BindBits(round_id)
                              .Bind(static_cast<int64_t>(ask.kind))
                              .Bind(ask.tenant_id)
                              .Bind(ask.asked_units)
                              .Bind(ask.awarded_units)
                              .Run());
    }
  }
  return ledger_->Prepare("DELETE FROM archived_asks WHERE host_id = ? AND round_id <= ?")
      .Bind(host.host_id)
      .BindBits(kept)
      .Run();
}

// Closed rounds of transactions that were moved, in their order. The newest and the one in force
// stay: an engine starts from them.
absl::StatusOr<bool> Archiver::MoveRounds(const Book& book, const Host& host) {
  RoundId last = host.archived;
  int64_t rows = 0;
  Statement select = ledger_->Prepare(
      "SELECT round_id, phase, transaction_id FROM rounds WHERE host_id = ? AND round_id > ?"
      " ORDER BY round_id");
  select.Bind(host.host_id).BindBits(host.archived);
  NOM_RETURN_IF_ERROR(Copy([&]() -> absl::Status {
    while (rows < kRowsAStep) {
      NOM_ASSIGN_OR_RETURN(const bool row, select.Step());
      if (!row) break;
      const RoundId round_id = select.Bits(0);
      const auto phase = static_cast<RoundPhase>(select.Int(1));
      if (phase != RoundPhase::kSettled && phase != RoundPhase::kReleased) break;
      if (select.Bits(2) > book.archived.transaction_id || round_id >= host.last) break;
      if (host.in_force != 0 && round_id >= host.in_force) break;
      for (const char* sql : {Copies("rounds"), Copies("auctions"), Copies("measures"),
                              Copies("joint_auctions"), Copies("outcomes")}) {
        NOM_RETURN_IF_ERROR(archive_->Prepare(sql).Bind(host.host_id).BindBits(round_id).Run());
        rows += archive_->changes();
      }
      last = round_id;
    }
    return absl::OkStatus();
  }));
  if (last == host.archived) return false;
  { const Statement done = std::move(select); }
  NOM_RETURN_IF_ERROR(Change([&]() -> absl::Status {
    const auto of_these = [&](const char* sql) {
      return ledger_->Prepare(sql)
          .Bind(host.host_id)
          .BindBits(host.archived)
          .BindBits(last)
          .Bind(book.ordinal)
          .Run();
    };
    NOM_RETURN_IF_ERROR(
        of_these("INSERT INTO archived_charges SELECT ?4, tenant_id,"
                 " SUM(settled_microcredits) + SUM(rent_microcredits), 0 FROM outcomes"
                 " WHERE host_id = ?1 AND round_id > ?2 AND round_id <= ?3 GROUP BY tenant_id"
                 " ON CONFLICT DO UPDATE SET"
                 " charged_microcredits = charged_microcredits + excluded.charged_microcredits"));
    NOM_RETURN_IF_ERROR(
        of_these("INSERT OR REPLACE INTO archived_prices"
                 " SELECT host_id, round_id, kind, unit_price_microcredits,"
                 "  best_unit_price_microcredits"
                 " FROM auctions LEFT JOIN measures USING (host_id, round_id, kind)"
                 " WHERE host_id = ?1 AND round_id > ?2 AND round_id <= ?3 AND ?4 IS NOT NULL"));
    NOM_RETURN_IF_ERROR(LeaveAsks(host, last));
    NOM_RETURN_IF_ERROR(
        ledger_->Prepare("DELETE FROM archived_prices WHERE host_id = ? AND round_id <= ?")
            .Bind(host.host_id)
            .Bind(static_cast<int64_t>(host.last) - static_cast<int64_t>(kPastPricesMax))
            .Run());
    return ledger_
        ->Prepare(
            "INSERT INTO archived_rounds VALUES (?, ?)"
            " ON CONFLICT DO UPDATE SET round_id = excluded.round_id")
        .Bind(host.host_id)
        .BindBits(last)
        .Run();
  }));
  return true;
}

// The last transaction that is to be moved.
absl::StatusOr<uint64_t> Archiver::FindEnd(const Book& book, absl::Time cutoff) {
  const uint64_t begin = book.archived.transaction_id;
  if (book.last_transaction_id <= begin + kTransactionsKept) return begin;
  const uint64_t end = book.last_transaction_id - kTransactionsKept;
  const int64_t cutoff_us = absl::ToUnixMicros(cutoff);
  uint64_t out = begin;
  int64_t first_us = 0;
  bool is_first = true;
  NOM_RETURN_IF_ERROR(
      ForEachRow(ledger_
                     ->Prepare("SELECT transaction_id, time_us FROM transactions WHERE book = ?"
                               " AND transaction_id > ? AND transaction_id <= ?"
                               " ORDER BY transaction_id LIMIT ?")
                     .Bind(book.ordinal)
                     .BindBits(begin)
                     .BindBits(end)
                     .Bind(kTransactionsAStep),
                 [&](Statement& row) {
                   if (std::exchange(is_first, false)) first_us = row.Int(1);
                   // Whatever comes before one that is old is older, whatever the clock said then.
                   if (row.Int(1) < cutoff_us) out = row.Bits(0);
                   return absl::OkStatus();
                 }));
  if (out > begin || is_first) return out;
  // A clock that ran ahead for a while must not keep all that came after it from ever going.
  Statement newest =
      ledger_->Prepare("SELECT time_us FROM transactions WHERE book = ? AND transaction_id = ?");
  NOM_RETURN_IF_ERROR(newest.Bind(book.ordinal).BindBits(end).Step().status());
  if (newest.Int(0) >= first_us) return begin;
  Statement old = ledger_->Prepare(
      "SELECT COALESCE(MAX(transaction_id), 0) FROM transactions WHERE book = ?"
      " AND transaction_id > ? AND transaction_id <= ? AND time_us < ?");
  NOM_RETURN_IF_ERROR(
      old.Bind(book.ordinal).BindBits(begin).BindBits(end).Bind(cutoff_us).Step().status());
  return std::max(begin, std::min(old.Bits(0), begin + uint64_t{kTransactionsAStep}));
}

absl::StatusOr<bool> Archiver::MoveTransactions(const Book& book, absl::Time cutoff) {
  const uint64_t begin = book.archived.transaction_id;
  NOM_ASSIGN_OR_RETURN(const uint64_t end, FindEnd(book, cutoff));
  if (end == begin) return false;
  ChainHead head{begin, book.archived.digest};
  Purses purses;
  NOM_RETURN_IF_ERROR(ForEach<PurseRow>(
      *ledger_, "archived_purses WHERE book = ?",
      [&](const PurseRow& row) { purses[row.owner] = row.purse; }, book.ordinal));
  std::vector<Entry> entries;
  NOM_RETURN_IF_ERROR(Copy([&]() -> absl::Status {
    int64_t rows = 0;
    uint64_t last = begin;
    while (last < end && rows < kRowsAStep) {
      ++last;
      for (const char* sql : {Copies("transactions"), Copies("entries"), Copies("events")}) {
        NOM_RETURN_IF_ERROR(archive_->Prepare(sql).Bind(book.ordinal).BindBits(last).Run());
        rows += archive_->changes();
      }
    }
    // What is in the archive now is what the chain says, and only then anything is deleted.
    LedgerFiles files(*ledger_, *archive_);
    NOM_RETURN_IF_ERROR(ReadChain(
        files, book.ordinal, last, begin, last - begin,
        [&](const ChainedTransaction& transaction) -> absl::Status {
          if (transaction.transaction_id != head.transaction_id + 1 ||
              NextDigest(head.digest, transaction) != transaction.digest) {
            return absl::DataLossError(absl::StrCat("ledger ", ledger_->path(), ": transaction ",
                                                    transaction.transaction_id, " does not follow ",
                                                    head.transaction_id, " as its digest says"));
          }
          head = {transaction.transaction_id, transaction.digest};
          for (const Entry& entry : transaction.entries) {
            NOM_RETURN_IF_ERROR(Post(entry, purses));
          }
          return absl::OkStatus();
        }));
    if (head.transaction_id == last) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat("ledger ", ledger_->path(), ": transaction ",
                                            head.transaction_id + 1, " is not there"));
  }));
  NOM_RETURN_IF_ERROR(Change([&]() -> absl::Status {
    NOM_RETURN_IF_ERROR(
        ledger_
            ->Prepare("INSERT INTO archived VALUES (?, ?, ?, 0, 0) ON CONFLICT DO UPDATE SET"
                      " transaction_id = excluded.transaction_id, digest = excluded.digest")
            .Bind(book.ordinal)
            .BindBits(head.transaction_id)
            .Bind(head.digest)
            .Run());
    for (const auto& [owner, purse] : purses) {
      NOM_RETURN_IF_ERROR(ledger_
                              ->Prepare("INSERT OR REPLACE INTO archived_purses"
                                        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
                              .Bind(book.ordinal)
                              .Bind(owner)
                              .Bind(purse.available)
                              .Bind(purse.escrow)
                              .Bind(purse.arrears)
                              .Bind(purse.transit)
                              .Bind(purse.revenue)
                              .Bind(purse.issued)
                              .Bind(purse.deposited)
                              .Bind(purse.spent)
                              .Bind(purse.earned)
                              .Run());
    }
    return absl::OkStatus();
  }));
  return true;
}

absl::StatusOr<bool> Archiver::GiveBackPages() {
  NOM_ASSIGN_OR_RETURN(const int64_t free, FreePages());
  NOM_ASSIGN_OR_RETURN(const int64_t all, Pages());
  NOM_ASSIGN_OR_RETURN(const int64_t mode, ledger_->QueryInt("PRAGMA auto_vacuum"));
  constexpr int64_t kIncremental = 2;
  // A file of before that was so keeps its pages, and writes on them again.
  if (mode != kIncremental || free < kPagesFreeMin || free * 4 < all) return false;
  NOM_RETURN_IF_ERROR(Change([&]() -> absl::Status {
    Statement give = ledger_->Prepare("PRAGMA incremental_vacuum(64)");
    static_assert(kPagesAStep == 64);
    // One row for each page, where SQLite gives any.
    return ForEachRow(give, [](Statement&) { return absl::OkStatus(); });
  }));
  return true;
}

ArchiverThread::ArchiverThread(Options options, std::mutex& writing)
    : options_(std::move(options)), writing_(writing), thread_([this] { Run(); }) {}

ArchiverThread::~ArchiverThread() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  ended_.notify_all();
  thread_.join();
}

ArchiveFigures ArchiverThread::figures() const {
  std::lock_guard lock(mutex_);
  return figures_;
}

bool ArchiverThread::WaitFor(absl::Duration pause) {
  std::unique_lock lock(mutex_);
  return !ended_.wait_for(lock, absl::ToChronoMicroseconds(pause), [this] { return ending_; });
}

absl::Status ArchiverThread::ArchiveAll(std::unique_ptr<Archiver>& archiver) {
  if (archiver == nullptr) {
    NOM_ASSIGN_OR_RETURN(archiver, Archiver::Open(options_.path, options_.archive_path,
                                                  options_.sync_to_disk, writing_));
  }
  for (;;) {
    const absl::Time now = options_.now();
    const uint64_t before = archiver->rows_moved();
    NOM_ASSIGN_OR_RETURN(const bool did, archiver->Step(now - options_.retention));
    if (!did) return absl::OkStatus();
    {
      std::lock_guard lock(mutex_);
      figures_.rows_moved += archiver->rows_moved() - before;
      figures_.moved = now;
    }
    if (!WaitFor(std::max(kPauseMin, kShare * archiver->held()))) return absl::OkStatus();
  }
}

void ArchiverThread::Run() {
  const absl::Duration look = std::clamp(options_.retention / 16, kLookMin, kLookMax);
  std::unique_ptr<Archiver> archiver;
  std::string told;  // What is wrong: said once.
  for (;;) {
    const absl::Status status = ArchiveAll(archiver);
    if (!status.ok()) {
      archiver = nullptr;
      {
        std::lock_guard lock(mutex_);
        ++figures_.failures;
      }
      if (told != status.message()) {
        told = std::string(status.message());
        marketd::Log(marketd::LogLevel::kError, "archive_failed",
                     {{"archive", options_.archive_path}, {"msg", told}});
      }
    } else if (!told.empty()) {
      told.clear();
      marketd::Log(marketd::LogLevel::kInfo, "archive_works_again",
                   {{"archive", options_.archive_path}});
    }
    if (!WaitFor(status.ok() ? look : std::min(look, kPauseAfterError))) return;
  }
}

}  // namespace nom::market
