// SPDX-License-Identifier: Apache-2.0
// How long to wait before trying again: twice as long each time, and never all at once.

#ifndef CLIENT_SRC_BACKOFF_H_
#define CLIENT_SRC_BACKOFF_H_

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/time/time.h"

namespace nom::client {

class Backoff {
 public:
  // Requires 0 < min <= max; `random` is uniform in [0, 1).
  Backoff(absl::Duration min, absl::Duration max, std::function<double()> random)
      : min_(min), max_(max), next_(min), random_(std::move(random)) {}

  // The next pause, drawn between half of the present step and the whole of it.
  absl::Duration Next() {
    const absl::Duration step = next_;
    next_ = std::min(step * 2, max_);
    return step / 2 + step / 2 * random_();
  }
  void Reset() { next_ = min_; }

 private:
  absl::Duration min_;
  absl::Duration max_;
  absl::Duration next_;
  std::function<double()> random_;
};

}  // namespace nom::client

#endif  // CLIENT_SRC_BACKOFF_H_
