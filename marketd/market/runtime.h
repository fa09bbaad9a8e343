// SPDX-License-Identifier: Apache-2.0
// The engine at work: threads, queues and clocks around a state machine that has none.
//
//   callers -- Submit --> [events] --> engine thread --> [transactions] --> writer thread -->
//   ledger
//                            ^               |  |                                |
//                            |               |  +--> views, replies              | CommitDone
//                            +--- host threads (one a host) <-- [commands]  <----+
//                            +--- threads that clear rounds (one a host)
//
// The writer commits all that has queued up in one go. Host threads carry out commands in order and
// ask their host for news when idle; neither they nor rounds that are cleared wait for another
// host's. All queues are bounded.
//
// A runtime leads one book. Several, each of a book of its own, share a ledger and nothing else: a
// commit that is refused (another leads the book by now, the disk is full) ends that one alone. It
// tells nobody anything more, commands no host, answers calls UNAVAILABLE, and is to be stopped.

#ifndef MARKETD_MARKET_RUNTIME_H_
#define MARKETD_MARKET_RUNTIME_H_

#include <functional>
#include <map>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "marketd/base/clock.h"
#include "marketd/market/config.h"
#include "marketd/market/decision.h"
#include "marketd/market/event.h"
#include "marketd/market/host.h"
#include "marketd/market/ledger.h"
#include "marketd/market/view.h"

namespace nom::market {

// How long things took, for metrics. All since the start; read at any time.
struct RuntimeCounters {
  uint64_t events = 0;
  uint64_t events_refused = 0;  // The queue was full.
  uint64_t commits = 0;         // Group commits.
  uint64_t transactions = 0;
  absl::Duration commit_time;  // Sum.
  absl::Duration commit_time_max;
  absl::Duration handle_time;  // Sum, of the engine's own work.
  absl::Duration handle_time_max;
  uint64_t events_queued = 0;   // Now.
  bool committing = false;      // Now: the ledger has not yet answered.
  uint64_t commit_retries = 0;  // Another program held the ledger's lock.
};

// Whether a runtime still does its work, by its counters now and when this was last asked: it has
// nothing to do, or did some of it since. A ledger that does not come back from a commit counts as
// an engine that stands still.
class LivenessCheck {
 public:
  bool Alive(const RuntimeCounters& now);

 private:
  RuntimeCounters before_;
};

class Runtime {
 public:
  struct Options {
    MarketConfig config;
    Lead lead;  // The book that it leads.
    size_t events_max = 16'384;
    absl::Duration poll_interval = absl::Milliseconds(20);  // Of hosts, when idle.
    ClearFunctions clear;
    // Called on the engine thread with each new view; must return at once. May be empty.
    std::function<void(std::shared_ptr<const View>)> on_view;
    // While another program holds the ledger's lock, commits are tried again; calls that have
    // waited for so long are answered UNAVAILABLE. What they asked for may still come to pass,
    // once, so whoever asks again under the same id is told.
    absl::Duration busy_patience = absl::Seconds(10);
    // Called once, from any thread but that of a call, when this book's market can't go on (a
    // commit failed): ABORTED if another leads the book by now. Must not stop the runtime itself.
    // Empty: aborts the process with the message.
    std::function<void(absl::Status)> on_fatal;
  };

  // Loads the state and starts the threads. `clock`, `ledger` and `hosts` (by host_id, one for each
  // in the config) must outlive the runtime. Errors: those of ValidateConfig and Ledger::Load.
  static absl::StatusOr<std::unique_ptr<Runtime>> Start(Options options, const Clock& clock,
                                                        Ledger& ledger,
                                                        std::map<HostId, Host*> hosts);
  virtual ~Runtime() = default;  // Stops.

  using Done = std::function<void(const Reply&)>;

  // Hands a call to the engine; `done` is called once, on the engine thread, when what the call did
  // is durable, and must not block. If the queue is full (RESOURCE_EXHAUSTED) or the runtime is
  // stopping (UNAVAILABLE), it is called at once, on the caller's thread. Any thread.
  virtual void Submit(Caller caller, Call call, Done done) = 0;

  // The latest view; never null. Any thread.
  virtual std::shared_ptr<const View> view() const = 0;

  virtual RuntimeCounters counters() const = 0;

  // Why the market can't go on (see on_fatal); OK while it does, and after a Stop. Any thread.
  virtual absl::Status ended() const = 0;

  // Stops taking calls, finishes the commit in hand, answers what it can and the rest with
  // UNAVAILABLE, joins the threads. The last grants stay in force on the hosts. Idempotent.
  virtual void Stop() = 0;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_RUNTIME_H_
