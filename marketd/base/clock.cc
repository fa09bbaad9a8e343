// SPDX-License-Identifier: Apache-2.0
#include "marketd/base/clock.h"

#include <ctime>

#include "absl/time/clock.h"

namespace nom {
namespace {

// CLOCK_BOOTTIME goes on while the machine sleeps, and nobody can set it.
absl::Time SinceBoot() {
  timespec t{};
  clock_gettime(CLOCK_BOOTTIME, &t);
  return absl::TimeFromTimespec(t);
}

class RealClock : public Clock {
 public:
  absl::Time Now() const override { return wall_at_start_ + (SinceBoot() - boot_at_start_); }

 private:
  const absl::Time wall_at_start_ = absl::Now();
  const absl::Time boot_at_start_ = SinceBoot();
};

}  // namespace

absl::Duration WallOffset(const Clock& clock) {
  const absl::Duration off = absl::Now() - clock.Now();
  return absl::AbsDuration(off) < absl::Seconds(1) ? absl::ZeroDuration()
                                                   : absl::Floor(off, absl::Seconds(1));
}

const Clock& Clock::Real() {
  static const RealClock* const kClock =
      new RealClock;  // Never destroyed: threads may outlive main.
  return *kClock;
}

}  // namespace nom
