// SPDX-License-Identifier: Apache-2.0
// The machine that a Linux host is, from the files below /proc. A test puts a folder in its place.

#ifndef MARKETD_HOST_LINUX_MACHINE_H_
#define MARKETD_HOST_LINUX_MACHINE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace nom::market {

struct MachineFacts {
  uint64_t boot_id = 0;  // Of this boot; never 0.
  int64_t processors = 0;
  int64_t memory_bytes = 0;
  int64_t swap_bytes = 0;
  std::string kernel;  // Its release, such as 6.1.0-50-cloud-amd64.
};

// Errors: UNAVAILABLE or DATA_LOSS naming the file. `proc` is "/proc".
absl::StatusOr<MachineFacts> ReadMachineFacts(const std::string& proc);

// Processor time that the machine below took, since boot, over all processors.
absl::StatusOr<int64_t> ReadStolenUs(const std::string& proc);

// Microseconds since boot, suspended time included: every process of the machine sees the same, and
// nobody sets it (CLOCK_BOOTTIME).
int64_t BootTimeUs();

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_MACHINE_H_
