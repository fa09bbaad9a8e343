// SPDX-License-Identifier: Apache-2.0
// Calls that were refused: one line a minute for each caller and reason, however many there are. A
// log that a caller can fill is one more thing to attack.

#ifndef MARKETD_SERVICES_REFUSAL_LOG_H_
#define MARKETD_SERVICES_REFUSAL_LOG_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace nom::marketd {

// Thread-safe.
class RefusalLog {
 public:
  static constexpr absl::Duration kInterval = absl::Minutes(1);
  // Pairs of who and what that are counted apart. What comes when so many were told of within the
  // interval is counted as one pair more, OTHERS.
  static constexpr size_t kPairsMax = 4'096;

  // Notes one refusal of `what` ("bids", "reads") to `who` ("operator", a tenant's id, "stranger"),
  // and why, in a sentence for people. Logs the first of a pair at once, and later ones with how
  // many there were since the line before and the latest reason.
  void Note(const std::string& who, const std::string& what, absl::string_view why, absl::Time now);

 private:
  using Pair = std::pair<std::string, std::string>;
  struct Count {
    absl::Time logged = absl::InfinitePast();
    uint64_t calls = 0;  // Since then.
  };
  void ForgetOld(absl::Time now);  // The caller holds mutex_.

  std::mutex mutex_;
  std::map<Pair, Count> counts_;
};

}  // namespace nom::marketd

#endif  // MARKETD_SERVICES_REFUSAL_LOG_H_
