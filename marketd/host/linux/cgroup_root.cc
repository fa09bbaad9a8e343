// SPDX-License-Identifier: Apache-2.0
// Whether a tree of cgroups can be driven, and what to do if not.

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "marketd/base/status.h"
#include "marketd/host/linux/linux_host.h"

namespace nom::market {
namespace {

std::string HowToTurnOn(const std::string& controller, const std::string& root) {
  const std::string parent = root.substr(0, root.rfind('/'));
  std::string how = absl::StrCat("as root: echo +", controller, " > ", parent,
                                 "/cgroup.subtree_control, and so in every folder above it; in a "
                                 "unit: Delegate=cpu memory pids io");
  if (controller == "memory") {
    absl::StrAppend(&how, " (a kernel that lacks it altogether boots with cgroup_enable=memory)");
  }
  return how;
}

}  // namespace

absl::Status PrepareCgroupRoot(CgroupFiles& files, bool sells_disk) {
  std::vector<std::string> needed = {"cpu", "memory", "pids"};
  if (sells_disk) needed.emplace_back("io");
  NOM_RETURN_IF_ERROR(files.CheckVersion());
  const std::string where = absl::StrCat("cgroup_root ", files.root());
  NOM_ASSIGN_OR_RETURN(const std::set<std::string> has, files.Controllers(""));
  for (const std::string& name : needed) {
    if (has.contains(name)) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        where, ": has no ", name, " controller; turn it on: ", HowToTurnOn(name, files.root())));
  }
  NOM_ASSIGN_OR_RETURN(const std::set<std::string> gives, files.SubtreeControl(""));
  std::vector<std::string> missing;
  for (const std::string& name : needed) {
    if (!gives.contains(name)) missing.push_back(name);
  }
  if (missing.empty()) return absl::OkStatus();
  const absl::Status enabled = files.EnableControllers("", missing);
  if (enabled.ok()) return absl::OkStatus();
  if (absl::IsFailedPrecondition(enabled)) {  // EBUSY: the rule of no internal processes.
    const auto processes = files.Processes("");
    return absl::FailedPreconditionError(absl::StrCat(
        where, ": ", processes.ok() ? absl::StrCat(processes->size()) : "some",
        " processes live in it, so that it cannot have controllers for guests; move them to a "
        "folder beside it"));
  }
  if (absl::IsPermissionDenied(enabled)) {
    return absl::FailedPreconditionError(
        absl::StrCat(where, ": is not ours to write (", enabled.message(),
                     "); give it to marketd's user: Delegate=yes and User= of the holder unit"));
  }
  return absl::FailedPreconditionError(absl::StrCat(where, ": ", enabled.message()));
}

}  // namespace nom::market
