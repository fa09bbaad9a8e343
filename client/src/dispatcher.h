// SPDX-License-Identifier: Apache-2.0
// Runs a program's callbacks, one at a time, apart from everything else that a session does.
//
// A thread of its own runs them, or hands them to the program's executor: however long that takes,
// and whether it runs what it is handed at once, nobody waits for it who has other things to do.
// What waits is bounded: of prices, staleness and each guest's notices the latest are kept; of
// other events the newest kEventsMax. Thread-safe. No lock is held while a callback or the executor
// runs.

#ifndef CLIENT_SRC_DISPATCHER_H_
#define CLIENT_SRC_DISPATCHER_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/time/time.h"
#include "nom/clock.h"
#include "nom/events.h"
#include "nom/types.h"

namespace nom::client {

inline constexpr size_t kEventsMax = 1'024;

class Dispatcher {
 public:
  using Executor = std::function<void(std::function<void()>)>;

  struct Counters {
    uint64_t run = 0;
    uint64_t threw = 0;
    uint64_t dropped = 0;
    uint64_t waiting = 0;
  };

  // What is so at present, to be told to a new callback; nullopt: nothing. It is asked under the
  // dispatcher's own lock, so that what is told meanwhile comes after it: it must not call back.
  template <typename T>
  using Present = std::function<std::optional<T>()>;

  // Without an executor, callbacks run in this object's own thread. `clock` outlives it.
  Dispatcher(Executor executor, SessionClock& clock);
  // Stop(), and waits for the callback that runs and for the executor to return.
  ~Dispatcher();

  // Set the callback of one kind, or take it away, and wait until the one before no longer runs;
  // from within a callback they do not wait. `present` is what the new one is told first.
  void SetNotice(std::function<void(const Notice&)> callback);
  void SetPrices(std::function<void(const Prices&)> callback, const Present<Prices>& present);
  void SetStale(std::function<void(const Staleness&)> callback, const Present<Staleness>& present);
  void SetRound(std::function<void(const Round&)> callback);
  void SetBidEvent(std::function<void(const BidEvent&)> callback);
  void SetSessionEvent(std::function<void(const SessionEvent&)> callback);

  // Queue what is to be told. Nothing but a notice waits for a callback that is not set.
  void Tell(const Notice& notice);
  void Tell(const Prices& prices);
  void Tell(const Staleness& staleness);
  void Tell(Round round);
  void Tell(BidEvent event);
  void Tell(SessionEvent event);
  // Run once, never dropped before Stop().
  void Run(std::function<void()> done);

  // No callback begins any more, nor is the executor called. True once neither runs; false if one
  // still does at `deadline`.
  bool Stop(absl::Duration deadline);
  // True in a callback, and in the executor.
  bool IsCallbackThread() const;
  Counters counters() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
  std::thread thread_;
};

}  // namespace nom::client

#endif  // CLIENT_SRC_DISPATCHER_H_
