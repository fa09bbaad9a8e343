// SPDX-License-Identifier: Apache-2.0
// Time by the processor's counter (TSC), which nomhv lets guests read without an exit.

#ifndef CLIENT_GUEST_CLOCK_H_
#define CLIENT_GUEST_CLOCK_H_

#include <cstdint>

#include "client/guest/calls.h"

namespace nom::guest {

class Clock {
 public:
  // `nomhv` outlives the clock. `tsc_hz` from Start; not 0.
  Clock(Nomhv* nomhv, uint64_t tsc_hz) : nomhv_(nomhv), tsc_hz_(tsc_hz) {}

  uint64_t Tsc() const { return nomhv_->Tsc(); }
  uint64_t tsc_hz() const { return tsc_hz_; }

  // Whole microseconds in so many ticks and back, rounded down; no overflow below 10^12 seconds.
  uint64_t ToUs(uint64_t ticks) const {
    return ticks / tsc_hz_ * 1'000'000 + ticks % tsc_hz_ * 1'000'000 / tsc_hz_;
  }
  uint64_t ToTicks(uint64_t us) const {
    return us / 1'000'000 * tsc_hz_ + us % 1'000'000 * tsc_hz_ / 1'000'000;
  }

  // Gives the processor away until `tsc`, a notice or an interrupt, whichever is first; says which.
  NomWake SleepUntil(uint64_t tsc) const {
    const CallResult result = nomhv_->Yield(tsc == 0 ? 1 : tsc);
    return result.ok() ? static_cast<NomWake>(result.value) : NOM_WAKE_DEADLINE;
  }
  NomWake SleepUs(uint64_t us) const { return SleepUntil(Tsc() + ToTicks(us)); }

 private:
  Nomhv* nomhv_;
  uint64_t tsc_hz_;
};

}  // namespace nom::guest

#endif  // CLIENT_GUEST_CLOCK_H_
