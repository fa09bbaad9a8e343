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

  void Schedule() {
    if (!executor) {
      wake.notify_all();
      return;
    }
    if (scheduled || running || !Ready()) return;
    scheduled = true;
    // Outside of the lock: an executor may run it at once.
    to_schedule = true;
  }

  // Hands the next callback to the executor, if one is due. Holds no lock.
  void HandOver() {
    {
      std::lock_guard lock(mutex);
      if (!std::exchange(to_schedule, false)) return;
    }
    executor([self = shared_from_this()] { self->RunScheduled(); });
  }

  void RunScheduled() {
    {
      std::unique_lock lock(mutex);
      scheduled = false;
      RunNext(lock);
      Schedule();
    }
    HandOver();
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
    std::string threw;
    try {
      item.call(*this);
    } catch (const std::exception& error) {
      threw = error.what();
    } catch (...) {
      threw = "something that is no std::exception";
    }
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
           const T* present = nullptr) {
    Slot<T> before = MakeSlot(std::move(callback));  // Destroyed without the lock.
    {
      std::unique_lock lock(mutex);
      std::swap(this->*slot, before);
      if (present != nullptr && this->*slot) {
        Note(*present);
        PushLatest({kind, 0, Resource{0}}, MakeItem(kind, slot, T(*present)));
      }
      Schedule();
      WaitWhileRunning(lock, kind);
    }
    HandOver();
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
  bool scheduled = false;    // The executor has something to run.
  bool to_schedule = false;  // And is still to be handed it.
  bool dropping = false;
  bool drop_to_tell = false;
  Counters counters;
};

Dispatcher::Dispatcher(Executor executor, SessionClock& clock)
    : state_(std::make_shared<State>(std::move(executor), clock)) {
  if (state_->executor) return;
  thread_ = StartThread([state = state_] {
    std::unique_lock lock(state->mutex);
    while (!state->stopped) {
      if (state->Ready()) {
        state->RunNext(lock);
      } else {
        state->wake.wait(lock);
      }
    }
  });
}

Dispatcher::~Dispatcher() {
  Stop(absl::InfiniteDuration());
  if (thread_.joinable()) thread_.join();
}

void Dispatcher::SetNotice(std::function<void(const Notice&)> callback) {
  state_->Set(kNotice, &State::on_notice, std::move(callback));
}
void Dispatcher::SetPrices(std::function<void(const Prices&)> callback, const Prices* present) {
  state_->Set(kPrices, &State::on_prices, std::move(callback), present);
}
void Dispatcher::SetStale(std::function<void(const Staleness&)> callback,
                          const Staleness& present) {
  state_->Set(kStale, &State::on_stale, std::move(callback), &present);
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
  {
    std::lock_guard lock(state_->mutex);
    state_->PushLatest({kNotice, notice.guest_id, notice.resource},
                       state_->MakeItem(kNotice, &State::on_notice, Notice(notice)));
  }
  state_->HandOver();
}
void Dispatcher::Tell(const Prices& prices) {
  {
    std::lock_guard lock(state_->mutex);
    if (!state_->on_prices || state_->round_told == prices.round_id) return;
    state_->round_told = prices.round_id;
    state_->PushLatest({kPrices, 0, Resource{0}},
                       state_->MakeItem(kPrices, &State::on_prices, Prices(prices)));
  }
  state_->HandOver();
}
void Dispatcher::Tell(const Staleness& staleness) {
  {
    std::lock_guard lock(state_->mutex);
    if (!state_->on_stale || state_->stale_told == staleness.stale) return;
    state_->stale_told = staleness.stale;
    state_->PushLatest({kStale, 0, Resource{0}},
                       state_->MakeItem(kStale, &State::on_stale, Staleness(staleness)));
  }
  state_->HandOver();
}
void Dispatcher::Tell(Round round) {
  {
    std::lock_guard lock(state_->mutex);
    if (!state_->on_round) return;
    state_->Push(state_->MakeItem(kRound, &State::on_round, std::move(round)));
  }
  state_->HandOver();
}
void Dispatcher::Tell(BidEvent event) {
  {
    std::lock_guard lock(state_->mutex);
    if (!state_->on_bid) return;
    state_->Push(state_->MakeItem(kBid, &State::on_bid, std::move(event)));
  }
  state_->HandOver();
}
void Dispatcher::Tell(SessionEvent event) {
  {
    std::lock_guard lock(state_->mutex);
    if (!state_->on_session) return;
    state_->Push(state_->MakeItem(kSession, &State::on_session, std::move(event)));
  }
  state_->HandOver();
}
void Dispatcher::Run(std::function<void()> done) {
  {
    std::lock_guard lock(state_->mutex);
    state_->Push({.kind = kDone, .call = [done = std::move(done)](State&) { done(); }});
  }
  state_->HandOver();
}

bool Dispatcher::Stop(absl::Duration deadline) {
  std::list<State::Item> unheard;  // Destroyed without the lock.
  std::array<std::shared_ptr<const void>, kKinds> callbacks;
  std::unique_lock lock(state_->mutex);
  state_->stopped = true;
  std::swap(unheard, state_->queue);
  state_->latest.clear();
  state_->wake.notify_all();
  while (state_->running && state_->clock.Steady() < deadline) {
    state_->clock.WaitUntil(lock, state_->idle, deadline);
  }
  if (state_->running) return false;
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
  return state_->running && state_->running_thread == std::this_thread::get_id();
}

Dispatcher::Counters Dispatcher::counters() const {
  std::lock_guard lock(state_->mutex);
  Counters out = state_->counters;
  out.waiting = state_->queue.size();
  return out;
}

}  // namespace nom::client
