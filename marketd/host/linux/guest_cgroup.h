// SPDX-License-Identifier: Apache-2.0
// One guest's cgroup from its first limits to its removal.

#ifndef MARKETD_HOST_LINUX_GUEST_CGROUP_H_
#define MARKETD_HOST_LINUX_GUEST_CGROUP_H_

#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "marketd/host/linux/amounts.h"
#include "marketd/host/linux/cgroup_files.h"
#include "marketd/host/linux/disk.h"
#include "marketd/host/linux/recipe.h"

namespace nom::market {

// What a host enforces by its guests' cgroups.
struct EnforcedBy {
  Units units;
  Amounts capacity;
  std::optional<SoldDisk> disk;  // If one is sold.
};

// All limits of a new guest, which holds its seed. Nothing runs in the cgroup yet.
absl::Status WriteFirstLimits(CgroupFiles& files, const std::string& cgroup, const Recipe& recipe,
                              const EnforcedBy& by, const Amounts& seed);

// What the kernel enforces, whoever wrote it; `known` of what has no limit there.
absl::StatusOr<Amounts> ReadEnforced(const CgroupFiles& files, const std::string& cgroup,
                                     const EnforcedBy& by, const Amounts& known);

// Ends every process of a guest, and takes its limit of the processor away: what is left of it dies
// in its own cgroup, at its own pace, and a fork bomb with 10 millicores took longer than anybody
// waits. A killed process runs none of its own code any more.
absl::Status KillGuest(CgroupFiles& files, const std::string& cgroup);

// Page cache outlives the processes that read it: charged to their cgroup, and to the one above
// when that is removed. What lies in tmpfs cannot be taken so.
void DropCache(CgroupFiles& files, const std::string& cgroup);

// Kills what lives there, waits by `nap` until it has died, and removes the cgroup. OK if it is not
// there. Errors: UNAVAILABLE if processes do not die in about 5 s.
absl::Status EmptyAndRemove(CgroupFiles& files, const std::string& cgroup,
                            const std::function<void(absl::Duration)>& nap);

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_GUEST_CGROUP_H_
