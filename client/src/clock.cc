// SPDX-License-Identifier: Apache-2.0
#include "nom/clock.h"

#include <chrono>

#include "absl/time/clock.h"

namespace nom {
namespace {

class RealClock final : public SessionClock {
 public:
  absl::Time Wall() const override { return absl::Now(); }
  absl::Duration Steady() const override {
    return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
  }
  void WaitUntil(std::unique_lock<std::mutex>& lock, std::condition_variable& condition,
                 absl::Duration deadline) override {
    if (deadline == absl::InfiniteDuration()) {
      condition.wait(lock);
      return;
    }
    condition.wait_until(
        lock, std::chrono::steady_clock::time_point(absl::ToChronoNanoseconds(deadline)));
  }
};

}  // namespace

SessionClock& SessionClock::Real() {
  static RealClock* const clock = new RealClock;  // Never destroyed: threads may outlive main().
  return *clock;
}

}  // namespace nom
