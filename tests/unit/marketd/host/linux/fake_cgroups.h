// SPDX-License-Identifier: Apache-2.0
// A folder that behaves as the kernel's cgroup v2 does, as far as a Linux host can see: for tests.
//
// All state is in files, so that a process that dies in the middle leaves what a kernel would have
// left. Any access can be made to fail, and every write is recorded.

#ifndef TESTS_UNIT_MARKETD_HOST_LINUX_FAKE_CGROUPS_H_
#define TESTS_UNIT_MARKETD_HOST_LINUX_FAKE_CGROUPS_H_

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "marketd/host/linux/cgroup_files.h"
#include "marketd/host/linux/launch.h"
#include "marketd/host/linux/linux_host.h"

namespace nom::market {

// A folder that is gone at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "nom-linux-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline void PutFile(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::trunc) << text;
}
inline std::string GetFile(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class FakeCgroups final : public CgroupFiles {
 public:
  explicit FakeCgroups(const std::string& root) : CgroupFiles(root) {
    if (!std::filesystem::exists(root)) {
      std::filesystem::create_directories(root);
      Put("", "cgroup.controllers", "cpuset cpu io memory pids");
      Put("", "cgroup.subtree_control", "");
      Put("", "cgroup.procs", "");
      Put("", "memory.min", "0");
    }
  }

  absl::Status CheckVersion() const override { return version; }

  absl::Status Make(const std::string& cgroup) override {
    std::lock_guard lock(mutex_);
    if (const absl::Status s = MayFail(cgroup, "mkdir"); !s.ok()) return s;
    if (absl::Status s = CgroupFiles::Make(cgroup); !s.ok()) return s;
    for (const auto& [file, text] : std::map<std::string, std::string>{
             {"cpu.max", "max 100000\n"},
             {"cpu.max.burst", "0\n"},
             {"cpu.idle", "0\n"},
             {"cpu.stat", "usage_usec 0\nuser_usec 0\nsystem_usec 0\nthrottled_usec 0\n"},
             {"memory.current", "0\n"},
             {"memory.max", "max\n"},
             {"memory.min", "0\n"},
             {"memory.swap.max", "max\n"},
             {"memory.oom.group", "0\n"},
             {"memory.reclaim", ""},
             {"memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n"},
             {"io.max", ""},
             {"io.stat", ""},
             {"pids.max", "max\n"},
             {"cgroup.events", "populated 0\nfrozen 0\n"},
             {"cgroup.procs", ""},
             {"cgroup.kill", ""},
             {"fake.cache", "0"}}) {
      Put(cgroup, file, text);
    }
    return absl::OkStatus();
  }

  absl::Status Remove(const std::string& cgroup) override {
    std::lock_guard lock(mutex_);
    if (const absl::Status s = MayFail(cgroup, "rmdir"); !s.ok()) return s;
    if (Lives(cgroup)) return CgroupError(EBUSY, cgroup);
    std::filesystem::remove_all(PathOf(cgroup, ""));
    return absl::OkStatus();
  }

  // --- What a guest does. ---

  void SetPopulated(const std::string& cgroup, bool populated) {
    Put(cgroup, "cgroup.events", absl::StrCat("populated ", populated ? 1 : 0, "\nfrozen 0\n"));
  }
  // `cache_bytes` of them are easily reclaimed.
  void SetMemory(const std::string& cgroup, int64_t bytes, int64_t cache_bytes) {
    Put(cgroup, "memory.current", absl::StrCat(bytes));
    Put(cgroup, "fake.cache", absl::StrCat(cache_bytes));
  }
  void SetUsage(const std::string& cgroup, uint64_t us) {
    Put(cgroup, "cpu.stat", absl::StrCat("usage_usec ", us, "\nthrottled_usec 0\n"));
  }

  // --- What a test looks at, and injects. ---

  std::string Get(const std::string& cgroup, const std::string& file) const {
    return std::string(absl::StripAsciiWhitespace(GetFile(PathOf(cgroup, file))));
  }
  bool Has(const std::string& cgroup) const { return std::filesystem::exists(PathOf(cgroup, "")); }
  // As the kernel takes it from whoever may.
  absl::Status Write(const std::string& cgroup, const std::string& file, const std::string& text) {
    return WriteText(cgroup, file, text);
  }
  // "guest-1/memory.max=1048576", in the order of being written.
  std::vector<std::string> writes() const {
    std::lock_guard lock(mutex_);
    return writes_;
  }
  void ForgetWrites() {
    std::lock_guard lock(mutex_);
    writes_.clear();
  }
  // The next `times` accesses of the file fail with `error`. "mkdir" and "rmdir" are files here.
  void Fail(const std::string& cgroup, const std::string& file, int error, int times = 1 << 30) {
    faults_[{cgroup, file}] = {error, times};
  }
  void Heal() { faults_.clear(); }
  // The process ends at once before this many more writes, as by kill -9.
  void DieAfterWrites(int writes) { writes_left_ = writes; }

  absl::Status version = absl::OkStatus();
  // Called before each write, any thread.
  std::function<void(const std::string&)> on_write;

 protected:
  absl::StatusOr<std::string> ReadText(const std::string& cgroup,
                                       absl::string_view file) const override {
    std::lock_guard lock(mutex_);
    if (const absl::Status s = MayFail(cgroup, file); !s.ok()) return s;
    return CgroupFiles::ReadText(cgroup, file);
  }

  absl::Status WriteText(const std::string& cgroup, absl::string_view file,
                         absl::string_view text) override {
    const std::string what = absl::StrCat(cgroup, "/", file, "=", text);
    if (on_write) on_write(what);
    std::lock_guard lock(mutex_);
    if (writes_left_ >= 0 && writes_left_-- == 0) _exit(0);
    writes_.push_back(what);
    if (const absl::Status s = MayFail(cgroup, file); !s.ok()) return s;
    return Kernel(cgroup, file, text);
  }

 private:
  absl::Status MayFail(const std::string& cgroup, absl::string_view file) const {
    const auto it = faults_.find({cgroup, std::string(file)});
    if (it == faults_.end() || it->second.second == 0) return absl::OkStatus();
    --it->second.second;
    return CgroupError(it->second.first, PathOf(cgroup, file));
  }

  absl::Status Kernel(const std::string& cgroup, absl::string_view file, absl::string_view text) {
    const auto refused = [&](int error) {
      return CgroupError(error, absl::StrCat(PathOf(cgroup, file), ": writing \"", text, "\""));
    };
    if (file == "cgroup.subtree_control") {
      std::string all = Get("", "cgroup.subtree_control");
      for (absl::string_view word : absl::StrSplit(text, ' ')) {
        absl::StrAppend(&all, all.empty() ? "" : " ", word.substr(1));
      }
      text = all;
      return CgroupFiles::WriteText(cgroup, file, all);
    }
    if (file == "cpu.max") {
      const std::vector<absl::string_view> words = absl::StrSplit(text, ' ');
      int64_t quota = 0;
      if (words[0] != "max" && (!absl::SimpleAtoi(words[0], &quota) || quota < 1000)) {
        return refused(EINVAL);
      }
      if (words[0] != "max" && Number(cgroup, "cpu.max.burst") > quota) return refused(EINVAL);
    }
    if (file == "cpu.max.burst") {
      const std::string max = Get(cgroup, "cpu.max");
      int64_t quota = 0;
      int64_t burst = 0;
      if (!absl::SimpleAtoi(text, &burst) ||
          (absl::SimpleAtoi(max.substr(0, max.find(' ')), &quota) && burst > quota)) {
        return refused(EINVAL);
      }
    }
    if (file == "cgroup.kill") {
      Kill(cgroup);
      return absl::OkStatus();
    }
    if (file == "memory.reclaim") {
      int64_t bytes = 0;
      if (!absl::SimpleAtoi(text, &bytes)) return refused(EINVAL);
      return Reclaim(cgroup, bytes) ? absl::OkStatus() : refused(EAGAIN);
    }
    if (file == "memory.max") {
      int64_t max = 0;
      const int64_t current = Number(cgroup, "memory.current");
      if (absl::SimpleAtoi(text, &max) && current > max && !Reclaim(cgroup, current - max) &&
          Number(cgroup, "fake.swap") == 0) {
        Put(cgroup, "memory.events", "oom 3\noom_kill 1\n");
        Kill(cgroup);
      }
    }
    return CgroupFiles::WriteText(cgroup, file, text);
  }

  void Kill(const std::string& cgroup) {
    if (!Lives(cgroup)) return;
    Put(cgroup, "cgroup.events", "populated 0\nfrozen 0\n");
    Put(cgroup, "memory.current", absl::StrCat(Number(cgroup, "fake.cache")));
  }

  bool Reclaim(const std::string& cgroup, int64_t bytes) {
    const int64_t cache = Number(cgroup, "fake.cache");
    const int64_t taken = std::min(cache, bytes);
    Put(cgroup, "fake.cache", absl::StrCat(cache - taken));
    Put(cgroup, "memory.current", absl::StrCat(Number(cgroup, "memory.current") - taken));
    return taken == bytes;
  }

  bool Lives(const std::string& cgroup) const {
    return absl::StrContains(Get(cgroup, "cgroup.events"), "populated 1");
  }
  int64_t Number(const std::string& cgroup, const std::string& file) const {
    int64_t value = 0;
    return absl::SimpleAtoi(Get(cgroup, file), &value) ? value : 0;
  }
  // Whole at once: a reader of another thread sees the old or the new.
  void Put(const std::string& cgroup, const std::string& file, const std::string& text) const {
    const std::string path = PathOf(cgroup, file);
    std::ofstream(path + ".new", std::ios::trunc) << text;
    std::filesystem::rename(path + ".new", path);
  }

  mutable std::mutex mutex_;
  std::vector<std::string> writes_;
  mutable std::map<std::pair<std::string, std::string>, std::pair<int, int>> faults_;
  int writes_left_ = -1;
};

// Starts guests by saying so in the fake tree, and adopts units that a test has put into another.
class FakeLauncher final : public Launcher {
 public:
  explicit FakeLauncher(FakeCgroups& cgroups) : cgroups_(cgroups) {}

  absl::Status Start(const LaunchStart& start) override {
    started.push_back(start);
    if (!refuse.ok()) return refuse;
    cgroups_.SetPopulated(GuestFolder(start.guest_id), true);
    cgroups_.SetMemory(GuestFolder(start.guest_id), 1 << 20, 0);
    return absl::OkStatus();
  }
  absl::Status SetRate(const LaunchRate& rate) override {
    rates.push_back(absl::StrCat(rate.guest_id, "=", rate.network_mbits));
    return rate.guest_id == refuse_rate_of ? absl::FailedPreconditionError("no such rate")
                                           : absl::OkStatus();
  }
  absl::StatusOr<LaunchAdopted> Adopt(const LaunchAdopt& adopt) override {
    const auto unit = units.find(adopt.recipe);
    if (unit == units.end()) return absl::FailedPreconditionError("unit: not loaded");
    LaunchAdopted out = unit->second;
    out.guest_id = adopt.guest_id;
    return out;
  }
  absl::Status Control(const LaunchControl& control) override {
    if (dies_by == control.file) _exit(0);
    controls.push_back(absl::StrCat(control.guest_id, "/", control.file, "=", control.value));
    if (refuse_control == control.file) return absl::FailedPreconditionError("systemd says no");
    const std::string value = control.value == kCgroupMax ? "max" : absl::StrCat(control.value);
    const std::string text = control.file == "cpu.max" ? value + " 100000" : value;
    const auto write = [this, cgroup = units.at(control.recipe).cgroup, file = control.file, text] {
      machine->Write(cgroup, file, text).IgnoreError();  // Whoever asked looks at the file.
    };
    const bool blocks = control.file == "memory.max" || control.file == "memory.reclaim";
    if (late && blocks) {
      begun.push_back(write);
    } else {
      write();
    }
    return absl::OkStatus();
  }
  absl::Status Release(const LaunchRelease& release) override {
    released.push_back(release);
    return absl::OkStatus();
  }
  std::vector<LaunchEnded> TakeEnded() override { return std::exchange(ended, {}); }

  FakeCgroups* machine = nullptr;              // Where units live.
  std::map<std::string, LaunchAdopted> units;  // By recipe.
  std::vector<std::string> controls;           // "ID/FILE=VALUE"
  std::vector<LaunchRelease> released;
  bool late = false;  // What may block is only begun, and done when the test does it.
  std::vector<std::function<void()>> begun;
  std::string refuse_control;  // A file.
  std::string dies_by;         // A file: the process ends when it is to be written.

  absl::Status refuse = absl::OkStatus();
  std::vector<LaunchStart> started;
  std::vector<std::string> rates;  // "ID=MBITS", in the order of being set.
  GuestId refuse_rate_of = 0;
  std::vector<LaunchEnded> ended;

 private:
  FakeCgroups& cgroups_;
};

}  // namespace nom::market

#endif  // TESTS_UNIT_MARKETD_HOST_LINUX_FAKE_CGROUPS_H_
