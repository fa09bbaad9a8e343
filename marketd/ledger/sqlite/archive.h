// SPDX-License-Identifier: Apache-2.0
// An archive: a second SQLite file, to which a ledger's old rows go so that the ledger stays small.
//
// It has the same tables as the ledger, for what never changes any more: transactions with their
// entries and events, closed rounds with their auctions and outcomes, ended contracts, closed
// offers. The ledger says up to where the archive has taken over (`archived`, `archived_rounds`),
// and the chain of digests goes through both: that is what proves an archive. Rows beyond that are
// copies of something that was cut short, and count for nothing.

#ifndef MARKETD_LEDGER_SQLITE_ARCHIVE_H_
#define MARKETD_LEDGER_SQLITE_ARCHIVE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "marketd/ledger/sqlite/database.h"
#include "marketd/market/ledger.h"

namespace nom::market {

// Where an archive is unless it is said: beside its ledger.
std::string DefaultArchivePath(const std::string& ledger_path);

// Of one book, as the ledger has it; all zeros if nothing was moved.
struct ArchivedBook {
  uint64_t transaction_id = 0;
  std::string digest;
  uint64_t last_contract_id = 0;
  uint64_t last_offer_id = 0;
};
absl::StatusOr<ArchivedBook> ReadArchivedBook(Database& ledger, int64_t book);
// The last round of a host that is in the archive; 0: none.
absl::StatusOr<RoundId> ReadArchivedRound(Database& ledger, const HostId& host_id);
// True if anything was moved: then there has to be an archive.
absl::StatusOr<bool> HasArchive(Database& ledger);
absl::StatusOr<std::map<TenantId, Microcredits>> ReadArchivedFees(Database& ledger, int64_t book);

// Makes an archive for that ledger if there is no file or an empty one. Errors: what the system
// says, with the path.
absl::Status MakeArchive(Database& ledger, const std::string& path);

// Brings the archive of that ledger, if there is one, from an older version up to this one: wholly,
// or not at all. What is no archive of the ledger is left as it is.
absl::Status UpgradeArchive(Database& ledger, const std::string& path);

// Opens the archive of that ledger. FAILED_PRECONDITION, with the path and what to do: it is not
// there, is no archive, or another ledger's, or does not have what the ledger moved to it.
absl::StatusOr<std::unique_ptr<Database>> OpenArchive(Database& ledger, const std::string& path,
                                                      Database::Mode mode);

// Whether an archive could be kept there, without opening anything as SQLite would: the folder can
// be written, and a file that is there is an archive that can be. Errors say what is wrong.
absl::Status CheckArchivePath(const std::string& path);

// A ledger's file and its archive, as one connection to each: for one thread at a time. The archive
// is opened when it is first needed.
class LedgerFiles {
 public:
  // `ledger` outlives this.
  LedgerFiles(Database& ledger, std::string archive_path)
      : ledger_(ledger), archive_path_(std::move(archive_path)) {}
  // With an archive that is open already, and outlives this.
  LedgerFiles(Database& ledger, Database& archive) : ledger_(ledger), archive_(&archive) {}

  Database& ledger() { return ledger_; }
  absl::StatusOr<Database*> Archive();
  // Where that round is to be read.
  absl::StatusOr<Database*> OfRound(const HostId& host_id, RoundId round_id);

 private:
  Database& ledger_;
  const std::string archive_path_;
  std::unique_ptr<Database> opened_;
  Database* archive_ = nullptr;
};

// Those above `after` by rising id, at most `limit`, as far as the chain covers them.
absl::Status ReadChain(LedgerFiles& files, int64_t book, uint64_t after, uint64_t limit,
                       const std::function<absl::Status(const ChainedTransaction&)>& visit);
// The same, where the archive ends at another transaction than the ledger says by now.
absl::Status ReadChain(LedgerFiles& files, int64_t book, uint64_t archived_through, uint64_t after,
                       uint64_t limit,
                       const std::function<absl::Status(const ChainedTransaction&)>& visit);
absl::StatusOr<Carried> ReadCarried(LedgerFiles& files, int64_t book);

// See LedgerSnapshot.
absl::StatusOr<std::vector<LoggedEvent>> ReadEvents(LedgerFiles& files, int64_t book,
                                                    const TenantId& tenant_id,
                                                    const NewestBelow& which);
absl::StatusOr<AccountStatement> ReadStatement(LedgerFiles& files, int64_t book,
                                               const TenantId& tenant_id, const NewestBelow& which);
absl::StatusOr<std::vector<Contract>> ReadEndedContracts(LedgerFiles& files, int64_t book,
                                                         const TenantId& tenant_id,
                                                         GuestId guest_id, ContractId before,
                                                         int limit);
// See LedgerReader.
absl::StatusOr<std::vector<Round>> ListRounds(LedgerFiles& files, const HostId& host_id,
                                              RoundId before_round_id, int limit);
absl::StatusOr<std::vector<Round>> ListPrices(LedgerFiles& files, const PricesWanted& wanted);

}  // namespace nom::market

#endif  // MARKETD_LEDGER_SQLITE_ARCHIVE_H_
