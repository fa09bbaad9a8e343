// SPDX-License-Identifier: Apache-2.0
// Tells every watcher the latest state, and nobody twice.
//
//   engine thread -- OnView --> [latest view] --> hub thread --> WatchIndex --> those concerned
//
// A view is looked at for what changed in it, and only those are visited who follow that: what
// others have costs a watcher nothing. A watcher has at most one write under way and at most one
// view waiting: a slow one skips views, and no queue grows.

#ifndef MARKETD_SERVICES_WATCH_HUB_H_
#define MARKETD_SERVICES_WATCH_HUB_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "marketd/market/event.h"
#include "marketd/market/view.h"
#include "marketd/services/authenticator.h"
#include "marketd/services/watch_index.h"

namespace nom::marketd {

// What one stream follows. Checked by who makes it.
struct WatchRequestChecked {
  Identity identity;
  market::HostId host_id;
  std::set<market::GuestId> guest_ids;  // Empty: all of the caller's on the host.
  uint64_t after_sequence = 0;          // What it was told last; 0: nothing.
};

struct WatchCounters {
  int64_t watchers = 0;    // Now.
  uint64_t responses = 0;  // Written, all time.
  uint64_t frames_conflated =
      0;  // Views that waited for a slow watcher and were skipped, all time.
};

// Thread-safe. Outlives the gRPC server, which destroys the streams.
class WatchHub {
 public:
  using Reactor = grpc::ServerWriteReactor<grpc::ByteBuffer>;

  // Told, on the hub's thread, how long after a view came it was on its way to all whom it
  // concerns. May be empty.
  using OnPublished = std::function<void(absl::Duration)>;

  WatchHub(int64_t watches_max, int64_t watches_per_tenant_max, OnPublished on_published = nullptr);
  ~WatchHub();  // All streams are gone by then.

  // For streams that begin from now on.
  void SetLimits(int64_t watches_max, int64_t watches_per_tenant_max);

  // Returns at once.
  void OnView(std::shared_ptr<const market::View> view);

  // Asked of a stream before it is told anything of a view, and of all at least once a second: a
  // stream ends with what it says if that is not OK. Null: all are good. Returns once the one
  // before is used no more.
  using StillGood = std::function<absl::Status(const Identity&, const market::View&)>;
  void SetStillGood(StillGood still_good);
  // Asks it now.
  void Recheck();

  // A stream that has begun; gRPC owns it. Errors: RESOURCE_EXHAUSTED over the limits, UNAVAILABLE
  // after Close: see NewRefusedWatch.
  //
  // A sixteenth of the places is kept for the operator. When tenants have taken the rest, a tenant
  // that has fewer than another gets one of the other's, whose newest stream ends with
  // RESOURCE_EXHAUSTED: so no quota of some fills the whole.
  absl::StatusOr<Reactor*> Watch(WatchRequestChecked request);

  // Ends all streams with UNAVAILABLE and lets none begin. Idempotent.
  void Close();

  WatchCounters counters() const;

 private:
  class Watcher;
  // What the hub's thread has to do.
  struct Due {
    bool stop = false;
    bool recheck = false;
    std::shared_ptr<const market::View> view;
    std::optional<std::chrono::steady_clock::time_point> news_since;  // If the view is new.
    std::vector<std::shared_ptr<Watcher>> joined;
  };

  void Run();
  Due Wait();
  std::vector<std::shared_ptr<Watcher>> WatchersOf(const WatchIndex::Touched& touched) const;
  std::vector<std::shared_ptr<Watcher>> AllWatchers() const;  // The caller holds mutex_.
  void Tell(Watcher& watcher, WatchIndex& index);
  absl::Status CheckCredential(const Watcher& watcher, const market::View& view);
  // Null if there is room for one more of the tenant, or the stream that has to make it;
  // RESOURCE_EXHAUSTED if it can have none. The caller holds mutex_.
  absl::StatusOr<std::shared_ptr<Watcher>> MakeRoom(const market::Caller& caller) const;
  void Remove(Watcher* watcher);
  void GiveUpPlace(Watcher& watcher);  // The caller holds mutex_.

  mutable std::mutex mutex_;
  int64_t watches_max_;
  int64_t watches_per_tenant_max_;
  std::condition_variable changed_;
  std::shared_ptr<const market::View> view_;          // The latest.
  bool has_news_ = false;                             // It is new,
  std::chrono::steady_clock::time_point news_since_;  // or the oldest that it took the place of.
  bool recheck_ = false;
  std::vector<std::shared_ptr<Watcher>> joined_;  // Not told anything yet.
  bool closed_ = false;
  bool stopping_ = false;
  std::mutex still_good_mutex_;  // Held while it is asked.
  StillGood still_good_;
  std::map<WatchKey, std::map<Watcher*, std::shared_ptr<Watcher>>> watchers_;
  int64_t watchers_count_ = 0;
  // Streams that are not ending: those that do have lost their place, if they have not yet gone.
  std::map<market::TenantId, int64_t> watches_of_;  // The operator's under "".
  int64_t tenants_watches_ = 0;
  uint64_t next_number_ = 0;
  std::atomic<uint64_t> responses_{0};
  std::atomic<uint64_t> frames_conflated_{0};
  const OnPublished on_published_;
  // The hub thread's own.
  std::chrono::steady_clock::time_point next_recheck_;
  std::thread thread_;
};

// A stream that ends at once with this status.
WatchHub::Reactor* NewRefusedWatch(const absl::Status& status);

}  // namespace nom::marketd

#endif  // MARKETD_SERVICES_WATCH_HUB_H_
