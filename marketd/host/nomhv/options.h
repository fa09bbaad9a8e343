// SPDX-License-Identifier: Apache-2.0
// What the operator says of a machine that nomhv runs.

#ifndef MARKETD_HOST_NOMHV_OPTIONS_H_
#define MARKETD_HOST_NOMHV_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace nom::market {

// An image that is a PC (personality "pc" of nomhv/ABI.md): a kernel that starts by PVH, such as
// Debian's. Its files lie in the archives that the machine's loader brought, not at marketd.
struct PcImage {
  std::string name;          // What a guest's image says.
  std::string kernel;        // 1 to 31 bytes.
  std::string initramfs;     // Likewise; empty: none.
  std::string command_line;  // Goes before the guest's own arguments.
  int64_t processors = 1;    // 1 to 8. More millicores than they can use are not granted.
  friend bool operator==(const PcImage&, const PcImage&) = default;
};

// INVALID_ARGUMENT: "key: what" is wrong with it.
absl::Status CheckPcImage(const PcImage& pc);

struct NomhvHostOptions {
  std::string mailbox_path;     // The file behind the ivshmem device.
  std::string image_directory;  // Where guest images lie; names with a '/' are refused.
  std::string doorbell_socket;  // Where QEMU's ivshmem-doorbell connects; empty: both sides poll.
  std::vector<PcImage> pcs;     // Each name once; a file of the same name is not looked at.
  absl::Duration command_timeout = absl::Seconds(20);
};

}  // namespace nom::market

#endif  // MARKETD_HOST_NOMHV_OPTIONS_H_
