// SPDX-License-Identifier: Apache-2.0
// Time that moves when a test says so, for code that waits on nom::SessionClock.

#ifndef TESTS_UNIT_CLIENT_SIMULATED_CLOCK_H_
#define TESTS_UNIT_CLIENT_SIMULATED_CLOCK_H_

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "absl/time/time.h"
#include "nom/clock.h"

namespace nom::client_test {

class SimulatedSessionClock final : public SessionClock {
 public:
  absl::Time Wall() const override {
    std::lock_guard lock(mutex_);
    return start_ + steady_;
  }
  absl::Duration Steady() const override {
    std::lock_guard lock(mutex_);
    return steady_;
  }
  // Returns after a moment of real time whether or not anything happened, as its contract allows:
  // whoever waits looks at the simulated time again, which Advance() may have moved.
  void WaitUntil(std::unique_lock<std::mutex>& lock, std::condition_variable& condition,
                 absl::Duration deadline) override {
    if (Steady() >= deadline) return;
    condition.wait_for(lock, std::chrono::milliseconds(1));
  }

  void Advance(absl::Duration by) {
    std::lock_guard lock(mutex_);
    steady_ += by;
  }

 private:
  const absl::Time start_ = absl::FromUnixSeconds(1'700'000'000);
  mutable std::mutex mutex_;
  absl::Duration steady_ = absl::Seconds(1000);
};

}  // namespace nom::client_test

#endif  // TESTS_UNIT_CLIENT_SIMULATED_CLOCK_H_
