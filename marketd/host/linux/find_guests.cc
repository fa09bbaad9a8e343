// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/linux/find_guests.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "marketd/base/status.h"
#include "marketd/host/linux/run_directory.h"

namespace nom::market {
namespace {

absl::Status AddFound(const CgroupFiles& files, const EnforcedBy& by, GuestId guest_id,
                      HostRecord& record) {
  const std::string cgroup = GuestFolder(guest_id);
  GuestRecord guest{.name = cgroup, .phase = GuestRecord::Phase::kRunning};
  guest.sums.created_us = record.at_us;
  NOM_ASSIGN_OR_RETURN(guest.held, ReadEnforced(files, cgroup, by, {}));
  NOM_ASSIGN_OR_RETURN(const int64_t least, files.ReadMemoryMin(cgroup));
  NOM_ASSIGN_OR_RETURN(const CpuStat stat, files.ReadCpuStat(cgroup));
  guest.seed = SmallerOf({.millicores = 0, .memory_bytes = least}, guest.held);
  // What it used before is nobody's business here.
  guest.sums.cpu_usage_us = stat.usage_us;
  if (by.disk) {
    NOM_ASSIGN_OR_RETURN(guest.sums.disk_seen, files.ReadIoStat(cgroup, by.disk->number));
  }
  record.guests[guest_id] = guest;
  return absl::OkStatus();
}

}  // namespace

absl::Status FindGuests(CgroupFiles& files, const EnforcedBy& by,
                        const std::function<void(absl::Duration)>& nap, GuestEnds& ends,
                        HostRecord& record) {
  NOM_ASSIGN_OR_RETURN(const std::vector<std::string> names, files.Children(""));
  std::map<GuestId, bool> populated;
  for (const std::string& name : names) {
    const std::optional<GuestId> guest_id = GuestOfFolder(name);
    if (!guest_id) continue;  // Not ours.
    NOM_ASSIGN_OR_RETURN(populated[*guest_id], files.Populated(name));
  }
  for (const auto& [guest_id, lives] : populated) {
    const auto known = record.guests.find(guest_id);
    if (known != record.guests.end() && known->second.phase != GuestRecord::Phase::kCreating) {
      continue;
    }
    if (known == record.guests.end() && lives) {
      NOM_RETURN_IF_ERROR(AddFound(files, by, guest_id, record));
    } else {
      NOM_RETURN_IF_ERROR(EmptyAndRemove(files, GuestFolder(guest_id), nap));
    }
  }
  std::erase_if(record.guests, [](const auto& entry) {
    return entry.second.phase == GuestRecord::Phase::kCreating;
  });
  for (auto& [guest_id, guest] : record.guests) {
    if (guest.phase != GuestRecord::Phase::kRunning) continue;
    if (guest.adopted()) {
      const absl::StatusOr<bool> lives = files.Populated(GuestFolder(guest_id));
      populated[guest_id] = lives.ok() && *lives;
    }
    const auto found = populated.find(guest_id);
    if (found == populated.end() || !found->second) {
      ends.Note(guest_id, guest, record.at_us, ends.ReasonOf(files, guest_id, guest));
    } else if (!guest.target) {
      NOM_ASSIGN_OR_RETURN(guest.held, ReadEnforced(files, GuestFolder(guest_id), by, guest.held));
    }
  }
  return absl::OkStatus();
}

}  // namespace nom::market
