// SPDX-License-Identifier: Apache-2.0
// Whose a bid is. A lease is one program's right to keep bids: it has a fence, and of two fences
// that write to the same bid the higher wins for good. What is durable is the fence and sequence of
// each bid's last writer (State::bid_fences); that a lease still lives is known here alone, so that
// a bid which stands costs no transaction a round.
//
// Judges and remembers; writes nothing, and knows neither hosts nor callers. All of it is lost at a
// restart, after which every lease counts as renewed just then. Not thread-safe: the engine's
// thread owns it.

#ifndef MARKETD_MARKET_BID_LEASES_H_
#define MARKETD_MARKET_BID_LEASES_H_

#include <cstdint>
#include <map>
#include <optional>

#include "absl/status/status.h"
#include "marketd/market/event.h"
#include "marketd/market/state.h"

namespace nom::market {

class BidLeases {
 public:
  // Refers to `state`, which is what the ledger holds now and changes as the engine goes on.
  explicit BidLeases(const State& state);

  // The fence of a new lease: above all given out before, in any process.
  uint64_t Open() { return ++last_fence_; }
  // Of a write that needs no lease: ends all leases opened before, as far as its bid goes.
  BidFence NextFence() { return {.fence = ++last_fence_}; }
  // INVALID_ARGUMENT for one that was never given out; FAILED_PRECONDITION if the lease is of
  // another ledger than this (empty: any).
  absl::Status Check(const std::string& ledger_id, uint64_t fence) const;

  // What becomes of a write to a bid by a lease.
  struct Verdict {
    enum class Kind { kMayWrite, kWasWritten, kRefused };
    Kind kind = Kind::kMayWrite;  // kWasWritten: it came before, and its answer was lost.
    absl::Status status;          // Of kRefused: ABORTED, and why.
    std::optional<LeasedBidState> lost_to = std::nullopt;  // It is somebody else's now.
  };
  Verdict Judge(const BidKey& key, BidFence write) const;

  // A bid of the lease is asked for again: what stands of it. Holds it on, if it is held, for its
  // lease_rounds from `next_round` on; writes up to `lease` that come later are refused.
  LeasedBid Renew(const BidKey& key, BidFence lease, RoundId next_round);

  // The last round in which the bid takes part as things are; 0: until replaced.
  RoundId LastRound(const StandingBid& bid) const;

  // The bid was written or taken out: when its lease was renewed before is of no more meaning.
  void Forget(const BidKey& key) { renewed_through_.erase(key); }
  // A round counts for nobody: the bid is held for one more.
  void GiveRoundBack(const BidKey& key);
  void ForgetGuest(GuestId guest_id);

 private:
  // The last write of what stands and excludes `key`: the guest's bid for several kinds if `key` is
  // of a single one, or the other way round. Zero: none stands.
  BidFence LastToExclude(const BidKey& key) const;

  const State& state_;
  std::map<BidKey, RoundId> renewed_through_;  // Of bids with lease_rounds that were renewed.
  std::map<BidKey, BidFence> closed_through_;  // What may not be written any more, see RenewLease.
  uint64_t last_fence_ = 0;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_BID_LEASES_H_
