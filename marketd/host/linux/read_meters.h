// Brings the sums of a host's record through to now, from what the kernel counts.

#ifndef MARKETD_HOST_LINUX_READ_METERS_H_
#define MARKETD_HOST_LINUX_READ_METERS_H_

#include <cstdint>
#include <string>

#include "marketd/host/linux/cgroup_files.h"
#include "marketd/host/linux/machine.h"
#include "marketd/host/linux/state_file.h"

namespace nom::market {

// Of guests that run; `record` reaches to `now_us` then. A count that cannot be read is taken as
// unchanged. `proc` is "/proc".
void ReadMeters(const CgroupFiles& files, const std::string& proc, const MachineFacts& machine,
                int64_t now_us, HostRecord& record);

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_READ_METERS_H_
