// SPDX-License-Identifier: Apache-2.0
#include "marketd/services/watch_hub.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "marketd/base/clock.h"
#include "marketd/base/status.h"
#include "marketd/server/status.h"
#include "marketd/services/convert.h"

namespace nom::marketd {
namespace {

using market_pb::WatchResponse;

constexpr int64_t kOperatorsShare = 16;  // One place of so many is kept for the operator.
constexpr auto kRecheckInterval = std::chrono::seconds(1);

// No response is made larger than about this: clients take 4 MiB (gRPC's default) and less.
constexpr size_t kResponseBytesMax = size_t{1} << 20;

}  // namespace

class WatchHub::Watcher final : public WatchHub::Reactor {
 public:
  Watcher(WatchHub* hub, WatchRequestChecked request, uint64_t number)
      : hub_(hub), request_(std::move(request)), number_(number) {}

  const Identity& identity() const { return request_.identity; }
  const market::Caller& caller() const { return request_.identity.caller; }
  const market::TenantId& tenant_id() const { return caller().tenant_id; }
  WatchKey key() const {
    return {request_.host_id, caller().is_operator ? market::TenantId() : tenant_id()};
  }
  uint64_t after_sequence() const { return request_.after_sequence; }
  uint64_t number() const { return number_; }  // Rises with time.

  // Whether it counts against its owner's quota; guarded by the hub's mutex.
  bool has_place = true;

  // It knows all up to this view. Called once, before anything is offered.
  void ResumeAfter(uint64_t sequence) {
    std::lock_guard lock(mutex_);
    told_ = sequence;
  }

  // Sends what is new in `news`, now or when the write under way is done. Called by the hub's
  // thread only; harmless after the end. True: a state that waited was skipped for this one.
  bool Offer(const WatchNews& news) {
    std::lock_guard lock(mutex_);
    if (ending_ || (waiting_ && waiting_->sequence == news.sequence)) return false;
    const bool skipped = waiting_.has_value();
    waiting_ = news;
    if (!writing_) WriteLocked();
    return skipped;
  }

  // Ends the stream, after the write under way.
  void End(grpc::Status status) {
    std::lock_guard lock(mutex_);
    EndLocked(std::move(status));
  }

  void OnWriteDone(bool ok) override {
    std::lock_guard lock(mutex_);
    writing_ = false;
    if (ending_) {
      Finish(end_status_);
    } else if (!ok) {
      EndLocked(grpc::Status::CANCELLED);
    } else if (!rest_.empty()) {
      WriteNextLocked();
    } else {
      WriteLocked();
    }
  }

  void OnCancel() override { End(grpc::Status::CANCELLED); }

  // gRPC's last word on this stream: nothing of it is touched by gRPC after that.
  void OnDone() override { hub_->Remove(this); }

 private:
  void EndLocked(grpc::Status status) {
    if (ending_) return;
    ending_ = true;
    waiting_.reset();
    end_status_ = std::move(status);
    // gRPC wants no Finish beside a write; OnWriteDone comes, at the latest when it is cancelled.
    if (!writing_) Finish(end_status_);
  }

  bool Follows(market::GuestId guest_id) const {
    return request_.guest_ids.empty() || request_.guest_ids.contains(guest_id);
  }

  // Whether what it follows of `part` has changed since it was told.
  bool GuestsChanged(const WatchPart& part) const {
    if (part.guests_left_at > told_) return true;
    return std::any_of(part.guests.begin(), part.guests.end(), [this](const WatchPart::Guest& g) {
      return g.changed_at > told_ && Follows(g.guest_id);
    });
  }

  // Writes what `waiting_` has and was not told yet, if anything. The first response is written in
  // any case, with the state: who comes back is to know that it is heard, and how things stand.
  void WriteLocked() {
    const std::optional<WatchNews> news = std::exchange(waiting_, std::nullopt);
    if (!news || ending_) return;
    const WatchPart& part = *news->part;
    std::vector<grpc::Slice> slices;
    for (const WatchPart::Notice& notice : part.notices) {
      if (notice.told_at <= told_ || !Follows(notice.guest_id)) continue;
      // A notice whose time has come is no news to a watcher that knows nothing yet.
      if (told_ == 0 && notice.effective_time <= news->time) continue;
      slices.push_back(*notice.piece);
    }
    const bool guests_changed = told_ == 0 || GuestsChanged(part);
    const bool accounts_changed = told_ == 0 || part.accounts_changed_at > told_;
    const bool is_first = !std::exchange(begun_, true);
    if (!is_first && news->state_changed_at <= told_ && !guests_changed && !accounts_changed &&
        slices.empty()) {
      return;
    }
    slices.push_back(*news->state);
    if (guests_changed) {
      for (const WatchPart::Guest& guest : part.guests) {
        if (Follows(guest.guest_id)) slices.push_back(*guest.piece);
      }
    }
    if (accounts_changed) {
      for (const WatchPiece& account : part.accounts) slices.push_back(*account);
    }
    WatchResponse own;
    own.set_sequence(news->sequence);
    own.set_guests_told(guests_changed);
    own.set_accounts_told(accounts_changed);
    told_ = news->sequence;
    Split(std::move(slices), std::move(own));
    WriteNextLocked();
  }

  // Into responses that are not too large, each with what is its own.
  void Split(std::vector<grpc::Slice> slices, WatchResponse own) {
    std::vector<grpc::Slice> part;
    size_t bytes = 0;
    const auto close = [&](bool more) {
      own.set_more(more);
      rest_.push_back({own, std::exchange(part, {})});
      bytes = 0;
    };
    for (grpc::Slice& slice : slices) {
      if (!part.empty() && bytes + slice.size() > kResponseBytesMax) close(/*more=*/true);
      bytes += slice.size();
      part.push_back(std::move(slice));
    }
    close(/*more=*/false);
  }

  void WriteNextLocked() {
    auto [own, slices] = std::move(rest_.front());
    rest_.pop_front();
    *own.mutable_market_time() = ToShown(Clock::Real().Now());
    slices.emplace_back(own.SerializeAsString());
    buffer_ = grpc::ByteBuffer(slices.data(), slices.size());
    writing_ = true;
    StartWrite(&buffer_);
    ++hub_->responses_;
  }

  WatchHub* const hub_;
  const WatchRequestChecked request_;
  const uint64_t number_;
  std::mutex mutex_;
  std::optional<WatchNews> waiting_;
  bool writing_ = false;
  bool ending_ = false;
  grpc::Status end_status_;
  grpc::ByteBuffer buffer_;  // Of the write under way.
  // What follows it, so that it is whole.
  std::deque<std::pair<WatchResponse, std::vector<grpc::Slice>>> rest_;
  bool begun_ = false;
  uint64_t told_ = 0;  // The view of which it was last told anything; 0: none.
};

WatchHub::WatchHub(int64_t watches_max, int64_t watches_per_tenant_max, OnPublished on_published)
    : watches_max_(watches_max),
      watches_per_tenant_max_(watches_per_tenant_max),
      on_published_(std::move(on_published)),
      thread_([this] { Run(); }) {}

WatchHub::~WatchHub() {
  Close();
  {
    std::lock_guard lock(mutex_);
    NOM_CHECK(watchers_.empty(), "the watch hub must outlive the streams");
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void WatchHub::OnView(std::shared_ptr<const market::View> view) {
  {
    std::lock_guard lock(mutex_);
    view_ = std::move(view);
    if (!has_news_) news_since_ = std::chrono::steady_clock::now();
    has_news_ = true;
  }
  changed_.notify_all();
}

void WatchHub::SetLimits(int64_t watches_max, int64_t watches_per_tenant_max) {
  std::lock_guard lock(mutex_);
  watches_max_ = watches_max;
  watches_per_tenant_max_ = watches_per_tenant_max;
}

void WatchHub::SetStillGood(StillGood still_good) {
  std::lock_guard lock(still_good_mutex_);
  still_good_ = std::move(still_good);
}

void WatchHub::Recheck() {
  {
    std::lock_guard lock(mutex_);
    recheck_ = true;
  }
  changed_.notify_all();
}

absl::StatusOr<WatchHub::Reactor*> WatchHub::Watch(WatchRequestChecked request) {
  std::shared_ptr<Watcher> evicted;
  std::shared_ptr<Watcher> watcher;
  {
    std::lock_guard lock(mutex_);
    const market::Caller& caller = request.identity.caller;
    if (closed_) return absl::UnavailableError("the market is shutting down");
    absl::StatusOr<std::shared_ptr<Watcher>> room = MakeRoom(caller);
    if (!room.ok()) return room.status();
    evicted = *std::move(room);
    if (evicted != nullptr) GiveUpPlace(*evicted);
    ++watches_of_[caller.tenant_id];
    if (!caller.is_operator) ++tenants_watches_;
    watcher = std::make_shared<Watcher>(this, std::move(request), ++next_number_);
    watchers_[watcher->key()][watcher.get()] = watcher;
    ++watchers_count_;
    joined_.push_back(watcher);
  }
  changed_.notify_all();
  if (evicted != nullptr) {
    evicted->End(ToGrpcStatus(absl::ResourceExhaustedError(
        "this market has no more room for watches, and you have more than others")));
  }
  return static_cast<Reactor*>(watcher.get());
}

absl::StatusOr<std::shared_ptr<WatchHub::Watcher>> WatchHub::MakeRoom(
    const market::Caller& caller) const {
  const auto own = watches_of_.find(caller.tenant_id);
  const int64_t held = own == watches_of_.end() ? 0 : own->second;
  if (caller.is_operator) {
    if (held + tenants_watches_ < watches_max_) return nullptr;
    return absl::ResourceExhaustedError("too many open watches on this market");
  }
  if (held >= watches_per_tenant_max_) {
    return absl::ResourceExhaustedError("too many open watches of this caller");
  }
  const int64_t for_operator = std::max<int64_t>(1, watches_max_ / kOperatorsShare);
  if (tenants_watches_ < watches_max_ - for_operator) return nullptr;
  const auto most =
      std::max_element(watches_of_.begin(), watches_of_.end(), [](const auto& a, const auto& b) {
        return (a.first.empty() ? 0 : a.second) < (b.first.empty() ? 0 : b.second);
      });
  if (most == watches_of_.end() || most->first.empty() || most->second <= held + 1) {
    return absl::ResourceExhaustedError("too many open watches on this market");
  }
  std::shared_ptr<Watcher> newest;
  for (const std::shared_ptr<Watcher>& watcher : AllWatchers()) {
    if (watcher->tenant_id() != most->first || !watcher->has_place) continue;
    if (newest == nullptr || newest->number() < watcher->number()) newest = watcher;
  }
  return newest;
}

void WatchHub::GiveUpPlace(Watcher& watcher) {
  if (!std::exchange(watcher.has_place, false)) return;
  const auto count = watches_of_.find(watcher.tenant_id());
  if (--count->second == 0) watches_of_.erase(count);
  if (!watcher.caller().is_operator) --tenants_watches_;
}

void WatchHub::Close() {
  std::vector<std::shared_ptr<Watcher>> watchers;
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    watchers = AllWatchers();
  }
  const grpc::Status status = ToGrpcStatus(absl::UnavailableError("the market is shutting down"));
  for (const std::shared_ptr<Watcher>& watcher : watchers) watcher->End(status);
}

std::vector<std::shared_ptr<WatchHub::Watcher>> WatchHub::AllWatchers() const {
  std::vector<std::shared_ptr<Watcher>> all;
  all.reserve(static_cast<size_t>(watchers_count_));
  for (const auto& [key, watchers] : watchers_) {
    for (const auto& [at, watcher] : watchers) all.push_back(watcher);
  }
  return all;
}

WatchCounters WatchHub::counters() const {
  std::lock_guard lock(mutex_);
  return {
      .watchers = watchers_count_, .responses = responses_, .frames_conflated = frames_conflated_};
}

void WatchHub::Remove(Watcher* watcher) {
  std::shared_ptr<Watcher> last;  // Outlives the lock.
  std::lock_guard lock(mutex_);
  const auto group = watchers_.find(watcher->key());
  NOM_CHECK(group != watchers_.end() && group->second.contains(watcher), "a stream ended twice");
  last = std::move(group->second.at(watcher));
  group->second.erase(watcher);
  if (group->second.empty()) watchers_.erase(group);
  --watchers_count_;
  GiveUpPlace(*last);
}

absl::Status WatchHub::CheckCredential(const Watcher& watcher, const market::View& view) {
  std::lock_guard lock(still_good_mutex_);
  return still_good_ ? still_good_(watcher.identity(), view) : absl::OkStatus();
}

WatchHub::Due WatchHub::Wait() {
  std::unique_lock lock(mutex_);
  const bool woken = changed_.wait_until(lock, next_recheck_, [this] {
    return stopping_ || has_news_ || recheck_ || !joined_.empty();
  });
  Due due{.stop = stopping_,
          .recheck = std::exchange(recheck_, false) || !woken ||
                     std::chrono::steady_clock::now() >= next_recheck_,
          .view = view_,
          .news_since = has_news_ ? std::optional(news_since_) : std::nullopt,
          .joined = std::exchange(joined_, {})};
  has_news_ = false;
  if (due.recheck) next_recheck_ = std::chrono::steady_clock::now() + kRecheckInterval;
  return due;
}

std::vector<std::shared_ptr<WatchHub::Watcher>> WatchHub::WatchersOf(
    const WatchIndex::Touched& touched) const {
  std::vector<std::shared_ptr<Watcher>> out;
  const auto add = [&out](const auto& group) {
    for (const auto& [at, watcher] : group.second) out.push_back(watcher);
  };
  std::lock_guard lock(mutex_);
  for (const market::HostId& host_id : touched.hosts) {
    for (auto it = watchers_.lower_bound({host_id, ""});
         it != watchers_.end() && it->first.first == host_id; ++it) {
      add(*it);
    }
  }
  for (const WatchKey& key : touched.keys) {
    if (touched.hosts.contains(key.first)) continue;
    if (const auto it = watchers_.find(key); it != watchers_.end()) add(*it);
  }
  return out;
}

void WatchHub::Tell(Watcher& watcher, WatchIndex& index) {
  // Nothing of a view is told by a credential that is no longer good in it.
  if (const absl::Status status = CheckCredential(watcher, *index.view()); !status.ok()) {
    watcher.End(ToGrpcStatus(status));
    return;
  }
  if (watcher.Offer(index.NewsOf(watcher.key()))) ++frames_conflated_;
}

void WatchHub::Run() {
  WatchIndex index;
  for (;;) {
    const Due due = Wait();
    if (due.stop) return;
    if (due.view == nullptr) {
      std::lock_guard lock(mutex_);  // For when there is one.
      joined_.insert(joined_.begin(), due.joined.begin(), due.joined.end());
      continue;
    }
    const WatchIndex::Touched touched = index.Take(due.view);
    for (const std::shared_ptr<Watcher>& watcher : due.joined) {
      const uint64_t after = watcher->after_sequence();
      if (index.Knows(after)) watcher->ResumeAfter(after);
      Tell(*watcher, index);
    }
    const std::vector<std::shared_ptr<Watcher>> concerned = WatchersOf(touched);
    for (const std::shared_ptr<Watcher>& watcher : concerned) Tell(*watcher, index);
    if (on_published_ && due.news_since && !concerned.empty()) {
      on_published_(absl::FromChrono(std::chrono::steady_clock::now() - *due.news_since));
    }
    if (!due.recheck) continue;
    std::vector<std::shared_ptr<Watcher>> all;
    {
      std::lock_guard lock(mutex_);
      all = AllWatchers();
    }
    for (const std::shared_ptr<Watcher>& watcher : all) {
      const absl::Status status = CheckCredential(*watcher, *due.view);
      if (!status.ok()) watcher->End(ToGrpcStatus(status));
    }
  }
}

namespace {

class RefusedWatch final : public WatchHub::Reactor {
 public:
  explicit RefusedWatch(const absl::Status& status) { Finish(ToGrpcStatus(status)); }
  void OnDone() override { delete this; }
};

}  // namespace

WatchHub::Reactor* NewRefusedWatch(const absl::Status& status) { return new RefusedWatch(status); }

}  // namespace nom::marketd
