// SPDX-License-Identifier: Apache-2.0
// A program's line to the market: the latest prices at the cost of a memory read, bids, and notices
// before anything is taken away. client/README.md walks through it.
//
//   nom::SessionOptions options;
//   options.target = "market.example:7070";
//   options.token_file = "/run/credentials/nom.token";
//   auto session = nom::Session::Connect(std::move(options));
//   if (!session.ok()) ...
//   (*session)->OnNotice([&](const nom::Notice& n) { cache.ShrinkTo(n.units_next); });
//   nom::Prices prices = (*session)->prices();
//   (*session)->Bid({.resource = nom::Resource::kMemory, .ranges = {{1, 64, 900, 900}}});
//
// A session follows one host. It reconnects by itself, for ever, with growing and random pauses.
// A bid stands as long as its session lives: once a round the session tells the market that it
// does, which costs the market nothing durable. When prices grow stale or the line is lost the
// session goes to safe mode: stale() is true, Bid() refuses, and nothing is renewed, so that bids
// lapse at the market after SessionOptions::bid_lifetime_rounds rounds. When prices are fresh
// again, so is everything else: the bids that the program last placed are placed again.
//
// A bid belongs to one session. Where two bid for the same guest and resource, the one that placed
// its first bid later takes over; the other is told (BidChange::kTakenOver) and stops, until it
// says TakeOver(). In the same way a withdrawal by `nomctl withdraw` stands.

#ifndef NOM_SESSION_H_
#define NOM_SESSION_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "nom/async_call.h"
#include "nom/clock.h"
#include "nom/contracts.h"
#include "nom/events.h"
#include "nom/guests.h"
#include "nom/pacing.h"
#include "nom/types.h"

namespace nom {

struct SessionOptions {
  // "host:port", "dns:///name:port" or "unix:/path".
  std::string target;
  // Other ways to the same market (the same ledger), tried in turn when one fails.
  std::vector<std::string> other_targets;

  // Who the caller is: a bearer token, or a file that holds one on one line. The file is read again
  // at each call, so that a token can be changed under a running program.
  std::string token;
  std::string token_file;

  // The certificates that the server's is checked against, PEM; empty: the system's. The name in
  // the server's certificate is checked against the target's. Read again at each reconnect.
  std::string tls_roots_file;
  // For a market that asks its callers for a certificate: ours (with those between it and the
  // authority, if any) and its key, PEM; both or none. Its common name is the tenant, and a token
  // is not needed then. Like the roots, they are read again whenever the session connects anew.
  std::string tls_cert_file;
  std::string tls_key_file;
  // No TLS. Only for targets on this machine: localhost, 127.0.0.0/8, [::1] or unix:.
  bool plaintext = false;

  // Where this program finds its board, if it is a guest of the host that it follows: as
  // Board::Open() takes it. Empty: where NOM_BOARD says, without which, or without a board there,
  // prices come over the line alone. "none": no board.
  std::string board;

  std::string host_id;              // Empty: the only host.
  std::vector<uint64_t> guest_ids;  // Empty: all of the caller's.

  // How long Connect() waits for the first word from the market. Zero: not at all; the session
  // connects behind the caller's back and prices are stale until it has.
  absl::Duration connect_timeout = absl::Seconds(10);
  // How long Bid() and Withdraw() try in all unless they say otherwise, and each of their attempts.
  // InfiniteDuration(): until the market has answered, or the session is closed; an attempt takes
  // at most a minute.
  absl::Duration call_timeout = absl::Seconds(10);
  absl::Duration attempt_timeout = absl::Seconds(3);
  // The pause before the first new attempt; it doubles up to the most. Each pause is drawn between
  // half of that and the whole.
  absl::Duration backoff_min = absl::Milliseconds(100);
  absl::Duration backoff_max = absl::Seconds(10);

  // In so many rounds a bid takes part without a word from the session. 2 to 1000.
  uint32_t bid_lifetime_rounds = 3;

  // Limits that hold in this process as well as at the market, whatever the program asks for.
  // The most that all bids of this session together may be charged in a round.
  std::optional<int64_t> budget_per_round_microcredits;
  // The most that a unit is ever said to be worth: bids above are cut down to it.
  std::map<Resource, int64_t> unit_price_ceilings_microcredits;
  // Spreads a budget over a period of rounds, see nom/pacing.h. The session then keeps a pacer,
  // tells it what happens, and holds all bids within its cap. Bids that do not say for how many
  // rounds they stand (Bid::rounds) stand for one: the program bids each round in which it has
  // work. None may stand for more than PacingOptions::bid_lifetime_rounds. A budget is of one
  // ledger: in another it begins anew. Where a ledger is put back to how it was rounds ago, nobody
  // knows what the period under way had cost by then: nothing is bid until the next begins.
  std::optional<PacingOptions> pacing;

  // Runs callbacks. Called by a thread of the session's own that has nothing else to do, and handed
  // one at a time: it may run it there and then, in any other thread, later, or never (but then
  // nothing is told). One that throws is told as a callback that does, and asked again when there
  // is more to tell. Not called any more once the session is destroyed. Empty: that thread.
  std::function<void(std::function<void()>)> executor;

  // Null: the system's clock. Must outlive the session.
  SessionClock* clock = nullptr;
  // Uniform in [0, 1), called from any thread, one at a time; what is not, counts as one half.
  // Null: seeded by the system.
  std::function<double()> random;
};

// True if `target` can only be this machine, by its spelling: SessionOptions::plaintext is allowed.
bool PlaintextAllowed(const std::string& target);

enum class SessionState {
  kConnecting,  // No word yet.
  kLive,        // The stream is up.
  kLost,        // It was up; connecting again.
  kClosed,      // By Close().
};

struct CallOptions {
  // Unset: SessionOptions::call_timeout. Not above zero: its time is over before it begins.
  std::optional<absl::Duration> timeout = std::nullopt;
  // Of calls that write contracts, tiers or guests, under which id the market carries it out once;
  // others have none. Empty: one that nobody else draws. A program that chooses it itself (1 to 64
  // characters) can ask again after a time-out, or after it was restarted itself: the same id with
  // the same content is answered as it was the first time, with another it is ALREADY_EXISTS.
  std::string request_id = "";
};

// What became of each bid of a call, in order: the first round in which it takes part (of one
// without ranges: from which on it does not), or why it does not.
using BidResults = std::vector<absl::StatusOr<uint64_t>>;

// A call under way. Copies mean the same call; it goes on if all are gone. Thread-safe.
class BidCall {
 public:
  bool done() const;
  // Waits until it is done.
  BidResults Wait() const;
  // Ends it: CANCELLED for each bid without an answer. One that was not sent yet never is; one that
  // was may stand, and the session goes on to find out, as after a time-out.
  void Cancel() const;

  class State;
  explicit BidCall(std::shared_ptr<State> state) : state_(std::move(state)) {}

 private:
  std::shared_ptr<State> state_;
};

struct RoundsPage {
  std::vector<Round> rounds;          // Newest first.
  uint64_t next_before_round_id = 0;  // For the next page; 0: there is none.
};

// Which past prices.
struct PriceQuery {
  std::vector<Resource> resources = {};  // Empty: all.
  // Rounds that closed from `since` on and before `until`.
  absl::Time since = absl::InfinitePast();
  absl::Time until = absl::InfiniteFuture();
  // From the one to the other, both included; 0: without that bound.
  uint64_t first_round_id = 0;
  uint64_t last_round_id = 0;
  int page_size = 0;            // Rounds: 1 to 1000; 0: that many.
  std::string page_token = "";  // PricesPage::next_page_token of the page before.
};

struct PricesPage {
  std::vector<PricedRound> rounds;  // Newest first.
  std::string next_page_token;      // Empty: there are no more.
};

struct ContractsPage {
  std::vector<Contract> contracts;      // By rising id.
  uint64_t next_after_contract_id = 0;  // For the next page; 0: there is none.
};

struct EndedContractsPage {
  std::vector<Contract> contracts;       // Newest first.
  uint64_t next_before_contract_id = 0;  // For the next page; 0: there is none.
};

struct OffersPage {
  std::vector<Offer> offers;         // By rising id.
  uint64_t next_after_offer_id = 0;  // For the next page; 0: there is none.
};

struct CloseOptions {
  enum class Bids {
    kLeave,     // They lapse, after at most bid_lifetime_rounds rounds.
    kWithdraw,  // They are withdrawn first.
  };
  Bids bids = Bids::kLeave;
  // How long to wait for what is on its way to be answered, for the withdrawals, and for the
  // callback that runs. Zero: not at all.
  absl::Duration timeout = absl::Seconds(5);
};

// Thread-safe.
//
// Callbacks run one at a time, in a thread of the session's own unless SessionOptions::executor
// says otherwise, and hold no lock: a callback may call anything here but Close() and the
// destructor. While one runs, later ones wait; nothing else does: prices(), stale() and the renewal
// of bids go on. What waits is bounded: of prices, staleness and notices the latest of each kind
// are kept, of other events the newest 1,024. A callback that throws is counted and told
// (kCallbackThrew).
//
// Setting a callback, or an empty one, waits until the one that it replaces is no longer running
// (unless that is the caller): what it refers to may then go. The session's threads take no
// signals. A session does not survive fork(): the child must neither use nor destroy it.
class Session {
 public:
  // Errors: INVALID_ARGUMENT (options, names the one), NOT_FOUND or PERMISSION_DENIED (files),
  // FAILED_PRECONDITION (plaintext to another machine); UNAUTHENTICATED, PERMISSION_DENIED,
  // NOT_FOUND or INVALID_ARGUMENT as the market says; DEADLINE_EXCEEDED if it said nothing in
  // connect_timeout, with the last thing that went wrong. Of SessionOptions::board as
  // Board::Open().
  static absl::StatusOr<std::unique_ptr<Session>> Connect(SessionOptions options);

  // Close() without a timeout, then waits for the callback that runs and for calls in other threads
  // to return. Must not be called from a callback; aborts if it is.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Ends the session: calls in progress are answered (CANCELLED), no callback begins any more, and
  // whatever is asked afterwards is refused or as it was. Calling it again is harmless. Errors:
  // DEADLINE_EXCEEDED if in the time given not all was answered or withdrawn, or a callback still
  // runs (which the destructor waits for); FAILED_PRECONDITION from a callback.
  absl::Status Close(const CloseOptions& options = {});

  // The latest prices. Lock-free and without a system call: some tens of nanoseconds, from any
  // thread. Stale from their valid_until on, whatever the session's own threads do. A guest of a
  // Linux host has them from its board as soon as marketd writes them, also while the line is lost
  // (SessionOptions::board), once the market has said over the line that it is the board's: some
  // two hundred nanoseconds.
  Prices prices() const;
  // The price of one resource; nullopt: it is not on sale (Price::offered). A single load, or with
  // a board as much as prices().
  std::optional<int64_t> UnitPrice(Resource resource) const;
  // True in safe mode: whatever a board says, nothing is bid without the line. A load and a look at
  // the clock.
  bool stale() const;

  SessionState state() const;
  // What went wrong last, or OK while kLive.
  absl::Status last_error() const;
  SessionCounters counters() const;

  // Copies of what was last told. They take a lock.
  MarketStatus market() const;
  std::vector<GuestStatus> guests() const;
  // Of one guest; 0: the only one. Empty if it is not known.
  std::vector<Grant> grants(uint64_t guest_id = 0) const;
  std::optional<AccountStatus> account() const;

  // Each sets the callback of its kind; an empty one takes it away. Notices that came while there
  // was none are kept, the latest for each guest and resource, and told to the first one set.
  void OnNotice(std::function<void(const Notice&)> callback);
  // The present prices, if there are any, and those after each round decided.
  void OnPrices(std::function<void(const Prices&)> callback);
  // How it stands at present, then on going to safe mode and on coming back.
  void OnStale(std::function<void(const Staleness&)> callback);
  // Each round decided since the session began, once and in order, with what the caller's guests
  // won in it. Rounds that went by unseen are asked for afterwards, up to 1,000 of them.
  void OnRound(std::function<void(const Round&)> callback);
  void OnBidEvent(std::function<void(const BidEvent&)> callback);
  void OnSessionEvent(std::function<void(const SessionEvent&)> callback);

  // Replaces the guest's bid for a resource as a whole; without ranges, withdraws it, also in safe
  // mode. It stands until it is replaced or withdrawn, unless it says itself for how many rounds
  // (Bid::rounds). One with a valuation, of several resources, replaces all of the guest's bids for
  // single ones, and one of those replaces it; with an empty valuation it is withdrawn. Blocks
  // until the market has made it durable, trying again where that can help. Returns the first round
  // in which it takes part (of one without ranges: from which on none does).
  //
  // Errors: FAILED_PRECONDITION in safe mode, in which nothing is sent, or as the market says
  // (money); INVALID_ARGUMENT names the field; RESOURCE_EXHAUSTED if the session's budget is spoken
  // for by its other bids, it keeps 4,096 others, or the market took no more calls in all the time
  // that there was; ABORTED if somebody else has the bid now (see TakeOver), or another call
  // replaced it before it was sent. Refused so, what stood before still does. UNAVAILABLE,
  // DEADLINE_EXCEEDED, CANCELLED if the market could not be reached, or any error after that: the
  // bid may or may not stand. The session then goes on trying to place it and tells OnBidEvent what
  // comes of it; a bid with rounds of its own it leaves at that.
  //
  // Calls from several threads travel together. From a callback it blocks later callbacks only.
  absl::StatusOr<uint64_t> Bid(nom::Bid bid, const CallOptions& options = {});
  // The same for several bids, which travel in as few calls as the market takes, in order. At most
  // one for each guest and resource, and none that replaces another: INVALID_ARGUMENT for all
  // otherwise.
  BidResults BidAll(std::vector<nom::Bid> bids, const CallOptions& options = {});
  // The same without waiting. `done`, if there is one, is called like a callback, once.
  BidCall BidAsync(std::vector<nom::Bid> bids,
                   std::function<void(const BidResults&)> done = nullptr,
                   const CallOptions& options = {});

  // Removes the bid. True if one stood. Works in safe mode too. Whatever comes of the call, the
  // session no longer wants the bid, and goes on until the market has confirmed that it is gone.
  absl::StatusOr<bool> Withdraw(Resource resource, uint64_t guest_id = 0,
                                const CallOptions& options = {});

  // The same of the bid for several resources.
  absl::StatusOr<bool> WithdrawSeveral(uint64_t guest_id = 0, const CallOptions& options = {});

  // Makes this session the newest: what it bids from now on, and what it still keeps, takes the
  // place of other sessions' bids, and of withdrawals. Call it when a person says so, not from
  // OnBidEvent: two programs that do that fight.
  void TakeOver();

  // What the session keeps standing, or tries to, after its limits.
  std::vector<StandingBid> standing_bids() const;

  // Rounds before `before_round_id` (0: from the newest), newest first: prices, the caller's
  // awards, what was charged. `page_size` 1 to 1000. Errors: as the market says; UNAVAILABLE,
  // DEADLINE_EXCEEDED.
  absl::StatusOr<RoundsPage> ListRounds(uint64_t before_round_id = 0, int page_size = 20,
                                        const CallOptions& options = {}) const;

  // What the caller's guests paid in the rounds from `first_round_id` to `last_round_id`, both
  // included (0: to the newest), as far as they are settled. The market is asked for a thousand
  // rounds at a time. Errors: INVALID_ARGUMENT if the first comes after the last; INTERNAL if the
  // market's pages do not go on; as ListRounds().
  absl::StatusOr<Statement> GetStatement(uint64_t first_round_id, uint64_t last_round_id = 0,
                                         const CallOptions& options = {}) const;

  // What units cost in past rounds, newest first, the same to everybody: what PriceHistory starts
  // from. Errors: as the market says; UNAVAILABLE, DEADLINE_EXCEEDED.
  absl::StatusOr<PricesPage> ListPrices(const PriceQuery& query = {},
                                        const CallOptions& options = {}) const;

  // Contracts (nom/contracts.h). Each call returns at once, and goes on by itself until it has an
  // answer: AsyncCall::Wait() waits for it, `done`, if there is one, is called with it like a
  // callback, once. It is tried again, under one id, so that it is carried out once however often
  // it is sent; a call that is given up (CANCELLED, DEADLINE_EXCEEDED) may have been carried out,
  // and ListContracts() tells. They work in safe mode too: what was quoted is no older for it. At
  // most 256 are under way at once (RESOURCE_EXHAUSTED). Other errors: as the market says of the
  // call in market.proto; where there is too little of something, ShortageOf() says of what.

  // What units of the host's own cost for so many rounds. The price holds until the offer's
  // valid_until, the units only once it is taken.
  AsyncCall<Offer> GetQuote(const QuoteOptions& quote,
                            std::function<void(const absl::StatusOr<Offer>&)> done = nullptr,
                            const CallOptions& options = {});
  // A quote or a sublet becomes a contract of the guest's.
  AsyncCall<Taken> TakeOffer(const TakeOptions& take,
                             std::function<void(const absl::StatusOr<Taken>&)> done = nullptr,
                             const CallOptions& options = {});
  // Gives a contract up, for a fee. Answers the first round in which it is no longer alive.
  AsyncCall<uint64_t> LeaveContract(
      uint64_t contract_id, std::function<void(const absl::StatusOr<uint64_t>&)> done = nullptr,
      const CallOptions& options = {});
  // At its end a contract is renewed while a round of it costs no more than the ceiling; 0: never.
  AsyncCall<Done> SetRenewal(uint64_t contract_id, int64_t ceiling_microcredits,
                             std::function<void(const absl::StatusOr<Done>&)> done = nullptr,
                             const CallOptions& options = {});
  // Offers units out of a contract to another guest of the host, or to any.
  AsyncCall<Offer> OfferSublet(const SubletOptions& sublet,
                               std::function<void(const absl::StatusOr<Offer>&)> done = nullptr,
                               const CallOptions& options = {});
  AsyncCall<Done> WithdrawOffer(uint64_t offer_id,
                                std::function<void(const absl::StatusOr<Done>&)> done = nullptr,
                                const CallOptions& options = {});
  // Open contracts of the caller's guests, but awards, with ids above one; likewise open offers:
  // its own, and those that a guest of its may take.
  AsyncCall<ContractsPage> ListContracts(
      uint64_t after_contract_id = 0,
      std::function<void(const absl::StatusOr<ContractsPage>&)> done = nullptr,
      const CallOptions& options = {});
  AsyncCall<OffersPage> ListOffers(
      uint64_t after_offer_id = 0,
      std::function<void(const absl::StatusOr<OffersPage>&)> done = nullptr,
      const CallOptions& options = {});
  // Contracts of the caller's guests that have ended, with why; those with ids below one (0: from
  // the newest).
  AsyncCall<EndedContractsPage> ListEndedContracts(
      uint64_t before_contract_id = 0,
      std::function<void(const absl::StatusOr<EndedContractsPage>&)> done = nullptr,
      const CallOptions& options = {});

  // Guests that do not bid, and guests that are asked for (nom/guests.h): calls of the same kind.

  // From the next round on the market bids for the guest, as its tier says, in the place of all of
  // its bids, which go (BidChange::kWithdrawn); new ones are refused (FAILED_PRECONDITION) until
  // the tier is cleared. Again for another tier or wish. Answers the first round in which it is bid
  // so.
  AsyncCall<uint64_t> SetTier(const TierOptions& tier,
                              std::function<void(const absl::StatusOr<uint64_t>&)> done = nullptr,
                              const CallOptions& options = {});
  // The guest bids itself again (0: the only one). True if it had a tier.
  AsyncCall<bool> ClearTier(uint64_t guest_id = 0,
                            std::function<void(const absl::StatusOr<bool>&)> done = nullptr,
                            const CallOptions& options = {});
  // A guest for the caller, within its quota: seed and bundle all in one, or nothing. Answered once
  // the host runs it; from then on it is among guests(), if the session follows all. Refusals for
  // want of something have a Shortage.
  AsyncCall<RequestedGuest> RequestGuest(
      const GuestRequest& guest,
      std::function<void(const absl::StatusOr<RequestedGuest>&)> done = nullptr,
      const CallOptions& options = {});
  AsyncCall<GuestQuota> GetQuota(
      std::function<void(const absl::StatusOr<GuestQuota>&)> done = nullptr,
      const CallOptions& options = {});

 private:
  class Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace nom

#endif  // NOM_SESSION_H_
