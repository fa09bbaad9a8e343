// SPDX-License-Identifier: Apache-2.0
// What marketd and the launcher say to each other: a fixed vocabulary over a Unix socket.
//
// The launcher has the few privileges that starting a guest takes; marketd has none. So marketd
// names a guest's id and a recipe, and nothing else that the launcher would obey: programs, users
// and folders stand in the operator's configuration, which the launcher reads itself. It takes
// requests from one user only (SO_PEERCRED). Each message is one packet (SOCK_SEQPACKET) of words:
//
//   marketd                          launcher
//   start ID RECIPE ARGUMENTS MBITS  started ID PID, or refused ID WHAT
//   rate ID MBITS                    rated ID, or refused ID WHAT
//   adopt ID RECIPE                  adopted ID CGROUP LIMITS, or refused ID WHAT
//   control ID RECIPE FILE VALUE     controlled ID, or refused ID WHAT
//   release ID RECIPE LIMITS         released ID, or refused ID WHAT
//   list                             listed, with what runs and what has ended: see LaunchListed
//                                    ended ID HOW   whenever a guest's first process ends
//
// Texts are in base64, so that every message is words between single blanks; LIMITS are four. The
// last three requests are of recipes that name a unit of systemd, which alone are obeyed.

#ifndef MARKETD_HOST_LINUX_LAUNCH_H_
#define MARKETD_HOST_LINUX_LAUNCH_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "marketd/host/linux/cgroup_files.h"
#include "marketd/market/types.h"

namespace nom::market {

inline constexpr size_t kLaunchMessageBytesMax = 8192;

struct LaunchStart {
  GuestId guest_id = 0;
  std::string recipe;
  std::string arguments;
  int64_t network_mbits = 0;  // For recipes that have a network of their own.
};
// Another rate for a guest's own network.
struct LaunchRate {
  GuestId guest_id = 0;
  int64_t network_mbits = 0;
};
struct LaunchList {};

// What a unit of systemd is limited to; kCgroupMax: not at all.
struct UnitLimits {
  int64_t cpu_us_per_s = kCgroupMax;
  int64_t memory_max_bytes = kCgroupMax;
  int64_t memory_min_bytes = 0;
  int64_t swap_max_bytes = kCgroupMax;
  friend bool operator==(const UnitLimits&, const UnitLimits&) = default;
};
// Finds a unit that runs, and changes nothing.
struct LaunchAdopt {
  GuestId guest_id = 0;
  std::string recipe;
};
// One write, named by the file of the unit's cgroup that it is about: cpu.max (microseconds of a
// period of 100 ms), memory.max, memory.min, memory.swap.max (bytes), memory.reclaim (bytes),
// cgroup.kill. Limits are said to systemd, so that they stay when it reads its units anew. What may
// block for seconds goes on behind: memory.max and memory.reclaim are answered when begun.
struct LaunchControl {
  GuestId guest_id = 0;
  std::string recipe;
  std::string file;
  int64_t value = 0;
};
// Gives a unit the limits that it had.
struct LaunchRelease {
  GuestId guest_id = 0;
  std::string recipe;
  UnitLimits limits;
};
using LaunchRequest =
    std::variant<LaunchStart, LaunchRate, LaunchList, LaunchAdopt, LaunchControl, LaunchRelease>;

struct LaunchStarted {
  GuestId guest_id = 0;
  int64_t pid = 0;
};
struct LaunchRated {
  GuestId guest_id = 0;
};
struct LaunchAdopted {
  GuestId guest_id = 0;
  std::string cgroup;  // Below the mount, without / in front: "system.slice/postgresql.service".
  UnitLimits limits;   // As they are.
};
struct LaunchControlled {
  GuestId guest_id = 0;
};
struct LaunchReleased {
  GuestId guest_id = 0;
};
struct LaunchRefused {
  GuestId guest_id = 0;
  std::string what;  // One sentence.
};
struct LaunchEnded {
  GuestId guest_id = 0;
  std::string how;  // "exit 3", "signal 9 (Killed)".
};
// How many guests run; an `ended` for each that has ended since it was last told goes before it.
struct LaunchListed {
  int64_t running = 0;
};
using LaunchReply = std::variant<LaunchStarted, LaunchRated, LaunchAdopted, LaunchControlled,
                                 LaunchReleased, LaunchRefused, LaunchEnded, LaunchListed>;

std::string LaunchText(const LaunchRequest& request);
std::string LaunchText(const LaunchReply& reply);
// Errors: INVALID_ARGUMENT.
absl::StatusOr<LaunchRequest> ParseLaunchRequest(absl::string_view text);
absl::StatusOr<LaunchReply> ParseLaunchReply(absl::string_view text);

// "exit 3" or "signal 9 (Killed)", of what waitpid(2) gave.
std::string ExitText(int wait_status);

// The launcher as the host sees it. Not thread-safe.
class Launcher {
 public:
  virtual ~Launcher() = default;
  // Starts the guest's first process in its cgroup, which is there. Errors: FAILED_PRECONDITION in
  // one sentence: no launcher answers, or why it refused.
  virtual absl::Status Start(const LaunchStart& start) = 0;
  // Changes the rate of a guest's own network at once, both ways. OK if it has none any more.
  // Errors as above.
  virtual absl::Status SetRate(const LaunchRate& rate) = 0;
  // Of units that are adopted. Errors as above.
  virtual absl::StatusOr<LaunchAdopted> Adopt(const LaunchAdopt& adopt) = 0;
  virtual absl::Status Control(const LaunchControl& control) = 0;
  virtual absl::Status Release(const LaunchRelease& release) = 0;
  // Guests whose first process ended since the last call; returns at once. A launcher that died
  // with its guests alive says nothing of them ever.
  virtual std::vector<LaunchEnded> TakeEnded() = 0;
};

// One behind the socket at `path`. Connects when it is needed, and anew when the launcher was
// restarted.
std::unique_ptr<Launcher> NewSocketLauncher(std::string path,
                                            absl::Duration timeout = absl::Seconds(5));

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_LAUNCH_H_
