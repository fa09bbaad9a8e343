// SPDX-License-Identifier: Apache-2.0
// The guests' cgroups as one tree, whoever owns them: those that marketd made and may write, and
// those of units of systemd that were adopted, which it reads where they are and has written by the
// launcher.

#ifndef MARKETD_HOST_LINUX_ADOPTED_FILES_H_
#define MARKETD_HOST_LINUX_ADOPTED_FILES_H_

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "marketd/host/linux/cgroup_files.h"
#include "marketd/host/linux/launch.h"
#include "marketd/market/types.h"

namespace nom::market {

// Thread-safe, as what it is made of: of the launcher's calls those about units alone.
class AdoptedFiles final : public CgroupFiles {
 public:
  struct Unit {
    GuestId guest_id = 0;
    std::string recipe;
    std::string cgroup;  // Below the mount of cgroup v2.
  };

  // `own` is marketd's tree and `all` that of the machine, from the mount on; both and the launcher
  // outlive it. `nap` waits between two looks at what the launcher does.
  AdoptedFiles(CgroupFiles& own, CgroupFiles& all, Launcher& launcher,
               std::function<void(absl::Duration)> nap)
      : CgroupFiles(own.root()), own_(own), all_(all), launcher_(launcher), nap_(std::move(nap)) {}

  // From now on, and until Forget, `cgroup` names the unit's.
  void Adopt(const std::string& cgroup, Unit unit);
  void Forget(const std::string& cgroup);

  absl::StatusOr<LaunchAdopted> Find(const LaunchAdopt& adopt);
  absl::Status Release(const LaunchRelease& release);

  absl::Status CheckVersion() const override { return own_.CheckVersion(); }
  absl::Status Make(const std::string& cgroup) override { return own_.Make(cgroup); }
  absl::Status Remove(const std::string& cgroup) override { return own_.Remove(cgroup); }

 protected:
  absl::StatusOr<std::string> ReadText(const std::string& cgroup,
                                       absl::string_view file) const override;
  absl::Status WriteText(const std::string& cgroup, absl::string_view file,
                         absl::string_view text) override;

 private:
  std::optional<Unit> UnitOf(const std::string& cgroup) const;
  absl::Status Control(const Unit& unit, absl::string_view file, int64_t value);
  // What the launcher only began: until the kernel has done it, or does no more.
  absl::Status AwaitMax(const std::string& cgroup, int64_t bytes);
  absl::Status AwaitReclaim(const std::string& cgroup, int64_t before, int64_t bytes);

  CgroupFiles& own_;
  CgroupFiles& all_;
  Launcher& launcher_;
  const std::function<void(absl::Duration)> nap_;
  std::mutex asking_;  // One question to the launcher at a time.
  mutable std::mutex mutex_;
  std::map<std::string, Unit> units_;  // Guarded by mutex_.
};

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_ADOPTED_FILES_H_
