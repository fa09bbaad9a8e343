// SPDX-License-Identifier: Apache-2.0
// Safe mode: whoever cannot see prices spends nothing new. It keeps its seed and what it holds, and
// lets its bids lapse. One rule for the SDK's session, which hears of prices over a line that can
// be lost, and for guests on nomhv, which read them from a board that can grow old.
//
// Times are ticks of any steady clock, in any unit, the same everywhere. No allocation, no floating
// point, no C++ library, all inline. One thread.

#ifndef NOM_POLICIES_BIDDING_SAFE_MODE_H_
#define NOM_POLICIES_BIDDING_SAFE_MODE_H_

#include <stdint.h>

namespace nom::policies {

// The market speaks several times a period. After so many periods without a word, what it said last
// is old whatever it promised: the promise is by its clock, which ours may lag.
inline constexpr int64_t kSilencePeriods = 3;

class SafeMode {
 public:
  enum class Change : uint8_t { kNone, kEntered, kLeft };

  // Before any price has been seen it is on.
  bool on() const { return on_; }
  // It comes on then, unless prices are seen before. Of no meaning while it is on.
  int64_t fresh_until() const { return fresh_until_; }

  // How long prices that were promised to be good for `valid_for` are believed: not at all if that
  // is not above 0, and no longer than kSilencePeriods periods. A period of 0 or less is unknown.
  static constexpr int64_t BelievedFor(int64_t valid_for, int64_t period) {
    if (period > 0 && period <= INT64_MAX / kSilencePeriods &&
        valid_for > period * kSilencePeriods) {
      return period * kSilencePeriods;
    }
    return valid_for > 0 ? valid_for : 0;
  }

  // Prices were published or heard at `at` (not below 0) and have taken the place of those before.
  // If they are not to be believed at all, there are none.
  Change OnPrices(int64_t at, int64_t valid_for, int64_t period) {
    const int64_t believed = BelievedFor(valid_for, period);
    fresh_until_ = believed > INT64_MAX - at ? INT64_MAX : at + believed;
    return Set(believed == 0);
  }
  // The line is lost, or what can be seen is no price list.
  Change OnLost() { return Set(true); }
  // Time passes; `now` never goes back.
  Change OnTime(int64_t now) { return !on_ && now >= fresh_until_ ? Set(true) : Change::kNone; }

 private:
  Change Set(bool on) {
    if (on_ == on) return Change::kNone;
    on_ = on;
    return on ? Change::kEntered : Change::kLeft;
  }

  bool on_ = true;
  int64_t fresh_until_ = 0;
};

}  // namespace nom::policies

#endif  // NOM_POLICIES_BIDDING_SAFE_MODE_H_
