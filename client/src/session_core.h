// SPDX-License-Identifier: Apache-2.0
// What a session knows of the market and decides, as a deterministic state machine: no threads, no
// I/O, no clock of its own. session.cc feeds it with what the market says and with time, and does
// what it asks. What the program bids is in bid_book.h.
//
// Not thread-safe.

#ifndef CLIENT_SRC_SESSION_CORE_H_
#define CLIENT_SRC_SESSION_CORE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/src/backoff.h"
#include "client/src/bid_book.h"
#include "client/src/market_clock.h"
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
  // What is to be done after an input; prices() may have changed after any.
  struct Output {
    bool open_stream = false;    // With after_sequence().
    bool cancel_stream = false;  // Its end is then told as any other.
    bool priced = false;         // A round was decided: OnPrices.
    std::vector<Round> rounds;   // To be told, in order.
    std::vector<Notice> notices;
    std::optional<Staleness> staleness;
    std::vector<SessionEvent> events;
  };
  // Rounds that went by unseen, to be asked for: `count` of them before `before_round_id`.
  struct Listing {
    uint64_t before_round_id = 0;
    int count = 0;
  };

  SessionCore(BidBook::Limits limits, Backoff backoff);

  // Inputs. Time first asks for a stream at the first OnTime(). A response is taken in when the
  // last part of what it says has come (WatchResponse::more).
  Output OnResponse(const market::v1::WatchResponse& response, Instant now);
  Output OnStreamEnded(const absl::Status& status, Instant now);
  Output OnTime(Instant now);
  // When OnTime() has something to do next; InfiniteDuration if only a response can change that.
  absl::Duration next_wake() const;

  // At most one at a time; OnListed() follows, with those that could be had, and why no more.
  std::optional<Listing> NextListing();
  Output OnListed(const Listing& listing, std::vector<Round> rounds, const absl::Status& status);

  uint64_t after_sequence() const { return sequence_; }
  const Prices& prices() const { return prices_; }
  SessionState state() const { return state_; }
  const absl::Status& last_error() const { return last_error_; }
  const MarketStatus& market() const { return market_; }
  const std::vector<GuestStatus>& guests() const { return guests_; }
  const std::optional<AccountStatus>& account() const { return account_; }
  Staleness staleness() const { return {prices_.stale, staleness_reason_}; }
  // True if prices are believed at this moment, whether or not OnTime() has been told of it.
  bool IsFresh(Instant now) const { return FreshFor(now) > absl::ZeroDuration(); }
  absl::Duration FreshFor(Instant now) const;
  // On the steady clock; what is believed now is believed until then.
  absl::Duration fresh_until() const {
    return safe_mode_.on() ? -absl::InfiniteDuration()
                           : absl::Nanoseconds(safe_mode_.fresh_until());
  }
  absl::Duration market_clock_ahead() const { return market_clock_ahead_; }
  uint64_t rounds_told() const { return rounds_told_; }
  uint64_t rounds_missed() const { return rounds_missed_; }

  // The guest that 0 stands for: the only one, and from then on the same as long as it is there,
  // also beside others that come later. FAILED_PRECONDITION before the first word from the market;
  // INVALID_ARGUMENT if nobody can know which is meant.
  absl::StatusOr<uint64_t> ResolveGuest(uint64_t guest_id) const;
  absl::StatusOr<uint64_t> ResolveGuestToBid(uint64_t guest_id);
  BidBook& bids() { return bids_; }
  const BidBook& bids() const { return bids_; }

 private:
  void TakeGuests(const market::v1::WatchResponse& response);
  void TakeState(const market::v1::WatchResponse& response, Instant now, Output& output);
  void TakeNotices(const market::v1::WatchResponse& response, Output& output);
  void TakeRound(Output& output);
  void TellRound(Round round, Output& output);
  void Miss(uint64_t first_round_id, uint64_t last_round_id, const absl::Status& why,
            Output& output);
  void Tell(policies::SafeMode::Change change, std::string reason, Output& output);
  std::string NoFreshPrices() const;

  BidBook bids_;
  Backoff backoff_;

  bool stream_open_ = false;
  bool cancelled_ = false;
  absl::Duration reopen_at_ = -absl::InfiniteDuration();
  absl::Duration heard_at_;
  policies::SafeMode safe_mode_;  // Its ticks are nanoseconds of steady time.
  MarketClock market_clock_;
  absl::Duration market_clock_ahead_;
  std::string staleness_reason_ = "no word from the market yet";

  market::v1::WatchResponse partial_;  // Until its last part has come.
  uint64_t sequence_ = 0;
  SessionState state_ = SessionState::kConnecting;
  absl::Status last_error_;
  Prices prices_;
  MarketStatus market_;
  std::vector<GuestStatus> guests_;
  uint64_t only_guest_id_ = 0;  // That 0 stood for in a bid.
  std::map<uint64_t, std::pair<uint64_t, std::vector<Award>>> decided_;  // By guest: round, awards.
  std::optional<AccountStatus> account_;
  std::map<BidKey, uint64_t> noticed_round_ids_;

  bool rounds_begun_ = false;
  uint64_t last_round_id_ = 0;    // The last that was told, is being asked for, or waits.
  std::optional<Listing> gap_;    // To be asked for.
  bool listing_ = false;          // It is being asked for.
  std::vector<Round> after_gap_;  // Told when the gap is filled.
  uint64_t rounds_told_ = 0;
  uint64_t rounds_missed_ = 0;
};

}  // namespace nom::client

#endif  // CLIENT_SRC_SESSION_CORE_H_
