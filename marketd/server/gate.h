// SPDX-License-Identifier: Apache-2.0
// Counts the calls in hand, and lets no more in once the server is going down.

#ifndef MARKETD_SERVER_GATE_H_
#define MARKETD_SERVER_GATE_H_

#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "absl/time/time.h"

namespace nom::marketd {

// Thread-safe. Every Enter that said true is followed by one Leave.
class Gate {
 public:
  bool Enter() {
    std::lock_guard lock(mutex_);
    if (closed_) return false;
    ++inside_;
    return true;
  }

  void Leave() {
    std::lock_guard lock(mutex_);
    if (--inside_ == 0) empty_.notify_all();
  }

  void Close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
  }

  // True if all left before the time-out.
  bool WaitEmpty(absl::Duration timeout) {
    std::unique_lock lock(mutex_);
    return empty_.wait_for(lock, absl::ToChronoNanoseconds(timeout),
                           [this] { return inside_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable empty_;
  bool closed_ = false;
  int64_t inside_ = 0;
};

}  // namespace nom::marketd

#endif  // MARKETD_SERVER_GATE_H_
