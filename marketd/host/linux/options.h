// SPDX-License-Identifier: Apache-2.0
// What the operator says of a Linux host: filled from the config, given to NewLinuxHost().

#ifndef MARKETD_HOST_LINUX_OPTIONS_H_
#define MARKETD_HOST_LINUX_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "marketd/host/linux/disk.h"
#include "marketd/host/linux/network.h"
#include "marketd/host/linux/recipe.h"

namespace nom::market {

struct LinuxHostOptions {
  std::string cgroup_root;      // Such as /sys/fs/cgroup/nom.slice/nom-holder.service/guests.
  std::string run_directory;    // Such as /run/nom/linux; on a file system that a boot empties.
  std::string launcher_socket;  // Such as /run/nom-launcher/socket.
  std::string proc = "/proc";
  std::string sys = "/sys";
  std::vector<Recipe> recipes;
  // Never sold: the kernel, marketd and whatever else runs here live from it. Below 0: 50
  // millicores of each processor, an eighth of the memory. Of a processor sold to the last
  // millicore the kernel takes its own share from whoever paid for it.
  int64_t cpu_unsold_millicores = -1;
  int64_t memory_unsold_bytes = -1;
  DiskOptions disk;
  NetworkOptions network;
  absl::Duration shrink_timeout = absl::Seconds(8);
};

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_OPTIONS_H_
