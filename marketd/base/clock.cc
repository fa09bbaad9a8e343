#include "marketd/base/clock.h"

#include "absl/time/clock.h"

namespace nom {
namespace {

class RealClock : public Clock {
 public:
  absl::Time Now() const override { return absl::Now(); }
};

}  // namespace

const Clock& Clock::Real() {
  static const RealClock* const kClock =
      new RealClock;  // Never destroyed: threads may outlive main.
  return *kClock;
}

}  // namespace nom
