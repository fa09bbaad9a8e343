// SPDX-License-Identifier: Apache-2.0
// When a host's round begins, closes and takes effect: arithmetic only.

#ifndef MARKETD_MARKET_SCHEDULE_H_
#define MARKETD_MARKET_SCHEDULE_H_

#include <cstdint>

#include "absl/time/time.h"
#include "marketd/market/config.h"

namespace nom::market {

// One round:  start ---- collect ---- close -- clearing -- decided -- grace -- effective
//
// Times are whole microseconds, as ledgers keep them.
class Schedule {
 public:
  Schedule(const HostConfig& config, absl::Time start);

  absl::Time start() const { return start_; }
  absl::Time close() const { return effective() - grace_ - clearing_; }
  absl::Time effective() const { return start_ + period_; }
  absl::Duration period() const { return period_; }

  // The latest time at which clearing may still begin: the clearing time and half the grace are
  // gone then.
  absl::Time close_latest() const { return close() + clearing_ + grace_ / 2; }
  // A decision that is not in force by then is released.
  absl::Time effective_latest() const { return effective() + period_; }

  // Moves on by whole periods until close() is after `now`. Returns how many.
  int64_t SkipPast(absl::Time now);

  // The round after this one, as planned.
  void Next() { start_ += period_; }

  // Moves everything, as the clock was set by so much.
  void Shift(absl::Duration by) { start_ += by; }

 private:
  absl::Time start_;
  absl::Duration period_;
  absl::Duration grace_;
  absl::Duration clearing_;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_SCHEDULE_H_
