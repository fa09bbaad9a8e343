// SPDX-License-Identifier: Apache-2.0
// The thread that owns time and the price board, starts calls and hands events on.

#include "client/src/session_impl.h"

namespace nom {

void Session::Impl::Take(SessionCore::Output output) {
  if (output.open_stream) want_stream_ = true;
  if (output.cancel_stream && watch_context_ != nullptr) watch_context_->TryCancel();
  for (SessionEvent& event : output.events) {
    event.endpoint =
        event.change == SessionChange::kConnected || event.change == SessionChange::kLost
            ? endpoints_.target()
            : "";
    outbox_.push_back([this, of = std::move(event)]() mutable { dispatcher_.Tell(std::move(of)); });
  }
  if (output.staleness) {
    if (output.staleness->stale) ++counters_.times_stale;
    outbox_.push_back([this, of = *output.staleness] { dispatcher_.Tell(of); });
  }
  if (output.priced) {
    outbox_.push_back([this, of = core_.prices()] { dispatcher_.Tell(of); });
  }
  for (Round& round : output.rounds) {
    outbox_.push_back([this, of = std::move(round)]() mutable { dispatcher_.Tell(std::move(of)); });
  }
  for (const Notice& notice : output.notices) {
    outbox_.push_back([this, of = notice] { dispatcher_.Tell(of); });
  }
}

void Session::Impl::NoteMarket() {
  const MarketStatus& market = core_.market();
  if (guest_board_ == nullptr || market.ledger_id.empty()) return;
  market_id_.store(Board::MarketIdOf(market.ledger_id, market.host_id), std::memory_order_relaxed);
}

void Session::Impl::Pump() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const Instant now = Now();
    if (inbox_) {
      ++counters_.responses;
      Take(core_.OnResponse(*inbox_, now));
      inbox_.reset();
      NoteRound(now);
      NoteMarket();
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

void Session::Impl::NoteRound(Instant now) {
  if (core_.market().round_id == round_seen_) return;
  round_seen_ = core_.market().round_id;
  renew_at_ = now.steady + core_.market().period / 4 * random_();
  renew_wanted_ = true;
}

void Session::Impl::ExpireCalls(Instant now) {
  std::vector<Call> over;
  for (const Call& call : calls_) {
    if (now.steady >= call->deadline_) over.push_back(call);
  }
  for (const Call& call : over) {
    GiveUp(call, absl::DeadlineExceededError("the market did not answer in time"));
  }
}

bool Session::Impl::RenewalDue(Instant now, bool fresh) {
  if (!fresh || !core_.bids().AnyToRenew() || now.steady < renew_not_before_) return false;
  return (renew_wanted_ && now.steady >= renew_at_) || core_.bids().AnyInDoubt();
}

void Session::Impl::StartCalls(Instant now) {
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

void Session::Impl::TellPaced(absl::Status why) {
  SessionEvent event{.change = SessionChange::kPaced, .status = std::move(why), .endpoint = ""};
  outbox_.push_back([this, of = std::move(event)]() mutable { dispatcher_.Tell(std::move(of)); });
}

absl::Duration Session::Impl::NextWake(Instant now) {
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

}  // namespace nom
