// SPDX-License-Identifier: Apache-2.0
// A book at work: its state in memory, and the one door through which it changes.
//
// Whoever changes something begins a transaction, writes it and commits it: it is applied at once,
// looked at (promises.h), handed out to be made durable, and noted for the next view. A promise
// that does not hold any more aborts: nothing may be told that rests on a broken book. Answers,
// commands and views go out through here, and wait for what they rest on (outbox.h).
//
// Knows no hosts, no rounds and no callers. Not thread-safe: the engine's thread owns it.

#ifndef MARKETD_MARKET_LIVE_BOOK_H_
#define MARKETD_MARKET_LIVE_BOOK_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "marketd/market/effect.h"
#include "marketd/market/outbox.h"
#include "marketd/market/promises.h"
#include "marketd/market/state.h"
#include "marketd/market/transaction.h"
#include "marketd/market/view_changes.h"

namespace nom::market {

class LiveBook {
 public:
  // What of a transaction breaks a promise that the book itself can't look at, or "".
  using Check = std::function<std::string(const Transaction&)>;

  // `state` is what the ledger holds, all of it durable.
  explicit LiveBook(State state);
  LiveBook(const LiveBook&) = delete;
  LiveBook& operator=(const LiveBook&) = delete;

  void SetCheck(Check check) { check_ = std::move(check); }

  // All that was applied, durable or not.
  const State& state() const { return state_; }

  // Of the event that is being handled; transactions carry it.
  absl::Time now() const { return now_; }
  void SetNow(absl::Time now) { now_ = now; }

  // One transaction at a time: the scribe is committed, or given up empty, before the next.
  Scribe Begin(std::string kind) { return {state_, now_, std::move(kind)}; }
  // Nothing if nothing was written.
  void Commit(Scribe&& scribe);

  // These wait until all that was committed before them is durable.
  void Answer(CallId call_id, Reply reply);
  void Send(HostCommand command);
  void Show(std::shared_ptr<const View> view);
  bool view_waits() const { return outbox_.holds_view(); }

  // This does not: whoever clears tells nobody.
  void AskToClear(ClearRequest request) { effects_.clearings.push_back(std::move(request)); }

  void BecameDurable(uint64_t through_transaction_id);
  // Lets go what nothing holds back any more.
  void Release() { outbox_.Release(durable_transaction_id_, effects_); }
  // All since the last call.
  Effects TakeEffects() { return std::exchange(effects_, Effects{}); }

  // What no view has shown yet.
  ViewChanges& changes() { return changes_; }
  const ViewChanges& changes() const { return changes_; }

  // Contracts but awards that have ended since this was made, by EndWord.
  const std::map<std::string, uint64_t>& contracts_ended() const { return contracts_ended_; }

 private:
  State state_;
  MoneyPromises money_promises_;
  Check check_;
  absl::Time now_ = absl::InfinitePast();
  uint64_t durable_transaction_id_;
  Outbox outbox_;
  ViewChanges changes_;
  std::map<std::string, uint64_t> contracts_ended_;
  Effects effects_;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_LIVE_BOOK_H_
