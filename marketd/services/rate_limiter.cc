// SPDX-License-Identifier: Apache-2.0
#include "marketd/services/rate_limiter.h"

#include <algorithm>

namespace nom::marketd {

RateLimiter::RateLimiter(int64_t per_second, int64_t burst) { SetLimits(per_second, burst); }

void RateLimiter::SetLimits(int64_t per_second, int64_t burst) {
  std::lock_guard lock(mutex_);
  per_second_ = per_second;
  burst_ = burst;
  per_token_ = absl::Seconds(1) / per_second;
  credit_max_ = per_token_ * burst;
}

int64_t RateLimiter::per_second() const {
  std::lock_guard lock(mutex_);
  return per_second_;
}

int64_t RateLimiter::burst() const {
  std::lock_guard lock(mutex_);
  return burst_;
}

bool RateLimiter::Take(const std::string& name, absl::Time now) {
  std::lock_guard lock(mutex_);
  Bucket& bucket = buckets_.try_emplace(name, Bucket{credit_max_, now}).first->second;
  if (now > bucket.updated) {
    bucket.credit = std::min(credit_max_, bucket.credit + (now - bucket.updated));
  }
  bucket.updated = now;
  if (bucket.credit < per_token_) return false;
  bucket.credit -= per_token_;
  return true;
}

}  // namespace nom::marketd
