// SPDX-License-Identifier: Apache-2.0
// The heart of marketd: a deterministic state machine from events to effects.
//
// No I/O, no threads, no clock, no chance but a seed: the same state, events and times give the
// same effects, to the byte. One engine leads one book, with the markets of all its hosts; each
// host has rounds of its own.
//
// A host's life:    detached -> attaching -> running -> (lost) detached ...
// A round's life:   collect -> (close) clear, commit -> grace -> (effective) apply -> settle
//
// Time that went missing (the process was stalled, the laptop slept, the clock was set) never
// causes a burst of rounds: the schedule moves on by whole periods. What is due comes before what
// is asked: a bid that is handed in after the close is in the next round, however late the engine.
//
// What happens to a decided round that could not take effect on time: it takes effect late while
// its own period has not passed; after that, or when the host refused it, it is released: all
// escrow goes back, its notices are withdrawn, and the grants before it stay and are paid for.

#ifndef MARKETD_MARKET_ENGINE_H_
#define MARKETD_MARKET_ENGINE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "marketd/market/config.h"
#include "marketd/market/decision.h"
#include "marketd/market/effect.h"
#include "marketd/market/event.h"
#include "marketd/market/state.h"

namespace nom::market {

// Not thread-safe: one thread owns it.
class Engine {
 public:
  // `config` has passed ValidateConfig; `state` is what the ledger holds. The markets of hosts in
  // `state` that are not in `config` are closed: all escrow goes back, and nothing is left but to
  // evict their guests. Begins with a Tick.
  //
  // kBeside: rounds are not cleared in Handle, but by whoever owns the engine (Effects::clearings),
  // as long as that takes; the market goes on meanwhile. A decision that can't be done any more
  // when it comes (a winner has ended, its money is gone) is made again in Handle, of the same
  // bids.
  enum class Clearing { kInHandle, kBeside };
  Engine(MarketConfig config, State state, ClearFunctions clear = {},
         Clearing clearing = Clearing::kInHandle);
  ~Engine();

  // Events may come in any order that the world can produce; times may go backwards.
  Effects Handle(const Event& event, absl::Time now);

  // All that was applied, durable or not.
  const State& state() const;

  // Which of the engine's promises does not hold, by a look at everything, or "": sums, escrow,
  // indexes, what the last view shows. Handle aborts on what an event breaks; this is for
  // simulations, which can afford to look at everything after each event.
  std::string FirstBrokenPromise() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_ENGINE_H_
