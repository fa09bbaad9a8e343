// SPDX-License-Identifier: Apache-2.0
// One whole disk that is sold by requests: what is written into io.max, and what was used of it.
//
// A unit is a request a second of at most DiskOptions::request_bytes; a guest holds as many for
// reading and as many for writing. io.max counts requests of whatever size (a hundred a second of
// 1 MiB moved 99 MB/s), so that bytes are limited together with them.

#ifndef MARKETD_HOST_LINUX_DISK_H_
#define MARKETD_HOST_LINUX_DISK_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "marketd/host/linux/cgroup_files.h"

namespace nom::market {

struct DiskOptions {
  std::string device;  // Such as /dev/vda, or a link to it; empty: no disk is sold.
  int64_t iops = 0;    // All that is sold, seeds included: of reading, and of writing.
  int64_t request_bytes = 64 << 10;
};

// The one that a host sells.
struct SoldDisk {
  DiskNumber number;
  DiskOptions options;
};

// The number of the disk behind `device`. A limit is kept only by the disk that requests are sent
// to: FAILED_PRECONDITION, in one sentence with what to say instead, for a partition (the kernel
// refuses it), for one that lies on others (LVM, RAID, encryption) and for a loop device (the limit
// would stay for the next image). NOT_FOUND if there is none. `sys` is "/sys".
absl::StatusOr<DiskNumber> FindWholeDisk(const std::string& device, const std::string& sys);

// Requires iops >= 1: the kernel takes no limit of 0.
IoMax IoMaxFor(const DiskOptions& options, int64_t iops);
// The grant that such a limit is; `otherwise` if there is none.
int64_t IopsOf(const IoMax& max, int64_t otherwise);

// Requests between two readings, by the busier direction, a large one counted as several. A count
// that fell is taken as unchanged.
int64_t RequestsBetween(const DiskOptions& options, const IoStat& before, const IoStat& after);

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_DISK_H_
