// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/linux/adopted_units.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"
#include "marketd/host/linux/limits.h"

namespace nom::market {
namespace {

// One write(2), which the kernel takes or refuses as a whole.
int WriteFile(const std::string& path, const std::string& text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const ssize_t put = write(fd, text.data(), text.size());
  const int error = put == static_cast<ssize_t>(text.size()) ? 0 : errno;
  close(fd);
  return error;
}

std::string ValueText(int64_t value) { return value == kCgroupMax ? "max" : absl::StrCat(value); }

int64_t PerSecond(int64_t per_period_us) {
  return per_period_us == kCgroupMax ? kCgroupMax : per_period_us * (1'000'000 / kCpuPeriodUs);
}

}  // namespace

absl::StatusOr<LaunchAdopted> AdoptedUnits::Adopt(const LaunchAdopt& adopt, const Recipe& recipe) {
  NOM_ASSIGN_OR_RETURN(SystemdUnits::Sight sight, units_.Find(recipe.unit));
  return LaunchAdopted{
      .guest_id = adopt.guest_id, .cgroup = std::move(sight.cgroup), .limits = sight.limits};
}

absl::StatusOr<std::string> AdoptedUnits::FileOf(const std::string& unit, const std::string& file) {
  NOM_ASSIGN_OR_RETURN(const SystemdUnits::Sight sight, units_.Find(unit));
  return absl::StrCat(cgroup_mount_, "/", sight.cgroup, "/", file);
}

absl::Status AdoptedUnits::Control(const LaunchControl& control, const Recipe& recipe) {
  const std::string& unit = recipe.unit;
  if (control.file == "cpu.max") {
    // A second has ten periods; no machine has processors for a quota that overflows.
    if (control.value != kCgroupMax && control.value > kCgroupMax / 100) {
      return absl::FailedPreconditionError("cpu.max: more than any machine has");
    }
    return units_.SetLimit(unit, control.file, PerSecond(control.value));
  }
  if (control.file == "memory.min" || control.file == "memory.swap.max") {
    return units_.SetLimit(unit, control.file, control.value);
  }
  if (control.file == "memory.max" || control.file == "memory.reclaim") {
    return WriteInBackground(unit, control.file, control.value);
  }
  if (control.file == "cgroup.kill") {
    NOM_ASSIGN_OR_RETURN(const std::string path, FileOf(unit, control.file));
    const int error = WriteFile(path, "1");
    return error == 0
               ? absl::OkStatus()
               : absl::FailedPreconditionError(absl::StrCat(path, ": ", std::strerror(error)));
  }
  return absl::FailedPreconditionError(
      absl::StrCat("\"", control.file, "\": nothing that is done to a unit"));
}

absl::Status AdoptedUnits::Release(const LaunchRelease& release, const Recipe& recipe) {
  const std::string& unit = recipe.unit;
  // A process that still writes the last limit would have systemd told of it at its end.
  memory_max_by_unit_[unit] = release.limits.memory_max_bytes;
  absl::Status out;
  for (const auto& [file, value] : {std::pair("memory.min", release.limits.memory_min_bytes),
                                    std::pair("memory.max", release.limits.memory_max_bytes),
                                    std::pair("memory.swap.max", release.limits.swap_max_bytes),
                                    std::pair("cpu.max", release.limits.cpu_us_per_s)}) {
    const absl::Status status = units_.SetLimit(unit, file, value);
    // A scope that has ended, or a program that was removed: there is nothing to give back, and who
    // waited for that would keep the guest for ever.
    if (absl::IsNotFound(status)) return absl::OkStatus();
    if (out.ok()) out = status;
  }
  return out;
}

absl::Status AdoptedUnits::WriteInBackground(const std::string& unit, const std::string& file,
                                             int64_t value) {
  NOM_ASSIGN_OR_RETURN(const std::string path, FileOf(unit, file));
  const std::string text = ValueText(value);
  const pid_t pid = fork();
  if (pid < 0) return absl::FailedPreconditionError(absl::StrCat(path, ": ", std::strerror(errno)));
  if (pid == 0) _exit(WriteFile(path, text) == 0 ? 0 : 1);
  if (file == "memory.max") {
    writers_[pid] = unit;
    memory_max_by_unit_[unit] = value;
  } else {
    writers_[pid] = "";
  }
  return absl::OkStatus();
}

bool AdoptedUnits::Reaped(pid_t pid) {
  const auto writer = writers_.find(pid);
  if (writer == writers_.end()) return false;
  const std::string unit = std::exchange(writer->second, "");
  writers_.erase(writer);
  if (!unit.empty()) {
    // Whoever asked looks at the file; a unit that has gone meanwhile needs no limit.
    units_.SetLimit(unit, "memory.max", memory_max_by_unit_[unit]).IgnoreError();
  }
  return true;
}

}  // namespace nom::market
