// What a session knows and decides, as a deterministic state machine: no threads, no I/O, no clock
// of its own. session.cc feeds it with what the market says and with time, and does what it asks.
//
// Not thread-safe.

#ifndef CLIENT_SRC_SESSION_CORE_H_
#define CLIENT_SRC_SESSION_CORE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/src/backoff.h"
#include "nom/market/v1/market.pb.h"
#include "nom/session.h"
#include "nom/types.h"
#include "policies/bidding/safe_mode.h"

namespace nom::client {

// One moment on both clocks, see SessionClock.
struct Instant {
  absl::Time wall;
  absl::Duration steady;
};

class SessionCore {
 public:
  struct Limits {
    uint32_t bid_lifetime_rounds = 3;
    std::optional<int64_t> budget_per_round_microcredits;
    std::map<Resource, int64_t> unit_price_ceilings_microcredits;
  };

  // What is to be done after an input; prices() may have changed after any.
  struct Output {
    bool open_stream = false;    // With after_sequence().
    bool cancel_stream = false;  // Its end is then told as any other.
    bool priced = false;         // A round was decided: OnPrices.
    std::vector<Notice> notices;
    std::optional<Staleness> staleness;
  };

  SessionCore(Limits limits, Backoff backoff);

  // Inputs. Time first asks for a stream at the first OnTime().
  Output OnResponse(const market::v1::WatchResponse& response, Instant now);
  Output OnStreamEnded(const absl::Status& status, Instant now);
  Output OnTime(Instant now);
  // When OnTime() has something to do next; InfiniteDuration if only a response can change that.
  absl::Duration next_wake() const;

  uint64_t after_sequence() const { return sequence_; }
  const Prices& prices() const { return prices_; }
  SessionState state() const { return state_; }
  const absl::Status& last_error() const { return last_error_; }
  const MarketStatus& market() const { return market_; }
  const std::vector<GuestStatus>& guests() const { return guests_; }
  const std::optional<AccountStatus>& account() const { return account_; }

  // --- Bids ---

  // The guest that 0 stands for. FAILED_PRECONDITION before the first word from the market;
  // INVALID_ARGUMENT if there is not exactly one.
  absl::StatusOr<uint64_t> ResolveGuest(uint64_t guest_id) const;
  // The bid as it may be sent: checked, cut to the ceiling, its budget within the session's. It
  // counts against the session's budget from here on, until OnPlaced, OnRefused or OnUnsure.
  // Errors as Session::Bid().
  absl::StatusOr<Bid> Prepare(Bid bid);
  // The market has taken it; it is renewed from now on, unless it stands for its own time only.
  void OnPlaced(const Bid& bid, uint64_t first_round_id);
  // The market has refused it: what stood before still stands.
  void OnRefused(const Bid& bid);
  // Nobody knows: it and what stood before may both still be charged until they have lapsed. The
  // wish is the new one all the same: it is tried again, as a renewal is, unless it was for its own
  // time only.
  void OnUnsure(const Bid& bid);

  void OnWithdrawing(uint64_t guest_id, Resource resource);  // No more renewals.
  void OnWithdrawn(uint64_t guest_id, Resource resource);    // The market has said so.

  // The guests and resources whose bids are to be placed again now lest they lapse. None in safe
  // mode.
  std::vector<std::pair<uint64_t, Resource>> Due() const;
  bool AnyDue() const;
  // How long prices are believed from now on; zero in safe mode, which need not have been told yet.
  absl::Duration FreshFor(Instant now) const;
  // The bid, if it is due still: it may have been replaced or withdrawn since.
  std::optional<Bid> DueBid(uint64_t guest_id, Resource resource) const;
  // True the first time, and again if the reason changes or a renewal was good in between.
  bool OnRenewalFailed(const Bid& bid, const absl::Status& status);
  std::vector<Bid> standing_bids() const;

 private:
  using Key = std::pair<uint64_t, Resource>;
  struct Standing {
    std::optional<Bid> bid;        // What it is to hold, and does as far as known.
    bool renew = false;            // As long as the session is not in safe mode.
    uint64_t placed_round_id = 0;  // The first round in which it took part.
    uint64_t tried_round_id = 0;   // The last round in which a renewal failed.
    absl::StatusCode failed_code = absl::StatusCode::kOk;
    int64_t pending_microcredits = 0;  // Budget of a bid on its way.
    int64_t unsure_microcredits = 0;   // Budget of what may stand without our knowing.
    // It has lapsed after this round. 0: that is not known before the market has said which round
    // it is; many may go by unseen.
    uint64_t unsure_until_round_id = 0;
    uint64_t unsure_rounds = 0;  // For how many it may stand.
  };

  static int64_t Reserved(const Standing& standing);
  // How long a bid may stand if nothing more is heard of it.
  uint64_t LifetimeOf(const std::optional<Bid>& bid) const;
  bool IsDue(const Standing& standing) const;
  void Tell(policies::SafeMode::Change change, std::string reason, Output& output);
  std::string NoFreshPrices() const;
  void BeUnsure(uint64_t rounds, Standing& standing);
  void ForgetLapsed();

  const Limits limits_;
  Backoff backoff_;

  bool stream_open_ = false;
  bool cancelled_ = false;
  absl::Duration reopen_at_ = -absl::InfiniteDuration();
  absl::Duration heard_at_;
  policies::SafeMode safe_mode_;  // Its ticks are nanoseconds of steady time.

  uint64_t sequence_ = 0;
  SessionState state_ = SessionState::kConnecting;
  absl::Status last_error_;
  Prices prices_;
  MarketStatus market_;
  std::vector<GuestStatus> guests_;
  std::optional<AccountStatus> account_;
  std::map<Key, uint64_t> noticed_round_ids_;
  std::map<Key, Standing> standing_;
};

}  // namespace nom::client

#endif  // CLIENT_SRC_SESSION_CORE_H_
