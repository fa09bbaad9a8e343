// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/round_clock.h"

#include <algorithm>

namespace nom::market {

void RoundClock::BeginCollecting(RoundId round_id, absl::Time now) {
  schedule_.emplace(config_, now);
  round_id_ = round_id;
  decided_ = false;
  applying_ = false;
}

void RoundClock::BeginDecided(RoundId round_id, absl::Time effective, absl::Time now) {
  // The time was told by a clock that may have been set since, or by another machine's.
  effective = std::min(effective, now + config_.period);
  effective = std::max(effective, now + config_.grace);
  schedule_.emplace(config_, effective - config_.period);
  round_id_ = round_id;
  decided_ = true;
  applying_ = false;
}

void RoundClock::Stop() {
  schedule_.reset();
  clearing_.reset();
  decided_ = false;
  applying_ = false;
}

RoundClock::Due RoundClock::WhatIsDue(absl::Time now) const {
  if (!schedule_) return Due::kNothing;
  if (!decided_) {
    if (now < schedule_->close()) return Due::kNothing;
    if (now > schedule_->close_latest()) return Due::kSkip;
    // While it is cleared beside, only its lateness is a matter of time.
    return clearing_ ? Due::kNothing : Due::kDecide;
  }
  if (applying_ || now < schedule_->effective()) return Due::kNothing;
  // Past the end of its own period a round would be put in force and settled at once, for nothing.
  return now < schedule_->effective_latest() ? Due::kApply : Due::kRelease;
}

absl::Time RoundClock::next() const {
  if (!schedule_) return absl::InfiniteFuture();
  // WhatIsDue() says kSkip after that instant, not at it.
  if (clearing_) return schedule_->close_latest() + absl::Microseconds(1);
  if (!decided_) return schedule_->close();
  return applying_ ? absl::InfiniteFuture() : schedule_->effective();
}

void RoundClock::BeginClearing(uint64_t clear_id, std::shared_ptr<const RoundSnapshot> snapshot) {
  clearing_ = Clearing{clear_id, std::move(snapshot)};
}

std::shared_ptr<const RoundSnapshot> RoundClock::EndClearing(uint64_t clear_id) {
  // A round before this one was cleared, and skipped since, or its host was lost.
  if (!clearing_ || clearing_->clear_id != clear_id) return nullptr;
  return std::exchange(clearing_, std::nullopt)->snapshot;
}

void RoundClock::Decided() {
  decided_ = true;
  applying_ = false;
}

void RoundClock::BeginApplying(GrantSet told) {
  applying_ = true;
  told_ = std::move(told);
}

int64_t RoundClock::Next(RoundId round_id, absl::Time now) {
  schedule_->Next();
  round_id_ = round_id;
  decided_ = false;
  applying_ = false;
  return schedule_->SkipPast(now);
}

int64_t RoundClock::SkipPast(absl::Time now) {
  clearing_.reset();
  return schedule_->SkipPast(now);
}

void RoundClock::Shift(absl::Duration by) {
  if (schedule_) schedule_->Shift(by);
}

}  // namespace nom::market
