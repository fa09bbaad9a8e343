// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/linux/adopted_files.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"

namespace nom::market {
namespace {

constexpr absl::Duration kNap = absl::Milliseconds(10);
constexpr int kAwaitNapsMax = 500;
// A reclaim that has taken nothing more for so long is at its end.
constexpr int kIdleNapsMax = 50;
constexpr int64_t kPageBytes = 4096;

// The first word of a file's text: a number, or "max".
bool ParseValue(absl::string_view text, int64_t* value) {
  const absl::string_view word = text.substr(0, text.find(' '));
  if (word == "max") {
    *value = kCgroupMax;
    return true;
  }
  return absl::SimpleAtoi(word, value) && *value >= 0;
}

}  // namespace

void AdoptedFiles::Adopt(const std::string& cgroup, Unit unit) {
  std::lock_guard lock(mutex_);
  units_[cgroup] = std::move(unit);
}

void AdoptedFiles::Forget(const std::string& cgroup) {
  std::lock_guard lock(mutex_);
  units_.erase(cgroup);
}

std::optional<AdoptedFiles::Unit> AdoptedFiles::UnitOf(const std::string& cgroup) const {
  std::lock_guard lock(mutex_);
  const auto it = units_.find(cgroup);
  return it == units_.end() ? std::nullopt : std::optional(it->second);
}

absl::StatusOr<LaunchAdopted> AdoptedFiles::Find(const LaunchAdopt& adopt) {
  std::lock_guard lock(asking_);
  return launcher_.Adopt(adopt);
}

absl::Status AdoptedFiles::Release(const LaunchRelease& release) {
  std::lock_guard lock(asking_);
  return launcher_.Release(release);
}

absl::Status AdoptedFiles::Control(const Unit& unit, absl::string_view file, int64_t value) {
  std::lock_guard lock(asking_);
  return launcher_.Control({.guest_id = unit.guest_id,
                            .recipe = unit.recipe,
                            .file = std::string(file),
                            .value = value});
}

absl::StatusOr<std::string> AdoptedFiles::ReadText(const std::string& cgroup,
                                                   absl::string_view file) const {
  const std::optional<Unit> unit = UnitOf(cgroup);
  return unit ? all_.ReadText(unit->cgroup, file) : own_.ReadText(cgroup, file);
}

absl::Status AdoptedFiles::WriteText(const std::string& cgroup, absl::string_view file,
                                     absl::string_view text) {
  const std::optional<Unit> unit = UnitOf(cgroup);
  if (!unit) return own_.WriteText(cgroup, file, text);
  int64_t value = 0;
  if (!ParseValue(text, &value)) {
    return absl::InvalidArgumentError(absl::StrCat(cgroup, "/", file, ": \"", text, "\""));
  }
  // Units have no burst and no idle class: a recipe that adopts says neither.
  if ((file == "cpu.max.burst" || file == "cpu.idle") && value == 0) return absl::OkStatus();
  if (file == "memory.max") {
    NOM_RETURN_IF_ERROR(Control(*unit, file, value));
    return AwaitMax(cgroup, value);
  }
  if (file == "memory.reclaim") {
    NOM_ASSIGN_OR_RETURN(const int64_t before, ReadMemoryCurrent(cgroup));
    NOM_RETURN_IF_ERROR(Control(*unit, file, value));
    return AwaitReclaim(cgroup, before, value);
  }
  return Control(*unit, file, value);
}

absl::Status AdoptedFiles::AwaitMax(const std::string& cgroup, int64_t bytes) {
  // The kernel counts in whole pages.
  const int64_t pages = bytes == kCgroupMax ? bytes : bytes / kPageBytes * kPageBytes;
  for (int i = 0; i < kAwaitNapsMax; ++i) {
    NOM_ASSIGN_OR_RETURN(const int64_t max, ReadMemoryMax(cgroup));
    NOM_ASSIGN_OR_RETURN(const int64_t current, ReadMemoryCurrent(cgroup));
    if ((max == pages || max == bytes) && current <= bytes) return absl::OkStatus();
    nap_(kNap);
  }
  return absl::ResourceExhaustedError(
      absl::StrCat(cgroup, "/memory.max: the kernel has not brought it down to ", bytes));
}

absl::Status AdoptedFiles::AwaitReclaim(const std::string& cgroup, int64_t before, int64_t bytes) {
  int64_t least = before;
  int idle = 0;
  for (int i = 0; i < kAwaitNapsMax && idle < kIdleNapsMax; ++i) {
    NOM_ASSIGN_OR_RETURN(const int64_t current, ReadMemoryCurrent(cgroup));
    if (current <= before - bytes) return absl::OkStatus();
    idle = current < least ? 0 : idle + 1;
    least = std::min(least, current);
    nap_(kNap);
  }
  return absl::ResourceExhaustedError(
      absl::StrCat(cgroup, "/memory.reclaim: the kernel found no ", bytes, " bytes to take"));
}

}  // namespace nom::market
