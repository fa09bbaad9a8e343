// SPDX-License-Identifier: Apache-2.0
// The files of a cgroup v2 tree below one folder, read and written by type.
//
// Knows the kernel's texts (Documentation/admin-guide/cgroup-v2.rst) and nothing of the market. The
// raw layer at the end is virtual so that a test can put an ordinary folder in the kernel's place
// and make any access fail; everything above it is the same code.

#ifndef MARKETD_HOST_LINUX_CGROUP_FILES_H_
#define MARKETD_HOST_LINUX_CGROUP_FILES_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace nom::market {

// The largest value of a limit; the kernel writes and reads it as "max".
inline constexpr int64_t kCgroupMax = INT64_MAX;

// cpu.max: at most `quota_us` of processor time in each period of `period_us`.
struct CpuMax {
  int64_t quota_us = kCgroupMax;
  int64_t period_us = 100'000;
  friend bool operator==(const CpuMax&, const CpuMax&) = default;
};

// The lines of cpu.stat that are read, all counted up since the cgroup was made.
struct CpuStat {
  uint64_t usage_us = 0;
  uint64_t throttled_us = 0;
};

// A block device, as io.max and io.stat name it.
struct DiskNumber {
  uint32_t major = 0;
  uint32_t minor = 0;
  friend bool operator==(const DiskNumber&, const DiskNumber&) = default;
};

// One device's line of io.max, each a second.
struct IoMax {
  int64_t read_bytes = kCgroupMax;
  int64_t write_bytes = kCgroupMax;
  int64_t reads = kCgroupMax;
  int64_t writes = kCgroupMax;
  friend bool operator==(const IoMax&, const IoMax&) = default;
};

// One device's line of io.stat, counted up since the cgroup was made. Buffered writes are counted
// for the cgroup that dirtied the page, when they are written back.
struct IoStat {
  uint64_t read_bytes = 0;
  uint64_t written_bytes = 0;
  uint64_t reads = 0;
  uint64_t writes = 0;
  friend bool operator==(const IoStat&, const IoStat&) = default;
};

// Errors of every call: NOT_FOUND (ENOENT, or ENODEV: the cgroup was removed while the file was
// open), PERMISSION_DENIED (EACCES, EPERM), RESOURCE_EXHAUSTED (EAGAIN: the kernel could not take
// that much), FAILED_PRECONDITION (EBUSY, and ENOTEMPTY), INVALID_ARGUMENT (EINVAL, ENODEV on a
// write of io.max), DATA_LOSS (a text that the kernel would not write), UNAVAILABLE (others). Each
// names the file and what was written. Thread-safe.
class CgroupFiles {
 public:
  // `root` is absolute and need not be there yet. Cgroups are named by their path below it; "" is
  // the root itself.
  explicit CgroupFiles(std::string root) : root_(std::move(root)) {}
  virtual ~CgroupFiles() = default;
  CgroupFiles(const CgroupFiles&) = delete;
  CgroupFiles& operator=(const CgroupFiles&) = delete;

  const std::string& root() const { return root_; }

  // OK if the root lies on a cgroup v2 file system. Otherwise NOT_FOUND or FAILED_PRECONDITION with
  // one sentence for the operator.
  virtual absl::Status CheckVersion() const;

  // cgroup.controllers: what the parent lets this cgroup use; cgroup.subtree_control: what this one
  // lets its children use.
  absl::StatusOr<std::set<std::string>> Controllers(const std::string& cgroup) const;
  absl::StatusOr<std::set<std::string>> SubtreeControl(const std::string& cgroup) const;
  absl::Status EnableControllers(const std::string& cgroup, const std::vector<std::string>& names);

  absl::StatusOr<CpuMax> ReadCpuMax(const std::string& cgroup) const;
  absl::Status WriteCpuMax(const std::string& cgroup, const CpuMax& max);
  absl::Status WriteCpuBurst(const std::string& cgroup, int64_t burst_us);
  absl::Status WriteCpuIdle(const std::string& cgroup, bool idle);
  absl::StatusOr<CpuStat> ReadCpuStat(const std::string& cgroup) const;

  // memory.current counts page cache, tmpfs and the kernel's own memory for the group as well.
  absl::StatusOr<int64_t> ReadMemoryCurrent(const std::string& cgroup) const;
  absl::StatusOr<int64_t> ReadMemoryMax(const std::string& cgroup) const;
  absl::StatusOr<int64_t> ReadMemoryMin(const std::string& cgroup) const;
  // Below what is in use this returns only when the kernel has taken the rest, or killed: seconds.
  absl::Status WriteMemoryMax(const std::string& cgroup, int64_t bytes);
  absl::Status WriteMemoryMin(const std::string& cgroup, int64_t bytes);
  absl::Status WriteMemorySwapMax(const std::string& cgroup, int64_t bytes);
  // What dies when the kernel must kill: all of the group as one (true) or its largest process.
  absl::Status WriteOomGroup(const std::string& cgroup, bool whole_group);
  // RESOURCE_EXHAUSTED: the kernel gave up before it had that much. What it took is seen in
  // memory.current. May take seconds.
  absl::Status ReclaimMemory(const std::string& cgroup, int64_t bytes);
  // oom_kill of memory.events: processes that were killed. (`oom` repeats while one is dying.)
  absl::StatusOr<uint64_t> ReadOomKills(const std::string& cgroup) const;

  // A device that has no line has no limit, or has done nothing yet.
  absl::StatusOr<IoMax> ReadIoMax(const std::string& cgroup, DiskNumber disk) const;
  absl::Status WriteIoMax(const std::string& cgroup, DiskNumber disk, const IoMax& max);
  absl::StatusOr<IoStat> ReadIoStat(const std::string& cgroup, DiskNumber disk) const;

  absl::Status WriteProcessesMax(const std::string& cgroup, int64_t count);

  // Whether any process lives in the cgroup or below it.
  absl::StatusOr<bool> Populated(const std::string& cgroup) const;
  absl::StatusOr<std::vector<int64_t>> Processes(const std::string& cgroup) const;
  // Kills every process of the cgroup at once, those that are being forked included.
  absl::Status Kill(const std::string& cgroup);

  // ALREADY_EXISTS if it is there.
  virtual absl::Status Make(const std::string& cgroup);
  // Only an empty one can be removed (FAILED_PRECONDITION).
  virtual absl::Status Remove(const std::string& cgroup);
  // Names of the cgroups directly below, sorted.
  absl::StatusOr<std::vector<std::string>> Children(const std::string& cgroup) const;

 protected:
  // One whole file. A cgroup's file is never larger than kFileBytesMax here.
  virtual absl::StatusOr<std::string> ReadText(const std::string& cgroup,
                                               absl::string_view file) const;
  // One write(2), which the kernel takes or refuses as a whole.
  virtual absl::Status WriteText(const std::string& cgroup, absl::string_view file,
                                 absl::string_view text);
  std::string PathOf(const std::string& cgroup, absl::string_view file) const;

 private:
  friend class AdoptedFiles;  // Passes on, to one tree or the other.
  absl::StatusOr<int64_t> ReadLimit(const std::string& cgroup, absl::string_view file) const;
  absl::StatusOr<std::optional<uint64_t>> ReadKey(const std::string& cgroup, absl::string_view file,
                                                  absl::string_view key) const;
  // The words behind "MAJOR:MINOR" in a file with a line a device, by key; empty if it has none.
  absl::StatusOr<std::map<std::string, std::string>> ReadDeviceLine(const std::string& cgroup,
                                                                    absl::string_view file,
                                                                    DiskNumber disk) const;

  const std::string root_;
};

// What errno means of a cgroup's file, as a Status with `what` in front.
absl::Status CgroupError(int error, absl::string_view what);

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_CGROUP_FILES_H_
