// Time is handed in, so that a simulator can run years of rounds in seconds.

#ifndef MARKETD_BASE_CLOCK_H_
#define MARKETD_BASE_CLOCK_H_

#include <mutex>

#include "absl/time/time.h"

namespace nom {

// Thread-safe. Time may jump either way (an operator sets the clock, a laptop sleeps): whoever
// keeps a schedule must bear it, see market/schedule.h.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;

  // The system's wall clock; lives for ever.
  static const Clock& Real();
};

// Stands still until it is told to move.
class SimulatedClock : public Clock {
 public:
  explicit SimulatedClock(absl::Time start = absl::FromUnixSeconds(1'700'000'000)) : now_(start) {}

  absl::Time Now() const override {
    std::lock_guard lock(mutex_);
    return now_;
  }
  void Set(absl::Time now) {
    std::lock_guard lock(mutex_);
    now_ = now;
  }
  void Advance(absl::Duration by) {
    std::lock_guard lock(mutex_);
    now_ += by;
  }

 private:
  mutable std::mutex mutex_;
  absl::Time now_;
};

}  // namespace nom

#endif  // MARKETD_BASE_CLOCK_H_
