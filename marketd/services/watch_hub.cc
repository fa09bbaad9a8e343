#include "marketd/services/watch_hub.h"

#include <grpcpp/support/slice.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <string>
#include <utility>

#include "marketd/base/clock.h"
#include "marketd/base/status.h"
#include "marketd/server/status.h"
#include "marketd/services/convert.h"

namespace nom::marketd {
namespace {

using market_pb::WatchResponse;

// A piece of an encoded WatchResponse. Messages in wire form may be put together by putting their
// bytes one after the other; slices share their bytes by reference.
using Piece = std::shared_ptr<const grpc::Slice>;

constexpr int64_t kOperatorsShare = 16;  // One place of so many is kept for the operator.
constexpr auto kRecheckInterval = std::chrono::seconds(1);

bool SameBytes(const grpc::Slice& slice, const std::string& bytes) {
  return slice.size() == bytes.size() &&
         std::equal(slice.begin(), slice.end(), bytes.begin(),
                    [](uint8_t a, char b) { return a == static_cast<uint8_t>(b); });
}

// No response is made larger than about this: clients take 4 MiB (gRPC's default) and less.
constexpr size_t kResponseBytesMax = size_t{1} << 20;

grpc::Slice ToSlice(const WatchResponse& part) { return grpc::Slice(part.SerializeAsString()); }

// `before` itself if its bytes are these: then a watcher sees by the pointer that it has them.
Piece Encode(const WatchResponse& part, const Piece& before) {
  const std::string bytes = part.SerializeAsString();
  if (before != nullptr && SameBytes(*before, bytes)) return before;
  return std::make_shared<const grpc::Slice>(bytes.data(), bytes.size());
}

}  // namespace

// One view in wire form.
struct WatchHub::Frame {
  struct Guest {
    std::shared_ptr<const market::GuestView> view;
    market::RoundId round_id = 0;
    Piece piece;
  };
  std::shared_ptr<const market::View> view;
  std::map<market::HostId, Piece> states;
  std::map<market::GuestId, Guest> guests;
  std::map<market::TenantId, Piece> accounts;
};

class WatchHub::Watcher final : public WatchHub::Reactor {
 public:
  Watcher(WatchHub* hub, WatchRequestChecked request, uint64_t number)
      : hub_(hub), request_(std::move(request)), number_(number) {}

  const Identity& identity() const { return request_.identity; }
  const market::Caller& caller() const { return request_.identity.caller; }
  const market::TenantId& tenant_id() const { return caller().tenant_id; }
  uint64_t number() const { return number_; }  // Rises with time.

  // Whether it counts against its owner's quota; guarded by the hub's mutex.
  bool has_place = true;

  // Sends what is new in `frame`, now or when the write under way is done. Called by the hub's
  // thread only; harmless after the end.
  void Offer(const std::shared_ptr<const Frame>& frame) {
    bool conflated = false;
    {
      std::lock_guard lock(mutex_);
      if (ending_) return;
      conflated = waiting_ != nullptr;
      waiting_ = frame;
      if (!writing_) WriteLocked();
    }
    if (conflated) hub_->CountConflated();
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
    waiting_ = nullptr;
    end_status_ = std::move(status);
    // gRPC wants no Finish beside a write; OnWriteDone comes, at the latest when it is cancelled.
    if (!writing_) Finish(end_status_);
  }

  bool Follows(const market::Guest& guest) const {
    if (guest.host_id != request_.host_id) return false;
    if (!caller().is_operator && guest.tenant_id != tenant_id()) return false;
    return request_.guest_ids.empty() || request_.guest_ids.count(guest.guest_id) != 0;
  }

  // Writes what `waiting_` has and the last response had not, if anything.
  void WriteLocked() {
    const std::shared_ptr<const Frame> frame = std::exchange(waiting_, nullptr);
    if (frame == nullptr || ending_) return;
    const auto state = frame->states.find(request_.host_id);
    NOM_CHECK(state != frame->states.end(), "a watched host left the market");

    std::vector<Piece> guests;
    for (const auto& [guest_id, guest] : frame->guests) {
      if (Follows(guest.view->guest)) guests.push_back(guest.piece);
    }
    std::vector<Piece> accounts;
    for (const auto& [tenant, piece] : frame->accounts) {
      if (caller().is_operator || tenant == tenant_id()) accounts.push_back(piece);
    }
    std::vector<grpc::Slice> slices;
    for (const market::Notice& notice : frame->view->notices) {
      if (notice.sequence <= notice_sequence_) continue;
      const auto guest = frame->guests.find(notice.guest_id);
      // A notice whose time has come is no news to a watcher that has just begun.
      const bool over = notice_sequence_ == 0 && notice.effective_time <= frame->view->time;
      if (guest == frame->guests.end() || over || !Follows(guest->second.view->guest)) continue;
      WatchResponse part;
      *part.add_notices() = ToProto(notice);
      slices.push_back(ToSlice(part));
    }
    const bool guests_changed = guests != guests_;
    const bool accounts_changed = accounts != accounts_;
    if (state->second == state_ && !guests_changed && !accounts_changed && slices.empty()) {
      return;
    }
    if (!frame->view->notices.empty()) {
      notice_sequence_ = std::max(notice_sequence_, frame->view->notices.back().sequence);
    }
    state_ = state->second;
    guests_ = std::move(guests);
    accounts_ = std::move(accounts);

    slices.push_back(*state_);
    if (guests_changed) {
      for (const Piece& piece : guests_) slices.push_back(*piece);
    }
    if (accounts_changed) {
      for (const Piece& piece : accounts_) slices.push_back(*piece);
    }
    WatchResponse own;
    own.set_sequence(frame->view->sequence);
    own.set_guests_told(guests_changed || !begun_);
    own.set_accounts_told(accounts_changed || !begun_);
    begun_ = true;
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
    slices.push_back(ToSlice(own));
    buffer_ = grpc::ByteBuffer(slices.data(), slices.size());
    writing_ = true;
    StartWrite(&buffer_);
    hub_->CountResponse();
  }

  WatchHub* const hub_;
  const WatchRequestChecked request_;
  const uint64_t number_;
  std::mutex mutex_;
  std::shared_ptr<const Frame> waiting_;
  bool writing_ = false;
  bool ending_ = false;
  grpc::Status end_status_;
  grpc::ByteBuffer buffer_;  // Of the write under way.
  // What follows it, so that it is whole.
  std::deque<std::pair<WatchResponse, std::vector<grpc::Slice>>> rest_;
  bool begun_ = false;
  // What the last response left the watcher with.
  Piece state_;
  std::vector<Piece> guests_;
  std::vector<Piece> accounts_;
  uint64_t notice_sequence_ = 0;
};

WatchHub::WatchHub(int64_t watches_max, int64_t watches_per_tenant_max)
    : watches_max_(watches_max),
      watches_per_tenant_max_(watches_per_tenant_max),
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
    dirty_ = true;
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
    dirty_ = true;
  }
  changed_.notify_all();
}

WatchHub::Reactor* WatchHub::Watch(WatchRequestChecked request) {
  std::shared_ptr<Watcher> evicted;
  std::shared_ptr<Watcher> watcher;
  {
    std::lock_guard lock(mutex_);
    const market::Caller& caller = request.identity.caller;
    if (closed_) return NewRefusedWatch(absl::UnavailableError("the market is shutting down"));
    absl::StatusOr<std::shared_ptr<Watcher>> room = MakeRoom(caller);
    if (!room.ok()) return NewRefusedWatch(room.status());
    evicted = *std::move(room);
    if (evicted != nullptr) GiveUpPlace(*evicted);
    ++watches_of_[caller.tenant_id];
    if (!caller.is_operator) ++tenants_watches_;
    watcher = std::make_shared<Watcher>(this, std::move(request), ++next_number_);
    watchers_[watcher.get()] = watcher;
    dirty_ = true;
  }
  changed_.notify_all();
  if (evicted != nullptr) {
    evicted->End(ToGrpcStatus(absl::ResourceExhaustedError(
        "this market has no more room for watches, and you have more than others")));
  }
  return watcher.get();
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
  for (const auto& [key, watcher] : watchers_) {
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
    for (const auto& [key, watcher] : watchers_) watchers.push_back(watcher);
  }
  const grpc::Status status = ToGrpcStatus(absl::UnavailableError("the market is shutting down"));
  for (const std::shared_ptr<Watcher>& watcher : watchers) watcher->End(status);
}

WatchCounters WatchHub::counters() const {
  std::lock_guard lock(mutex_);
  WatchCounters out = counters_;
  out.watchers = static_cast<int64_t>(watchers_.size());
  return out;
}

void WatchHub::Remove(Watcher* watcher) {
  std::shared_ptr<Watcher> last;  // Outlives the lock.
  std::lock_guard lock(mutex_);
  const auto found = watchers_.find(watcher);
  NOM_CHECK(found != watchers_.end(), "a stream ended twice");
  last = std::move(found->second);
  watchers_.erase(found);
  GiveUpPlace(*last);
}

void WatchHub::CountResponse() {
  std::lock_guard lock(mutex_);
  ++counters_.responses;
}

void WatchHub::CountConflated() {
  std::lock_guard lock(mutex_);
  ++counters_.frames_conflated;
}

std::shared_ptr<const WatchHub::Frame> WatchHub::MakeFrame(std::shared_ptr<const market::View> view,
                                                           const Frame* before) const {
  auto frame = std::make_shared<Frame>();
  std::map<market::HostId, market::RoundId> round_ids;
  for (const std::shared_ptr<const market::HostView>& host : view->hosts) {
    WatchResponse part;
    *part.mutable_state() = StateToProto(*host);
    Piece old;
    if (before != nullptr) {
      const auto found = before->states.find(host->host_id);
      if (found != before->states.end()) old = found->second;
    }
    frame->states[host->host_id] = Encode(part, old);
    round_ids[host->host_id] = host->round_id;
  }
  for (const std::shared_ptr<const market::GuestView>& guest : view->guests) {
    const market::GuestId guest_id = guest->guest.guest_id;
    const market::RoundId round_id = round_ids[guest->guest.host_id];
    Frame::Guest& to = frame->guests[guest_id];
    const Frame::Guest* old = nullptr;
    if (before != nullptr) {
      const auto found = before->guests.find(guest_id);
      if (found != before->guests.end()) old = &found->second;
    }
    if (old != nullptr && old->view == guest && old->round_id == round_id) {
      to = *old;
      continue;
    }
    WatchResponse part;
    *part.add_guests() = ToProto(*guest, round_id);
    to = {guest, round_id, Encode(part, old == nullptr ? nullptr : old->piece)};
  }
  for (const market::TenantView& tenant : view->tenants) {
    WatchResponse part;
    *part.add_accounts() = ToProto(tenant.tenant_id, market::Summarize(tenant.purse));
    Piece old;
    if (before != nullptr) {
      const auto found = before->accounts.find(tenant.tenant_id);
      if (found != before->accounts.end()) old = found->second;
    }
    frame->accounts[tenant.tenant_id] = Encode(part, old);
  }
  frame->view = std::move(view);
  return frame;
}

void WatchHub::EndThoseWithoutCredential(const std::vector<std::shared_ptr<Watcher>>& watchers,
                                         const market::View& view) {
  std::lock_guard lock(still_good_mutex_);
  if (!still_good_) return;
  for (const std::shared_ptr<Watcher>& watcher : watchers) {
    const absl::Status status = still_good_(watcher->identity(), view);
    if (!status.ok()) watcher->End(ToGrpcStatus(status));
  }
}

void WatchHub::Run() {
  std::shared_ptr<const Frame> frame;
  for (;;) {
    std::shared_ptr<const market::View> view;
    std::vector<std::shared_ptr<Watcher>> watchers;
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kRecheckInterval, [this] { return stopping_ || dirty_; });
      if (stopping_) return;
      dirty_ = false;
      view = view_;
      for (const auto& [key, watcher] : watchers_) watchers.push_back(watcher);
    }
    if (view == nullptr || watchers.empty()) continue;
    EndThoseWithoutCredential(watchers, *view);
    if (frame == nullptr || frame->view != view) frame = MakeFrame(view, frame.get());
    for (const std::shared_ptr<Watcher>& watcher : watchers) watcher->Offer(frame);
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
