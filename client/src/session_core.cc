// SPDX-License-Identifier: Apache-2.0
#include "client/src/session_core.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "client/src/convert.h"

namespace nom::client {
namespace {

using policies::kSilencePeriods;
using policies::SafeMode;

// A stream that says nothing for this long and kSilencePeriods is given up for a new one.
constexpr absl::Duration kSilenceMin = absl::Seconds(10);
// Of one state, in parts.
constexpr size_t kStateBytesMax = size_t{256} << 20;
constexpr uint64_t kMissedRoundsMax = 1'000;

int64_t Ticks(absl::Duration duration) { return absl::ToInt64Nanoseconds(duration); }

}  // namespace

SessionCore::SessionCore(BidBook::Limits limits, Backoff backoff)
    : bids_(std::move(limits)), backoff_(std::move(backoff)) {}

void SessionCore::Tell(SafeMode::Change change, std::string reason, Output& output) {
  prices_.stale = safe_mode_.on();
  if (change == SafeMode::Change::kNone) return;
  staleness_reason_ = reason;
  output.staleness = Staleness{.stale = safe_mode_.on(), .reason = std::move(reason)};
  if (safe_mode_.on()) {
    bids_.GiveUpUnsent(absl::FailedPreconditionError(
        absl::StrCat("safe mode: prices are stale: ", staleness_reason_)));
  }
}

std::string SessionCore::NoFreshPrices() const {
  return absl::StrCat("no fresh prices since round ", prices_.round_id);
}

SessionCore::Output SessionCore::OnResponse(const market::v1::WatchResponse& response,
                                            Instant now) {
  Output output;
  heard_at_ = now.steady;
  if (response.more() || partial_.ByteSizeLong() > 0) {
    if (partial_.ByteSizeLong() + response.ByteSizeLong() > kStateBytesMax) {
      partial_.Clear();
      cancelled_ = output.cancel_stream = true;
      return output;
    }
    // What has a place of its own (the market's time, `more`) is that of the last part.
    partial_.set_more(false);
    partial_.MergeFrom(response);
    if (response.more()) return output;
    partial_.set_more(false);
  }
  // Only now: who waits for the first word is to find the whole of it.
  if (state_ != SessionState::kLive) {
    output.events.push_back({.change = SessionChange::kConnected, .status = {}, .endpoint = ""});
  }
  state_ = SessionState::kLive;
  last_error_ = absl::OkStatus();
  const market::v1::WatchResponse& whole = partial_.ByteSizeLong() > 0 ? partial_ : response;
  sequence_ = whole.sequence();
  if (whole.has_state()) bids_.OnLedger(whole.state().ledger_id());
  TakeGuests(whole);
  if (whole.accounts_size() > 0) {
    account_ = FromProto(whole.accounts(0));
  } else if (whole.accounts_told()) {
    account_.reset();
  }
  if (whole.has_state()) TakeState(whole, now, output);
  TakeNotices(whole, output);
  partial_.Clear();
  return output;
}

void SessionCore::TakeGuests(const market::v1::WatchResponse& response) {
  // A market that does not say whether it told them all cannot say that there are none.
  if (!response.guests_told() && response.guests_size() == 0) return;
  guests_.clear();
  decided_.clear();
  std::set<uint64_t> can_bid;
  std::map<BidKey, uint64_t> fences;
  for (const market::v1::GuestInfo& info : response.guests()) {
    GuestStatus guest = FromProto(info);
    if (guest.state == GuestState::kAdmitted || guest.state == GuestState::kRunning ||
        guest.state == GuestState::kUnknown) {
      can_bid.insert(guest.guest_id);
    }
    for (const market::v1::Bid& bid : info.bids()) {
      const std::optional<Resource> resource =
          bid.has_valuation() ? kSeveralResources : FromProto(bid.kind());
      if (resource) fences[{guest.guest_id, *resource}] = bid.lease_fence();
    }
    auto& [round_id, awards] = decided_[guest.guest_id];
    round_id = info.decided_round_id();
    for (const market::v1::GuestOutcome& outcome : info.decided()) {
      if (const std::optional<Award> award = FromProto(outcome)) awards.push_back(*award);
    }
    guests_.push_back(std::move(guest));
  }
  bids_.OnGuests(can_bid, fences);
}

void SessionCore::TakeState(const market::v1::WatchResponse& response, Instant now,
                            Output& output) {
  MarketStatus market = FromProto(response.state());
  const bool other_ledger = state_ == SessionState::kLive && !market_.ledger_id.empty() &&
                            market.ledger_id != market_.ledger_id;
  if (other_ledger || market.round_id < market_.round_id) {
    // What we remember of the old rounds must not hide what is told of the new ones.
    noticed_round_ids_.clear();
    rounds_begun_ = false;
    gap_.reset();
    after_gap_.clear();
  }
  if (!other_ledger && market.round_id < market_.round_id) bids_.OnRoundsUndone(market.round_id);
  if (other_ledger) {
    output.events.push_back(
        {.change = SessionChange::kOtherLedger,
         .status = absl::AbortedError(absl::StrCat("the market now has ledger ", market.ledger_id)),
         .endpoint = ""});
  }
  // What is still to come, by the market's own clock; without one told, by ours.
  const absl::Time valid_until = FromProto(response.state().valid_until());
  absl::Duration valid_for = valid_until - now.wall;
  if (response.has_market_time()) {
    market_clock_.SetWindow(std::max(kSilenceMin, market.period * kSilencePeriods));
    const absl::Time sent = FromProto(response.market_time());
    valid_for = valid_until - sent - market_clock_.OnHeard(sent, now.steady);
    market_clock_ahead_ = market_clock_.At(now.steady) - now.wall;
  }
  const SafeMode::Change change =
      safe_mode_.OnPrices(Ticks(now.steady), Ticks(valid_for), Ticks(market.period));
  output.priced = market.priced_round_id != 0 && market.priced_round_id != prices_.round_id;
  prices_.round_id = market.priced_round_id;
  prices_.valid_until = now.wall + (absl::Nanoseconds(safe_mode_.fresh_until()) - now.steady);
  prices_.by_resource = {};
  for (const ResourceState& resource : market.resources) {
    prices_.by_resource[static_cast<size_t>(resource.resource) - 1] = resource.price;
  }
  market_ = std::move(market);
  bids_.OnRound(market_.round_id + (market_.phase == RoundPhase::kGrace ? 1 : 0));
  TakeRound(output);
  if (!safe_mode_.on()) backoff_.Reset();
  Tell(change,
       safe_mode_.on() ? NoFreshPrices() : absl::StrCat("prices of round ", prices_.round_id),
       output);
}

void SessionCore::TakeRound(Output& output) {
  const uint64_t round_id = market_.priced_round_id;
  if (!std::exchange(rounds_begun_, true)) {
    last_round_id_ = round_id;  // Decided before the session began.
    return;
  }
  if (round_id <= last_round_id_) return;
  Round round{.round_id = round_id,
              .phase = RoundPhase::kGrace,
              .resources = market_.resources,
              .awards = {},
              .reason = ""};
  for (const auto& [guest_id, decided] : decided_) {
    if (decided.first != round_id) continue;
    round.awards.insert(round.awards.end(), decided.second.begin(), decided.second.end());
  }
  bids_.OnDecided(round);
  const uint64_t missed = round_id - last_round_id_ - 1;
  if (missed > 0 && !gap_) {
    const uint64_t count = std::min(missed, kMissedRoundsMax);
    if (count < missed) {
      Miss(last_round_id_ + 1, round_id - count - 1,
           absl::OutOfRangeError("too many to be asked for"), output);
    }
    gap_ = Listing{.before_round_id = round_id, .count = static_cast<int>(count)};
  } else if (missed > 0) {
    // A second gap while the first is being filled.
    Miss(last_round_id_ + 1, round_id - 1, absl::UnavailableError("the market is slow to answer"),
         output);
  }
  last_round_id_ = round_id;
  if (gap_) {
    after_gap_.push_back(std::move(round));
    if (after_gap_.size() <= kMissedRoundsMax) return;
    Miss(after_gap_.front().round_id, after_gap_.front().round_id,
         absl::UnavailableError("the market is slow to answer"), output);
    after_gap_.erase(after_gap_.begin());
    return;
  }
  TellRound(std::move(round), output);
}

void SessionCore::TellRound(Round round, Output& output) {
  ++rounds_told_;
  output.rounds.push_back(std::move(round));
}

void SessionCore::Miss(uint64_t first_round_id, uint64_t last_round_id, const absl::Status& why,
                       Output& output) {
  rounds_missed_ += last_round_id - first_round_id + 1;
  output.events.push_back(
      {.change = SessionChange::kRoundsMissed,
       .status = absl::Status(why.code(), absl::StrCat("rounds ", first_round_id, " to ",
                                                       last_round_id, ": ", why.message())),
       .endpoint = ""});
}

std::optional<SessionCore::Listing> SessionCore::NextListing() {
  if (!gap_ || listing_) return std::nullopt;
  listing_ = true;
  return gap_;
}

SessionCore::Output SessionCore::OnListed(const Listing& listing, std::vector<Round> rounds,
                                          const absl::Status& status) {
  Output output;
  listing_ = false;
  // Of a ledger before, perhaps.
  if (!gap_ || gap_->before_round_id != listing.before_round_id) return output;
  gap_.reset();
  std::sort(rounds.begin(), rounds.end(),
            [](const Round& a, const Round& b) { return a.round_id < b.round_id; });
  const absl::Status why =
      status.ok() ? absl::NotFoundError("the market does not know them") : status;
  uint64_t next = listing.before_round_id - static_cast<uint64_t>(listing.count);
  for (Round& round : rounds) {
    if (round.round_id < next || round.round_id >= listing.before_round_id) continue;
    if (round.round_id > next) Miss(next, round.round_id - 1, why, output);
    next = round.round_id + 1;
    bids_.OnDecided(round);
    TellRound(std::move(round), output);
  }
  if (next < listing.before_round_id) Miss(next, listing.before_round_id - 1, why, output);
  for (Round& round : std::exchange(after_gap_, {})) TellRound(std::move(round), output);
  return output;
}

void SessionCore::TakeNotices(const market::v1::WatchResponse& response, Output& output) {
  for (const auto& told : response.notices()) {
    const std::optional<Notice> notice = FromProto(told);
    if (!notice) continue;
    // A reconnect may tell a notice again; that it is withdrawn is told after it.
    uint64_t& noticed = noticed_round_ids_[{notice->guest_id, notice->resource}];
    if (notice->round_id < noticed) continue;
    if (notice->round_id == noticed && !notice->withdrawn) continue;
    noticed = notice->round_id;
    output.notices.push_back(*notice);
  }
}

SessionCore::Output SessionCore::OnStreamEnded(const absl::Status& status, Instant now) {
  Output output;
  stream_open_ = cancelled_ = false;
  partial_.Clear();
  last_error_ = status.ok() ? absl::UnavailableError("the market ended the stream") : status;
  output.events.push_back({.change = SessionChange::kLost, .status = last_error_, .endpoint = ""});
  if (state_ == SessionState::kLive) state_ = SessionState::kLost;
  reopen_at_ = now.steady + backoff_.Next();
  Tell(safe_mode_.OnLost(), absl::StrCat("the line to the market is lost: ", last_error_.message()),
       output);
  return output;
}

SessionCore::Output SessionCore::OnTime(Instant now) {
  Output output;
  Tell(safe_mode_.OnTime(Ticks(now.steady)), NoFreshPrices(), output);
  if (!stream_open_) {
    if (now.steady >= reopen_at_) {
      stream_open_ = output.open_stream = true;
      heard_at_ = now.steady;
    }
  } else if (!cancelled_ &&
             now.steady >= heard_at_ + std::max(kSilenceMin, market_.period * kSilencePeriods)) {
    cancelled_ = output.cancel_stream = true;
  }
  return output;
}

absl::Duration SessionCore::next_wake() const {
  absl::Duration wake = absl::InfiniteDuration();
  if (!safe_mode_.on()) wake = absl::Nanoseconds(safe_mode_.fresh_until());
  if (!stream_open_) {
    wake = std::min(wake, reopen_at_);
  } else if (!cancelled_) {
    wake = std::min(wake, heard_at_ + std::max(kSilenceMin, market_.period * kSilencePeriods));
  }
  return wake;
}

absl::Duration SessionCore::FreshFor(Instant now) const {
  if (safe_mode_.on()) return absl::ZeroDuration();
  return std::max(absl::ZeroDuration(), absl::Nanoseconds(safe_mode_.fresh_until()) - now.steady);
}

absl::StatusOr<uint64_t> SessionCore::ResolveGuest(uint64_t guest_id) const {
  if (guest_id != 0) return guest_id;
  if (state_ == SessionState::kConnecting) {
    return absl::FailedPreconditionError("no word from the market yet");
  }
  if (guests_.size() == 1) return guests_[0].guest_id;
  for (const GuestStatus& guest : guests_) {
    if (guest.guest_id == only_guest_id_) return guest.guest_id;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("guest_id: must be given, as this session follows ", guests_.size(), " guests"));
}

absl::StatusOr<uint64_t> SessionCore::ResolveGuestToBid(uint64_t guest_id) {
  absl::StatusOr<uint64_t> resolved = ResolveGuest(guest_id);
  if (resolved.ok() && guest_id == 0) only_guest_id_ = *resolved;
  return resolved;
}

}  // namespace nom::client
