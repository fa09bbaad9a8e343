#include "client/src/session_core.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "client/src/bid_limits.h"
#include "client/src/convert.h"

namespace nom::client {
namespace {

using policies::kSilencePeriods;
using policies::SafeMode;

// A stream that says nothing for this long and kSilencePeriods is given up for a new one.
constexpr absl::Duration kSilenceMin = absl::Seconds(10);

int64_t Ticks(absl::Duration duration) { return absl::ToInt64Nanoseconds(duration); }

}  // namespace

SessionCore::SessionCore(Limits limits, Backoff backoff)
    : limits_(std::move(limits)), backoff_(std::move(backoff)) {}

void SessionCore::Tell(SafeMode::Change change, std::string reason, Output& output) {
  prices_.stale = safe_mode_.on();
  if (change == SafeMode::Change::kNone) return;
  output.staleness = Staleness{.stale = safe_mode_.on(), .reason = std::move(reason)};
}

std::string SessionCore::NoFreshPrices() const {
  return absl::StrCat("no fresh prices since round ", prices_.round_id);
}

SessionCore::Output SessionCore::OnResponse(const market::v1::WatchResponse& response,
                                            Instant now) {
  Output output;
  state_ = SessionState::kLive;
  last_error_ = absl::OkStatus();
  heard_at_ = now.steady;
  sequence_ = response.sequence();
  if (response.guests_size() > 0) {
    guests_.clear();
    for (const auto& guest : response.guests()) guests_.push_back(FromProto(guest));
  }
  if (response.accounts_size() > 0) account_ = FromProto(response.accounts(0));
  if (response.has_state()) {
    MarketStatus market = FromProto(response.state());
    if (market.round_id < market_.round_id) {
      // Rounds never go back in one ledger: this is another one. What we remember of the old rounds
      // must not hide what is told of the new ones.
      noticed_round_ids_.clear();
      for (auto& [key, standing] : standing_) {
        standing.placed_round_id = standing.tried_round_id = 0;
        standing.unsure_until_round_id = 0;
      }
    }
    const absl::Time valid_until = FromProto(response.state().valid_until());
    const SafeMode::Change change =
        safe_mode_.OnPrices(Ticks(now.steady), Ticks(valid_until - now.wall), Ticks(market.period));
    output.priced = market.priced_round_id != 0 && market.priced_round_id != prices_.round_id;
    prices_.round_id = market.priced_round_id;
    prices_.valid_until = now.wall + (absl::Nanoseconds(safe_mode_.fresh_until()) - now.steady);
    prices_.by_resource = {};
    for (const ResourceState& resource : market.resources) {
      prices_.by_resource[static_cast<size_t>(resource.resource) - 1] = resource.price;
    }
    market_ = std::move(market);
    ForgetLapsed();
    if (!safe_mode_.on()) backoff_.Reset();
    Tell(change,
         safe_mode_.on() ? NoFreshPrices() : absl::StrCat("prices of round ", prices_.round_id),
         output);
  }
  for (const auto& told : response.notices()) {
    const std::optional<Notice> notice = FromProto(told);
    if (!notice) continue;
    // A reconnect may tell a notice again.
    uint64_t& noticed = noticed_round_ids_[{notice->guest_id, notice->resource}];
    if (notice->round_id <= noticed) continue;
    noticed = notice->round_id;
    output.notices.push_back(*notice);
  }
  return output;
}

SessionCore::Output SessionCore::OnStreamEnded(const absl::Status& status, Instant now) {
  Output output;
  stream_open_ = cancelled_ = false;
  last_error_ = status.ok() ? absl::UnavailableError("the market ended the stream") : status;
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

absl::StatusOr<uint64_t> SessionCore::ResolveGuest(uint64_t guest_id) const {
  if (guest_id != 0) return guest_id;
  if (state_ == SessionState::kConnecting) {
    return absl::FailedPreconditionError("no word from the market yet");
  }
  if (guests_.size() == 1) return guests_[0].guest_id;
  return absl::InvalidArgumentError(
      absl::StrCat("guest_id: must be given, as this session follows ", guests_.size(), " guests"));
}

int64_t SessionCore::Reserved(const Standing& standing) {
  int64_t reserved = std::max(standing.pending_microcredits, standing.unsure_microcredits);
  if (standing.bid && standing.bid->budget_microcredits) {
    reserved = std::max(reserved, *standing.bid->budget_microcredits);
  }
  return reserved;
}

uint64_t SessionCore::LifetimeOf(const std::optional<Bid>& bid) const {
  return std::max(limits_.bid_lifetime_rounds, bid ? bid->rounds : 0);
}

absl::StatusOr<Bid> SessionCore::Prepare(Bid bid) {
  absl::StatusOr<uint64_t> guest_id = ResolveGuest(bid.guest_id);
  if (!guest_id.ok()) return guest_id.status();
  bid.guest_id = *guest_id;
  if (!ParseResource(ResourceName(bid.resource))) {
    return absl::InvalidArgumentError(
        absl::StrCat("resource: ", static_cast<int>(bid.resource), " is none"));
  }
  if (absl::Status status = CheckRanges(bid.ranges); !status.ok()) return status;
  if (bid.budget_microcredits && *bid.budget_microcredits < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("budget_microcredits: ", *bid.budget_microcredits, " is negative"));
  }
  if (safe_mode_.on()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "safe mode: prices are stale", last_error_.ok() ? "" : ": ", last_error_.message()));
  }
  const auto ceiling = limits_.unit_price_ceilings_microcredits.find(bid.resource);
  if (ceiling != limits_.unit_price_ceilings_microcredits.end()) {
    bid.ranges = CutToUnitPrice(bid.ranges, ceiling->second);
    if (bid.ranges.empty()) {
      return absl::ResourceExhaustedError(
          absl::StrCat("ranges: a price ceiling of ", ceiling->second, " leaves nothing to bid"));
    }
  }
  const Key key(bid.guest_id, bid.resource);
  if (limits_.budget_per_round_microcredits) {
    int64_t left = *limits_.budget_per_round_microcredits;
    for (const auto& [other, standing] : standing_) {
      if (other != key) left -= std::min(left, Reserved(standing));
    }
    if (left <= 0 || bid.budget_microcredits.value_or(0) > left) {
      return absl::ResourceExhaustedError(absl::StrCat("budget_microcredits: of the session's ",
                                                       *limits_.budget_per_round_microcredits,
                                                       " a round, other bids leave ", left));
    }
    if (!bid.budget_microcredits) {
      bid.budget_microcredits = std::min(left, HighestValue(bid.ranges));
    }
  }
  standing_[key].pending_microcredits = bid.budget_microcredits.value_or(0);
  return bid;
}

void SessionCore::OnPlaced(const Bid& bid, uint64_t first_round_id) {
  standing_[{bid.guest_id, bid.resource}] =
      Standing{.bid = bid,
               .renew = bid.rounds == 0,
               // Whatever the market says: a bid that counts from the past would be due at once.
               .placed_round_id = std::max(first_round_id, market_.round_id)};
}

void SessionCore::OnRefused(const Bid& bid) {
  const auto it = standing_.find({bid.guest_id, bid.resource});
  if (it == standing_.end()) return;
  it->second.pending_microcredits = 0;
  if (!it->second.bid && it->second.unsure_microcredits == 0) standing_.erase(it);
}

void SessionCore::BeUnsure(uint64_t rounds, Standing& standing) {
  standing.unsure_microcredits = Reserved(standing);
  standing.unsure_rounds = std::max({standing.unsure_rounds, rounds, LifetimeOf(standing.bid)});
  standing.unsure_until_round_id = 0;
}

void SessionCore::OnUnsure(const Bid& bid) {
  Standing& standing = standing_[{bid.guest_id, bid.resource}];
  BeUnsure(LifetimeOf(bid), standing);
  standing.pending_microcredits = 0;
  standing.renew = bid.rounds == 0;
  standing.bid = standing.renew ? std::optional<Bid>(bid) : std::nullopt;
  standing.placed_round_id = 0;
  standing.tried_round_id = market_.round_id;
}

void SessionCore::OnWithdrawing(uint64_t guest_id, Resource resource) {
  const auto it = standing_.find({guest_id, resource});
  if (it == standing_.end()) return;
  BeUnsure(0, it->second);
  it->second.bid.reset();
  it->second.renew = false;
}

void SessionCore::OnWithdrawn(uint64_t guest_id, Resource resource) {
  standing_.erase({guest_id, resource});
}

void SessionCore::ForgetLapsed() {
  for (auto it = standing_.begin(); it != standing_.end();) {
    Standing& standing = it->second;
    if (standing.bid && standing.bid->rounds != 0 &&
        market_.round_id >= standing.placed_round_id + standing.bid->rounds) {
      standing.bid.reset();
    }
    if (standing.unsure_rounds != 0) {
      // It came, if it did, by the round after this one.
      if (standing.unsure_until_round_id == 0 && !safe_mode_.on()) {
        standing.unsure_until_round_id = market_.round_id + standing.unsure_rounds + 1;
      }
      if (standing.unsure_until_round_id != 0 &&
          market_.round_id > standing.unsure_until_round_id) {
        standing.unsure_microcredits = 0;
        standing.unsure_rounds = 0;
      }
    }
    const bool empty =
        !standing.bid && standing.unsure_microcredits == 0 && standing.pending_microcredits == 0;
    it = empty ? standing_.erase(it) : std::next(it);
  }
}

bool SessionCore::IsDue(const Standing& standing) const {
  if (safe_mode_.on() || !standing.renew || market_.round_id <= standing.placed_round_id ||
      market_.round_id <= standing.tried_round_id) {
    return false;
  }
  // Leaves one round in hand, should the first attempt fail.
  return market_.round_id + 2 >= standing.placed_round_id + limits_.bid_lifetime_rounds;
}

std::vector<std::pair<uint64_t, Resource>> SessionCore::Due() const {
  std::vector<Key> due;
  for (const auto& [key, standing] : standing_) {
    if (IsDue(standing)) due.push_back(key);
  }
  return due;
}

absl::Duration SessionCore::FreshFor(Instant now) const {
  if (safe_mode_.on()) return absl::ZeroDuration();
  return std::max(absl::ZeroDuration(), absl::Nanoseconds(safe_mode_.fresh_until()) - now.steady);
}

bool SessionCore::AnyDue() const {
  return std::any_of(standing_.begin(), standing_.end(),
                     [&](const auto& entry) { return IsDue(entry.second); });
}

std::optional<Bid> SessionCore::DueBid(uint64_t guest_id, Resource resource) const {
  const auto it = standing_.find({guest_id, resource});
  return it != standing_.end() && IsDue(it->second) ? it->second.bid : std::nullopt;
}

bool SessionCore::OnRenewalFailed(const Bid& bid, const absl::Status& status) {
  const auto it = standing_.find({bid.guest_id, bid.resource});
  if (it == standing_.end()) return false;
  it->second.tried_round_id = market_.round_id;
  const bool news = it->second.failed_code != status.code();
  it->second.failed_code = status.code();
  return news;
}

std::vector<Bid> SessionCore::standing_bids() const {
  std::vector<Bid> bids;
  for (const auto& [key, standing] : standing_) {
    if (standing.bid) bids.push_back(*standing.bid);
  }
  return bids;
}

}  // namespace nom::client
