// SPDX-License-Identifier: Apache-2.0
// Does what was measured agree with what was decided? Pure functions of what the market told.

#ifndef CLIENT_CLI_ROUND_CHECK_H_
#define CLIENT_CLI_ROUND_CHECK_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "nom/market/v1/market.pb.h"
#include "nom/operators/v1/operators.pb.h"

namespace nom::cli {

// How far the mean over a round, by the host's meters, may be from the grant decided.
inline constexpr int64_t kMemoryToleranceMilliunits = 1000;  // One unit.
inline constexpr int64_t kCpuToleranceMillicores = 20;       // 2 % of one processor.

// Which guests can be held to a round: what top saw of their lives.
struct GuestLife {
  std::string name;
  // The round that was collecting when the guest was first seen running. In rounds before, it may
  // have run for a part of the time only.
  uint64_t first_round_id = 0;
  bool ended = false;      // Crashed, evicted or gone.
  std::string end_reason;  // If ended.
};

struct RoundReport {
  int64_t compared = 0;                   // Guest and resource pairs.
  int64_t memory_worst_milliunits = 0;    // The largest difference.
  int64_t cpu_worst_microcores = 0;       // The largest difference.
  std::vector<std::string> violations;    // One line each, naming round, guest and resource.
  std::vector<std::string> not_compared;  // One line each, with the reason.
};

// Holds every cpu and memory grant of a settled round against the meters. The other resources have
// no meter yet and are not looked at.
RoundReport CheckRound(const market::v1::Round& round, const std::map<uint64_t, GuestLife>& lives,
                       const std::vector<market::v1::ResourceInfo>& resources);

// One line for each resource of which more was granted at once than there is.
std::vector<std::string> CheckHost(const operators::v1::Host& host);

// One line for each finding; empty if the books balance.
std::vector<std::string> CheckAudit(const operators::v1::AuditResponse& audit);

// Milliunits as units with three decimals: "12.500".
std::string FormatMilliunits(int64_t milliunits);

}  // namespace nom::cli

#endif  // CLIENT_CLI_ROUND_CHECK_H_
