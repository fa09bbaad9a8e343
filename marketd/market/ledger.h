// Where the market's truth is kept. The market owns this interface; marketd/ledger implements it.

#ifndef MARKETD_MARKET_LEDGER_H_
#define MARKETD_MARKET_LEDGER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "marketd/market/state.h"
#include "marketd/market/transaction.h"

namespace nom::market {

// What a reader may ask of a ledger, from any thread, while another commits. A reader sees whole
// transactions only.
class LedgerReader {
 public:
  virtual ~LedgerReader() = default;

  // Rounds of a host below `before_round_id` (0: all), newest first, at most `limit`. Rounds whose
  // guests were evicted since are complete.
  virtual absl::StatusOr<std::vector<Round>> ListRounds(const HostId& host_id,
                                                        RoundId before_round_id, int limit) = 0;

  // NOT_FOUND if there was no such round, or the resource was not sold in it.
  virtual absl::StatusOr<AuctionRecord> GetAuction(const HostId& host_id, RoundId round_id,
                                                   ResourceKind kind) = 0;

  struct Counts {
    uint64_t transactions = 0;
    uint64_t entries = 0;
    uint64_t rounds = 0;
  };

  // A consistent picture for an audit: balances as stored, and every entry in order, all from one
  // instant. `visit` gets (transaction_id, entry); an error from it ends the reading.
  virtual absl::StatusOr<std::map<TenantId, Balances>> ReadBooks(
      const std::function<absl::Status(uint64_t, const Entry&)>& visit, Counts* counts) = 0;

  // The auctions of the newest `rounds_max` rounds of all hosts (0: every round), newest first,
  // with the round each belongs to.
  virtual absl::Status ReadAuctions(
      uint64_t rounds_max,
      const std::function<absl::Status(const AuctionRecord&, const Round&)>& visit) = 0;
};

class Ledger {
 public:
  virtual ~Ledger() = default;

  // All that the engine starts from. Errors: DATA_LOSS names what does not add up.
  virtual absl::StatusOr<State> Load() = 0;

  // Makes transactions durable in order, each wholly or not at all; on an error a prefix of them
  // may be, and the caller can't go on. Their ids must follow the last one committed through this
  // object (FAILED_PRECONDITION): a gap is a mistake of the caller's. That no other process writes
  // is seen to when the ledger is opened.
  virtual absl::Status Commit(absl::Span<const Transaction> transactions) = 0;

  // A reader of its own. Lives no longer than the ledger.
  virtual LedgerReader& reader() = 0;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_LEDGER_H_
