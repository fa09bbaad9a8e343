// SPDX-License-Identifier: Apache-2.0
// Time as the SDK sees it, handed in so that tests need not wait for it.

#ifndef NOM_CLOCK_H_
#define NOM_CLOCK_H_

#include <condition_variable>
#include <mutex>

#include "absl/time/time.h"

namespace nom {

// Thread-safe. Wall time may jump either way (somebody sets the clock, a laptop sleeps); steady
// time never does, and is what every wait and every expiry in the SDK goes by.
class SessionClock {
 public:
  virtual ~SessionClock() = default;

  virtual absl::Time Wall() const = 0;
  // Since some moment in the past.
  virtual absl::Duration Steady() const = 0;
  // Waits until `condition` is notified or Steady() >= deadline; may also return for no reason.
  // `lock` holds the mutex that goes with `condition`, before and after.
  virtual void WaitUntil(std::unique_lock<std::mutex>& lock, std::condition_variable& condition,
                         absl::Duration deadline) = 0;

  // The system's clock; lives for ever.
  static SessionClock& Real();
};

}  // namespace nom

#endif  // NOM_CLOCK_H_
