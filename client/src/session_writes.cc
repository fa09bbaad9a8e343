// SPDX-License-Identifier: Apache-2.0
// The threads that make calls: the writer, for what writes bids, and the keeper, which renews them
// and asks for rounds that went by unseen.

#include "client/src/session_impl.h"
#include "client/src/wire.h"

namespace nom {

void Session::Impl::Post(Caller& caller, std::function<void()> job) {
  caller.busy = true;
  caller.job = std::move(job);
  caller.wake.notify_all();
}

void Session::Impl::RunJobs(Caller& caller) {
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

absl::Duration Session::Impl::TimeForAttempt(bool carries_bids) const {
  const absl::Duration time = std::min(options_.attempt_timeout, kAttemptMax);
  if (!carries_bids) return time;
  std::lock_guard lock(mutex_);
  return std::min(time, core_.FreshFor(Now()));
}

void Session::Impl::BackOff(const absl::Status& status, Backoff& backoff,
                            absl::Duration& not_before) {
  const absl::Duration until = clock_.Steady() + backoff.Next();
  not_before = until;
  if (!absl::IsResourceExhausted(status)) return;
  bucket_.CloseUntil(until);
  if (std::exchange(paced_, true)) return;
  ++counters_.times_paced;
  TellPaced(status);
}

void Session::Impl::OpenLease() {
  market::v1::OpenLeaseResponse response;
  const absl::Status status =
      Attempt([&](client::Endpoints::Stub& stub,
                  grpc::ClientContext& context) { return stub.OpenLease(&context, {}, &response); },
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

void Session::Impl::Write(const BidBook::Write& write) {
  const bool carries_bids = std::any_of(write.items.begin(), write.items.end(),
                                        [](const BidBook::Item& item) { return item.bid; });
  const absl::Duration time = TimeForAttempt(carries_bids);
  market::v1::PlaceBidsResponse response;
  absl::Status status = absl::FailedPreconditionError("safe mode: prices have just grown stale");
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
  const std::vector<BidBook::Placed> placed = client::FromProto(response);
  if (status.ok()) status = client::CheckCount(placed.size(), write.items.size());
  std::lock_guard lock(mutex_);
  if (sent) ++counters_.write_calls;
  if (status.ok()) {
    write_backoff_.Reset();
  } else if (sent) {
    ++counters_.write_calls_failed;
    BackOff(status, write_backoff_, write_not_before_);
  }
  core_.bids().OnWritten(write, status, placed);
  if (!core_.IsFresh(Now())) {
    core_.bids().GiveUpUnsent(absl::FailedPreconditionError("safe mode: prices are stale"));
  }
}

void Session::Impl::Renew(const BidBook::Renewal& renewal) {
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
  const std::vector<BidBook::Leased> leased = client::FromProto(response);
  if (status.ok()) status = client::CheckCount(leased.size(), renewal.keys.size());
  std::lock_guard lock(mutex_);
  if (!status.ok()) {
    ++counters_.renewals_failed;
    renew_wanted_ = true;
    BackOff(status, renew_backoff_, renew_not_before_);
    return;
  }
  ++counters_.renewals;
  renew_backoff_.Reset();
  core_.bids().OnRenewed(renewal, leased);
}

void Session::Impl::List(const SessionCore::Listing& listing) {
  const uint64_t first = listing.before_round_id - static_cast<uint64_t>(listing.count);
  std::vector<Round> rounds;
  absl::Status status;
  // A page may end before all that it was asked for.
  for (uint64_t before = listing.before_round_id; before > first;) {
    const absl::StatusOr<RoundsPage> page = ListRounds(before, static_cast<int>(before - first),
                                                       TimeForAttempt(/*carries_bids=*/false));
    status = page.status();
    if (!page.ok()) break;
    rounds.insert(rounds.end(), page->rounds.begin(), page->rounds.end());
    if (page->next_before_round_id >= before) break;
    before = page->next_before_round_id;
  }
  std::lock_guard lock(mutex_);
  Take(core_.OnListed(listing, std::move(rounds), status));
}

}  // namespace nom
