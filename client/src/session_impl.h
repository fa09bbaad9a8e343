// SPDX-License-Identifier: Apache-2.0
// The inside of a session: its threads and the wire. What it decides is in session_core.h and
// bid_book.h; how callbacks run in dispatcher.h.
//
//   reader   sits in the stream and hands over one response at a time (so that the market, not this
//            process, conflates when it is slow)
//   pump     owns time and the price board, starts calls, hands events to the dispatcher
//   writer   makes the calls that write bids, one at a time
//   keeper   renews the bids that stand, and asks for rounds that went by unseen
//
// So a callback, or a write without an answer, delays neither time nor renewals. `mutex_` guards
// everything they share and is never held during I/O or a callback.

#ifndef CLIENT_SRC_SESSION_IMPL_H_
#define CLIENT_SRC_SESSION_IMPL_H_

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client/src/backoff.h"
#include "client/src/bid_call.h"
#include "client/src/call_bucket.h"
#include "client/src/convert.h"
#include "client/src/dispatcher.h"
#include "client/src/endpoints.h"
#include "client/src/errands.h"
#include "client/src/price_board.h"
#include "client/src/session_core.h"
#include "client/src/threads.h"
#include "nom/board.h"
#include "nom/market/v1/market.grpc.pb.h"
#include "nom/session.h"

namespace nom {

class Session::Impl {
 public:
  using Backoff = client::Backoff;
  using BidBook = client::BidBook;
  using Instant = client::Instant;
  using SessionCore = client::SessionCore;
  using Call = std::shared_ptr<BidCall::State>;

  explicit Impl(SessionOptions options);

  // Errors: as OpenChannel, or Board::Open for a board that the options name. Nothing runs before
  // it.
  absl::Status Start();
  // As Session's.
  ~Impl();
  absl::Status WaitUntilConnected();
  absl::Status Close(const CloseOptions& options);
  Call Start(std::vector<nom::Bid> bids, std::function<void(const BidResults&)> done,
             const CallOptions& options);

  // `nothing` is a bid without anything in it.
  absl::StatusOr<bool> Withdraw(nom::Bid nothing, const CallOptions& options);
  void TakeOver();
  absl::StatusOr<RoundsPage> ListRounds(uint64_t before_round_id, int page_size,
                                        absl::Duration timeout);
  absl::StatusOr<Statement> GetStatement(uint64_t first_round_id, uint64_t last_round_id,
                                         absl::Duration timeout);
  absl::StatusOr<PricesPage> ListPrices(const PriceQuery& query, absl::Duration timeout);

  // --- session_contracts.cc: calls that go on beside all others. ---

  template <typename Answer>
  using Told = std::function<void(const absl::StatusOr<Answer>&)>;
  AsyncCall<Offer> GetQuote(const QuoteOptions& quote, Told<Offer> done,
                            const CallOptions& options);
  AsyncCall<Taken> TakeOffer(const TakeOptions& take, Told<Taken> done, const CallOptions& options);
  AsyncCall<uint64_t> LeaveContract(uint64_t contract_id, Told<uint64_t> done,
                                    const CallOptions& options);
  AsyncCall<Done> SetRenewal(uint64_t contract_id, int64_t ceiling_microcredits, Told<Done> done,
                             const CallOptions& options);
  AsyncCall<Offer> OfferSublet(const SubletOptions& sublet, Told<Offer> done,
                               const CallOptions& options);
  AsyncCall<Done> WithdrawOffer(uint64_t offer_id, Told<Done> done, const CallOptions& options);
  AsyncCall<ContractsPage> ListContracts(uint64_t after_contract_id, Told<ContractsPage> done,
                                         const CallOptions& options);
  AsyncCall<OffersPage> ListOffers(uint64_t after_offer_id, Told<OffersPage> done,
                                   const CallOptions& options);
  AsyncCall<EndedContractsPage> ListEndedContracts(uint64_t before_contract_id,
                                                   Told<EndedContractsPage> done,
                                                   const CallOptions& options);

  // --- session_guests.cc: calls of the same kind. ---

  AsyncCall<uint64_t> SetTier(const TierOptions& tier, Told<uint64_t> done,
                              const CallOptions& options);
  AsyncCall<bool> ClearTier(uint64_t guest_id, Told<bool> done, const CallOptions& options);
  AsyncCall<RequestedGuest> RequestGuest(const GuestRequest& guest, Told<RequestedGuest> done,
                                         const CallOptions& options);
  AsyncCall<GuestQuota> GetQuota(Told<GuestQuota> done, const CallOptions& options);

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

  SessionCounters counters() const;
  // As the market told them over the line.
  Prices told_prices() const {
    Prices prices = board_.Read();
    prices.stale = prices.stale || stale();
    return prices;
  }
  // Of a guest's own board, if it has fresh ones of this market.
  std::optional<Prices> guest_board_prices() const;
  Prices prices() const;
  bool stale() const { return board_.IsStaleAt(clock_.Steady()); }
  std::optional<int64_t> UnitPrice(Resource resource) const {
    return guest_board_ == nullptr ? board_.UnitPrice(resource) : prices().UnitPrice(resource);
  }
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
  absl::Status OpenBoard();

  // Longer than this no single call waits for its answer.
  static constexpr absl::Duration kAttemptMax = absl::Minutes(1);

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

  static absl::Status Closed() { return absl::CancelledError("the session is closed"); }
  Instant Now() const { return {.wall = clock_.Wall(), .steady = clock_.Steady()}; }

  absl::StatusOr<std::string> Token() const;
  // Makes a call with a context of its own, for at most kAttemptMax.
  template <typename MakeCall>
  absl::Status Attempt(const MakeCall& call, absl::Duration timeout) {
    if (timeout <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError("the time for the call was over before it began");
    }
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

  // --- session_calls.cc: calls of the program. The caller holds mutex_, but of Cancel(). ---

  void Cancel(const Call& call);
  void GiveUp(const Call& call, const absl::Status& why);
  void AnswerAll(const Call& call, const absl::Status& status);
  void FinishIfDone(const Call& call);

  // Hands on what the bid book has to say.
  void Collect();

  // A request of that guest, under the id of the options or a new one; or why there is no such
  // guest. See session_send.h.
  template <typename Request>
  absl::StatusOr<Request> ForGuest(Request request, uint64_t guest_id, const CallOptions& options);
  // Of one whose request could be made; or answered with why it could not. See session_send.h.
  template <typename Answer, typename Method, typename Request, typename Response, typename Read>
  AsyncCall<Answer> Send(Method method, absl::StatusOr<Request> request, const Response& response,
                         const Read& read, Told<Answer> done, const CallOptions& options);

  // --- session_pump.cc: time, prices, what is to be done next. ---

  void Pump();
  // Does what the core asks for.
  void Take(SessionCore::Output output);
  // Renewals of many sessions are spread over the first quarter of a round.
  void NoteRound(Instant now);
  // Which market's board would be ours.
  void NoteMarket();
  void ExpireCalls(Instant now);
  bool RenewalDue(Instant now, bool fresh);
  void StartCalls(Instant now);
  void TellPaced(absl::Status why);
  absl::Duration NextWake(Instant now);

  // --- session_writes.cc: the writer and the keeper. ---

  void Post(Caller& caller, std::function<void()> job);
  void RunJobs(Caller& caller);

  // How long an attempt may take: one that carries bids no longer than prices are believed, so that
  // nothing arrives that was sent in good faith and is none any more.
  absl::Duration TimeForAttempt(bool carries_bids) const;

  // Of a call that went wrong: when to try again.
  void BackOff(const absl::Status& status, Backoff& backoff, absl::Duration& not_before);
  void OpenLease();
  void Write(const BidBook::Write& write);
  void Renew(const BidBook::Renewal& renewal);
  void List(const SessionCore::Listing& listing);

  // --- session_reader.cc ---

  void ReadStreams();
  absl::Status ReadOne(const market::v1::WatchRequest& request);

  // Of all guests, those that the program named.
  void KeepFollowed(market::v1::WatchResponse& response) const;

  const SessionOptions options_;
  SessionClock& clock_;
  const std::function<double()> random_;
  client::Endpoints endpoints_;
  client::PriceBoard board_;
  // From the start to the end; null: none. Which market it must be of, as the line says; 0: not
  // known yet, or closed.
  std::unique_ptr<Board> guest_board_;
  std::atomic<uint64_t> market_id_{0};
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
  // Shared with calls that outlive the session and may still be cancelled.
  const std::shared_ptr<client::Errands> errands_;
};

}  // namespace nom

#endif  // CLIENT_SRC_SESSION_IMPL_H_
