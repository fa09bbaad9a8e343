// SPDX-License-Identifier: Apache-2.0
#include "client/src/dispatcher.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <exception>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/src/threads.h"

namespace nom::client {
namespace {

enum Kind : size_t { kNotice, kPrices, kStale, kRound, kBid, kSession, kDone, kKinds };

// Kind, guest, resource: of what is kept in its latest form only.
using LatestKey = std::tuple<Kind, uint64_t, Resource>;

template <typename T>
using Slot = std::shared_ptr<const std::function<void(const T&)>>;

template <typename T>
Slot<T> MakeSlot(std::function<void(const T&)> callback) {
  if (!callback) return nullptr;
  return std::make_shared<const std::function<void(const T&)>>(std::move(callback));
}

}  // namespace

// Shared with what an executor was handed, which may come after the session has gone.
struct Dispatcher::State : std::enable_shared_from_this<State> {
  struct Item {
    Kind kind = kDone;
    std::function<void(State&)> call;  // Calls the slot's callback as it is by then.
    const LatestKey* latest = nullptr;
  };

  State(Executor run_in, SessionClock& time) : executor(std::move(run_in)), clock(time) {}

  template <typename T>
  Item MakeItem(Kind kind, Slot<T> State::*slot, T value) {
    return {.kind = kind, .call = [slot, of = std::move(value)](State& state) {
              Slot<T> callback;
              {
                std::lock_guard lock(state.mutex);
                callback = state.*slot;
              }
              if (callback) (*callback)(of);
            }};
  }

  // The caller holds the mutex.
  void Push(Item item) {
    if (stopped) return;
    if (item.kind == kRound || item.kind == kBid || item.kind == kSession) {
      if (++events > kEventsMax) DropOldest();
    }
    queue.push_back(std::move(item));
    Schedule();
  }

  void PushLatest(LatestKey key, Item item) {
    if (stopped) return;
    const auto [it, fresh] = latest.emplace(key, queue.end());
    if (!fresh) queue.erase(it->second);
    item.latest = &it->first;
    it->second = queue.insert(queue.end(), std::move(item));
    Schedule();
  }

  void DropOldest() {
    for (auto it = queue.begin(); it != queue.end(); ++it) {
      if (it->kind != kRound && it->kind != kBid && it->kind != kSession) continue;
      queue.erase(it);
      --events;
      // Told once for each time that it begins.
      if (++counters.dropped == 1 || !dropping) drop_to_tell = true;
      dropping = true;
      return;
    }
  }

  // Something may run, now or, of notices, once there is a callback for it.
  bool Ready() const { return !stopped && !queue.empty() && !(only_notices() && !on_notice); }
  bool only_notices() const {
    return std::all_of(queue.begin(), queue.end(),
                       [](const Item& item) { return item.kind == kNotice; });
  }
  // The next may be handed to the executor: it has run what it was handed before.
  bool MayHandOver() const { return Ready() && !handed && !running && refused_changes != changes; }

  void Schedule() {
    ++changes;
    wake.notify_all();
  }

  // Of the dispatcher's own thread.
  void Run() {
    std::unique_lock lock(mutex);
    while (!stopped) {
      if (executor ? MayHandOver() : Ready()) {
        executor ? HandOver(lock) : RunNext(lock);
      } else {
        wake.wait(lock);
      }
    }
  }

  void HandOver(std::unique_lock<std::mutex>& lock) {
    const uint64_t ticket = ++last_ticket;
    const uint64_t changes_before = changes;
    handed = true;
    handing_thread = std::this_thread::get_id();
    lock.unlock();
    const std::string threw = WhatThrew(
        [&] { executor([self = shared_from_this(), ticket] { self->RunHanded(ticket); }); });
    lock.lock();
    handing_thread = std::thread::id();
    idle.notify_all();
    if (threw.empty()) {
      refused_before = false;
      return;
    }
    // It has not taken it, and is asked again when there is more to tell.
    handed = false;
    ++counters.threw;
    const bool is_more = changes != changes_before;
    if (!std::exchange(refused_before, true)) {
      TellSession(SessionChange::kCallbackThrew,
                  absl::InternalError(absl::StrCat("the executor: ", threw)));
    }
    if (!is_more) refused_changes = changes;
  }

  // What the executor was handed. It may come late, and more than once.
  void RunHanded(uint64_t ticket) {
    std::unique_lock lock(mutex);
    if (!handed || ticket != last_ticket) return;
    handed = false;
    RunNext(lock);
    wake.notify_all();
  }

  // What a function of the program's throws, for people; empty: nothing.
  template <typename Call>
  static std::string WhatThrew(const Call& call) {
    try {
      call();
    } catch (const std::exception& error) {
      return error.what()[0] == '\0' ? "an exception without a word" : error.what();
    } catch (...) {
      return "something that is no std::exception";
    }
    return "";
  }

  void RunNext(std::unique_lock<std::mutex>& lock) {
    auto it = queue.begin();
    while (it != queue.end() && it->kind == kNotice && !on_notice) ++it;
    if (stopped || it == queue.end()) return;
    Item item = std::move(*it);
    if (item.latest != nullptr) latest.erase(LatestKey(*item.latest));
    if (item.kind == kRound || item.kind == kBid || item.kind == kSession) --events;
    queue.erase(it);
    running = true;
    running_kind = item.kind;
    running_thread = std::this_thread::get_id();
    ++counters.run;
    lock.unlock();
    const std::string threw = WhatThrew([&] { item.call(*this); });
    item.call = nullptr;  // What it holds may be the program's own: not under the lock.
    lock.lock();
    running = false;
    running_thread = std::thread::id();
    if (!threw.empty()) {
      ++counters.threw;
      if (item.kind != kSession)
        TellSession(SessionChange::kCallbackThrew, absl::InternalError(threw));
    }
    if (queue.empty()) dropping = false;
    if (std::exchange(drop_to_tell, false)) {
      TellSession(SessionChange::kEventsDropped,
                  absl::ResourceExhaustedError("callbacks are too slow: old events were dropped"));
    }
    idle.notify_all();
  }

  void TellSession(SessionChange change, absl::Status status) {
    if (!on_session) return;
    Push(MakeItem(kSession, &State::on_session,
                  SessionEvent{.change = change, .status = std::move(status), .endpoint = ""}));
  }

  // Waits until the callback that runs is none of this kind, unless it is the caller.
  void WaitWhileRunning(std::unique_lock<std::mutex>& lock, Kind kind) {
    if (running_thread == std::this_thread::get_id()) return;
    idle.wait(lock, [&] { return !running || running_kind != kind; });
  }

  void Note(const Prices& prices) { round_told = prices.round_id; }
  void Note(const Staleness& staleness) { stale_told = staleness.stale; }
  template <typename T>
  void Note(const T&) {}

  template <typename T>
  void Set(Kind kind, Slot<T> State::*slot, std::function<void(const T&)> callback,
           const Present<T>& present = nullptr) {
    Slot<T> before = MakeSlot(std::move(callback));  // Destroyed without the lock.
    std::unique_lock lock(mutex);
    std::swap(this->*slot, before);
    if (present && this->*slot) {
      if (std::optional<T> now = present()) {
        Note(*now);
        PushLatest({kind, 0, Resource{0}}, MakeItem(kind, slot, *std::move(now)));
      }
    }
    Schedule();
    WaitWhileRunning(lock, kind);
    lock.unlock();
  }

  const Executor executor;
  SessionClock& clock;
  mutable std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable idle;
  Slot<Notice> on_notice;
  Slot<Prices> on_prices;
  Slot<Staleness> on_stale;
  Slot<Round> on_round;
  Slot<BidEvent> on_bid;
  Slot<SessionEvent> on_session;
  std::list<Item> queue;
  std::map<LatestKey, std::list<Item>::iterator> latest;
  // Told last, or about to be: the present, told to a new callback, is not told again.
  std::optional<uint64_t> round_told;
  std::optional<bool> stale_told;
  size_t events = 0;  // In the queue, of those that are bounded.
  bool stopped = false;
  bool running = false;
  Kind running_kind = kDone;
  std::thread::id running_thread;
  uint64_t last_ticket = 0;  // Of what the executor was handed last.
  bool handed = false;       // It has that, and has not begun to run it.
  std::thread::id handing_thread;
  uint64_t changes = 0;                     // What was told, and what was set.
  std::optional<uint64_t> refused_changes;  // It threw, and nothing has come since then.
  bool refused_before = false;              // It threw the last time it was called.
  bool dropping = false;
  bool drop_to_tell = false;
  Counters counters;
};

Dispatcher::Dispatcher(Executor executor, SessionClock& clock)
    : state_(std::make_shared<State>(std::move(executor), clock)) {
  thread_ = StartThread([state = state_] { state->Run(); });
}

Dispatcher::~Dispatcher() {
  Stop(absl::InfiniteDuration());
  if (thread_.joinable()) thread_.join();
}

void Dispatcher::SetNotice(std::function<void(const Notice&)> callback) {
  state_->Set(kNotice, &State::on_notice, std::move(callback));
}
void Dispatcher::SetPrices(std::function<void(const Prices&)> callback,
                           const Present<Prices>& present) {
  state_->Set(kPrices, &State::on_prices, std::move(callback), present);
}
void Dispatcher::SetStale(std::function<void(const Staleness&)> callback,
                          const Present<Staleness>& present) {
  state_->Set(kStale, &State::on_stale, std::move(callback), present);
}
void Dispatcher::SetRound(std::function<void(const Round&)> callback) {
  state_->Set(kRound, &State::on_round, std::move(callback));
}
void Dispatcher::SetBidEvent(std::function<void(const BidEvent&)> callback) {
  state_->Set(kBid, &State::on_bid, std::move(callback));
}
void Dispatcher::SetSessionEvent(std::function<void(const SessionEvent&)> callback) {
  state_->Set(kSession, &State::on_session, std::move(callback));
}

void Dispatcher::Tell(const Notice& notice) {
  std::lock_guard lock(state_->mutex);
  state_->PushLatest({kNotice, notice.guest_id, notice.resource},
                     state_->MakeItem(kNotice, &State::on_notice, Notice(notice)));
}
void Dispatcher::Tell(const Prices& prices) {
  std::lock_guard lock(state_->mutex);
  if (!state_->on_prices || state_->round_told == prices.round_id) return;
  state_->round_told = prices.round_id;
  state_->PushLatest({kPrices, 0, Resource{0}},
                     state_->MakeItem(kPrices, &State::on_prices, Prices(prices)));
}
void Dispatcher::Tell(const Staleness& staleness) {
  std::lock_guard lock(state_->mutex);
  if (!state_->on_stale || state_->stale_told == staleness.stale) return;
  state_->stale_told = staleness.stale;
  state_->PushLatest({kStale, 0, Resource{0}},
                     state_->MakeItem(kStale, &State::on_stale, Staleness(staleness)));
}
void Dispatcher::Tell(Round round) {
  std::lock_guard lock(state_->mutex);
  if (!state_->on_round) return;
  state_->Push(state_->MakeItem(kRound, &State::on_round, std::move(round)));
}
void Dispatcher::Tell(BidEvent event) {
  std::lock_guard lock(state_->mutex);
  if (!state_->on_bid) return;
  state_->Push(state_->MakeItem(kBid, &State::on_bid, std::move(event)));
}
void Dispatcher::Tell(SessionEvent event) {
  std::lock_guard lock(state_->mutex);
  if (!state_->on_session) return;
  state_->Push(state_->MakeItem(kSession, &State::on_session, std::move(event)));
}
void Dispatcher::Run(std::function<void()> done) {
  std::lock_guard lock(state_->mutex);
  state_->Push({.kind = kDone, .call = [done = std::move(done)](State&) { done(); }});
}

bool Dispatcher::Stop(absl::Duration deadline) {
  std::list<State::Item> unheard;  // Destroyed without the lock.
  std::array<std::shared_ptr<const void>, kKinds> callbacks;
  std::unique_lock lock(state_->mutex);
  state_->stopped = true;
  std::swap(unheard, state_->queue);
  state_->latest.clear();
  state_->wake.notify_all();
  const auto is_busy = [this] {
    return state_->running || state_->handing_thread != std::thread::id();
  };
  while (is_busy() && state_->clock.Steady() < deadline) {
    state_->clock.WaitUntil(lock, state_->idle, deadline);
  }
  if (is_busy()) return false;
  callbacks = {std::move(state_->on_notice),
               std::move(state_->on_prices),
               std::move(state_->on_stale),
               std::move(state_->on_round),
               std::move(state_->on_bid),
               std::move(state_->on_session),
               nullptr};
  lock.unlock();
  return true;
}

bool Dispatcher::IsCallbackThread() const {
  std::lock_guard lock(state_->mutex);
  const std::thread::id self = std::this_thread::get_id();
  return (state_->running && state_->running_thread == self) || state_->handing_thread == self;
}

Dispatcher::Counters Dispatcher::counters() const {
  std::lock_guard lock(state_->mutex);
  Counters out = state_->counters;
  out.waiting = state_->queue.size();
  return out;
}

}  // namespace nom::client
