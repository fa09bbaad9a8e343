// Holds the books against themselves: balances rebuilt from entries, rounds cleared again.

#ifndef MARKETD_MARKET_AUDIT_H_
#define MARKETD_MARKET_AUDIT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "marketd/market/clearing.h"
#include "marketd/market/ledger.h"

namespace nom::market {

inline constexpr size_t kFindingsMax = 100;

struct AuditResult {
  std::vector<std::string> findings;  // What does not agree, at most kFindingsMax. Empty: all does.
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

// Checks: each tenant's entries sum to zero in each transaction; balances rebuilt from entries
// equal those stored; none is on the wrong side of zero; and the newest `rounds_max` rounds (0:
// all), cleared again from their record within the work that it says, give the same awards and
// charges. May be called from any
// thread and takes as long as the ledger is big. Errors: what the reader says.
absl::StatusOr<AuditResult> Audit(LedgerReader& reader, uint64_t rounds_max,
                                  const ClearFunction& clear);

}  // namespace nom::market

#endif  // MARKETD_MARKET_AUDIT_H_
