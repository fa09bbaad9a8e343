// SPDX-License-Identifier: Apache-2.0
#include "marketd/services/refusal_log.h"

#include <utility>

#include "marketd/base/log.h"

namespace nom::marketd {

void RefusalLog::Note(const std::string& who, const char* what, absl::Time now) {
  uint64_t calls = 0;
  {
    std::lock_guard lock(mutex_);
    Count& count = counts_[{who, what}];
    ++count.calls;
    // A clock that was set back does not silence the log for long.
    if (now < count.logged) count.logged = now;
    if (now - count.logged < kInterval) return;
    count.logged = now;
    calls = std::exchange(count.calls, 0);
  }
  Log(LogLevel::kWarning, "calls_refused",
      {{"by", who.empty() ? "operator" : who},
       {"what", what},
       {"calls", calls},
       {"msg", "too many a second"}});
}

}  // namespace nom::marketd
