// Tells every watcher the latest state, and nobody twice.
//
//   engine thread -- OnView --> [latest view] --> hub thread --> frame --> each watcher
//
// A frame is a view in wire form: each host's state, each guest and each account is encoded once,
// whoever watches it, and what did not change since the last frame keeps its bytes. A watcher has
// at most one write under way and at most one frame waiting: a slow one skips frames, and no queue
// grows.

#ifndef MARKETD_SERVICES_WATCH_HUB_H_
#define MARKETD_SERVICES_WATCH_HUB_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "marketd/market/event.h"
#include "marketd/market/view.h"
#include "marketd/services/authenticator.h"

namespace nom::marketd {

// What one stream follows. Checked by who makes it.
struct WatchRequestChecked {
  Identity identity;
  market::HostId host_id;
  std::set<market::GuestId> guest_ids;  // Empty: all of the caller's on the host.
};

struct WatchCounters {
  int64_t watchers = 0;           // Now.
  uint64_t responses = 0;         // Written, all time.
  uint64_t frames_conflated = 0;  // Skipped by slow watchers, all time.
};

// Thread-safe. Outlives the gRPC server, which destroys the streams.
class WatchHub {
 public:
  using Reactor = grpc::ServerWriteReactor<grpc::ByteBuffer>;

  WatchHub(int64_t watches_max, int64_t watches_per_tenant_max);
  ~WatchHub();  // All streams are gone by then.

  // For streams that begin from now on.
  void SetLimits(int64_t watches_max, int64_t watches_per_tenant_max);

  // Returns at once.
  void OnView(std::shared_ptr<const market::View> view);

  // Asked of every stream with every view and at least once a second: a stream ends with what it
  // says if that is not OK. Null: all are good. Returns once the one before is used no more.
  using StillGood = std::function<absl::Status(const Identity&, const market::View&)>;
  void SetStillGood(StillGood still_good);
  // Asks it now.
  void Recheck();

  // A stream that has begun; or one that is refused: RESOURCE_EXHAUSTED over the limits,
  // UNAVAILABLE after Close. gRPC owns it.
  //
  // A sixteenth of the places is kept for the operator. When tenants have taken the rest, a tenant
  // that has fewer than another gets one of the other's, whose newest stream ends with
  // RESOURCE_EXHAUSTED: so no quota of some fills the whole.
  Reactor* Watch(WatchRequestChecked request);

  // Ends all streams with UNAVAILABLE and lets none begin. Idempotent.
  void Close();

  WatchCounters counters() const;

 private:
  class Watcher;
  struct Frame;

  void Run();
  // Null if there is room for one more of the tenant, or the stream that has to make it;
  // RESOURCE_EXHAUSTED if it can have none. The caller holds mutex_.
  absl::StatusOr<std::shared_ptr<Watcher>> MakeRoom(const market::Caller& caller) const;
  std::shared_ptr<const Frame> MakeFrame(std::shared_ptr<const market::View> view,
                                         const Frame* before) const;
  void Remove(Watcher* watcher);
  void GiveUpPlace(Watcher& watcher);  // The caller holds mutex_.
  void EndThoseWithoutCredential(const std::vector<std::shared_ptr<Watcher>>& watchers,
                                 const market::View& view);
  void CountResponse();
  void CountConflated();

  mutable std::mutex mutex_;
  int64_t watches_max_;
  int64_t watches_per_tenant_max_;
  std::condition_variable changed_;
  std::shared_ptr<const market::View> view_;  // The latest, also if it is in no frame yet.
  bool dirty_ = false;                        // A view or a watcher is new.
  bool closed_ = false;
  bool stopping_ = false;
  std::mutex still_good_mutex_;  // Held while it is asked.
  StillGood still_good_;
  std::map<Watcher*, std::shared_ptr<Watcher>> watchers_;
  // Streams that are not ending: those that do have lost their place, if they have not yet gone.
  std::map<market::TenantId, int64_t> watches_of_;  // The operator's under "".
  int64_t tenants_watches_ = 0;
  uint64_t next_number_ = 0;
  WatchCounters counters_;
  std::thread thread_;
};

// A stream that ends at once with this status.
WatchHub::Reactor* NewRefusedWatch(const absl::Status& status);

}  // namespace nom::marketd

#endif  // MARKETD_SERVICES_WATCH_HUB_H_
