// SPDX-License-Identifier: Apache-2.0
// The launcher's answers about units of systemd that are adopted: what marketd may have done to
// them, and to no others.

#ifndef MARKETD_HOST_LINUX_ADOPTED_UNITS_H_
#define MARKETD_HOST_LINUX_ADOPTED_UNITS_H_

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "marketd/host/linux/launch.h"
#include "marketd/host/linux/recipe.h"
#include "marketd/host/linux/systemd_units.h"

namespace nom::market {

// Not thread-safe. The process that holds it must have no other threads: it forks.
class AdoptedUnits {
 public:
  // `cgroup_mount` is where cgroup v2 is mounted. `units` outlives it.
  AdoptedUnits(SystemdUnits& units, std::string cgroup_mount)
      : units_(units), cgroup_mount_(std::move(cgroup_mount)) {}

  // Errors of all: FAILED_PRECONDITION in one sentence.
  absl::StatusOr<LaunchAdopted> Adopt(const LaunchAdopt& adopt, const Recipe& recipe);
  // A write that may block for seconds, as it makes the kernel take memory back or kill, is made by
  // a process of its own; systemd is told of the limit when that has ended, and so never blocks.
  absl::Status Control(const LaunchControl& control, const Recipe& recipe);
  absl::Status Release(const LaunchRelease& release, const Recipe& recipe);

  // Takes the end of a process that is one of ours; false if it is none.
  bool Reaped(pid_t pid);

 private:
  absl::Status WriteInBackground(const std::string& unit, const std::string& file, int64_t value);
  absl::StatusOr<std::string> FileOf(const std::string& unit, const std::string& file);

  SystemdUnits& units_;
  const std::string cgroup_mount_;
  std::map<pid_t, std::string> writers_;               // The unit whose memory.max each writes.
  std::map<std::string, int64_t> memory_max_by_unit_;  // The latest that was asked for.
};

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_ADOPTED_UNITS_H_
