// The threads and the wire of a session. What it decides is in session_core.h and bid_book.h; how
// callbacks run in dispatcher.h.
//
//   reader   sits in the stream and hands over one response at a time (so that the market, not this
//            process, conflates when it is slow)
//   pump     owns time and the price board, starts calls, hands events to the dispatcher
//   writer   makes the calls that write bids, one at a time
//   keeper   renews the bids that stand, and asks for rounds that went by unseen
//
// So a callback, or a write without an answer, delays neither time nor renewals. `mutex_` guards
// everything they share and is never held during I/O or a callback.

#include "nom/session.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/src/backoff.h"
#include "client/src/call_bucket.h"
#include "client/src/convert.h"
#include "client/src/dispatcher.h"
#include "client/src/endpoints.h"
#include "client/src/price_board.h"
#include "client/src/session_core.h"
#include "client/src/session_options.h"
#include "client/src/threads.h"
#include "client/src/wire.h"
#include "nom/market/v1/market.grpc.pb.h"

namespace nom {
namespace {

using client::Backoff;
using client::BidBook;
using client::Instant;
using client::SessionCore;

// Longer than this no single call waits for its answer.
constexpr absl::Duration kAttemptMax = absl::Minutes(1);

std::function<double()> OneAtATime(std::function<double()> random) {
  if (!random) {
    auto engine = std::make_shared<std::mt19937_64>(std::random_device{}());
    random = [engine] { return std::uniform_real_distribution<>(0.0, 1.0)(*engine); };
  }
  auto mutex = std::make_shared<std::mutex>();
  return [mutex, random = std::move(random)] {
    std::lock_guard lock(*mutex);
    return random();
  };
}

// What waiting cannot put right when a program starts.
bool EndsConnect(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kUnimplemented:
      return true;
    default:
      return false;
  }
}

absl::Status Closed() { return absl::CancelledError("the session is closed"); }

}  // namespace

// Everything but `link` is guarded by the session's own mutex until `done`, and fixed from then on.
class BidCall::State {
 public:
  struct Link {
    std::mutex mutex;
    std::function<void(const std::shared_ptr<State>&)> cancel;  // Empty: the session is gone.
  };

  State(size_t count, absl::Duration deadline) : deadline_(deadline), results_(count) {}

  // Those of a call are answered in any order. True if that was the last.
  bool Answer(size_t i, absl::StatusOr<uint64_t> result, bool removed) {
    std::lock_guard lock(mutex_);
    if (answered_[i]) return false;
    answered_[i] = true;
    results_[i] = std::move(result);
    removed_ = removed_ || removed;
    if (--waiting_ > 0) return false;
    changed_.notify_all();
    return true;
  }
  bool IsAnswered(size_t i) const {
    std::lock_guard lock(mutex_);
    return answered_[i];
  }
  bool done() const {
    std::lock_guard lock(mutex_);
    return waiting_ == 0;
  }
  BidResults Wait() const {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_ == 0; });
    return results_;
  }
  bool removed() const {
    std::lock_guard lock(mutex_);
    return removed_;
  }
  size_t size() const { return answered_.size(); }

  const absl::Duration deadline_;
  std::function<void(const BidResults&)> on_done;
  std::vector<uint64_t> wish_ids;  // 0: answered at once.
  std::shared_ptr<Link> link;

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  BidResults results_;
  std::vector<bool> answered_ = std::vector<bool>(results_.size(), false);
  size_t waiting_ = results_.size();
  bool removed_ = false;
};

bool BidCall::done() const { return state_->done(); }
BidResults BidCall::Wait() const { return state_->Wait(); }
void BidCall::Cancel() const {
  std::lock_guard lock(state_->link->mutex);
  if (state_->link->cancel) state_->link->cancel(state_);
}

class Session::Impl {
 public:
  using Call = std::shared_ptr<BidCall::State>;

  Impl(SessionOptions options, std::optional<BudgetPacer> pacer)
      : options_(std::move(options)),
        clock_(options_.clock != nullptr ? *options_.clock : SessionClock::Real()),
        random_(OneAtATime(options_.random)),
        endpoints_(client::EndpointsOf(options_)),
        dispatcher_(options_.executor, clock_),
        link_(std::make_shared<BidCall::State::Link>()),
        write_backoff_(options_.backoff_min, options_.backoff_max, random_),
        renew_backoff_(options_.backoff_min, options_.backoff_max, random_),
        core_({.lifetime_rounds = options_.bid_lifetime_rounds,
               .budget_per_round_microcredits = options_.budget_per_round_microcredits,
               .unit_price_ceilings_microcredits = options_.unit_price_ceilings_microcredits},
              Backoff(options_.backoff_min, options_.backoff_max, random_), std::move(pacer)) {
    link_->cancel = [this](const Call& call) { Cancel(call); };
  }

  // Errors: as OpenChannel. Nothing runs before it.
  absl::Status Start() {
    if (absl::Status status = endpoints_.Reopen(/*next=*/false); !status.ok()) return status;
    pump_ = client::StartThread([this] { Pump(); });
    reader_ = client::StartThread([this] { ReadStreams(); });
    writer_.thread = client::StartThread([this] { RunJobs(writer_); });
    keeper_.thread = client::StartThread([this] { RunJobs(keeper_); });
    return absl::OkStatus();
  }

  ~Impl() {
    if (dispatcher_.IsCallbackThread()) {
      std::fputs("nom::Session: destroyed from one of its own callbacks\n", stderr);
      std::abort();
    }
    (void)Close({.timeout = absl::ZeroDuration()});
    dispatcher_.Stop(absl::InfiniteDuration());
    std::unique_lock lock(mutex_);
    progress_.wait(lock, [this] { return callers_ == 0; });
  }

  absl::Status WaitUntilConnected() {
    std::unique_lock lock(mutex_);
    const absl::Duration deadline = clock_.Steady() + options_.connect_timeout;
    while (core_.state() == SessionState::kConnecting) {
      if (EndsConnect(core_.last_error())) return core_.last_error();
      if (clock_.Steady() >= deadline) {
        return absl::DeadlineExceededError(
            absl::StrCat("no word from the market at ", options_.target, " in ",
                         absl::FormatDuration(options_.connect_timeout),
                         core_.last_error().ok() ? "" : ": ", core_.last_error().message()));
      }
      clock_.WaitUntil(lock, progress_, deadline);
    }
    return absl::OkStatus();
  }

  absl::Status Close(const CloseOptions& options) {
    if (dispatcher_.IsCallbackThread()) {
      return absl::FailedPreconditionError("Close() was called from a callback");
    }
    const absl::Duration deadline = clock_.Steady() + options.timeout;
    std::lock_guard closing(close_mutex_);
    bool in_time = true;
    {
      std::unique_lock lock(mutex_);
      const bool first = !std::exchange(closing_, true);
      if (first && options.bids == CloseOptions::Bids::kWithdraw) core_.bids().WithdrawAll();
      wake_.notify_all();
      const auto answered = [&] {
        return options.bids == CloseOptions::Bids::kWithdraw ? core_.bids().Settled()
                                                             : calls_.empty();
      };
      while (!stopping_ && !answered() && clock_.Steady() < deadline) {
        clock_.WaitUntil(lock, progress_, deadline);
      }
      in_time = stopping_ || answered();
      stopping_ = true;
      for (grpc::ClientContext* context : contexts_) context->TryCancel();
      for (const Call& call : std::exchange(calls_, {})) AnswerAll(call, Closed());
      Prices prices = core_.prices();
      prices.stale = true;
      board_.Write(prices);
      for (std::condition_variable* condition :
           {&wake_, &reader_wake_, &writer_.wake, &keeper_.wake, &progress_}) {
        condition->notify_all();
      }
    }
    for (std::thread* thread : {&pump_, &reader_, &writer_.thread, &keeper_.thread}) {
      if (thread->joinable()) thread->join();
    }
    {
      std::lock_guard lock(link_->mutex);
      link_->cancel = nullptr;
    }
    if (!dispatcher_.Stop(deadline)) {
      return absl::DeadlineExceededError("a callback still runs");
    }
    return in_time ? absl::OkStatus()
                   : absl::DeadlineExceededError("bids were still on their way or to be withdrawn");
  }

  Call Start(std::vector<nom::Bid> bids, std::function<void(const BidResults&)> done,
             const CallOptions& options) {
    const absl::Duration timeout = options.timeout.value_or(options_.call_timeout);
    auto call = std::make_shared<BidCall::State>(bids.size(), clock_.Steady() + timeout);
    call->on_done = std::move(done);
    call->link = link_;
    std::lock_guard lock(mutex_);
    for (nom::Bid& bid : bids) {
      const absl::StatusOr<uint64_t> guest_id = core_.ResolveGuestToBid(bid.guest_id);
      if (guest_id.ok()) bid.guest_id = *guest_id;
    }
    absl::Status wrong = client::CheckTogether(bids);
    if (closing_) wrong = Closed();
    calls_.push_back(call);
    const bool fresh = core_.IsFresh(Now());
    for (size_t i = 0; i < bids.size(); ++i) {
      const absl::StatusOr<uint64_t> wish_id = [&]() -> absl::StatusOr<uint64_t> {
        if (!wrong.ok()) return wrong;
        const absl::StatusOr<uint64_t> guest_id = core_.ResolveGuest(bids[i].guest_id);
        if (!guest_id.ok()) return guest_id.status();
        return core_.bids().Want(std::move(bids[i]), fresh);
      }();
      call->wish_ids.push_back(wish_id.ok() ? *wish_id : 0);
      if (!wish_id.ok()) call->Answer(i, wish_id.status(), false);
    }
    if (bids.empty() || call->done()) FinishIfDone(call);
    Collect();
    wake_.notify_all();
    return call;
  }

  // `nothing` is a bid without anything in it.
  absl::StatusOr<bool> Withdraw(nom::Bid nothing, const CallOptions& options) {
    const Inside inside(*this);
    const Call call = Start({std::move(nothing)}, nullptr, options);
    const BidResults results = call->Wait();
    if (!results[0].ok()) return results[0].status();
    return call->removed();
  }

  void TakeOver() {
    std::lock_guard lock(mutex_);
    core_.bids().TakeOver();
    wake_.notify_all();
  }

  absl::StatusOr<RoundsPage> ListRounds(uint64_t before_round_id, int page_size,
                                        absl::Duration timeout) {
    if (page_size < 1 || page_size > 1'000) {
      return absl::InvalidArgumentError("page_size: must be from 1 to 1000");
    }
    market::v1::ListRoundsRequest request;
    request.set_host_id(options_.host_id);
    request.set_before_round_id(before_round_id);
    request.set_page_size(page_size);
    market::v1::ListRoundsResponse response;
    const absl::Status status = Attempt(
        [&](client::Endpoints::Stub& stub, grpc::ClientContext& context) {
          return stub.ListRounds(&context, request, &response);
        },
        std::min(timeout, kAttemptMax));
    if (!status.ok()) return status;
    RoundsPage page{.rounds = {}, .next_before_round_id = response.next_before_round_id()};
    for (const market::v1::Round& round : response.rounds()) {
      page.rounds.push_back(client::FromProto(round));
    }
    return page;
  }

  // Runs `read` with the state held still.
  template <typename Read>
  auto Locked(Read read) const {
    std::lock_guard lock(mutex_);
    return read(core_);
  }

  SessionState state() const {
    std::lock_guard lock(mutex_);
    return stopping_ ? SessionState::kClosed : core_.state();
  }

  SessionCounters counters() const {
    const client::Dispatcher::Counters callbacks = dispatcher_.counters();
    std::lock_guard lock(mutex_);
    SessionCounters out = counters_;
    out.rounds_told = core_.rounds_told();
    out.rounds_missed = core_.rounds_missed();
    out.bids_placed = core_.bids().counters().placed;
    out.bids_refused = core_.bids().counters().refused;
    out.bids_lost = core_.bids().counters().lost;
    out.callbacks = callbacks.run;
    out.callbacks_threw = callbacks.threw;
    out.events_dropped = callbacks.dropped;
    out.events_waiting = callbacks.waiting;
    out.budget_reserved_microcredits = core_.bids().ReservedMicrocredits();
    out.market_clock_ahead = core_.market_clock_ahead();
    return out;
  }

  Prices prices() const {
    Prices prices = board_.Read();
    prices.stale = prices.stale || stale();
    return prices;
  }
  bool stale() const { return board_.IsStaleAt(clock_.Steady()); }
  std::optional<int64_t> UnitPrice(Resource resource) const { return board_.UnitPrice(resource); }
  client::Dispatcher& dispatcher() { return dispatcher_; }
  const SessionOptions& options() const { return options_; }

  // The destructor waits for those who are in here.
  class Inside {
   public:
    explicit Inside(Impl& impl) : impl_(impl) {
      std::lock_guard lock(impl_.mutex_);
      ++impl_.callers_;
    }
    ~Inside() {
      std::lock_guard lock(impl_.mutex_);
      --impl_.callers_;
      impl_.progress_.notify_all();
    }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

   private:
    Impl& impl_;
  };

 private:
  // A context that Close() can cancel while it is in use.
  class CancellableContext {
   public:
    explicit CancellableContext(Impl& impl) : impl_(impl) {
      std::lock_guard lock(impl_.mutex_);
      impl_.contexts_.insert(&context);
      if (impl_.stopping_) context.TryCancel();
    }
    ~CancellableContext() {
      std::lock_guard lock(impl_.mutex_);
      impl_.contexts_.erase(&context);
    }
    grpc::ClientContext context;

   private:
    Impl& impl_;
  };

  // A thread that makes one call after the other.
  struct Caller {
    std::thread thread;
    std::condition_variable wake;
    std::function<void()> job;  // Guarded by mutex_.
    bool busy = false;          // Also while the job waits to be begun.
  };

  Instant Now() const { return {.wall = clock_.Wall(), .steady = clock_.Steady()}; }

  absl::StatusOr<std::string> Token() const {
    if (options_.token_file.empty()) return options_.token;
    return client::ReadTokenFile(options_.token_file);
  }

  template <typename MakeCall>
  absl::Status Attempt(const MakeCall& call, absl::Duration timeout) {
    const client::SignalsBlocked blocked;  // In whatever thread this is.
    absl::StatusOr<std::string> token = Token();
    if (!token.ok()) return token.status();
    const std::shared_ptr<client::Endpoints::Stub> stub = endpoints_.stub();
    if (stub == nullptr) return absl::UnavailableError("not connected yet");
    CancellableContext cancellable(*this);
    client::AddToken(*token, cancellable.context);
    cancellable.context.set_deadline(std::chrono::system_clock::now() +
                                     absl::ToChronoMicroseconds(std::min(timeout, kAttemptMax)));
    return client::ToAbsl(call(*stub, cancellable.context));
  }

  // --- Calls of the program. The caller holds mutex_. ---

  void Cancel(const Call& call) {
    std::lock_guard lock(mutex_);
    GiveUp(call, absl::CancelledError("the call was cancelled"));
    Collect();
    wake_.notify_all();
  }

  void GiveUp(const Call& call, const absl::Status& why) {
    for (size_t i = 0; i < call->wish_ids.size(); ++i) {
      if (call->IsAnswered(i)) continue;
      core_.bids().GiveUp(call->wish_ids[i], why);
    }
    // One that another has replaced while it is on its way has no wish of its own any more.
    Collect();
    for (size_t i = 0; i < call->size(); ++i) call->Answer(i, why, false);
    FinishIfDone(call);
  }

  void AnswerAll(const Call& call, const absl::Status& status) {
    for (size_t i = 0; i < call->size(); ++i) call->Answer(i, status, false);
  }

  void FinishIfDone(const Call& call) {
    if (!call->done()) return;
    const auto it = std::find(calls_.begin(), calls_.end(), call);
    if (it == calls_.end()) return;
    if (call->on_done) {
      outbox_.push_back([this, call] {
        dispatcher_.Run(
            [done = std::move(call->on_done), results = call->Wait()] { done(results); });
      });
    }
    calls_.erase(it);
    progress_.notify_all();
  }

  // Hands on what the bid book has to say.
  void Collect() {
    for (BidBook::Answer& answer : core_.bids().TakeAnswers()) {
      for (const Call& call : calls_) {
        const auto it = std::find(call->wish_ids.begin(), call->wish_ids.end(), answer.wish_id);
        if (answer.wish_id == 0 || it == call->wish_ids.end()) continue;
        const auto i = static_cast<size_t>(it - call->wish_ids.begin());
        call->Answer(i, std::move(answer.round_id), answer.removed);
        FinishIfDone(Call(call));
        break;
      }
    }
    for (BidEvent& event : core_.bids().TakeEvents()) {
      outbox_.push_back(
          [this, of = std::move(event)]() mutable { dispatcher_.Tell(std::move(of)); });
    }
  }

  void Take(SessionCore::Output output) {
    if (output.open_stream) want_stream_ = true;
    if (output.cancel_stream && watch_context_ != nullptr) watch_context_->TryCancel();
    for (SessionEvent& event : output.events) {
      event.endpoint =
          event.change == SessionChange::kConnected || event.change == SessionChange::kLost
              ? endpoints_.target()
              : "";
      outbox_.push_back(
          [this, of = std::move(event)]() mutable { dispatcher_.Tell(std::move(of)); });
    }
    if (output.staleness) {
      if (output.staleness->stale) ++counters_.times_stale;
      outbox_.push_back([this, of = *output.staleness] { dispatcher_.Tell(of); });
    }
    if (output.priced) {
      outbox_.push_back([this, of = core_.prices()] { dispatcher_.Tell(of); });
    }
    for (Round& round : output.rounds) {
      outbox_.push_back(
          [this, of = std::move(round)]() mutable { dispatcher_.Tell(std::move(of)); });
    }
    for (const Notice& notice : output.notices) {
      outbox_.push_back([this, of = notice] { dispatcher_.Tell(of); });
    }
  }

  // --- The pump. ---

  void Pump() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      const Instant now = Now();
      if (inbox_) {
        ++counters_.responses;
        Take(core_.OnResponse(*inbox_, now));
        inbox_.reset();
        NoteRound(now);
      } else if (stream_end_) {
        Take(core_.OnStreamEnded(*stream_end_, now));
        stream_end_.reset();
      }
      Take(core_.OnTime(now));
      board_.Write(core_.prices(), core_.fresh_until());
      ExpireCalls(now);
      StartCalls(now);
      Collect();
      reader_wake_.notify_all();
      progress_.notify_all();
      if (!outbox_.empty()) {
        std::deque<std::function<void()>> outbox = std::exchange(outbox_, {});
        lock.unlock();
        for (std::function<void()>& tell : outbox) tell();
        outbox.clear();
        lock.lock();
        continue;
      }
      if (!inbox_ && !stream_end_) clock_.WaitUntil(lock, wake_, NextWake(now));
    }
  }

  // Renewals of many sessions are spread over the first quarter of a round.
  void NoteRound(Instant now) {
    if (core_.market().round_id == round_seen_) return;
    round_seen_ = core_.market().round_id;
    renew_at_ = now.steady + core_.market().period / 4 * random_();
    renew_wanted_ = true;
  }

  void ExpireCalls(Instant now) {
    std::vector<Call> over;
    for (const Call& call : calls_) {
      if (now.steady >= call->deadline_) over.push_back(call);
    }
    for (const Call& call : over) {
      GiveUp(call, absl::DeadlineExceededError("the market did not answer in time"));
    }
  }

  bool RenewalDue(Instant now, bool fresh) {
    if (!fresh || !core_.bids().AnyToRenew() || now.steady < renew_not_before_) return false;
    return (renew_wanted_ && now.steady >= renew_at_) || core_.bids().AnyInDoubt();
  }

  void StartCalls(Instant now) {
    const bool fresh = core_.IsFresh(now);
    bool paced = false;
    const auto take = [&] {
      const bool taken = bucket_.Take(now.steady);
      paced = paced || !taken;
      return taken;
    };
    if (!keeper_.busy) {
      if (RenewalDue(now, fresh) && take()) {
        if (std::optional<BidBook::Renewal> renewal = core_.bids().NextRenewal()) {
          renew_wanted_ = false;
          Post(keeper_, [this, of = *std::move(renewal)] { Renew(of); });
        }
      } else if (std::optional<SessionCore::Listing> listing = core_.NextListing()) {
        Post(keeper_, [this, of = *listing] { List(of); });
      }
    }
    if (!writer_.busy && now.steady >= write_not_before_) {
      if (core_.bids().NeedsLease(fresh)) {
        if (take()) Post(writer_, [this] { OpenLease(); });
      } else if (core_.bids().AnyToWrite(fresh) && take()) {
        if (std::optional<BidBook::Write> write = core_.bids().NextWrite(fresh)) {
          Post(writer_, [this, of = *std::move(write)] { Write(of); });
        }
      }
    }
    if (paced && !std::exchange(paced_, true)) {
      ++counters_.times_paced;
      TellPaced(absl::ResourceExhaustedError("the market takes no more calls for now"));
    }
    if (!paced) paced_ = false;
  }

  void TellPaced(absl::Status why) {
    SessionEvent event{.change = SessionChange::kPaced, .status = std::move(why), .endpoint = ""};
    outbox_.push_back([this, of = std::move(event)]() mutable { dispatcher_.Tell(std::move(of)); });
  }

  absl::Duration NextWake(Instant now) {
    absl::Duration wake = core_.next_wake();
    for (const Call& call : calls_) wake = std::min(wake, call->deadline_);
    const bool fresh = core_.IsFresh(now);
    if (!writer_.busy && (core_.bids().NeedsLease(fresh) || core_.bids().AnyToWrite(fresh))) {
      wake = std::min(wake, std::max(write_not_before_, bucket_.NextAt(now.steady)));
    }
    if (!keeper_.busy && fresh && core_.bids().AnyToRenew() &&
        (renew_wanted_ || core_.bids().AnyInDoubt())) {
      const absl::Duration at =
          core_.bids().AnyInDoubt() ? renew_not_before_ : std::max(renew_at_, renew_not_before_);
      wake = std::min(wake, std::max(at, bucket_.NextAt(now.steady)));
    }
    return wake;
  }

  // --- The writer and the keeper. ---

  void Post(Caller& caller, std::function<void()> job) {
    caller.busy = true;
    caller.job = std::move(job);
    caller.wake.notify_all();
  }

  void RunJobs(Caller& caller) {
    std::unique_lock lock(mutex_);
    for (;;) {
      caller.wake.wait(lock, [&] { return stopping_ || caller.job; });
      if (stopping_) return;
      const std::function<void()> job = std::exchange(caller.job, nullptr);
      lock.unlock();
      job();
      lock.lock();
      caller.busy = false;
      Collect();
      wake_.notify_all();
      progress_.notify_all();
    }
  }

  // How long an attempt may take: one that carries bids no longer than prices are believed, so that
  // nothing arrives that was sent in good faith and is none any more.
  absl::Duration TimeForAttempt(bool carries_bids) const {
    const absl::Duration time = std::min(options_.attempt_timeout, kAttemptMax);
    if (!carries_bids) return time;
    std::lock_guard lock(mutex_);
    return std::min(time, core_.FreshFor(Now()));
  }

  // Of a call that went wrong: when to try again.
  void BackOff(const absl::Status& status, Backoff& backoff, absl::Duration& not_before) {
    const absl::Duration until = clock_.Steady() + backoff.Next();
    not_before = until;
    if (!absl::IsResourceExhausted(status)) return;
    bucket_.CloseUntil(until);
    if (std::exchange(paced_, true)) return;
    ++counters_.times_paced;
    TellPaced(status);
  }

  void OpenLease() {
    market::v1::OpenLeaseResponse response;
    const absl::Status status = Attempt(
        [&](client::Endpoints::Stub& stub, grpc::ClientContext& context) {
          return stub.OpenLease(&context, {}, &response);
        },
        TimeForAttempt(/*carries_bids=*/false));
    std::lock_guard lock(mutex_);
    if (!status.ok()) {
      core_.bids().OnLeaseFailed(status);
      BackOff(status, write_backoff_, write_not_before_);
      return;
    }
    // Of another ledger than the stream has told of: the stream will, and the lease is opened anew.
    if (response.ledger_id() != core_.market().ledger_id) {
      BackOff(absl::OkStatus(), write_backoff_, write_not_before_);
      return;
    }
    write_backoff_.Reset();
    bucket_.Allow(response.calls_per_second(), response.calls_burst());
    core_.bids().OnLease(response.fence(), response.bids_per_call());
  }

  void Write(const BidBook::Write& write) {
    const bool carries_bids = std::any_of(write.items.begin(), write.items.end(),
                                          [](const BidBook::Item& item) { return item.bid; });
    const absl::Duration time = TimeForAttempt(carries_bids);
    market::v1::PlaceBidsResponse response;
    absl::Status status = absl::ResourceExhaustedError("prices have just grown stale");
    const bool sent = time > absl::ZeroDuration();
    if (sent) {
      const market::v1::PlaceBidsRequest request =
          client::ToProto(write, options_.bid_lifetime_rounds);
      status = Attempt(
          [&](client::Endpoints::Stub& stub, grpc::ClientContext& context) {
            return stub.PlaceBids(&context, request, &response);
          },
          time);
    }
    std::lock_guard lock(mutex_);
    if (sent) ++counters_.write_calls;
    if (status.ok()) {
      write_backoff_.Reset();
    } else if (sent) {
      ++counters_.write_calls_failed;
      BackOff(status, write_backoff_, write_not_before_);
    }
    core_.bids().OnWritten(write, status, client::FromProto(response));
    if (!core_.IsFresh(Now())) {
      core_.bids().GiveUpUnsent(absl::FailedPreconditionError("safe mode: prices are stale"));
    }
  }

  void Renew(const BidBook::Renewal& renewal) {
    const absl::Duration time = TimeForAttempt(/*carries_bids=*/true);
    market::v1::RenewLeaseResponse response;
    absl::Status status = absl::UnavailableError("prices have just grown stale");
    if (time > absl::ZeroDuration()) {
      const market::v1::RenewLeaseRequest request = client::ToProto(renewal);
      status = Attempt(
          [&](client::Endpoints::Stub& stub, grpc::ClientContext& context) {
            return stub.RenewLease(&context, request, &response);
          },
          time);
    }
    std::lock_guard lock(mutex_);
    if (!status.ok()) {
      ++counters_.renewals_failed;
      renew_wanted_ = true;
      BackOff(status, renew_backoff_, renew_not_before_);
      return;
    }
    ++counters_.renewals;
    renew_backoff_.Reset();
    core_.bids().OnRenewed(renewal, client::FromProto(response));
    // What is in doubt is asked about again, but not without a pause.
    renew_not_before_ = clock_.Steady() + options_.backoff_min;
  }

  void List(const SessionCore::Listing& listing) {
    const absl::StatusOr<RoundsPage> page =
        ListRounds(listing.before_round_id, listing.count, TimeForAttempt(/*carries_bids=*/false));
    std::lock_guard lock(mutex_);
    Take(core_.OnListed(
        listing, page.ok() ? absl::StatusOr<std::vector<Round>>(page->rounds) : page.status()));
  }

  // --- The reader. ---

  void ReadStreams() {
    bool suspect = false;  // The connection.
    std::unique_lock lock(mutex_);
    for (;;) {
      reader_wake_.wait(lock, [this] { return stopping_ || want_stream_; });
      if (stopping_) return;
      want_stream_ = false;
      ++counters_.streams;
      // A guest that has gone is none of the caller's: after the first word, its id alone must not
      // keep the others from being watched.
      const bool was_live = core_.state() != SessionState::kConnecting;
      market::v1::WatchRequest request;
      request.set_host_id(options_.host_id);
      if (!watch_all_) {
        for (uint64_t guest_id : options_.guest_ids) request.add_guest_ids(guest_id);
      }
      request.set_after_sequence(core_.after_sequence());
      lock.unlock();
      absl::Status status = suspect ? endpoints_.Reopen(/*next=*/true) : absl::OkStatus();
      if (status.ok()) status = ReadOne(request);
      suspect = status.ok() || client::IsUnsure(status);
      lock.lock();
      if (absl::IsNotFound(status) && was_live && !options_.guest_ids.empty()) watch_all_ = true;
      stream_end_ = status;
      wake_.notify_all();
    }
  }

  absl::Status ReadOne(const market::v1::WatchRequest& request) {
    absl::StatusOr<std::string> token = Token();
    if (!token.ok()) return token.status();
    CancellableContext cancellable(*this);
    client::AddToken(*token, cancellable.context);
    {
      std::lock_guard lock(mutex_);
      watch_context_ = &cancellable.context;
    }
    const std::shared_ptr<client::Endpoints::Stub> stub = endpoints_.stub();
    const auto stream = stub->Watch(&cancellable.context, request);
    market::v1::WatchResponse response;
    while (stream->Read(&response)) {
      if (request.guest_ids_size() == 0 && !options_.guest_ids.empty()) KeepFollowed(response);
      std::unique_lock lock(mutex_);
      reader_wake_.wait(lock, [this] { return stopping_ || !inbox_; });
      if (stopping_) break;
      inbox_ = std::move(response);
      wake_.notify_all();
    }
    absl::Status status = client::ToAbsl(stream->Finish());
    std::lock_guard lock(mutex_);
    watch_context_ = nullptr;
    return status;
  }

  // Of all guests, those that the program named.
  void KeepFollowed(market::v1::WatchResponse& response) const {
    const auto is_followed = [&](uint64_t guest_id) {
      return std::find(options_.guest_ids.begin(), options_.guest_ids.end(), guest_id) !=
             options_.guest_ids.end();
    };
    auto& guests = *response.mutable_guests();
    guests.erase(std::remove_if(guests.begin(), guests.end(),
                                [&](const auto& guest) { return !is_followed(guest.guest_id()); }),
                 guests.end());
    auto& notices = *response.mutable_notices();
    notices.erase(
        std::remove_if(notices.begin(), notices.end(),
                       [&](const auto& notice) { return !is_followed(notice.guest_id()); }),
        notices.end());
  }

  const SessionOptions options_;
  SessionClock& clock_;
  const std::function<double()> random_;
  client::Endpoints endpoints_;
  client::PriceBoard board_;
  client::Dispatcher dispatcher_;
  const std::shared_ptr<BidCall::State::Link> link_;

  std::mutex close_mutex_;  // Held by who closes; taken before mutex_.
  mutable std::mutex mutex_;
  std::condition_variable wake_;         // The pump has something to do.
  std::condition_variable reader_wake_;  // The reader has: a stream to open, room for a response.
  std::condition_variable progress_;     // For whoever waits in a call of the program's.
  Caller writer_;
  Caller keeper_;

  Backoff write_backoff_;
  Backoff renew_backoff_;
  client::CallBucket bucket_;
  absl::Duration write_not_before_ = -absl::InfiniteDuration();
  absl::Duration renew_not_before_ = -absl::InfiniteDuration();
  absl::Duration renew_at_ = -absl::InfiniteDuration();
  bool renew_wanted_ = false;  // Once for each round.
  uint64_t round_seen_ = 0;
  bool paced_ = false;

  SessionCore core_;
  SessionCounters counters_;
  std::vector<Call> calls_;                   // Without all their answers.
  std::deque<std::function<void()>> outbox_;  // For the dispatcher, without the lock.
  bool closing_ = false;                      // No new calls.
  bool stopping_ = false;                     // All threads end.
  int callers_ = 0;
  bool watch_all_ = false;
  bool want_stream_ = false;
  std::optional<market::v1::WatchResponse> inbox_;
  std::optional<absl::Status> stream_end_;
  grpc::ClientContext* watch_context_ = nullptr;
  std::set<grpc::ClientContext*> contexts_;

  std::thread pump_;
  std::thread reader_;
};

bool PlaintextAllowed(const std::string& target) { return client::IsLoopback(target); }

absl::StatusOr<std::unique_ptr<Session>> Session::Connect(SessionOptions options) {
  if (absl::Status status = client::CheckOptions(options); !status.ok()) return status;
  if (!options.token_file.empty()) {
    if (absl::Status status = client::ReadTokenFile(options.token_file).status(); !status.ok()) {
      return status;
    }
  }
  const client::SignalsBlocked blocked;
  for (const client::Endpoint& endpoint : client::EndpointsOf(options)) {
    if (absl::Status status = client::OpenChannel(endpoint).status(); !status.ok()) return status;
  }
  std::optional<BudgetPacer> pacer;
  if (options.pacing) {
    absl::StatusOr<BudgetPacer> made = BudgetPacer::Create(*options.pacing);
    if (!made.ok()) {
      return absl::Status(made.status().code(), absl::StrCat("pacing.", made.status().message()));
    }
    pacer = *std::move(made);
  }
  const bool wait = options.connect_timeout > absl::ZeroDuration();
  auto impl = std::make_unique<Impl>(std::move(options), std::move(pacer));
  if (absl::Status status = impl->Start(); !status.ok()) return status;
  if (wait) {
    if (absl::Status status = impl->WaitUntilConnected(); !status.ok()) return status;
  }
  return std::unique_ptr<Session>(new Session(std::move(impl)));
}

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;

absl::Status Session::Close(const CloseOptions& options) { return impl_->Close(options); }

Prices Session::prices() const { return impl_->prices(); }
std::optional<int64_t> Session::UnitPrice(Resource resource) const {
  return impl_->UnitPrice(resource);
}
bool Session::stale() const { return impl_->stale(); }

SessionState Session::state() const { return impl_->state(); }
SessionCounters Session::counters() const { return impl_->counters(); }
absl::Status Session::last_error() const {
  return impl_->Locked([](const SessionCore& core) { return core.last_error(); });
}
MarketStatus Session::market() const {
  return impl_->Locked([](const SessionCore& core) { return core.market(); });
}
std::vector<GuestStatus> Session::guests() const {
  return impl_->Locked([](const SessionCore& core) { return core.guests(); });
}
std::vector<Grant> Session::grants(uint64_t guest_id) const {
  return impl_->Locked([&](const SessionCore& core) -> std::vector<Grant> {
    const absl::StatusOr<uint64_t> resolved = core.ResolveGuest(guest_id);
    if (!resolved.ok()) return {};
    for (const GuestStatus& guest : core.guests()) {
      if (guest.guest_id == *resolved) return guest.grants;
    }
    return {};
  });
}
std::optional<AccountStatus> Session::account() const {
  return impl_->Locked([](const SessionCore& core) { return core.account(); });
}

void Session::OnNotice(std::function<void(const Notice&)> callback) {
  impl_->dispatcher().SetNotice(std::move(callback));
}
void Session::OnPrices(std::function<void(const Prices&)> callback) {
  const Prices present = impl_->prices();
  impl_->dispatcher().SetPrices(std::move(callback), present.round_id != 0 ? &present : nullptr);
}
void Session::OnStale(std::function<void(const Staleness&)> callback) {
  const Staleness present = impl_->Locked([](const SessionCore& core) { return core.staleness(); });
  impl_->dispatcher().SetStale(std::move(callback), present);
}
void Session::OnRound(std::function<void(const Round&)> callback) {
  impl_->dispatcher().SetRound(std::move(callback));
}
void Session::OnBidEvent(std::function<void(const BidEvent&)> callback) {
  impl_->dispatcher().SetBidEvent(std::move(callback));
}
void Session::OnSessionEvent(std::function<void(const SessionEvent&)> callback) {
  impl_->dispatcher().SetSessionEvent(std::move(callback));
}

absl::StatusOr<uint64_t> Session::Bid(nom::Bid bid, const CallOptions& options) {
  return BidAll({std::move(bid)}, options)[0];
}
BidResults Session::BidAll(std::vector<nom::Bid> bids, const CallOptions& options) {
  const Impl::Inside inside(*impl_);
  return impl_->Start(std::move(bids), nullptr, options)->Wait();
}
BidCall Session::BidAsync(std::vector<nom::Bid> bids, std::function<void(const BidResults&)> done,
                          const CallOptions& options) {
  return BidCall(impl_->Start(std::move(bids), std::move(done), options));
}
absl::StatusOr<bool> Session::Withdraw(Resource resource, uint64_t guest_id,
                                       const CallOptions& options) {
  return impl_->Withdraw({.guest_id = guest_id, .resource = resource}, options);
}
absl::StatusOr<bool> Session::WithdrawSeveral(uint64_t guest_id, const CallOptions& options) {
  return impl_->Withdraw({.guest_id = guest_id, .valuation = Valuation{}}, options);
}
void Session::TakeOver() { impl_->TakeOver(); }
std::vector<StandingBid> Session::standing_bids() const {
  return impl_->Locked([](const SessionCore& core) { return core.bids().standing_bids(); });
}
absl::StatusOr<RoundsPage> Session::ListRounds(uint64_t before_round_id, int page_size,
                                               const CallOptions& options) const {
  const Impl::Inside inside(*impl_);
  return impl_->ListRounds(before_round_id, page_size,
                           options.timeout.value_or(impl_->options().call_timeout));
}

}  // namespace nom
