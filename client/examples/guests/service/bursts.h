// SPDX-License-Identifier: Apache-2.0
// When the service's clients come: steadily, and in bursts every few rounds, now and then by
// surprise.

#ifndef CLIENT_EXAMPLES_GUESTS_SERVICE_BURSTS_H_
#define CLIENT_EXAMPLES_GUESTS_SERVICE_BURSTS_H_

#include <cstdint>

#include "client/examples/guests/common/integers.h"

namespace nom::examples {

class Bursts {
 public:
  // `rate` a second in the valleys, `peak_percent` of that in a burst, which lasts one round in
  // `peak_rounds`.
  Bursts(uint64_t rate, uint64_t peak_percent, uint64_t peak_rounds, uint64_t seed)
      : rate_(rate),
        peak_rate_(rate * peak_percent / 100),
        peak_rounds_(peak_rounds),
        random_(seed),
        first_peak_(random_.Below(peak_rounds)) {}

  // Requests a second in the next round: within an eighth of the rate or the peak rate.
  uint64_t NextRound() {
    const bool surprise = random_.Below(kSurpriseOneIn) == 0;
    peak_ = rounds_++ % peak_rounds_ == first_peak_ || surprise;
    const uint64_t rate = peak_ ? peak_rate_ : rate_;
    return rate - rate / 8 + random_.Below(rate / 4 + 1);
  }
  bool peak() const { return peak_; }

 private:
  static constexpr uint64_t kSurpriseOneIn = 24;

  uint64_t rate_;
  uint64_t peak_rate_;
  uint64_t peak_rounds_;
  Random random_;
  uint64_t first_peak_;
  uint64_t rounds_ = 0;
  bool peak_ = false;
};

}  // namespace nom::examples

#endif  // CLIENT_EXAMPLES_GUESTS_SERVICE_BURSTS_H_
