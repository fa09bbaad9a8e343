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
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "marketd/market/event.h"
#include "marketd/market/view.h"

namespace nom::marketd {

// What one stream follows. Checked by who makes it.
struct WatchRequestChecked {
  market::Caller caller;
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

  // Returns at once.
  void OnView(std::shared_ptr<const market::View> view);

  // A stream that has begun; or one that is refused: RESOURCE_EXHAUSTED over the limits,
  // UNAVAILABLE after Close. gRPC owns it.
  Reactor* Watch(WatchRequestChecked request);

  // Ends all streams with UNAVAILABLE and lets none begin. Idempotent.
  void Close();

  WatchCounters counters() const;

 private:
  class Watcher;
  struct Frame;

  void Run();
  std::shared_ptr<const Frame> MakeFrame(std::shared_ptr<const market::View> view,
                                         const Frame* before) const;
  void Remove(Watcher* watcher);
  void CountResponse();
  void CountConflated();

  const int64_t watches_max_;
  const int64_t watches_per_tenant_max_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<const market::View> view_;  // The latest, also if it is in no frame yet.
  bool dirty_ = false;                        // A view or a watcher is new.
  bool closed_ = false;
  bool stopping_ = false;
  std::map<Watcher*, std::shared_ptr<Watcher>> watchers_;
  std::map<market::TenantId, int64_t> watches_of_;  // The operator's under "".
  WatchCounters counters_;
  std::thread thread_;
};

// A stream that ends at once with this status.
WatchHub::Reactor* NewRefusedWatch(const absl::Status& status);

}  // namespace nom::marketd

#endif  // MARKETD_SERVICES_WATCH_HUB_H_
