// SPDX-License-Identifier: Apache-2.0
// What a guest was offered and used, from what the kernel counts: pure arithmetic.
//
// The kernel counts what a guest used of the processor; nobody but us knows what it was offered, so
// that is an integral of what it held. It is kept, with the instant that it reaches to, in a file
// (state_file.h): the meters go on counting while no marketd runs, since a grant does not change
// then, and whoever attaches next goes on from the file.
//
// Integrals are in 128 bits of base measure times microseconds, and become unit-microseconds modulo
// 2^64 when they are read, as GuestMeters counts.

#ifndef MARKETD_HOST_LINUX_METERS_H_
#define MARKETD_HOST_LINUX_METERS_H_

#include <cstdint>

#include "absl/numeric/int128.h"
#include "absl/types/span.h"
#include "marketd/host/linux/amounts.h"
#include "marketd/host/linux/cgroup_files.h"
#include "marketd/host/linux/network.h"
#include "marketd/market/types.h"

namespace nom::market {

struct MeterSums {
  int64_t created_us = 0;
  int64_t ended_us = -1;  // -1: it lives.
  uint64_t cpu_usage_us = 0;
  absl::uint128 cpu_offered = 0;  // Millicore-microseconds.
  absl::uint128 memory_offered = 0;
  absl::uint128 memory_used = 0;
  absl::uint128 disk_offered = 0;  // Requests times 10^6: a request a second, for a microsecond.
  absl::uint128 disk_used = 0;
  IoStat disk_seen;                   // The counts through which disk_used reaches.
  absl::uint128 network_offered = 0;  // Bits: a megabit a second, for a microsecond.
  absl::uint128 network_used = 0;
  NetworkStat network_seen;
};

// The machine's own counts over an interval.
struct MachineInterval {
  int64_t length_us = 0;
  // Processor time that the machine below this one took away (steal in /proc/stat), and how many
  // processors there are. 0 on bare metal.
  int64_t stolen_us = 0;
  int64_t processors = 1;
};

// What is known of a guest at the end of an interval.
struct MeterReading {
  uint64_t cpu_usage_us = 0;  // Since the cgroup was made; one that fell is taken as unchanged.
  int64_t memory_bytes = 0;   // memory.current
  IoStat disk;                // Since the cgroup was made.
  int64_t disk_requests = 0;  // Since the last reading (RequestsBetween).
  NetworkStat network;        // Since the guest's network was made.
  int64_t network_bits = 0;   // Since the last reading (BitsBetween).
};

// Adds an interval over which the guest held `held`. Of the processor it was offered the share that
// was not stolen, and in any case what it used up to its grant.
//
// Not subtracted: time that its threads waited for a processor (cpu.pressure less throttled_usec).
// It counts threads that wait for each other, so that a guest could lower its own bill by having
// many.
void AddInterval(const MachineInterval& machine, const Amounts& held, const MeterReading& reading,
                 MeterSums& sums);

// As the market reads it, at the instant `now_us` through which the sums reach. `resources` gives
// the units and what is sold; in its order of kinds, rising.
GuestMeters ToGuestMeters(GuestId guest_id, const MeterSums& sums, int64_t now_us,
                          absl::Span<const Resource> resources);

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_METERS_H_
