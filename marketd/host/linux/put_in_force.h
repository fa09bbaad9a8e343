// SPDX-License-Identifier: Apache-2.0
// Takes from some guests, then gives to others: the order in which limits are written.

#ifndef MARKETD_HOST_LINUX_PUT_IN_FORCE_H_
#define MARKETD_HOST_LINUX_PUT_IN_FORCE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "marketd/host/linux/amounts.h"
#include "marketd/host/linux/cgroup_files.h"
#include "marketd/host/linux/disk.h"
#include "marketd/host/linux/limits.h"
#include "marketd/host/linux/recipe.h"
#include "marketd/market/types.h"

namespace nom::market {

struct GuestChange {
  GuestId guest_id = 0;
  std::string cgroup;
  Amounts from;
  Amounts to;
  CpuLimits cpu_from;
  CpuLimits cpu_to;
  Recipe::Force force = Recipe::Force::kKill;

  // What came of it.
  int64_t forced_bytes = 0;  // Taken after the deadline, by whatever means.
  bool killed = false;       // For what it kept. It may also have ended by itself.
};

struct PutInForceOptions {
  bool has_cpu = true;
  bool has_memory = true;
  std::optional<SoldDisk> disk;  // If one is sold.
  // Sets the rate of a guest\'s own network, if network is sold.
  std::function<absl::Status(GuestId guest_id, int64_t mbits)> set_rate;
  absl::Duration timeout;                   // For all shrinking; then what is late is killed.
  std::function<void(absl::Duration)> nap;  // Any thread.
};

// Writes all limits of `changes`: none of memory.max, cpu.max, io.max or a rate is raised before
// the last one is lowered, so that the sum of grants is never above what it was or will be. Guests
// that must be shrunk by force are so side by side, each by a thread of its own, since that may
// block for seconds.
//
// FAILED_PRECONDITION names the guest that could not be changed: then all have their old limits
// again, but for those that were killed. A guest whose cgroup has gone is passed over.
absl::Status PutInForce(CgroupFiles& files, absl::Span<GuestChange> changes,
                        const PutInForceOptions& options);

// cpu.max, cpu.max.burst and cpu.idle in an order that the kernel takes from any state: it
// refuses a burst above the quota.
absl::Status WriteCpuLimits(CgroupFiles& files, const std::string& cgroup, const CpuLimits& limits);

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_PUT_IN_FORCE_H_
