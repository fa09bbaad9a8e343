#include "marketd/services/rate_limiter.h"

#include <algorithm>

namespace nom::marketd {

RateLimiter::RateLimiter(int64_t per_second, int64_t burst)
    : per_second_(per_second),
      burst_(burst),
      per_token_(absl::Seconds(1) / per_second),
      credit_max_(per_token_ * burst) {}

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
