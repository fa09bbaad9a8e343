// SPDX-License-Identifier: Apache-2.0
// A token bucket for each tenant. Time comes in as an argument.

#ifndef MARKETD_SERVICES_RATE_LIMITER_H_
#define MARKETD_SERVICES_RATE_LIMITER_H_

#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>

#include "absl/time/time.h"

namespace nom::marketd {

// Thread-safe. Holds one small record for each name that it was asked about, so names must come
// from a bounded set: tenants that have shown their credential.
class RateLimiter {
 public:
  // `per_second` >= 1 sustained, `burst` >= 1 at once.
  RateLimiter(int64_t per_second, int64_t burst);

  void SetLimits(int64_t per_second, int64_t burst);
  int64_t per_second() const;
  int64_t burst() const;

  // Takes one token if there is one. A clock that goes back refills nothing and blocks nobody.
  bool Take(const std::string& name, absl::Time now);

 private:
  struct Bucket {
    absl::Duration credit;  // Tokens, as the time in which they grow.
    absl::Time updated;
  };
  int64_t per_second_ = 1;
  int64_t burst_ = 1;
  absl::Duration per_token_;
  absl::Duration credit_max_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Bucket> buckets_;
};

}  // namespace nom::marketd

#endif  // MARKETD_SERVICES_RATE_LIMITER_H_
