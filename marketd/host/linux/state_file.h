// SPDX-License-Identifier: Apache-2.0
// What a Linux host must remember over the death of marketd, in one small file.
//
// The kernel keeps limits and counts; this keeps what the kernel does not know: names, seeds, what
// guests were offered so far, which round was last put in force, and which one is being put in
// force at this moment. The file is replaced as a whole by rename(2), so that a process that is
// killed at any instant leaves the old one or the new one. It is not synced to disk: what would
// need that is a crash of the machine, after which the boot id is another and nothing of it counts.

#ifndef MARKETD_HOST_LINUX_STATE_FILE_H_
#define MARKETD_HOST_LINUX_STATE_FILE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "marketd/host/linux/amounts.h"
#include "marketd/host/linux/launch.h"
#include "marketd/host/linux/meters.h"
#include "marketd/market/types.h"

namespace nom::market {

struct GuestRecord {
  enum class Phase : uint8_t { kCreating, kRunning, kEnded };

  std::string name;
  std::string recipe;  // Empty: found without a record, and what it was started from is not known.
  Phase phase = Phase::kCreating;
  Amounts seed;
  Amounts held;                   // In force: seed plus award.
  std::optional<Amounts> target;  // Being put in force.
  int64_t memory_window_bytes = 0;
  MeterSums sums;     // Through HostRecord::at_us.
  MeterSums applied;  // At the last Apply; of use if the guest was there then.
  bool has_applied = false;
  std::string exit_reason;

  // Of a unit of systemd that was adopted: its cgroup below the mount, and the limits that it had.
  // Empty of one that was started.
  std::string unit_cgroup;
  UnitLimits unit_limits;
  // What is added to the kernel's count of processor time, which a unit has from before it was
  // adopted, and which begins anew when the unit does.
  int64_t usage_offset_us = 0;
  bool adopted() const { return !unit_cgroup.empty(); }
};

struct HostRecord {
  uint64_t boot_id = 0;
  int64_t at_us = 0;      // By BootTimeUs(): the instant through which all sums reach.
  int64_t stolen_us = 0;  // Of the machine, at that instant.
  RoundId applied_round_id = 0;
  int64_t applied_at_us = 0;
  std::optional<RoundId> applying_round_id;
  std::map<GuestId, GuestRecord> guests;
};

std::string HostRecordText(const HostRecord& record);
// Errors: DATA_LOSS naming the line.
absl::StatusOr<HostRecord> ParseHostRecord(absl::string_view text);

// Errors: UNAVAILABLE naming the file.
absl::Status SaveHostRecord(const std::string& path, const HostRecord& record);
// Errors: NOT_FOUND if there is none; DATA_LOSS, UNAVAILABLE naming the file.
absl::StatusOr<HostRecord> LoadHostRecord(const std::string& path);

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_STATE_FILE_H_
