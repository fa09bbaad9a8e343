// SPDX-License-Identifier: Apache-2.0
#include "marketd/ledger/sqlite/archive.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"
#include "marketd/ledger/sqlite/new_file.h"
#include "marketd/ledger/sqlite/schema.h"
#include "marketd/ledger/sqlite/schema_upgrades.h"
#include "marketd/ledger/sqlite/select.h"
#include "marketd/ledger/sqlite/tables.h"

namespace nom::market {
namespace {

constexpr int32_t kArchiveApplicationId = 0x4e6f4d41;  // "NoMA"

absl::Status Wrong(const std::string& path, const std::string& what) {
  return absl::FailedPreconditionError(absl::StrCat("archive ", path, ": ", what));
}

// The ledger's own tables and indexes, but for its triggers: what is said twice differs one day.
absl::Status MakeArchiveTables(Database& archive, const std::string& ledger_id) {
  NOM_ASSIGN_OR_RETURN(const std::unique_ptr<Database> model,
                       Database::Open(":memory:", Database::Mode::kCreate));
  NOM_RETURN_IF_ERROR(MakeLedgerTables(*model));
  std::vector<std::string> statements;
  NOM_RETURN_IF_ERROR(ForEachRow(
      model->Prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL"
                     " AND type IN ('table', 'index') AND tbl_name IN"
                     " ('identity', 'transactions', 'entries', 'events', 'rounds', 'auctions',"
                     "  'measures', 'joint_auctions', 'outcomes', 'contracts', 'lots', 'offers',"
                     "  'offer_lots')"
                     " AND name NOT IN ('contracts_open', 'contracts_with_fees', 'offers_open')"
                     " ORDER BY type DESC"),
      [&statements](Statement& row) {
        statements.push_back(row.Text(0));
        return absl::OkStatus();
      }));
  for (const std::string& sql : statements) NOM_RETURN_IF_ERROR(archive.Execute(sql.c_str()));
  return archive.Prepare("INSERT INTO identity VALUES (1, ?)").Bind(ledger_id).Run();
}

// Finds out that an archive is not the one that the ledger goes on from.
absl::Status HoldAgainst(Database& ledger, Database& archive) {
  const std::string& path = archive.path();
  NOM_ASSIGN_OR_RETURN(const int64_t application, archive.QueryInt("PRAGMA application_id"));
  if (application != kArchiveApplicationId) return Wrong(path, "is no archive of a ledger");
  NOM_ASSIGN_OR_RETURN(const int64_t version, archive.QueryInt("PRAGMA user_version"));
  if (version != kSchemaVersion) {
    return Wrong(path, absl::StrCat("has schema version ", version, "; this marketd reads ",
                                    kSchemaVersion));
  }
  NOM_ASSIGN_OR_RETURN(const std::string mine, ledger.QueryText("SELECT ledger_id FROM identity"));
  NOM_ASSIGN_OR_RETURN(const std::string its, archive.QueryText("SELECT ledger_id FROM identity"));
  if (mine != its) {
    return Wrong(path,
                 absl::StrCat("is the archive of ledger ", its, ", and this is ledger ", mine));
  }
  return ForEachRow(
      ledger.Prepare("SELECT book, transaction_id, digest FROM archived"),
      [&](Statement& row) -> absl::Status {
        TransactionRow last;
        NOM_RETURN_IF_ERROR(ReadOne(archive, "transactions WHERE book = ? AND transaction_id = ?",
                                    last, row.Int(0), row.Bits(1))
                                .status());
        if (last.transaction.digest == row.Text(2)) return absl::OkStatus();
        return Wrong(path,
                     absl::StrCat("does not have transaction ", row.Bits(1),
                                  " as the ledger goes on from it: it is an older copy, or "
                                  "was changed; put back the one that belongs to the ledger"));
      });
}

// Merges what was read of two files of one transaction.
template <typename T, typename Less>
void SortBy(std::vector<T>& items, const Less& less) {
  std::stable_sort(items.begin(), items.end(), less);
}

int CountTransactions(const auto& logged) {
  int count = 0;
  uint64_t last = 0;
  for (const auto& item : logged) {
    if (item.transaction_id != last) ++count;
    last = item.transaction_id;
  }
  return count;
}

// The newest of the ledger, then those of the archive, until there are enough.
template <typename Read>
auto ReadBoth(LedgerFiles& files, int64_t book, const NewestBelow& which, const Read& read)
    -> decltype(read(files.ledger(), Between())) {
  NOM_ASSIGN_OR_RETURN(const ArchivedBook archived, ReadArchivedBook(files.ledger(), book));
  const uint64_t through = archived.transaction_id;
  NOM_ASSIGN_OR_RETURN(auto out,
                       read(files.ledger(), Between{.above = through,
                                                    .below = which.before,
                                                    .transactions_max = which.transactions_max}));
  const int left = which.transactions_max - CountTransactions(out);
  if (left <= 0 || through == 0) return out;
  const uint64_t below = which.before == 0 ? through + 1 : std::min(which.before, through + 1);
  if (below <= 1) return out;
  NOM_ASSIGN_OR_RETURN(Database* const archive, files.Archive());
  NOM_ASSIGN_OR_RETURN(auto older,
                       read(*archive, Between{.below = below, .transactions_max = left}));
  std::move(older.begin(), older.end(), std::back_inserter(out));
  return out;
}

}  // namespace

std::string DefaultArchivePath(const std::string& ledger_path) { return ledger_path + ".archive"; }

absl::StatusOr<ArchivedBook> ReadArchivedBook(Database& ledger, int64_t book) {
  ArchivedBook out;
  NOM_RETURN_IF_ERROR(ForEachRow(
      ledger
          .Prepare("SELECT transaction_id, digest, last_contract_id, last_offer_id FROM archived"
                   " WHERE book = ?")
          .Bind(book),
      [&out](Statement& row) {
        out = {row.Bits(0), row.Text(1), row.Bits(2), row.Bits(3)};
        return absl::OkStatus();
      }));
  return out;
}

absl::StatusOr<RoundId> ReadArchivedRound(Database& ledger, const HostId& host_id) {
  RoundId out = 0;
  NOM_RETURN_IF_ERROR(ForEachRow(
      ledger.Prepare("SELECT round_id FROM archived_rounds WHERE host_id = ?").Bind(host_id),
      [&out](Statement& row) {
        out = row.Bits(0);
        return absl::OkStatus();
      }));
  return out;
}

absl::StatusOr<bool> HasArchive(Database& ledger) {
  NOM_ASSIGN_OR_RETURN(
      const int64_t has,
      ledger.QueryInt("SELECT EXISTS (SELECT 1 FROM archived WHERE transaction_id > 0)"));
  return has != 0;
}

absl::StatusOr<std::map<TenantId, Microcredits>> ReadArchivedFees(Database& ledger, int64_t book) {
  std::map<TenantId, Microcredits> out;
  NOM_RETURN_IF_ERROR(
      ForEachRow(ledger
                     .Prepare("SELECT tenant_id, fees_microcredits FROM archived_charges"
                              " WHERE book = ? AND fees_microcredits <> 0")
                     .Bind(book),
                 [&out](Statement& row) {
                   out[row.Text(0)] = row.Int(1);
                   return absl::OkStatus();
                 }));
  return out;
}

absl::Status MakeArchive(Database& ledger, const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) == 0 && info.st_size > 0) return absl::OkStatus();
  NOM_ASSIGN_OR_RETURN(const bool has_one, HasArchive(ledger));
  // An empty one in its place would hide that the old one is missing.
  if (has_one) return OpenArchive(ledger, path, Database::Mode::kReadOnly).status();
  NOM_ASSIGN_OR_RETURN(const std::string id, ledger.QueryText("SELECT ledger_id FROM identity"));
  return MakeDatabase(path, kArchiveApplicationId, kSchemaVersion,
                      [&id](Database& archive) { return MakeArchiveTables(archive, id); });
}

absl::Status UpgradeArchive(Database& ledger, const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0 || info.st_size == 0) return absl::OkStatus();
  NOM_ASSIGN_OR_RETURN(const std::unique_ptr<Database> archive,
                       Database::Open(path, Database::Mode::kReadWrite));
  NOM_ASSIGN_OR_RETURN(const int64_t application, archive->QueryInt("PRAGMA application_id"));
  NOM_ASSIGN_OR_RETURN(const int64_t version, archive->QueryInt("PRAGMA user_version"));
  if (application != kArchiveApplicationId || version < kSchemaVersionWithArchive ||
      version >= kSchemaVersion) {
    return absl::OkStatus();
  }
  NOM_ASSIGN_OR_RETURN(const std::string mine, ledger.QueryText("SELECT ledger_id FROM identity"));
  NOM_ASSIGN_OR_RETURN(const std::string its, archive->QueryText("SELECT ledger_id FROM identity"));
  if (mine != its) return absl::OkStatus();
  NOM_RETURN_IF_ERROR(archive->Execute("BEGIN IMMEDIATE"));
  absl::Status status;
  if (version < 11) {
    status = archive->Execute(kUpgradeFrom10Sql);
    if (status.ok()) status = archive->Execute(kMeasuresSql);
  }
  if (status.ok()) {
    status = archive->Execute(
        absl::StrCat("PRAGMA user_version = ", kSchemaVersion, "; COMMIT").c_str());
  }
  if (!status.ok()) (void)archive->Execute("ROLLBACK");
  return status;
}

absl::StatusOr<std::unique_ptr<Database>> OpenArchive(Database& ledger, const std::string& path,
                                                      Database::Mode mode) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0 || info.st_size == 0) {
    return Wrong(path, absl::StrCat(errno == ENOENT ? "is not there" : "can't be read",
                                    ", and the ledger's old transactions and rounds are in it: put "
                                    "it back, or say where it is (archive, in the configuration)"));
  }
  absl::StatusOr<std::unique_ptr<Database>> archive = Database::Open(path, mode);
  absl::Status status = archive.status();
  if (status.ok()) status = HoldAgainst(ledger, **archive);
  // Damage to an archive is none to the ledger: who asked for what is in it is told, and the market
  // goes on.
  if (absl::IsDataLoss(status)) return Wrong(path, std::string(status.message()));
  if (!status.ok()) return status;
  return archive;
}

absl::Status CheckArchivePath(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  if (access(folder.c_str(), W_OK | X_OK) != 0) {
    return Wrong(path, absl::StrCat("its folder can't be written: ", std::strerror(errno)));
  }
  const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) {
    if (errno == ENOENT) return absl::OkStatus();
    return Wrong(path, std::strerror(errno));
  }
  // Where SQLite keeps the application id (https://sqlite.org/fileformat.html), big-endian.
  std::array<unsigned char, 72> head{};
  const ssize_t got = pread(file, head.data(), head.size(), 0);
  close(file);
  const int32_t id = static_cast<int32_t>(uint32_t{head[68]} << 24 | uint32_t{head[69]} << 16 |
                                          uint32_t{head[70]} << 8 | uint32_t{head[71]});
  if (got == 0 || id == kArchiveApplicationId) return absl::OkStatus();
  return Wrong(path, "is no archive of a ledger");
}

absl::StatusOr<Database*> LedgerFiles::Archive() {
  if (archive_ == nullptr) {
    NOM_ASSIGN_OR_RETURN(opened_, OpenArchive(ledger_, archive_path_, Database::Mode::kReadOnly));
    archive_ = opened_.get();
  }
  return archive_;
}

absl::StatusOr<Database*> LedgerFiles::OfRound(const HostId& host_id, RoundId round_id) {
  NOM_ASSIGN_OR_RETURN(const RoundId archived, ReadArchivedRound(ledger_, host_id));
  if (round_id > archived) return &ledger_;
  return Archive();
}

absl::Status ReadChain(LedgerFiles& files, int64_t book, uint64_t after, uint64_t limit,
                       const std::function<absl::Status(const ChainedTransaction&)>& visit) {
  NOM_ASSIGN_OR_RETURN(const ArchivedBook archived, ReadArchivedBook(files.ledger(), book));
  return ReadChain(files, book, archived.transaction_id, after, limit, visit);
}

absl::Status ReadChain(LedgerFiles& files, int64_t book, uint64_t archived_through, uint64_t after,
                       uint64_t limit,
                       const std::function<absl::Status(const ChainedTransaction&)>& visit) {
  Database& ledger = files.ledger();
  // Rounds go over host by host, each in its order.
  const auto is_archived = [&ledger](const Round& round) -> absl::StatusOr<bool> {
    NOM_ASSIGN_OR_RETURN(const RoundId archived, ReadArchivedRound(ledger, round.host_id));
    return round.round_id <= archived;
  };
  const auto is_left = [&is_archived](const Round& round) -> absl::StatusOr<bool> {
    NOM_ASSIGN_OR_RETURN(const bool archived, is_archived(round));
    return !archived;
  };
  if (after < archived_through) {
    NOM_ASSIGN_OR_RETURN(Database* const archive, files.Archive());
    uint64_t read = 0;
    NOM_RETURN_IF_ERROR(ReadTransactionLines(
        *archive, book, after, limit, archived_through,
        [&](ChainedTransaction&& transaction) -> absl::Status {
          ++read;
          NOM_RETURN_IF_ERROR(AddEntries(*archive, book, transaction));
          NOM_RETURN_IF_ERROR(AddEvents(*archive, book, transaction));
          NOM_RETURN_IF_ERROR(AddRounds(*archive, book, is_archived, transaction));
          NOM_RETURN_IF_ERROR(AddRounds(ledger, book, is_left, transaction));
          SortBy(transaction.decided, [](const PutRound& a, const PutRound& b) {
            return a.round.host_id < b.round.host_id;
          });
          // A contract that is here is here alone, or is about to be deleted.
          NOM_RETURN_IF_ERROR(AddContracts(ledger, book, transaction));
          std::set<ContractId> here;
          for (const Contract& contract : transaction.opened) here.insert(contract.contract_id);
          ChainedTransaction there{.transaction_id = transaction.transaction_id};
          NOM_RETURN_IF_ERROR(AddContracts(*archive, book, there));
          for (Contract& contract : there.opened) {
            if (here.contains(contract.contract_id)) continue;
            transaction.opened.push_back(std::move(contract));
          }
          SortBy(transaction.opened, [](const Contract& a, const Contract& b) {
            return a.contract_id < b.contract_id;
          });
          return visit(transaction);
        }));
    limit -= std::min(limit, read);
    if (limit == 0) return absl::OkStatus();
    // What the archive lacks is not made up for by what comes after it: the chain will say so.
  }
  return ReadTransactionLines(ledger, book, std::max(after, archived_through), limit, UINT64_MAX,
                              [&](ChainedTransaction&& transaction) -> absl::Status {
                                NOM_RETURN_IF_ERROR(AddEntries(ledger, book, transaction));
                                NOM_RETURN_IF_ERROR(AddRounds(ledger, book, is_left, transaction));
                                NOM_RETURN_IF_ERROR(AddEvents(ledger, book, transaction));
                                NOM_RETURN_IF_ERROR(AddContracts(ledger, book, transaction));
                                return visit(transaction);
                              });
}

absl::StatusOr<Carried> ReadCarried(LedgerFiles& files, int64_t book) {
  Database& ledger = files.ledger();
  Carried out;
  NOM_ASSIGN_OR_RETURN(ArchivedBook archived, ReadArchivedBook(ledger, book));
  out.through = {archived.transaction_id, std::move(archived.digest)};
  if (archived.transaction_id == 0) return out;
  NOM_RETURN_IF_ERROR(ForEach<PurseRow>(
      ledger, "archived_purses WHERE book = ?",
      [&](const PurseRow& row) { out.purses[row.owner] = row.purse; }, book));
  NOM_RETURN_IF_ERROR(ForEachRow(
      ledger.Prepare("SELECT tenant_id, charged_microcredits FROM archived_charges WHERE book = ?")
          .Bind(book),
      [&out](Statement& row) {
        out.charged[row.Text(0)] = row.Int(1);
        return absl::OkStatus();
      }));
  NOM_RETURN_IF_ERROR(ForEachRow(
      ledger
          .Prepare("SELECT host_id, round_id FROM rounds r INDEXED BY rounds_by_transaction"
                   " WHERE book = ?1 AND transaction_id <= ?2 AND round_id > COALESCE("
                   "  (SELECT a.round_id FROM archived_rounds a WHERE a.host_id = r.host_id), 0)")
          .Bind(book)
          .BindBits(archived.transaction_id),
      [&out](Statement& row) {
        out.rounds_left.emplace(row.Text(0), row.Bits(1));
        return absl::OkStatus();
      }));
  out.archive = files.Archive().status();
  return out;
}

absl::StatusOr<std::vector<LoggedEvent>> ReadEvents(LedgerFiles& files, int64_t book,
                                                    const TenantId& tenant_id,
                                                    const NewestBelow& which) {
  return ReadBoth(files, book, which, [&](Database& db, const Between& between) {
    return ReadEvents(db, book, tenant_id, between);
  });
}

absl::StatusOr<AccountStatement> ReadStatement(LedgerFiles& files, int64_t book,
                                               const TenantId& tenant_id,
                                               const NewestBelow& which) {
  AccountStatement out;
  PurseRow purse;
  NOM_RETURN_IF_ERROR(
      ReadOne(files.ledger(), "purses WHERE book = ? AND owner = ?", purse, book, tenant_id)
          .status());
  out.purse = purse.purse;
  NOM_ASSIGN_OR_RETURN(out.entries,
                       ReadBoth(files, book, which, [&](Database& db, const Between& between) {
                         return ReadEntries(db, book, tenant_id, between);
                       }));
  return out;
}

// Contracts go to the archive as they end, long ones after short ones that were opened later: so
// both files are asked, and a contract that is just on its way may be in both.
absl::StatusOr<std::vector<Contract>> ReadEndedContracts(LedgerFiles& files, int64_t book,
                                                         const TenantId& tenant_id,
                                                         GuestId guest_id, ContractId before,
                                                         int limit) {
  NOM_ASSIGN_OR_RETURN(
      std::vector<Contract> out,
      ReadEndedContracts(files.ledger(), book, tenant_id, guest_id, before, limit));
  NOM_ASSIGN_OR_RETURN(const bool has_archive, HasArchive(files.ledger()));
  if (!has_archive) return out;
  NOM_ASSIGN_OR_RETURN(Database* const archive, files.Archive());
  NOM_ASSIGN_OR_RETURN(std::vector<Contract> older,
                       ReadEndedContracts(*archive, book, tenant_id, guest_id, before, limit));
  std::move(older.begin(), older.end(), std::back_inserter(out));
  SortBy(out, [](const Contract& a, const Contract& b) { return a.contract_id > b.contract_id; });
  const auto same = [](const Contract& a, const Contract& b) {
    return a.contract_id == b.contract_id;
  };
  out.erase(std::unique(out.begin(), out.end(), same), out.end());
  if (out.size() > static_cast<size_t>(limit)) out.resize(static_cast<size_t>(limit));
  return out;
}

absl::StatusOr<std::vector<Round>> ListRounds(LedgerFiles& files, const HostId& host_id,
                                              RoundId before_round_id, int limit) {
  std::vector<Round> rounds;
  NOM_ASSIGN_OR_RETURN(const RoundId archived, ReadArchivedRound(files.ledger(), host_id));
  // Those of one file above and below the two; then they are completed.
  const auto list = [&](Database& db, RoundId above, RoundId below) -> absl::Status {
    Statement select = db.Prepare(
        "SELECT round_id FROM rounds WHERE host_id = ? AND round_id > ? AND round_id < ?"
        " ORDER BY round_id DESC LIMIT ?");
    select.Bind(host_id)
        .BindBits(above)
        .BindBits(std::min(below, uint64_t{INT64_MAX}))
        .Bind(limit - static_cast<int64_t>(rounds.size()));
    return ForEachRow(select, [&](Statement& row) {
      rounds.push_back(Round{.host_id = host_id, .round_id = row.Bits(0)});
      return ReadRound(db, rounds.back());
    });
  };
  const RoundId before = before_round_id == 0 ? uint64_t{INT64_MAX} : before_round_id;
  if (before > archived + 1) NOM_RETURN_IF_ERROR(list(files.ledger(), archived, before));
  const RoundId older = std::min(before, archived + 1);
  if (older <= 1 || rounds.size() >= static_cast<size_t>(limit)) return rounds;
  NOM_ASSIGN_OR_RETURN(Database* const archive, files.Archive());
  NOM_RETURN_IF_ERROR(list(*archive, 0, older));
  return rounds;
}

}  // namespace nom::market
