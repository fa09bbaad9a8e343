// SPDX-License-Identifier: Apache-2.0
// Brings the sums of a host's record through to now, from what the kernel counts.

#ifndef MARKETD_HOST_LINUX_READ_METERS_H_
#define MARKETD_HOST_LINUX_READ_METERS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "marketd/host/linux/cgroup_files.h"
#include "marketd/host/linux/disk.h"
#include "marketd/host/linux/machine.h"
#include "marketd/host/linux/state_file.h"

namespace nom::market {

// Where the kernel counts.
struct MeterSources {
  const CgroupFiles& files;
  std::string proc;  // "/proc"
  std::optional<SoldDisk> disk;
  std::string sys;  // "/sys"; empty if no network is sold.
};

// Of guests that run; `record` reaches to `now_us` then. A count that cannot be read is taken as
// unchanged.
void ReadMeters(const MeterSources& sources, const MachineFacts& machine, int64_t now_us,
                HostRecord& record);

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_READ_METERS_H_
