// SPDX-License-Identifier: Apache-2.0
// Calls that were refused for coming too fast: one line for each caller and a minute, however many
// there are. A log that a caller can fill is one more thing to attack.

#ifndef MARKETD_SERVICES_REFUSAL_LOG_H_
#define MARKETD_SERVICES_REFUSAL_LOG_H_

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "absl/time/time.h"

namespace nom::marketd {

// Thread-safe. Holds one small record for each name, as RateLimiter does.
class RefusalLog {
 public:
  static constexpr absl::Duration kInterval = absl::Minutes(1);

  // Notes one refusal of `what` ("bids", "reads") to `who` (a tenant's id, "" for operators). Logs
  // the first at once, and later ones with how many there were since the line before.
  void Note(const std::string& who, const char* what, absl::Time now);

 private:
  struct Count {
    absl::Time logged = absl::InfinitePast();
    uint64_t calls = 0;  // Since then.
  };
  std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, Count> counts_;
};

}  // namespace nom::marketd

#endif  // MARKETD_SERVICES_REFUSAL_LOG_H_
