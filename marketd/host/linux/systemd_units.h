// SPDX-License-Identifier: Apache-2.0
// Units of systemd as the launcher sees them: where they run, and what they are limited to.
//
// A limit that is written past systemd into a unit's own files is undone when systemd reads its
// units anew. So limits are properties of the unit, set for this boot alone (systemctl set-property
// --runtime).

#ifndef MARKETD_HOST_LINUX_SYSTEMD_UNITS_H_
#define MARKETD_HOST_LINUX_SYSTEMD_UNITS_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "marketd/host/linux/launch.h"

namespace nom::market {

// Not thread-safe. Errors: NOT_FOUND if systemd knows no such unit, FAILED_PRECONDITION otherwise,
// in one sentence, with systemd's own words.
class SystemdUnits {
 public:
  struct Sight {
    std::string cgroup;  // Below the mount of cgroup v2, without / in front.
    UnitLimits limits;
  };

  virtual ~SystemdUnits() = default;
  // A unit that runs.
  virtual absl::StatusOr<Sight> Find(const std::string& unit) = 0;
  // One of "cpu.max" (microseconds a second), "memory.max", "memory.min", "memory.swap.max".
  virtual absl::Status SetLimit(const std::string& unit, const std::string& file,
                                int64_t value) = 0;
};

// The system's own, asked without a bus between, as root alone may. Connects when it is needed.
std::unique_ptr<SystemdUnits> NewSystemdUnits();

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_SYSTEMD_UNITS_H_
