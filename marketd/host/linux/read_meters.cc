// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/linux/read_meters.h"

#include "marketd/host/linux/run_directory.h"

namespace nom::market {
namespace {

// A unit that systemd started again counts from 0, in a cgroup that is another one.
uint64_t UsageOf(uint64_t counted_us, GuestRecord& guest) {
  if (!guest.adopted()) return counted_us;
  if (static_cast<int64_t>(counted_us) + guest.usage_offset_us <
      static_cast<int64_t>(guest.sums.cpu_usage_us)) {
    guest.usage_offset_us = static_cast<int64_t>(guest.sums.cpu_usage_us);
  }
  return static_cast<uint64_t>(static_cast<int64_t>(counted_us) + guest.usage_offset_us);
}

}  // namespace

void ReadMeters(const MeterSources& sources, const MachineFacts& machine, int64_t now_us,
                HostRecord& record) {
  const CgroupFiles& files = sources.files;
  MachineInterval interval{.length_us = now_us - record.at_us, .processors = machine.processors};
  if (const absl::StatusOr<int64_t> stolen_us = ReadStolenUs(sources.proc); stolen_us.ok()) {
    interval.stolen_us = *stolen_us - record.stolen_us;
    record.stolen_us = *stolen_us;
  }
  record.at_us = now_us;
  for (auto& [guest_id, guest] : record.guests) {
    if (guest.phase != GuestRecord::Phase::kRunning) continue;
    MeterReading reading{.cpu_usage_us = guest.sums.cpu_usage_us,
                         .disk = guest.sums.disk_seen,
                         .network = guest.sums.network_seen};
    const std::string cgroup = GuestFolder(guest_id);
    if (const auto stat = files.ReadCpuStat(cgroup); stat.ok()) {
      reading.cpu_usage_us = UsageOf(stat->usage_us, guest);
    }
    if (const auto bytes = files.ReadMemoryCurrent(cgroup); bytes.ok()) {
      reading.memory_bytes = *bytes;
    }
    if (sources.disk) {
      if (const auto stat = files.ReadIoStat(cgroup, sources.disk->number); stat.ok()) {
        reading.disk = *stat;
        reading.disk_requests = RequestsBetween(sources.disk->options, guest.sums.disk_seen, *stat);
      }
    }
    if (!sources.sys.empty()) {
      reading.network = ReadNetworkStat(sources.sys, guest_id);
      reading.network_bits = BitsBetween(guest.sums.network_seen, reading.network);
    }
    // While a change is being put in force a guest is billed for what it holds for certain.
    const Amounts held = guest.target ? SmallerOf(guest.held, *guest.target) : guest.held;
    AddInterval(interval, held, reading, guest.sums);
  }
}

}  // namespace nom::market
