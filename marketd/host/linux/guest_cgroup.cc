// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/linux/guest_cgroup.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"
#include "marketd/host/linux/limits.h"
#include "marketd/host/linux/put_in_force.h"

namespace nom::market {
namespace {

constexpr absl::Duration kNap = absl::Milliseconds(10);
constexpr int kNapsMax = 500;  // Processes inside a system call die at its end.

}  // namespace

absl::Status WriteFirstLimits(CgroupFiles& files, const std::string& cgroup, const Recipe& recipe,
                              const EnforcedBy& by, const Amounts& seed) {
  // How many processes a unit may have, and who of it dies, is said to systemd.
  const bool ours = recipe.unit.empty();
  if (ours) NOM_RETURN_IF_ERROR(files.WriteProcessesMax(cgroup, recipe.processes_max));
  if (by.units.Sells(ResourceKind::kMemory)) {
    NOM_RETURN_IF_ERROR(
        files.WriteMemorySwapMax(cgroup, recipe.force == Recipe::Force::kSwap ? kCgroupMax : 0));
    if (ours) NOM_RETURN_IF_ERROR(files.WriteOomGroup(cgroup, true));
    NOM_RETURN_IF_ERROR(files.WriteMemoryMax(cgroup, seed.memory_bytes));
    NOM_RETURN_IF_ERROR(files.WriteMemoryMin(cgroup, seed.memory_bytes));
  }
  if (by.units.Sells(ResourceKind::kCpu)) {
    NOM_RETURN_IF_ERROR(WriteCpuLimits(files, cgroup, CpuLimitsFor(&recipe, seed, seed)));
  }
  if (by.disk) {
    NOM_RETURN_IF_ERROR(
        files.WriteIoMax(cgroup, by.disk->number, IoMaxFor(by.disk->options, seed.disk_iops)));
  }
  return absl::OkStatus();
}

absl::StatusOr<Amounts> ReadEnforced(const CgroupFiles& files, const std::string& cgroup,
                                     const EnforcedBy& by, const Amounts& known) {
  Amounts out = known;
  NOM_ASSIGN_OR_RETURN(const CpuMax cpu, files.ReadCpuMax(cgroup));
  NOM_ASSIGN_OR_RETURN(const int64_t memory, files.ReadMemoryMax(cgroup));
  out.millicores = MillicoresOf(cpu, known.millicores);
  out.memory_bytes = std::min(memory, by.capacity.memory_bytes);
  if (by.disk) {
    NOM_ASSIGN_OR_RETURN(const IoMax max, files.ReadIoMax(cgroup, by.disk->number));
    out.disk_iops = std::min(IopsOf(max, known.disk_iops), by.capacity.disk_iops);
  }
  return out;
}

absl::Status KillGuest(CgroupFiles& files, const std::string& cgroup) {
  NOM_RETURN_IF_ERROR(files.Kill(cgroup));
  // Where no cpu is sold there is no such file, and no limit.
  files.WriteCpuMax(cgroup, {}).IgnoreError();
  return absl::OkStatus();
}

void DropCache(CgroupFiles& files, const std::string& cgroup) {
  const absl::StatusOr<int64_t> bytes = files.ReadMemoryCurrent(cgroup);
  if (bytes.ok() && *bytes > 0) files.ReclaimMemory(cgroup, *bytes).IgnoreError();
}

absl::Status EmptyAndRemove(CgroupFiles& files, const std::string& cgroup,
                            const std::function<void(absl::Duration)>& nap) {
  absl::Status status = KillGuest(files, cgroup);
  if (absl::IsNotFound(status)) return absl::OkStatus();
  if (!status.ok()) return status;
  bool dropped = false;
  for (int i = 0; i < kNapsMax; ++i) {
    const absl::StatusOr<bool> populated = files.Populated(cgroup);
    if (absl::IsNotFound(populated.status())) return absl::OkStatus();
    if (populated.ok() && !*populated) {
      if (!std::exchange(dropped, true)) DropCache(files, cgroup);
      status = files.Remove(cgroup);
      // EBUSY until the last process that was killed has been waited for.
      if (status.ok() || absl::IsNotFound(status)) return absl::OkStatus();
      if (!absl::IsFailedPrecondition(status)) return status;
    }
    nap(kNap);
  }
  return absl::UnavailableError(
      absl::StrCat(cgroup, ": its processes do not die; ", status.message()));
}

}  // namespace nom::market
