// The threads and the wire of a session; what it decides is in session_core.h.
//
// Three threads: the reader sits in the stream and hands over one response at a time (so that the
// market, not this process, conflates when a callback is slow); the dispatcher owns time, the price
// board and the callbacks; the keeper renews bids. `mutex_` guards everything they share and is
// never held during I/O or a callback. `calls_mutex_` is held for the length of a write, so that a
// renewal cannot overtake a newer bid; it is taken before `mutex_`.

#include "nom/session.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "client/src/backoff.h"
#include "client/src/channel.h"
#include "client/src/convert.h"
#include "client/src/price_board.h"
#include "client/src/session_core.h"
#include "nom/market/v1/market.grpc.pb.h"

namespace nom {
namespace {

using client::Backoff;
using client::Instant;
using client::SessionCore;

absl::Status CheckOptions(const SessionOptions& options) {
  const auto positive = [](absl::string_view name, absl::Duration value) {
    if (value > absl::ZeroDuration()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(name, ": must be above zero"));
  };
  if (!options.token.empty() && !options.token_file.empty()) {
    return absl::InvalidArgumentError("token, token_file: give one of them");
  }
  if (!options.token.empty()) {
    if (absl::Status status = client::CheckToken(options.token); !status.ok()) return status;
  }
  if (options.plaintext && !(options.tls_roots_file.empty() && options.tls_cert_file.empty() &&
                             options.tls_key_file.empty())) {
    return absl::InvalidArgumentError("plaintext, tls_..._file: give one or the other");
  }
  for (auto [name, value] : {std::pair("call_timeout", options.call_timeout),
                             std::pair("attempt_timeout", options.attempt_timeout),
                             std::pair("backoff_min", options.backoff_min)}) {
    if (absl::Status status = positive(name, value); !status.ok()) return status;
  }
  if (options.backoff_max < options.backoff_min) {
    return absl::InvalidArgumentError("backoff_max: must not be less than backoff_min");
  }
  if (options.bid_lifetime_rounds < 2) {
    return absl::InvalidArgumentError("bid_lifetime_rounds: must be at least 2");
  }
  if (options.budget_per_round_microcredits.value_or(0) < 0) {
    return absl::InvalidArgumentError("budget_per_round_microcredits: must not be negative");
  }
  for (const auto& [resource, ceiling] : options.unit_price_ceilings_microcredits) {
    if (ceiling < 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "unit_price_ceilings_microcredits[", ResourceName(resource), "]: must not be negative"));
    }
  }
  return absl::OkStatus();
}

client::Endpoint ToEndpoint(const SessionOptions& options) {
  return {.target = options.target,
          .tls_roots_file = options.tls_roots_file,
          .tls_cert_file = options.tls_cert_file,
          .tls_key_file = options.tls_key_file,
          .plaintext = options.plaintext};
}

// Unlike the pauses, ids must never repeat, so they are not drawn from what the caller injects.
std::string NewRequestId() {
  std::random_device device;
  return absl::StrFormat("%08x%08x%08x%08x", device(), device(), device(), device());
}

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

// True if the market may have carried the call out although it failed here.
bool Unsure(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kAborted:
      return true;
    default:
      return false;
  }
}

bool WorthAnotherTry(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnavailable ||
         status.code() == absl::StatusCode::kDeadlineExceeded ||
         status.code() == absl::StatusCode::kAborted;
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

class Session::Impl {
 public:
  Impl(SessionOptions options, std::shared_ptr<grpc::Channel> channel)
      : options_(std::move(options)),
        clock_(options_.clock != nullptr ? *options_.clock : SessionClock::Real()),
        random_(OneAtATime(options_.random)),
        stub_(NewStub(std::move(channel))),
        core_({.bid_lifetime_rounds = options_.bid_lifetime_rounds,
               .budget_per_round_microcredits = options_.budget_per_round_microcredits,
               .unit_price_ceilings_microcredits = options_.unit_price_ceilings_microcredits},
              Backoff(options_.backoff_min, options_.backoff_max, random_)) {
    dispatcher_ = std::thread([this] { Dispatch(); });
    reader_ = std::thread([this] { ReadStreams(); });
    keeper_ = std::thread([this] { KeepBids(); });
  }

  ~Impl() {
    if (std::this_thread::get_id() == dispatcher_.get_id()) {
      std::fputs("nom::Session: destroyed from one of its own callbacks\n", stderr);
      std::abort();
    }
    {
      std::lock_guard lock(mutex_);
      closing_ = true;
      for (grpc::ClientContext* context : contexts_) context->TryCancel();
      call_wake_.notify_all();
      wake_.notify_all();
      reader_wake_.notify_all();
      keeper_wake_.notify_all();
      progress_.notify_all();
    }
    reader_.join();
    keeper_.join();
    dispatcher_.join();
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

  absl::StatusOr<uint64_t> Bid(nom::Bid bid) {
    if (bid.ranges.empty()) return WithdrawInstead(bid);
    std::lock_guard calls(calls_mutex_);
    {
      std::lock_guard lock(mutex_);
      absl::StatusOr<nom::Bid> prepared = core_.Prepare(std::move(bid));
      if (!prepared.ok()) return prepared.status();
      bid = *std::move(prepared);
    }
    const market::v1::PlaceBidRequest request = PlaceRequest(bid);
    market::v1::PlaceBidResponse response;
    bool unsure = false;
    const absl::Status status = Persist(
        [&](grpc::ClientContext& context) {
          return Market()->PlaceBid(&context, request, &response);
        },
        WhenStale::kSendNothing, unsure);
    std::lock_guard lock(mutex_);
    if (status.ok()) {
      core_.OnPlaced(bid, response.round_id());
      return response.round_id();
    }
    if (unsure) {
      core_.OnUnsure(bid);
    } else {
      core_.OnRefused(bid);
    }
    return status;
  }

  // A bid that wants nothing.
  absl::StatusOr<uint64_t> WithdrawInstead(const nom::Bid& bid) {
    const absl::StatusOr<bool> removed = Withdraw(bid.resource, bid.guest_id);
    if (!removed.ok()) return removed.status();
    // The market does not say from when on. The round that is being collected may have closed with
    // the old bid in it.
    std::lock_guard lock(mutex_);
    return core_.market().round_id + 1;
  }

  absl::StatusOr<bool> Withdraw(Resource resource, uint64_t guest_id) {
    if (!ParseResource(ResourceName(resource))) {
      return absl::InvalidArgumentError(
          absl::StrCat("resource: ", static_cast<int>(resource), " is none"));
    }
    std::lock_guard calls(calls_mutex_);
    market::v1::WithdrawBidRequest request;
    {
      std::lock_guard lock(mutex_);
      absl::StatusOr<uint64_t> resolved = core_.ResolveGuest(guest_id);
      if (!resolved.ok()) return resolved.status();
      guest_id = *resolved;
      core_.OnWithdrawing(guest_id, resource);
    }
    request.set_guest_id(guest_id);
    request.set_kind(client::ToProto(resource));
    request.set_request_id(NewRequestId());
    market::v1::WithdrawBidResponse response;
    bool unsure = false;  // It has been unsure since OnWithdrawing, and is so until it is sure.
    const absl::Status status = Persist(
        [&](grpc::ClientContext& context) {
          return Market()->WithdrawBid(&context, request, &response);
        },
        WhenStale::kSend, unsure);
    if (!status.ok()) return status;
    std::lock_guard lock(mutex_);
    core_.OnWithdrawn(guest_id, resource);
    return response.removed();
  }

  // Runs `read` with the state held still.
  template <typename Read>
  auto Locked(Read read) const {
    std::lock_guard lock(mutex_);
    return read(core_);
  }

  template <typename Callback>
  void SetCallback(std::shared_ptr<const Callback> Impl::*slot, Callback callback) {
    std::lock_guard lock(mutex_);
    this->*slot = callback ? std::make_shared<const Callback>(std::move(callback)) : nullptr;
    wake_.notify_all();
  }

  const client::PriceBoard& board() const { return board_; }

  using NoticeCallback = std::function<void(const Notice&)>;
  using PricesCallback = std::function<void(const Prices&)>;
  using StaleCallback = std::function<void(const Staleness&)>;
  using RefusedCallback = std::function<void(const nom::Bid&, const absl::Status&)>;
  std::shared_ptr<const NoticeCallback> on_notice_;
  std::shared_ptr<const PricesCallback> on_prices_;
  std::shared_ptr<const StaleCallback> on_stale_;
  std::shared_ptr<const RefusedCallback> on_refused_;

 private:
  // A context that the destructor can cancel while it is in use.
  class CancellableContext {
   public:
    explicit CancellableContext(Impl& impl) : impl_(impl) {
      std::lock_guard lock(impl_.mutex_);
      impl_.contexts_.insert(&context);
      if (impl_.closing_) context.TryCancel();
    }
    ~CancellableContext() {
      std::lock_guard lock(impl_.mutex_);
      impl_.contexts_.erase(&context);
    }
    grpc::ClientContext context;

   private:
    Impl& impl_;
  };

  using MarketStub = market::v1::MarketService::Stub;

  static std::shared_ptr<MarketStub> NewStub(std::shared_ptr<grpc::Channel> channel) {
    return market::v1::MarketService::NewStub(std::move(channel));
  }

  // The market as it is reached now. Whoever calls it holds it, so that it outlives the call.
  std::shared_ptr<MarketStub> Market() const {
    std::lock_guard lock(mutex_);
    return stub_;
  }

  // A stream that ended without a word of the market's own leaves its connection under suspicion:
  // it may be cut off without knowing, or the market's certificate may be of a new authority. So
  // the next stream begins on a new one, with roots and certificates read anew.
  absl::Status RenewChannel() {
    absl::StatusOr<std::shared_ptr<grpc::Channel>> channel =
        client::OpenChannel(ToEndpoint(options_));
    if (!channel.ok()) return channel.status();
    std::shared_ptr<MarketStub> stub = NewStub(*std::move(channel));
    std::lock_guard lock(mutex_);
    stub_.swap(stub);
    return absl::OkStatus();
  }

  Instant Now() const { return {.wall = clock_.Wall(), .steady = clock_.Steady()}; }

  absl::StatusOr<std::string> Token() const {
    if (options_.token_file.empty()) return options_.token;
    return client::ReadTokenFile(options_.token_file);
  }

  market::v1::PlaceBidRequest PlaceRequest(const nom::Bid& bid) const {
    market::v1::PlaceBidRequest request;
    *request.mutable_bid() = client::ToProto(bid);
    request.mutable_bid()->set_expires_after_rounds(bid.rounds != 0 ? bid.rounds
                                                                    : options_.bid_lifetime_rounds);
    request.set_request_id(NewRequestId());
    return request;
  }

  template <typename Call>
  absl::Status Attempt(const Call& call, absl::Duration timeout) {
    absl::StatusOr<std::string> token = Token();
    if (!token.ok()) return token.status();
    CancellableContext cancellable(*this);
    client::AddToken(*token, cancellable.context);
    cancellable.context.set_deadline(std::chrono::system_clock::now() +
                                     absl::ToChronoMicroseconds(timeout));
    return client::ToAbsl(call(cancellable.context));
  }

  enum class WhenStale { kSend, kSendNothing };

  // How long an attempt may take: with kSendNothing no longer than prices are believed, so that
  // nothing arrives that was sent in good faith and is none any more. Zero: it may not be made.
  absl::Duration TimeForAttempt(absl::Duration left, WhenStale when_stale) const {
    const absl::Duration time = std::min(left, options_.attempt_timeout);
    if (when_stale == WhenStale::kSend) return time;
    std::lock_guard lock(mutex_);
    return std::min(time, core_.FreshFor(Now()));
  }

  // Tries until it is carried out, refused, out of time, or may not be sent any more. `unsure`
  // becomes true if any attempt failed so that the market may have carried it out all the same:
  // that a later one was refused says nothing of it. The caller holds calls_mutex_.
  template <typename Call>
  absl::Status Persist(const Call& call, WhenStale when_stale, bool& unsure) {
    const absl::Duration deadline = clock_.Steady() + options_.call_timeout;
    Backoff backoff(options_.backoff_min, options_.backoff_max, random_);
    absl::Status status = absl::FailedPreconditionError("safe mode: prices are stale");
    for (;;) {
      const absl::Duration time = TimeForAttempt(deadline - clock_.Steady(), when_stale);
      if (time <= absl::ZeroDuration()) return status;
      status = Attempt(call, time);
      unsure = unsure || Unsure(status);
      if (!WorthAnotherTry(status)) return status;
      const absl::Duration again = clock_.Steady() + backoff.Next();
      if (again >= deadline) return status;
      if (TimeForAttempt(deadline - clock_.Steady(), when_stale) <= absl::ZeroDuration()) {
        return status;
      }
      std::unique_lock lock(mutex_);
      while (!closing_ && clock_.Steady() < again) clock_.WaitUntil(lock, call_wake_, again);
      if (closing_) return absl::CancelledError("the session is being closed");
    }
  }

  // The dispatcher.
  void Dispatch() {
    std::unique_lock lock(mutex_);
    while (!closing_) {
      std::vector<SessionCore::Output> outputs;
      if (inbox_) {
        outputs.push_back(core_.OnResponse(*inbox_, Now()));
        inbox_.reset();
        reader_wake_.notify_all();
      } else if (stream_end_) {
        outputs.push_back(core_.OnStreamEnded(*stream_end_, Now()));
        stream_end_.reset();
      }
      outputs.push_back(core_.OnTime(Now()));
      board_.Write(core_.prices());
      for (const SessionCore::Output& output : outputs) {
        if (output.open_stream) want_stream_ = true;
        if (output.cancel_stream && watch_context_ != nullptr) watch_context_->TryCancel();
        for (const Notice& notice : output.notices) {
          kept_notices_[{notice.guest_id, notice.resource}] = notice;
        }
      }
      if (want_stream_) reader_wake_.notify_all();
      if (core_.AnyDue()) keeper_wake_.notify_all();
      progress_.notify_all();
      if (RunCallbacks(lock, outputs)) continue;
      if (!inbox_ && !stream_end_) clock_.WaitUntil(lock, wake_, core_.next_wake());
    }
  }

  // True if any ran, in which case the lock was let go meanwhile.
  bool RunCallbacks(std::unique_lock<std::mutex>& lock,
                    const std::vector<SessionCore::Output>& outputs) {
    std::vector<std::function<void()>> todo;
    for (const SessionCore::Output& output : outputs) {
      if (output.staleness && on_stale_) {
        todo.push_back([call = on_stale_, value = *output.staleness] { (*call)(value); });
      }
      if (output.priced && on_prices_) {
        todo.push_back([call = on_prices_, value = core_.prices()] { (*call)(value); });
      }
    }
    if (on_notice_) {
      for (const auto& [key, notice] : std::exchange(kept_notices_, {})) {
        todo.push_back([call = on_notice_, value = notice] { (*call)(value); });
      }
    }
    for (auto& [bid, status] : std::exchange(refusals_, {})) {
      if (!on_refused_) continue;
      todo.push_back(
          [call = on_refused_, of = std::move(bid), why = std::move(status)] { (*call)(of, why); });
    }
    if (todo.empty()) return false;
    for (const std::function<void()>& call : todo) {
      if (closing_) break;
      lock.unlock();
      call();
      lock.lock();
    }
    return true;
  }

  // The reader.
  void ReadStreams() {
    bool suspect = false;  // The connection.
    std::unique_lock lock(mutex_);
    for (;;) {
      reader_wake_.wait(lock, [this] { return closing_ || want_stream_; });
      if (closing_) return;
      want_stream_ = false;
      market::v1::WatchRequest request;
      request.set_host_id(options_.host_id);
      for (uint64_t guest_id : options_.guest_ids) request.add_guest_ids(guest_id);
      request.set_after_sequence(core_.after_sequence());
      lock.unlock();
      absl::Status status = suspect ? RenewChannel() : absl::OkStatus();
      if (status.ok()) status = ReadOne(request);
      suspect = status.ok() || Unsure(status);
      lock.lock();
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
    const std::shared_ptr<MarketStub> stub = Market();
    const auto stream = stub->Watch(&cancellable.context, request);
    market::v1::WatchResponse response;
    while (stream->Read(&response)) {
      std::unique_lock lock(mutex_);
      reader_wake_.wait(lock, [this] { return closing_ || !inbox_; });
      if (closing_) break;
      inbox_ = std::move(response);
      wake_.notify_all();
    }
    absl::Status status = client::ToAbsl(stream->Finish());
    std::lock_guard lock(mutex_);
    watch_context_ = nullptr;
    return status;
  }

  // The keeper.
  void KeepBids() {
    for (;;) {
      std::vector<std::pair<uint64_t, Resource>> due;
      {
        std::unique_lock lock(mutex_);
        keeper_wake_.wait(lock, [this] {
          return closing_ || (core_.AnyDue() && core_.FreshFor(Now()) > absl::ZeroDuration());
        });
        if (closing_) return;
        due = core_.Due();
      }
      for (const auto& [guest_id, resource] : due) {
        if (!Renew(guest_id, resource)) return;
      }
    }
  }

  // Unless the bid has been replaced or withdrawn meanwhile. False if the session is being closed.
  bool Renew(uint64_t guest_id, Resource resource) {
    std::lock_guard calls(calls_mutex_);
    std::optional<nom::Bid> bid;
    {
      std::lock_guard lock(mutex_);
      if (closing_) return false;
      if (core_.FreshFor(Now()) > absl::ZeroDuration()) bid = core_.DueBid(guest_id, resource);
    }
    if (!bid) return true;
    const market::v1::PlaceBidRequest request = PlaceRequest(*bid);
    market::v1::PlaceBidResponse response;
    const absl::Status status = Attempt(
        [&](grpc::ClientContext& context) {
          return Market()->PlaceBid(&context, request, &response);
        },
        TimeForAttempt(options_.attempt_timeout, WhenStale::kSendNothing));
    std::lock_guard lock(mutex_);
    if (status.ok()) {
      core_.OnPlaced(*bid, response.round_id());
    } else if (core_.OnRenewalFailed(*bid, status)) {
      refusals_.emplace_back(*bid, status);
      wake_.notify_all();
    }
    return true;
  }

  const SessionOptions options_;
  SessionClock& clock_;
  const std::function<double()> random_;
  std::shared_ptr<MarketStub> stub_;  // Guarded by mutex_.
  client::PriceBoard board_;

  std::mutex calls_mutex_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;         // The dispatcher has something to do.
  std::condition_variable reader_wake_;  // The reader has: a stream to open, room for a response.
  std::condition_variable keeper_wake_;  // A bid is due.
  std::condition_variable call_wake_;    // Never but at the end: pauses between tries.
  std::condition_variable progress_;     // For Connect().

  SessionCore core_;
  bool closing_ = false;
  bool want_stream_ = false;
  std::optional<market::v1::WatchResponse> inbox_;
  std::optional<absl::Status> stream_end_;
  grpc::ClientContext* watch_context_ = nullptr;
  std::set<grpc::ClientContext*> contexts_;
  std::map<std::pair<uint64_t, Resource>, Notice> kept_notices_;
  std::vector<std::pair<nom::Bid, absl::Status>> refusals_;

  std::thread dispatcher_;
  std::thread reader_;
  std::thread keeper_;
};

bool PlaintextAllowed(const std::string& target) { return client::IsLoopback(target); }

absl::StatusOr<std::unique_ptr<Session>> Session::Connect(SessionOptions options) {
  if (absl::Status status = CheckOptions(options); !status.ok()) return status;
  if (!options.token_file.empty()) {
    if (absl::Status status = client::ReadTokenFile(options.token_file).status(); !status.ok()) {
      return status;
    }
  }
  absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = client::OpenChannel(ToEndpoint(options));
  if (!channel.ok()) return channel.status();
  const bool wait = options.connect_timeout > absl::ZeroDuration();
  auto impl = std::make_unique<Impl>(std::move(options), *std::move(channel));
  if (wait) {
    if (absl::Status status = impl->WaitUntilConnected(); !status.ok()) return status;
  }
  return std::unique_ptr<Session>(new Session(std::move(impl)));
}

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;

Prices Session::prices() const { return impl_->board().Read(); }
std::optional<int64_t> Session::UnitPrice(Resource resource) const {
  return impl_->board().UnitPrice(resource);
}
bool Session::stale() const { return impl_->board().stale(); }

SessionState Session::state() const {
  return impl_->Locked([](const SessionCore& core) { return core.state(); });
}
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
  impl_->SetCallback(&Impl::on_notice_, std::move(callback));
}
void Session::OnPrices(std::function<void(const Prices&)> callback) {
  impl_->SetCallback(&Impl::on_prices_, std::move(callback));
}
void Session::OnStale(std::function<void(const Staleness&)> callback) {
  impl_->SetCallback(&Impl::on_stale_, std::move(callback));
}
void Session::OnBidRefused(std::function<void(const nom::Bid&, const absl::Status&)> callback) {
  impl_->SetCallback(&Impl::on_refused_, std::move(callback));
}

absl::StatusOr<uint64_t> Session::Bid(nom::Bid bid) { return impl_->Bid(std::move(bid)); }
absl::StatusOr<bool> Session::Withdraw(Resource resource, uint64_t guest_id) {
  return impl_->Withdraw(resource, guest_id);
}
std::vector<nom::Bid> Session::standing_bids() const {
  return impl_->Locked([](const SessionCore& core) { return core.standing_bids(); });
}

}  // namespace nom
