// SPDX-License-Identifier: Apache-2.0
// An ordinary Linux machine as a host: cgroup v2 enforces, the kernel meters, a launcher starts.
//
// Beside guests that the launcher starts there are units of systemd that run already and are
// adopted: their processes and cgroups stay where they are, their limits are set by way of systemd
// (adopted_units.h), and are what they were before when the guest is gone.
//
//   cgroup_root/            delegated to marketd; its memory.min is the sum of the seeds
//     guest-17/             memory.min = seed, memory.max = seed and award, cpu.max, io.max,
//     pids.max
//   run_directory/
//     state                 state_file.h
//     lock                  one marketd drives a machine
//     guest-17/board        board_file.h; all that a guest is shown
//
// Everything that is promised lies in files: a marketd that is killed changes nothing, and the next
// one goes on from there. A round that was being put in force when it died is put in force to its
// end by Attach(), so that Apply() is all or nothing whatever happens.
//
// Memory is taken back first and handed on then (shrink.h). Writes that may block for seconds are
// made by threads of their own, one for each guest that does not fit, so that guests shrink side by
// side; Apply() waits for them, at most `shrink_timeout` and then for those to die that are late.

#ifndef MARKETD_HOST_LINUX_LINUX_HOST_H_
#define MARKETD_HOST_LINUX_LINUX_HOST_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "marketd/host/linux/cgroup_files.h"
#include "marketd/host/linux/launch.h"
#include "marketd/host/linux/options.h"
#include "marketd/host/linux/run_directory.h"
#include "marketd/market/host.h"

namespace nom::market {

// What the host stands on; all outlive it.
struct LinuxHostParts {
  CgroupFiles* files = nullptr;      // Below the root that is delegated to marketd.
  CgroupFiles* all_files = nullptr;  // The machine's, from the mount on: units are adopted there.
  Launcher* launcher = nullptr;
  std::function<int64_t()> now_us;          // BootTimeUs, or a test's.
  std::function<void(absl::Duration)> nap;  // Between two looks at what is being waited for.
};

std::unique_ptr<Host> NewLinuxHost(LinuxHostOptions options);
std::unique_ptr<Host> NewLinuxHost(LinuxHostOptions options, LinuxHostParts parts);

// OK if marketd can drive the tree below `files`; otherwise FAILED_PRECONDITION or NOT_FOUND, in
// one sentence: which version or controller is missing and how to turn it on. Turns on for the
// guests what the root has.
absl::Status PrepareCgroupRoot(CgroupFiles& files, bool sells_disk = false);

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_LINUX_HOST_H_
