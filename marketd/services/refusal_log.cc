// SPDX-License-Identifier: Apache-2.0
#include "marketd/services/refusal_log.h"

#include <iterator>
#include <utility>

#include "marketd/base/log.h"

namespace nom::marketd {

void RefusalLog::Note(const std::string& who, const std::string& what, absl::string_view why,
                      absl::Time now) {
  Pair pair{who, what};
  uint64_t calls = 0;
  {
    std::lock_guard lock(mutex_);
    if (counts_.size() >= kPairsMax && counts_.count(pair) == 0) {
      ForgetOld(now);
      if (counts_.size() >= kPairsMax) pair = {"others", what};
    }
    Count& count = counts_[pair];
    ++count.calls;
    // A clock that was set back does not silence the log for long.
    if (now < count.logged) count.logged = now;
    if (now - count.logged < kInterval) return;
    count.logged = now;
    calls = std::exchange(count.calls, 0);
  }
  Log(LogLevel::kWarning, "calls_refused",
      {{"by", pair.first}, {"what", pair.second}, {"calls", calls}, {"msg", why}});
}

// What was told of longer ago than the interval would be told of anew anyway; of what came since
// only the number is lost.
void RefusalLog::ForgetOld(absl::Time now) {
  for (auto it = counts_.begin(); it != counts_.end();) {
    it = now - it->second.logged >= kInterval ? counts_.erase(it) : std::next(it);
  }
}

}  // namespace nom::marketd
