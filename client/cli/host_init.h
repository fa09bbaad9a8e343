// SPDX-License-Identifier: Apache-2.0
// What an ordinary Linux machine could sell, and the configuration of a market on it. Reads files
// below a folder, which a test puts in the place of "/"; changes nothing.

#ifndef CLIENT_CLI_HOST_INIT_H_
#define CLIENT_CLI_HOST_INIT_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace nom::cli {

struct MachineSight {
  enum class Cgroups : uint8_t { kNone, kV1, kHybrid, kV2 };
  Cgroups cgroups = Cgroups::kNone;
  std::set<std::string> controllers;  // Of the root, v2.
  bool systemd = false;
  bool resctrl = false;  // The file system for cache ways is mounted.
  int64_t processors = 0;
  int64_t memory_bytes = 0;
  int64_t swap_bytes = 0;
};

// `root` is "" for this machine. What cannot be read is taken for not there.
MachineSight LookAtMachine(const std::string& root);

// One resource, or one thing that selling needs.
struct SaleRow {
  std::string what;
  bool good = false;
  std::string amount;  // What there is of it.
  std::string remark;  // How it is enforced; or what is missing, and how to get it.
};
std::vector<SaleRow> SaleRows(const MachineSight& machine);

// Whether a market can be run on it: cpu and memory can both be enforced.
bool CanSell(const MachineSight& machine);

// marketd's configuration for this machine as host `host_id`, with one recipe to begin with.
std::string HostConfigText(const MachineSight& machine, const std::string& host_id);

}  // namespace nom::cli

#endif  // CLIENT_CLI_HOST_INIT_H_
