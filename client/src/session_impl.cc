// SPDX-License-Identifier: Apache-2.0
// How a session begins and ends.

#include "client/src/session_impl.h"

#include <cstdio>
#include <cstdlib>
#include <random>

#include "absl/strings/str_cat.h"
#include "client/src/session_options.h"

namespace nom {
namespace {

std::function<double()> OneAtATime(std::function<double()> random) {
  if (!random) {
    auto engine = std::make_shared<std::mt19937_64>(std::random_device{}());
    random = [engine] { return std::uniform_real_distribution<>(0.0, 1.0)(*engine); };
  }
  auto mutex = std::make_shared<std::mutex>();
  return [mutex, random = std::move(random)] {
    std::lock_guard lock(*mutex);
    const double drawn = random();
    // A pause made of what is no such number might never end.
    return drawn >= 0 && drawn < 1 ? drawn : 0.5;
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

}  // namespace

Session::Impl::Impl(SessionOptions options)
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
             .unit_price_ceilings_microcredits = options_.unit_price_ceilings_microcredits,
             .pacing = options_.pacing},
            Backoff(options_.backoff_min, options_.backoff_max, random_)),
      errands_(std::make_shared<client::Errands>(client::Errands::Options{
          .endpoints = &endpoints_,
          .clock = &clock_,
          .token = [this] { return Token(); },
          .attempt_timeout = std::min(options_.attempt_timeout, kAttemptMax),
          .backoff_min = options_.backoff_min,
          .backoff_max = options_.backoff_max,
          .random = random_})) {
  link_->cancel = [this](const Call& call) { Cancel(call); };
}

absl::Status Session::Impl::OpenBoard() {
  if (options_.board == "none") return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<Board>> board =
      options_.board.empty() ? Board::FromEnvironment() : Board::Open(options_.board);
  if (board.ok()) {
    guest_board_ = *std::move(board);
  } else if (!options_.board.empty()) {
    return board.status();
  }
  // The environment is handed on to programs without the descriptor, too.
  return absl::OkStatus();
}

std::optional<Prices> Session::Impl::guest_board_prices() const {
  const uint64_t market_id = market_id_.load(std::memory_order_relaxed);
  return market_id == 0 ? std::nullopt : guest_board_->FreshPrices(market_id);
}

Prices Session::Impl::prices() const {
  const Prices told = told_prices();
  if (guest_board_ == nullptr) return told;
  const std::optional<Prices> seen = guest_board_prices();
  // A board that marketd could not write for a while is behind the line.
  return seen && (told.stale || seen->round_id >= told.round_id) ? *seen : told;
}

absl::Status Session::Impl::Start() {
  if (absl::Status status = OpenBoard(); !status.ok()) return status;
  if (absl::Status status = endpoints_.Reopen(/*next=*/false); !status.ok()) return status;
  pump_ = client::StartThread([this] { Pump(); });
  reader_ = client::StartThread([this] { ReadStreams(); });
  writer_.thread = client::StartThread([this] { RunJobs(writer_); });
  keeper_.thread = client::StartThread([this] { RunJobs(keeper_); });
  return absl::OkStatus();
}

Session::Impl::~Impl() {
  if (dispatcher_.IsCallbackThread()) {
    std::fputs("nom::Session: destroyed from one of its own callbacks\n", stderr);
    std::abort();
  }
  (void)Close({.timeout = absl::ZeroDuration()});
  dispatcher_.Stop(absl::InfiniteDuration());
  std::unique_lock lock(mutex_);
  progress_.wait(lock, [this] { return callers_ == 0; });
}

absl::Status Session::Impl::WaitUntilConnected() {
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

absl::Status Session::Impl::Close(const CloseOptions& options) {
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
    if (!stopping_) {
      lock.unlock();
      in_time = errands_->WaitIdle(deadline) && in_time;
      lock.lock();
    }
    stopping_ = true;
    for (grpc::ClientContext* context : contexts_) context->TryCancel();
    for (const Call& call : std::exchange(calls_, {})) AnswerAll(call, Closed());
    Prices prices = core_.prices();
    prices.stale = true;
    board_.Write(prices);
    market_id_.store(0, std::memory_order_relaxed);
    for (std::condition_variable* condition :
         {&wake_, &reader_wake_, &writer_.wake, &keeper_.wake, &progress_}) {
      condition->notify_all();
    }
  }
  for (std::thread* thread : {&pump_, &reader_, &writer_.thread, &keeper_.thread}) {
    if (thread->joinable()) thread->join();
  }
  // Before calls are ended: nobody is told that they were.
  (void)dispatcher_.Stop(-absl::InfiniteDuration());
  errands_->Stop();
  {
    std::lock_guard lock(link_->mutex);
    link_->cancel = nullptr;
  }
  if (!dispatcher_.Stop(deadline)) {
    return absl::DeadlineExceededError("a callback still runs");
  }
  return in_time ? absl::OkStatus()
                 : absl::DeadlineExceededError(
                       "calls were still on their way, or bids to be withdrawn");
}

SessionCounters Session::Impl::counters() const {
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
  out.prices_from_board = guest_board_prices().has_value() ? 1 : 0;
  return out;
}

absl::StatusOr<std::string> Session::Impl::Token() const {
  if (options_.token_file.empty()) return options_.token;
  return client::ReadTokenFile(options_.token_file);
}

}  // namespace nom
