// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/runtime.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "marketd/base/log.h"
#include "marketd/base/status.h"
#include "marketd/market/bounded_queue.h"
#include "marketd/market/carry_out.h"
#include "marketd/market/decision.h"
#include "marketd/market/engine.h"

namespace nom::market {
namespace {

using Stopwatch = std::chrono::steady_clock;

// Transactions that wait for the writer; the engine waits when there are more.
constexpr size_t kTransactionsMax = 4'096;
// In one group commit.
constexpr size_t kGroupMax = 512;
// Between two tries of a commit, beside what the ledger itself waits.
constexpr auto kBusyPause = std::chrono::milliseconds(20);
// The engine sends a host a few commands a round and two for each guest that comes and goes.
constexpr size_t kCommandsMax = 4 * size_t{kHostGuestsMax};

class RuntimeImpl final : public Runtime {
 public:
  RuntimeImpl(Options options, const Clock& clock, Ledger& ledger, State state)
      : options_(std::move(options)),
        clock_(clock),
        ledger_(ledger),
        head_(HeadOf(ledger, options_.lead.book_id)),
        events_(options_.events_max),
        transactions_(kTransactionsMax),
        committed_(state.last_transaction_id),
        engine_(options_.config, std::move(state), options_.clear, Engine::Clearing::kBeside) {}

  ~RuntimeImpl() override { Stop(); }

  void Begin(const std::map<HostId, Host*>& hosts) {
    for (const auto& [host_id, host] : hosts) {
      host_threads_.emplace(host_id, std::make_unique<HostThread>(host_id, *host));
    }
    Handle(Tick{});  // Before any thread: the first view is there when Start returns.
    writer_ = std::thread([this] { Write(); });
    for (auto& [host_id, host] : host_threads_) {
      host->thread = std::thread([this, h = host.get()] { RunHost(*h); });
      host->clearer = std::thread([this, h = host.get()] { RunClearer(*h); });
    }
    engine_thread_ = std::thread([this] { Run(); });
  }

  void Submit(Caller caller, Call call, Done done) override {
    Item item;
    item.event =
        CallEvent{.call_id = next_call_id_++, .caller = std::move(caller), .call = std::move(call)};
    item.done = std::move(done);
    if (events_.TryPush(item)) return;
    if (events_.closed()) {
      const absl::Status why = ended();
      item.done(Reply{.status = why.ok() ? absl::UnavailableError("marketd is stopping")
                                         : absl::UnavailableError(absl::StrCat(
                                               "this market has ended: ", why.message()))});
      return;
    }
    ++events_refused_;
    item.done(
        Reply{.status = absl::ResourceExhaustedError(absl::StrCat(
                  "marketd has more than ", options_.events_max, " calls to answer; try again"))});
  }

  std::shared_ptr<const View> view() const override {
    std::lock_guard lock(view_mutex_);
    return view_;
  }

  RuntimeCounters counters() const override {
    RuntimeCounters out;
    {
      std::lock_guard lock(counters_mutex_);
      out = counters_;
    }
    out.events_refused = events_refused_;
    out.events_queued = events_.size();
    out.committing = committing_;
    out.commit_retries = commit_retries_;
    return out;
  }

  absl::Status ended() const override {
    std::lock_guard lock(ended_mutex_);
    return ended_;
  }

  void Stop() override {
    std::lock_guard lock(stop_mutex_);
    events_.Close();
    if (engine_thread_.joinable()) engine_thread_.join();
    for (auto& [host_id, host] : host_threads_) {
      if (host->clearer.joinable()) host->clearer.join();
      if (host->thread.joinable()) host->thread.join();
    }
  }

 private:
  struct Item {
    Event event;
    Done done;  // Of a call.
  };

  struct Waiting {
    Done done;
    Stopwatch::time_point since;
  };

  struct HostThread {
    HostThread(HostId id, Host& h) : host_id(std::move(id)), host(h), commands(kCommandsMax) {}
    const HostId host_id;
    Host& host;
    BoundedQueue<HostCommand> commands;
    BoundedQueue<ClearRequest> rounds{1};  // To be cleared; only the newest is of use.
    std::thread thread;
    std::thread clearer;
  };

  static std::chrono::microseconds ToChrono(absl::Duration d) {
    return absl::ToChronoMicroseconds(std::max(d, absl::ZeroDuration()));
  }

  // --- The engine's thread. ---

  void Run() {
    for (;;) {
      // The clock may be set, or be a simulated one: it is looked at now and then in any case.
      const absl::Duration wait = std::min(next_tick_ - clock_.Now(),
                                           std::max(options_.poll_interval, absl::Milliseconds(1)));
      std::deque<Item> items = events_.PopAll(ToChrono(wait));
      HandleCommits();
      if (busy_) AnswerThoseWhoWaitedLong();
      for (Item& item : items) {
        if (item.done) {
          waiting_.emplace(std::get<CallEvent>(item.event).call_id,
                           Waiting{std::move(item.done), Stopwatch::now()});
        }
        Handle(item.event);
        HandleCommits();
      }
      // A clock that was set back makes every deadline wrong: the engine is told to look.
      const absl::Time now = clock_.Now();
      if (now >= next_tick_ || now < handled_at_) Handle(Tick{});
      if (items.empty() && events_.closed() && events_.size() == 0) break;
    }
    // What was decided becomes durable, and whoever asked for it is told; then the rest is refused.
    transactions_.Close();
    writer_.join();
    HandleCommits();
    for (auto& [host_id, host] : host_threads_) {
      host->commands.Close();
      host->rounds.Close();
    }
    const absl::Status why = ended();
    const Reply refused{.status = why.ok()
                                      ? absl::UnavailableError("marketd is stopping")
                                      : absl::UnavailableError(absl::StrCat(
                                            "whether this was done is not known; this market has "
                                            "ended: ",
                                            why.message()))};
    for (auto& [call_id, waiting] : waiting_) waiting.done(refused);
    waiting_.clear();
  }

  void AnswerThoseWhoWaitedLong() {
    for (auto it = waiting_.begin(); it != waiting_.end();) {
      if (absl::FromChrono(Stopwatch::now() - it->second.since) < options_.busy_patience) {
        ++it;
        continue;
      }
      const Done done = std::move(it->second.done);
      it = waiting_.erase(it);
      done(Reply{.status = absl::UnavailableError(
                     "the ledger is busy: whether this was done is not known yet; ask again under "
                     "the same request_id")});
    }
  }

  void HandleCommits() {
    const uint64_t through = committed_.load(std::memory_order_acquire);
    if (through == told_) return;
    told_ = through;
    Handle(CommitDone{through});
  }

  void Handle(const Event& event) {
    const auto begin = Stopwatch::now();
    handled_at_ = clock_.Now();
    Effects effects = engine_.Handle(event, handled_at_);
    const absl::Duration took = absl::FromChrono(Stopwatch::now() - begin);
    {
      std::lock_guard lock(counters_mutex_);
      ++counters_.events;
      counters_.handle_time += took;
      counters_.handle_time_max = std::max(counters_.handle_time_max, took);
    }
    next_tick_ = effects.next_tick;
    for (Transaction& transaction : effects.transactions) {
      // False only after a failed commit: the engine's memory is ahead of the truth for good.
      if (!transactions_.Push(std::move(transaction))) return;
    }
    if (effects.view != nullptr) {
      {
        std::lock_guard lock(view_mutex_);
        view_ = effects.view;
      }
      if (options_.on_view) options_.on_view(std::move(effects.view));
    }
    for (ReplyEffect& reply : effects.replies) {
      const auto it = waiting_.find(reply.call_id);
      if (it == waiting_.end()) continue;
      const Done done = std::move(it->second.done);
      waiting_.erase(it);
      done(reply.reply);
    }
    for (ClearRequest& request : effects.clearings) SendToClearer(std::move(request));
    for (HostCommand& command : effects.commands) {
      const auto host = host_threads_.find(command.host_id);
      NOM_CHECK(host != host_threads_.end(), absl::StrCat("no host ", command.host_id));
      NOM_CHECK(host->second->commands.TryPush(command), "too many host commands");
    }
  }

  // --- The writer's thread. ---

  void Write() {
    for (;;) {
      std::deque<Transaction> queued = transactions_.PopAll(std::chrono::seconds(1));
      if (queued.empty()) {
        if (transactions_.closed() && transactions_.size() == 0) return;
        continue;
      }
      std::vector<Transaction> group;
      while (!queued.empty()) {
        group.clear();
        while (!queued.empty() && group.size() < kGroupMax) {
          group.push_back(std::move(queued.front()));
          queued.pop_front();
        }
        const auto begin = Stopwatch::now();
        committing_ = true;
        const absl::Status status = CommitPatiently(group);
        committing_ = false;
        if (!status.ok()) {
          if (transactions_.closed() && absl::IsUnavailable(status)) {
            // Stopped while another program held the ledger: nothing of this was written, and
            // nobody was told of it.
            marketd::Log(marketd::LogLevel::kError, "ledger_given_up", {{"msg", status.message()}});
            return;
          }
          End(status);
          return;
        }
        const absl::Duration took = absl::FromChrono(Stopwatch::now() - begin);
        {
          std::lock_guard lock(counters_mutex_);
          ++counters_.commits;
          counters_.transactions += group.size();
          counters_.commit_time += took;
          counters_.commit_time_max = std::max(counters_.commit_time_max, took);
        }
        committed_.store(group.back().transaction_id, std::memory_order_release);
        events_.Wake();
      }
    }
  }

  // A ledger that is busy has written nothing: it is asked until it is free, or until the runtime
  // is stopped and nobody would wait longer.
  absl::Status CommitPatiently(const std::vector<Transaction>& group) {
    const auto begin = Stopwatch::now();
    for (;;) {
      absl::Status status = ledger_.Commit(options_.lead, group);
      if (!absl::IsUnavailable(status)) {
        if (busy_.exchange(false)) marketd::Log(marketd::LogLevel::kInfo, "ledger_free");
        return status;
      }
      ++commit_retries_;
      if (!busy_.exchange(true)) {
        marketd::Log(marketd::LogLevel::kWarning, "ledger_busy", {{"msg", status.message()}});
      }
      const absl::Duration waited = absl::FromChrono(Stopwatch::now() - begin);
      if (transactions_.closed() && waited >= options_.busy_patience) return status;
      std::this_thread::sleep_for(kBusyPause);
    }
  }

  // The engine's memory is ahead of the truth for good: it stops, and only it. Other books have
  // engines of their own.
  void End(const absl::Status& status) {
    {
      std::lock_guard lock(ended_mutex_);
      ended_ = status;
    }
    transactions_.Close();
    events_.Close();
    marketd::Log(marketd::LogLevel::kError, "book_ended",
                 {{"book", options_.lead.book_id}, {"msg", status.message()}});
    if (options_.on_fatal) {
      options_.on_fatal(status);
      return;
    }
    Die(__FILE__, __LINE__,
        absl::StrCat("the ledger did not take a transaction: ", status.ToString()));
  }

  // --- A host's thread that clears its rounds: none waits for another host's. ---

  void RunClearer(HostThread& host) {
    while (!host.rounds.closed()) {
      for (const ClearRequest& request : host.rounds.PopAll(std::chrono::seconds(1))) {
        if (host.rounds.closed()) return;
        ClearDone done{request.host_id, request.clear_id,
                       Decide(*request.snapshot, options_.clear)};
        if (!events_.Push(Item{std::move(done), nullptr})) return;
      }
    }
  }

  void SendToClearer(ClearRequest request) {
    HostThread& host = *host_threads_.at(request.host_id);
    while (!host.rounds.TryPush(request)) {
      // One that waits still has been given up by the engine, as this one came; or it was stopped.
      if (host.rounds.closed()) return;
      host.rounds.PopAll(std::chrono::microseconds(0));
    }
  }

  // --- A host's thread. ---

  void RunHost(HostThread& host) {
    bool attached = false;
    while (!host.commands.closed()) {
      std::deque<HostCommand> commands = host.commands.PopAll(ToChrono(options_.poll_interval));
      for (const HostCommand& command : commands) {
        if (host.commands.closed()) return;
        HostCommandDone done = CarryOut(host.host, command, clock_.Now(), head_);
        if (std::holds_alternative<AttachCommand>(command.command)) attached = done.status.ok();
        if (!events_.Push(Item{std::move(done), nullptr})) return;
      }
      if (!attached) continue;
      for (HostNews& news : host.host.Poll()) {
        if (std::holds_alternative<HostLost>(news)) attached = false;
        if (!events_.Push(Item{HostNewsEvent{host.host_id, std::move(news)}, nullptr})) return;
      }
    }
  }

  const Options options_;
  const Clock& clock_;
  Ledger& ledger_;
  const HeadSource head_;

  BoundedQueue<Item> events_;
  BoundedQueue<Transaction> transactions_;
  std::atomic<uint64_t> committed_;
  std::atomic<uint64_t> next_call_id_{1};
  std::atomic<uint64_t> events_refused_{0};
  std::atomic<bool> committing_{false};
  std::atomic<bool> busy_{false};  // The ledger, the last time it was asked.
  std::atomic<uint64_t> commit_retries_{0};

  mutable std::mutex view_mutex_;
  std::shared_ptr<const View> view_;  // Guarded by view_mutex_.
  mutable std::mutex counters_mutex_;
  RuntimeCounters counters_;  // Guarded by counters_mutex_.
  mutable std::mutex ended_mutex_;
  absl::Status ended_;  // Guarded by ended_mutex_.
  std::mutex stop_mutex_;

  // The engine thread's own.
  Engine engine_;
  absl::Time next_tick_ = absl::InfinitePast();
  absl::Time handled_at_ = absl::InfinitePast();
  uint64_t told_ = 0;
  std::unordered_map<CallId, Waiting> waiting_;

  std::map<HostId, std::unique_ptr<HostThread>> host_threads_;
  std::thread writer_;
  std::thread engine_thread_;
};

}  // namespace

bool LivenessCheck::Alive(const RuntimeCounters& now) {
  const bool handles = now.events_queued == 0 || now.events != before_.events;
  const bool commits = !now.committing || !before_.committing || now.commits != before_.commits ||
                       now.commit_retries != before_.commit_retries;
  before_ = now;
  return handles && commits;
}

absl::StatusOr<std::unique_ptr<Runtime>> Runtime::Start(Options options, const Clock& clock,
                                                        Ledger& ledger,
                                                        std::map<HostId, Host*> hosts) {
  NOM_RETURN_IF_ERROR(ValidateConfig(options.config));
  for (const HostConfig& host : options.config.hosts) {
    const auto it = hosts.find(host.host_id);
    if (it == hosts.end() || it->second == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("host ", host.host_id, ": is not there"));
    }
  }
  if (hosts.size() != options.config.hosts.size()) {
    return absl::InvalidArgumentError("hosts: there are more than in the config");
  }
  NOM_ASSIGN_OR_RETURN(State state, ledger.Load(options.lead));
  auto runtime = std::make_unique<RuntimeImpl>(std::move(options), clock, ledger, std::move(state));
  runtime->Begin(hosts);
  return runtime;
}

}  // namespace nom::market
