// SPDX-License-Identifier: Apache-2.0
// How far the market's clock is from this machine's, and how old what it says is, learnt from the
// times that its messages carry. What a market promises is by its own clock; a client whose clock
// is minutes off believes it all the same.
//
// Each message gives `heard - sent`, the clocks' distance plus the time that the message took. The
// smallest of these of late is the best guess of the distance (as in D. Mills, RFC 5905, section
// 10); what a message took longer than that, it is old. One thread.

#ifndef CLIENT_SRC_MARKET_CLOCK_H_
#define CLIENT_SRC_MARKET_CLOCK_H_

#include <algorithm>

#include "absl/time/time.h"

namespace nom::client {

class MarketClock {
 public:
  // A clock that was set is believed after at most twice `window`.
  void SetWindow(absl::Duration window) { window_ = window; }

  // A message that was sent at `sent` by the market's clock was heard at `heard` by a steady one of
  // ours. How much longer it took than the fastest of late: at least zero.
  absl::Duration OnHeard(absl::Time sent, absl::Duration heard) {
    const absl::Duration distance = heard - (sent - absl::UnixEpoch());
    if (heard >= window_ends_) {
      // Two halves, so that there is always something to compare with.
      least_before_ = heard >= window_ends_ + window_ ? absl::InfiniteDuration() : least_;
      least_ = absl::InfiniteDuration();
      window_ends_ = heard + window_;
    }
    least_ = std::min(least_, distance);
    return distance - std::min(least_, least_before_);
  }

  // What the market's clock shows when ours shows `steady`. Only after OnHeard.
  absl::Time At(absl::Duration steady) const {
    return absl::UnixEpoch() + (steady - std::min(least_, least_before_));
  }

 private:
  absl::Duration window_ = absl::Seconds(10);
  absl::Duration window_ends_ = -absl::InfiniteDuration();
  absl::Duration least_ = absl::InfiniteDuration();
  absl::Duration least_before_ = absl::InfiniteDuration();
};

}  // namespace nom::client

#endif  // CLIENT_SRC_MARKET_CLOCK_H_
