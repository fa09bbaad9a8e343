// SPDX-License-Identifier: Apache-2.0
// The launcher: listens for marketd, starts guests by recipe, says how they ended.

#ifndef MARKETD_HOST_LINUX_LAUNCHER_SERVER_H_
#define MARKETD_HOST_LINUX_LAUNCHER_SERVER_H_

#include <sys/types.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "marketd/host/linux/adopted_units.h"
#include "marketd/host/linux/launch.h"
#include "marketd/host/linux/netlink.h"
#include "marketd/host/linux/options.h"
#include "marketd/host/linux/systemd_units.h"
#include "marketd/host/linux/traffic.h"

namespace nom::market {

// One thread, and the only one of its process: it forks.
class LauncherServer {
 public:
  // How many ends of guests are remembered for a marketd that asks for them later.
  static constexpr size_t kEndsMax = 1024;

  // Listens at options.launcher_socket, which only `marketd_uid` and its group may connect to, and
  // answers that user only. `units` is where units are adopted: the system's own by default. Takes
  // SIGCHLD, SIGTERM and SIGINT of the process for itself. Errors:
  // FAILED_PRECONDITION naming the socket.
  static absl::StatusOr<std::unique_ptr<LauncherServer>> Listen(
      LinuxHostOptions options, uid_t marketd_uid, gid_t marketd_gid,
      std::function<void(const std::string&)> log, std::unique_ptr<SystemdUnits> units = nullptr);
  ~LauncherServer();
  LauncherServer(const LauncherServer&) = delete;
  LauncherServer& operator=(const LauncherServer&) = delete;

  // Until SIGTERM or SIGINT; returns its number. Guests go on: they are not this process's to end.
  int Run();

 private:
  LauncherServer(LinuxHostOptions options, uid_t marketd_uid,
                 std::function<void(const std::string&)> log, std::unique_ptr<SystemdUnits> units)
      : options_(std::move(options)),
        units_(std::move(units)),
        adopted_(*units_, options_.sys + "/fs/cgroup"),
        marketd_uid_(marketd_uid),
        log_(std::move(log)) {}

  void Accept();
  // False if the caller is to be hung up on.
  bool Answer();
  void Start(const LaunchStart& start);
  void SetRate(const LaunchRate& rate);
  // What is asked of a unit: `does` it, if the recipe names one, and answers.
  void OfUnit(GuestId guest_id, const std::string& recipe, absl::string_view what,
              const std::function<absl::StatusOr<LaunchReply>(const Recipe&)>& does);
  void Reap();
  bool Send(const LaunchReply& reply);
  void HangUp();

  const LinuxHostOptions options_;
  const std::unique_ptr<SystemdUnits> units_;
  AdoptedUnits adopted_;
  // Where network is sold.
  std::unique_ptr<Netlink> netlink_;
  std::optional<Traffic> traffic_;
  const uid_t marketd_uid_;
  const std::function<void(const std::string&)> log_;
  int listener_ = -1;
  int signals_ = -1;
  int caller_ = -1;  // The one marketd, the latest to come.
  std::map<pid_t, GuestId> running_;
  std::deque<LaunchEnded> ends_;  // The latest.
};

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_LAUNCHER_SERVER_H_
