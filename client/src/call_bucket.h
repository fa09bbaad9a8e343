// SPDX-License-Identifier: Apache-2.0
// How often a session may call: within what the market allows, as the market says it (a token
// bucket), with room left for others that share the credential. One thread.

#ifndef CLIENT_SRC_CALL_BUCKET_H_
#define CLIENT_SRC_CALL_BUCKET_H_

#include <algorithm>
#include <cstdint>

#include "absl/time/time.h"

namespace nom::client {

class CallBucket {
 public:
  // Half of what is allowed: there may be other sessions. Both at least 1.
  void Allow(int64_t calls_per_second, int64_t burst) {
    per_call_ = absl::Seconds(1) / std::max<double>(1, static_cast<double>(calls_per_second) / 2);
    credit_max_ = per_call_ * std::max<int64_t>(1, burst / 2);
  }

  // Takes a call, if there is one.
  bool Take(absl::Duration now) {
    Refill(now);
    if (now < closed_until_ || credit_ < per_call_) return false;
    credit_ -= per_call_;
    return true;
  }
  // When there is one.
  absl::Duration NextAt(absl::Duration now) {
    Refill(now);
    const absl::Duration grown = credit_ >= per_call_ ? now : now + (per_call_ - credit_);
    return std::max(grown, closed_until_);
  }
  // The market refused a call for its rate: nothing until then.
  void CloseUntil(absl::Duration until) {
    closed_until_ = std::max(closed_until_, until);
    credit_ = absl::ZeroDuration();
  }

 private:
  void Refill(absl::Duration now) {
    if (now > updated_) credit_ = std::min(credit_max_, credit_ + (now - updated_));
    updated_ = std::max(updated_, now);
  }

  absl::Duration per_call_ = absl::Milliseconds(100);
  absl::Duration credit_max_ = absl::Seconds(1);
  absl::Duration credit_ = absl::Seconds(1);
  absl::Duration updated_ = -absl::InfiniteDuration();
  absl::Duration closed_until_ = -absl::InfiniteDuration();
};

}  // namespace nom::client

#endif  // CLIENT_SRC_CALL_BUCKET_H_
