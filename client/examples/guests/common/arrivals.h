// SPDX-License-Identifier: Apache-2.0
// A steady stream of requests by the clock.

#ifndef CLIENT_EXAMPLES_GUESTS_COMMON_ARRIVALS_H_
#define CLIENT_EXAMPLES_GUESTS_COMMON_ARRIVALS_H_

#include <cstdint>

#include "client/examples/guests/common/integers.h"

namespace nom::examples {

class Arrivals {
 public:
  Arrivals(uint64_t tsc_hz, uint64_t now_tsc) : tsc_hz_(tsc_hz), last_tsc_(now_tsc) {}

  // From the last arrival on. 0 stops the stream.
  void SetRate(uint64_t per_second) { per_second_ = per_second; }

  // True, with the time at which it came, if one more has come by now.
  bool Take(uint64_t now_tsc, uint64_t* arrival_tsc) {
    if (now_tsc < last_tsc_) return false;
    if (per_second_ == 0) {
      last_tsc_ = now_tsc;
      return false;
    }
    const uint64_t next = last_tsc_ + tsc_hz_ / per_second_;
    if (next > now_tsc) return false;
    last_tsc_ = next;
    *arrival_tsc = next;
    return true;
  }

  // Drops what has come, unserved, but for the last `keep_ticks`; how many that were.
  uint64_t DropOlderThan(uint64_t now_tsc, uint64_t keep_ticks) {
    if (per_second_ == 0 || now_tsc < keep_ticks || last_tsc_ >= now_tsc - keep_ticks) return 0;
    const uint64_t spacing = tsc_hz_ / per_second_;
    if (spacing == 0) return 0;
    const uint64_t dropped = (now_tsc - keep_ticks - last_tsc_) / spacing;
    last_tsc_ += dropped * spacing;
    return dropped;
  }

 private:
  uint64_t tsc_hz_;
  uint64_t last_tsc_;
  uint64_t per_second_ = 0;
};

}  // namespace nom::examples

#endif  // CLIENT_EXAMPLES_GUESTS_COMMON_ARRIVALS_H_
