// SPDX-License-Identifier: Apache-2.0
// A call of the program's for some bids, until each has its answer.

#ifndef CLIENT_SRC_BID_CALL_H_
#define CLIENT_SRC_BID_CALL_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "nom/session.h"

namespace nom {

// Everything but `link` is guarded by the session's own mutex until `done`, and fixed from then on.
class BidCall::State {
 public:
  struct Link {
    std::mutex mutex;
    std::function<void(const std::shared_ptr<State>&)> cancel;  // Empty: the session is gone.
  };

  State(size_t count, absl::Duration deadline) : deadline_(deadline), results_(count) {}

  // Those of a call are answered in any order. True if that was the last.
  bool Answer(size_t i, absl::StatusOr<uint64_t> result, bool removed) {
    std::lock_guard lock(mutex_);
    if (answered_[i]) return false;
    answered_[i] = true;
    results_[i] = std::move(result);
    removed_ = removed_ || removed;
    if (--waiting_ > 0) return false;
    changed_.notify_all();
    return true;
  }
  bool IsAnswered(size_t i) const {
    std::lock_guard lock(mutex_);
    return answered_[i];
  }
  bool done() const {
    std::lock_guard lock(mutex_);
    return waiting_ == 0;
  }
  BidResults Wait() const {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_ == 0; });
    return results_;
  }
  bool removed() const {
    std::lock_guard lock(mutex_);
    return removed_;
  }
  size_t size() const { return answered_.size(); }

  const absl::Duration deadline_;
  std::function<void(const BidResults&)> on_done;
  std::vector<uint64_t> wish_ids;  // 0: answered at once.
  std::shared_ptr<Link> link;

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  BidResults results_;
  std::vector<bool> answered_ = std::vector<bool>(results_.size(), false);
  size_t waiting_ = results_.size();
  bool removed_ = false;
};

}  // namespace nom

#endif  // CLIENT_SRC_BID_CALL_H_
