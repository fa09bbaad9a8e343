// SPDX-License-Identifier: Apache-2.0
// Holds the books against themselves: the chain, balances rebuilt from entries, statements rebuilt
// from outcomes, rounds cleared again.

#ifndef MARKETD_MARKET_AUDIT_H_
#define MARKETD_MARKET_AUDIT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "marketd/market/decision.h"
#include "marketd/market/ledger.h"

namespace nom::market {

inline constexpr size_t kFindingsMax = 100;

struct AuditResult {
  std::vector<std::string> findings;  // What does not agree, at most kFindingsMax. Empty: all does.
  std::map<BookId, ChainHead> heads;  // The last transaction of each book that was looked at.
  uint64_t transactions = 0;
  uint64_t entries = 0;
  Microcredits revenue_microcredits = 0;   // Of the operator, arrears included.
  Microcredits deposits_microcredits = 0;  // Put in less taken out.
  uint64_t rounds_replayed = 0;
  uint64_t auctions_replayed = 0;
  // Decided by repeating the last awards, as the rule had failed: nothing to clear again.
  uint64_t auctions_repeated = 0;

  bool balanced() const { return findings.empty(); }
};

// How far a book was found good, and what it said up to there.
struct BookMark {
  ChainHead head;
  Purses rebuilt;                                  // From entries.
  std::map<TenantId, Microcredits> closed_rounds;  // Charged by outcomes of closed rounds.
  std::set<std::pair<HostId, RoundId>> open_rounds;
  AuditResult counts;  // Without findings and heads.
};

// The same of all books of a ledger: the next audit goes on from it. Begins empty, and belongs to
// one ledger.
struct AuditMark {
  std::map<BookId, BookMark> books;
};

// Checks, of what was written since `mark`: ids follow each other and each digest follows from the
// one before (chain.h); every entry is one that could be posted (accounts.h); rounds, cleared again
// from their record within the work that it says, give the same awards and charges. And of all: the
// purses are what the entries add up to, and keep their promises; what a tenant's outcomes charged
// and what it paid for leaving contracts is what its purse says was spent; and what owners have in
// transit over all books is what was sent and is not accepted. An archive is looked at like the
// rest, and what the ledger carried over from it is what it adds up to; one that can't be read is
// something that was found.
//
// Moves `mark` if all was good, otherwise empties it. May be called from any thread, with one mark
// at a time. `cancelled` (may be empty) is asked between any two transactions: CANCELLED. Other
// errors: what the reader says.
absl::StatusOr<AuditResult> Audit(LedgerReader& reader, const ClearFunctions& clear,
                                  AuditMark& mark,
                                  const std::function<bool()>& cancelled = nullptr);

// All of it, from the first transaction.
absl::StatusOr<AuditResult> Audit(LedgerReader& reader, const ClearFunctions& clear);

// The chain and the sums of all books, without clearing anything again; what is in an archive is
// taken as it was carried over from there. From any thread, while others write; a ledger is held
// for some thousand transactions at a time. DATA_LOSS says what is wrong; CANCELLED; what the
// reader says.
absl::Status ProveAll(LedgerReader& reader, const std::function<bool()>& cancelled);

// The same of what is in an archive, and that the ledger goes on from it. OK if there is none.
// FAILED_PRECONDITION: it can't be read, or does not add up in itself. DATA_LOSS: it does, and the
// ledger carried something else over from it.
absl::Status ProveArchive(LedgerReader& reader, const std::function<bool()>& cancelled);

// The chain and the sums alone, without clearing anything again: what a ledger shows of itself when
// it is loaded. Of the last `transactions_max` transactions; of all that are in no archive if there
// are no more: only then are balances held against entries, and outcomes against accounts.
// DATA_LOSS says what is wrong.
absl::Status ProveLedger(LedgerSnapshot& snapshot, uint64_t transactions_max);

}  // namespace nom::market

#endif  // MARKETD_MARKET_AUDIT_H_
