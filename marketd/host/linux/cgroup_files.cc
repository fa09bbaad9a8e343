// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/linux/cgroup_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "marketd/base/status.h"

namespace nom::market {
namespace {

// cgroup.procs of a fork bomb is the longest: eight bytes for each process that pids.max allows.
constexpr size_t kFileBytesMax = 4 << 20;

std::string LimitText(int64_t value) { return value == kCgroupMax ? "max" : absl::StrCat(value); }

std::set<std::string> Words(absl::string_view text) {
  return absl::StrSplit(absl::StripAsciiWhitespace(text), ' ', absl::SkipEmpty());
}

absl::Status BadText(const std::string& path, absl::string_view text) {
  return absl::DataLossError(
      absl::StrCat(path, ": is not what a kernel writes: \"", text.substr(0, 60), "\""));
}

bool ParseLimit(absl::string_view text, int64_t* value) {
  if (text == "max") {
    *value = kCgroupMax;
    return true;
  }
  return absl::SimpleAtoi(text, value) && *value >= 0;
}

}  // namespace

absl::Status CgroupError(int error, absl::string_view what) {
  const std::string text = absl::StrCat(what, ": ", std::strerror(error));
  switch (error) {
    case ENOENT:
    case ENODEV:
      return absl::NotFoundError(text);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(text);
    case EAGAIN:
      return absl::ResourceExhaustedError(text);
    case EBUSY:
    case ENOTEMPTY:
      return absl::FailedPreconditionError(text);
    case EEXIST:
      return absl::AlreadyExistsError(text);
    case EINVAL:
    case ERANGE:
      return absl::InvalidArgumentError(text);
    default:
      return absl::UnavailableError(text);
  }
}

std::string CgroupFiles::PathOf(const std::string& cgroup, absl::string_view file) const {
  std::string path = root_;
  if (!cgroup.empty()) absl::StrAppend(&path, "/", cgroup);
  if (!file.empty()) absl::StrAppend(&path, "/", file);
  return path;
}

absl::Status CgroupFiles::CheckVersion() const {
  struct statfs facts {};
  if (statfs(root_.c_str(), &facts) != 0) {
    if (errno == ENOENT) {
      return absl::NotFoundError(absl::StrCat("cgroup_root ", root_,
                                              ": is not there; the holder unit makes it (nomctl "
                                              "host init)"));
    }
    return CgroupError(errno, absl::StrCat("cgroup_root ", root_));
  }
  if (facts.f_type == CGROUP2_SUPER_MAGIC) return absl::OkStatus();
  if (facts.f_type == CGROUP_SUPER_MAGIC) {
    return absl::FailedPreconditionError(
        absl::StrCat("cgroup_root ", root_,
                     ": is of cgroup v1, which cannot take memory back; boot with "
                     "systemd.unified_cgroup_hierarchy=1"));
  }
  return absl::FailedPreconditionError(
      absl::StrCat("cgroup_root ", root_,
                   ": is not on a cgroup v2 file system; on a hybrid machine boot with "
                   "systemd.unified_cgroup_hierarchy=1, then give a folder below /sys/fs/cgroup"));
}

absl::StatusOr<std::string> CgroupFiles::ReadText(const std::string& cgroup,
                                                  absl::string_view file) const {
  const std::string path = PathOf(cgroup, file);
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return CgroupError(errno, path);
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const absl::Status status = CgroupError(errno, path);
      close(fd);
      return status;
    }
    if (got == 0) break;
    text.append(buffer, static_cast<size_t>(got));
    if (text.size() > kFileBytesMax) {
      close(fd);
      return absl::DataLossError(absl::StrCat(path, ": is larger than ", kFileBytesMax, " bytes"));
    }
  }
  close(fd);
  return text;
}

absl::Status CgroupFiles::WriteText(const std::string& cgroup, absl::string_view file,
                                    absl::string_view text) {
  const std::string path = PathOf(cgroup, file);
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC | O_TRUNC);
  if (fd < 0) return CgroupError(errno, path);
  ssize_t put = 0;
  do {
    put = write(fd, text.data(), text.size());
  } while (put < 0 && errno == EINTR);
  const int error = put < 0 ? errno : 0;
  close(fd);
  if (error != 0) return CgroupError(error, absl::StrCat(path, ": writing \"", text, "\""));
  return absl::OkStatus();
}

absl::StatusOr<std::set<std::string>> CgroupFiles::Controllers(const std::string& cgroup) const {
  NOM_ASSIGN_OR_RETURN(const std::string text, ReadText(cgroup, "cgroup.controllers"));
  return Words(text);
}

absl::StatusOr<std::set<std::string>> CgroupFiles::SubtreeControl(const std::string& cgroup) const {
  NOM_ASSIGN_OR_RETURN(const std::string text, ReadText(cgroup, "cgroup.subtree_control"));
  return Words(text);
}

absl::Status CgroupFiles::EnableControllers(const std::string& cgroup,
                                            const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) absl::StrAppend(&text, text.empty() ? "+" : " +", name);
  return WriteText(cgroup, "cgroup.subtree_control", text);
}

absl::StatusOr<int64_t> CgroupFiles::ReadLimit(const std::string& cgroup,
                                               absl::string_view file) const {
  NOM_ASSIGN_OR_RETURN(const std::string text, ReadText(cgroup, file));
  int64_t value = 0;
  if (!ParseLimit(absl::StripAsciiWhitespace(text), &value)) {
    return BadText(PathOf(cgroup, file), text);
  }
  return value;
}

absl::StatusOr<std::optional<uint64_t>> CgroupFiles::ReadKey(const std::string& cgroup,
                                                             absl::string_view file,
                                                             absl::string_view key) const {
  NOM_ASSIGN_OR_RETURN(const std::string text, ReadText(cgroup, file));
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::pair<absl::string_view, absl::string_view> halves =
        absl::StrSplit(line, absl::MaxSplits(' ', 1));
    if (halves.first != key) continue;
    uint64_t value = 0;
    if (!absl::SimpleAtoi(halves.second, &value)) return BadText(PathOf(cgroup, file), text);
    return value;
  }
  return std::nullopt;
}

absl::StatusOr<CpuMax> CgroupFiles::ReadCpuMax(const std::string& cgroup) const {
  NOM_ASSIGN_OR_RETURN(const std::string text, ReadText(cgroup, "cpu.max"));
  const std::pair<absl::string_view, absl::string_view> halves =
      absl::StrSplit(absl::StripAsciiWhitespace(text), absl::MaxSplits(' ', 1));
  CpuMax max;
  if (!ParseLimit(halves.first, &max.quota_us) ||
      !absl::SimpleAtoi(halves.second, &max.period_us) || max.period_us <= 0) {
    return BadText(PathOf(cgroup, "cpu.max"), text);
  }
  return max;
}

absl::Status CgroupFiles::WriteCpuMax(const std::string& cgroup, const CpuMax& max) {
  return WriteText(cgroup, "cpu.max", absl::StrCat(LimitText(max.quota_us), " ", max.period_us));
}

absl::Status CgroupFiles::WriteCpuBurst(const std::string& cgroup, int64_t burst_us) {
  return WriteText(cgroup, "cpu.max.burst", absl::StrCat(burst_us));
}

absl::Status CgroupFiles::WriteCpuIdle(const std::string& cgroup, bool idle) {
  return WriteText(cgroup, "cpu.idle", idle ? "1" : "0");
}

absl::StatusOr<CpuStat> CgroupFiles::ReadCpuStat(const std::string& cgroup) const {
  NOM_ASSIGN_OR_RETURN(const auto usage, ReadKey(cgroup, "cpu.stat", "usage_usec"));
  NOM_ASSIGN_OR_RETURN(const auto throttled, ReadKey(cgroup, "cpu.stat", "throttled_usec"));
  if (!usage) return BadText(PathOf(cgroup, "cpu.stat"), "no usage_usec");
  return CpuStat{.usage_us = *usage, .throttled_us = throttled.value_or(0)};
}

absl::StatusOr<int64_t> CgroupFiles::ReadMemoryCurrent(const std::string& cgroup) const {
  return ReadLimit(cgroup, "memory.current");
}
absl::StatusOr<int64_t> CgroupFiles::ReadMemoryMax(const std::string& cgroup) const {
  return ReadLimit(cgroup, "memory.max");
}
absl::StatusOr<int64_t> CgroupFiles::ReadMemoryMin(const std::string& cgroup) const {
  return ReadLimit(cgroup, "memory.min");
}
absl::Status CgroupFiles::WriteMemoryMax(const std::string& cgroup, int64_t bytes) {
  return WriteText(cgroup, "memory.max", LimitText(bytes));
}
absl::Status CgroupFiles::WriteMemoryMin(const std::string& cgroup, int64_t bytes) {
  return WriteText(cgroup, "memory.min", LimitText(bytes));
}

absl::Status CgroupFiles::WriteMemorySwapMax(const std::string& cgroup, int64_t bytes) {
  const absl::Status status = WriteText(cgroup, "memory.swap.max", LimitText(bytes));
  // A kernel without swap has no such file, and then nothing is swapped.
  return absl::IsNotFound(status) && bytes == 0 ? absl::OkStatus() : status;
}

absl::Status CgroupFiles::WriteOomGroup(const std::string& cgroup, bool whole_group) {
  return WriteText(cgroup, "memory.oom.group", whole_group ? "1" : "0");
}

absl::Status CgroupFiles::ReclaimMemory(const std::string& cgroup, int64_t bytes) {
  return WriteText(cgroup, "memory.reclaim", absl::StrCat(bytes));
}

absl::StatusOr<uint64_t> CgroupFiles::ReadOomKills(const std::string& cgroup) const {
  NOM_ASSIGN_OR_RETURN(const auto kills, ReadKey(cgroup, "memory.events", "oom_kill"));
  return kills.value_or(0);
}

absl::StatusOr<std::map<std::string, std::string>> CgroupFiles::ReadDeviceLine(
    const std::string& cgroup, absl::string_view file, DiskNumber disk) const {
  NOM_ASSIGN_OR_RETURN(const std::string text, ReadText(cgroup, file));
  const std::string device = absl::StrCat(disk.major, ":", disk.minor);
  std::map<std::string, std::string> values;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (words.empty() || words[0] != device) continue;
    for (size_t i = 1; i < words.size(); ++i) {
      values.insert(absl::StrSplit(words[i], absl::MaxSplits('=', 1)));
    }
  }
  return values;
}

absl::StatusOr<IoMax> CgroupFiles::ReadIoMax(const std::string& cgroup, DiskNumber disk) const {
  NOM_ASSIGN_OR_RETURN(const auto values, ReadDeviceLine(cgroup, "io.max", disk));
  IoMax max;
  if (values.empty()) return max;
  for (const auto& [key, value] :
       {std::pair("rbps", &max.read_bytes), std::pair("wbps", &max.write_bytes),
        std::pair("riops", &max.reads), std::pair("wiops", &max.writes)}) {
    const auto it = values.find(key);
    if (it == values.end() || !ParseLimit(it->second, value)) {
      return BadText(PathOf(cgroup, "io.max"), absl::StrCat("no ", key));
    }
  }
  return max;
}

absl::Status CgroupFiles::WriteIoMax(const std::string& cgroup, DiskNumber disk, const IoMax& max) {
  return WriteText(cgroup, "io.max",
                   absl::StrCat(disk.major, ":", disk.minor, " rbps=", LimitText(max.read_bytes),
                                " wbps=", LimitText(max.write_bytes),
                                " riops=", LimitText(max.reads), " wiops=", LimitText(max.writes)));
}

absl::StatusOr<IoStat> CgroupFiles::ReadIoStat(const std::string& cgroup, DiskNumber disk) const {
  NOM_ASSIGN_OR_RETURN(const auto values, ReadDeviceLine(cgroup, "io.stat", disk));
  IoStat stat;
  if (values.empty()) return stat;
  for (const auto& [key, value] :
       {std::pair("rbytes", &stat.read_bytes), std::pair("wbytes", &stat.written_bytes),
        std::pair("rios", &stat.reads), std::pair("wios", &stat.writes)}) {
    const auto it = values.find(key);
    if (it == values.end() || !absl::SimpleAtoi(it->second, value)) {
      return BadText(PathOf(cgroup, "io.stat"), absl::StrCat("no ", key));
    }
  }
  return stat;
}

absl::Status CgroupFiles::WriteProcessesMax(const std::string& cgroup, int64_t count) {
  return WriteText(cgroup, "pids.max", LimitText(count));
}

absl::StatusOr<bool> CgroupFiles::Populated(const std::string& cgroup) const {
  NOM_ASSIGN_OR_RETURN(const auto populated, ReadKey(cgroup, "cgroup.events", "populated"));
  if (!populated) return BadText(PathOf(cgroup, "cgroup.events"), "no populated");
  return *populated != 0;
}

absl::StatusOr<std::vector<int64_t>> CgroupFiles::Processes(const std::string& cgroup) const {
  NOM_ASSIGN_OR_RETURN(const std::string text, ReadText(cgroup, "cgroup.procs"));
  std::vector<int64_t> pids;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    int64_t pid = 0;
    if (!absl::SimpleAtoi(line, &pid)) return BadText(PathOf(cgroup, "cgroup.procs"), line);
    pids.push_back(pid);
  }
  return pids;
}

absl::Status CgroupFiles::Kill(const std::string& cgroup) {
  return WriteText(cgroup, "cgroup.kill", "1");
}

absl::Status CgroupFiles::Make(const std::string& cgroup) {
  const std::string path = PathOf(cgroup, "");
  return mkdir(path.c_str(), 0755) == 0 ? absl::OkStatus() : CgroupError(errno, path);
}

absl::Status CgroupFiles::Remove(const std::string& cgroup) {
  const std::string path = PathOf(cgroup, "");
  return rmdir(path.c_str()) == 0 ? absl::OkStatus() : CgroupError(errno, path);
}

absl::StatusOr<std::vector<std::string>> CgroupFiles::Children(const std::string& cgroup) const {
  const std::string path = PathOf(cgroup, "");
  DIR* const directory = opendir(path.c_str());
  if (directory == nullptr) return CgroupError(errno, path);
  std::vector<std::string> names;
  while (const dirent* entry = readdir(directory)) {
    const absl::string_view name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") names.emplace_back(name);
  }
  closedir(directory);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace nom::market
