// SPDX-License-Identifier: Apache-2.0
// What a host's record says against what the tree of cgroups holds, when a marketd begins.

#ifndef MARKETD_HOST_LINUX_FIND_GUESTS_H_
#define MARKETD_HOST_LINUX_FIND_GUESTS_H_

#include <functional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "marketd/host/linux/cgroup_files.h"
#include "marketd/host/linux/guest_cgroup.h"
#include "marketd/host/linux/guest_ends.h"
#include "marketd/host/linux/state_file.h"

namespace nom::market {

// Makes the record agree with the tree:
//   being created when the last marketd ended     removed: nobody was told that it runs
//   lives, and is not in the record               joins it, with the limits that it has
//   in the record as running, and empty or gone   has ended, with what is known of how
//   runs                                          holds what the kernel says, unless a change was
//                                                 being put in force, which is then done to its end
absl::Status FindGuests(CgroupFiles& files, const EnforcedBy& by,
                        const std::function<void(absl::Duration)>& nap, GuestEnds& ends,
                        HostRecord& record);

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_FIND_GUESTS_H_
