// SPDX-License-Identifier: Apache-2.0
// Time is handed in, so that a simulator can run years of rounds in seconds.

#ifndef MARKETD_BASE_CLOCK_H_
#define MARKETD_BASE_CLOCK_H_

#include <mutex>

#include "absl/time/time.h"

namespace nom {

// Thread-safe. Time may jump forward (a laptop sleeps), and be another after a restart: whoever
// keeps a schedule must bear it, see market/schedule.h.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;

  // The wall clock as it was when the process began, and since then what the machine counts: it is
  // not moved when somebody sets the system's clock, so that no deadline is. Lives for ever.
  static const Clock& Real();
};

// What to add to a time by `clock` to show it by the system's wall clock, which may have been set
// since: 0, or whole seconds, so that what is shown does not flicker.
absl::Duration WallOffset(const Clock& clock);

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
