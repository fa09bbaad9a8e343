// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/linux/launcher_server.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"
#include "marketd/host/linux/start_guest.h"

namespace nom::market {

absl::StatusOr<std::unique_ptr<LauncherServer>> LauncherServer::Listen(
    LinuxHostOptions options, uid_t marketd_uid, gid_t marketd_gid,
    std::function<void(const std::string&)> log, std::unique_ptr<SystemdUnits> units) {
  if (units == nullptr) units = NewSystemdUnits();
  std::unique_ptr<LauncherServer> server(
      new LauncherServer(std::move(options), marketd_uid, std::move(log), std::move(units)));
  if (server->options_.network.prefix > 0) {
    NOM_ASSIGN_OR_RETURN(server->netlink_, OpenNetlink());
    server->traffic_.emplace(*server->netlink_, server->options_.network);
  }
  const std::string& path = server->options_.launcher_socket;
  const auto failed = [&path] {
    return absl::FailedPreconditionError(
        absl::StrCat("launcher_socket ", path, ": ", std::strerror(errno)));
  };
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::FailedPreconditionError(absl::StrCat("launcher_socket ", path, ": too long"));
  }
  std::memcpy(address.sun_path, path.data(), path.size());

  sigset_t taken;
  sigemptyset(&taken);
  for (const int signal_number : {SIGCHLD, SIGTERM, SIGINT}) sigaddset(&taken, signal_number);
  if (sigprocmask(SIG_BLOCK, &taken, nullptr) != 0) return failed();
  server->signals_ = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
  server->listener_ = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (server->signals_ < 0 || server->listener_ < 0) return failed();
  unlink(path.c_str());  // Of a launcher that died; a folder of ours alone holds it.
  if (bind(server->listener_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return failed();
  }
  // The check of who calls is in Accept(); this keeps others from even queueing up.
  const bool given = chmod(path.c_str(), 0660) == 0 &&
                     (geteuid() != 0 || chown(path.c_str(), 0, marketd_gid) == 0);
  if (!given || listen(server->listener_, 8) != 0) return failed();
  return server;
}

LauncherServer::~LauncherServer() {
  HangUp();
  if (listener_ >= 0) {
    close(listener_);
    unlink(options_.launcher_socket.c_str());
  }
  if (signals_ >= 0) close(signals_);
}

int LauncherServer::Run() {
  for (;;) {
    pollfd waits[] = {{.fd = signals_, .events = POLLIN, .revents = 0},
                      {.fd = listener_, .events = POLLIN, .revents = 0},
                      {.fd = caller_, .events = POLLIN, .revents = 0}};
    if (poll(waits, caller_ < 0 ? 2 : 3, -1) < 0 && errno != EINTR) return 0;
    signalfd_siginfo info{};
    while (read(signals_, &info, sizeof(info)) == sizeof(info)) {
      if (info.ssi_signo != SIGCHLD) return static_cast<int>(info.ssi_signo);
    }
    Reap();
    if (caller_ >= 0 && waits[2].revents != 0 && !Answer()) HangUp();
    if (waits[1].revents != 0) Accept();
  }
}

void LauncherServer::Accept() {
  const int caller = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (caller < 0) return;
  ucred who{};
  socklen_t size = sizeof(who);
  if (getsockopt(caller, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0 || who.uid != marketd_uid_) {
    log_(absl::StrCat("refused process ", who.pid, " of user ", who.uid, ": only user ",
                      marketd_uid_, " may ask for guests"));
    close(caller);
    return;
  }
  HangUp();  // A marketd that started again; the one before is dead or about to be.
  caller_ = caller;
}

bool LauncherServer::Answer() {
  char buffer[kLaunchMessageBytesMax];
  const ssize_t got = recv(caller_, buffer, sizeof(buffer), MSG_DONTWAIT | MSG_TRUNC);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (got <= 0) return false;
  if (static_cast<size_t>(got) > sizeof(buffer)) {
    log_(absl::StrCat("a message of ", got, " bytes: too long; hung up"));
    return false;
  }
  const absl::StatusOr<LaunchRequest> request =
      ParseLaunchRequest(absl::string_view(buffer, static_cast<size_t>(got)));
  if (!request.ok()) {
    log_(absl::StrCat(request.status().message(), "; hung up"));
    return false;
  }
  if (const auto* start = std::get_if<LaunchStart>(&*request)) {
    Start(*start);
    return true;
  }
  if (const auto* rate = std::get_if<LaunchRate>(&*request)) {
    SetRate(*rate);
    return true;
  }
  if (const auto* adopt = std::get_if<LaunchAdopt>(&*request)) {
    OfUnit(adopt->guest_id, adopt->recipe, "adopted",
           [&](const Recipe& recipe) -> absl::StatusOr<LaunchReply> {
             NOM_ASSIGN_OR_RETURN(LaunchAdopted adopted, adopted_.Adopt(*adopt, recipe));
             return LaunchReply(std::move(adopted));
           });
    return true;
  }
  if (const auto* control = std::get_if<LaunchControl>(&*request)) {
    OfUnit(control->guest_id, control->recipe, "",
           [&](const Recipe& recipe) -> absl::StatusOr<LaunchReply> {
             NOM_RETURN_IF_ERROR(adopted_.Control(*control, recipe));
             return LaunchReply(LaunchControlled{control->guest_id});
           });
    return true;
  }
  if (const auto* release = std::get_if<LaunchRelease>(&*request)) {
    OfUnit(release->guest_id, release->recipe, "released",
           [&](const Recipe& recipe) -> absl::StatusOr<LaunchReply> {
             NOM_RETURN_IF_ERROR(adopted_.Release(*release, recipe));
             return LaunchReply(LaunchReleased{release->guest_id});
           });
    return true;
  }
  for (const LaunchEnded& ended : ends_) {
    if (!Send(ended)) return false;
  }
  return Send(LaunchListed{static_cast<int64_t>(running_.size())});
}

void LauncherServer::Start(const LaunchStart& start) {
  const auto refuse = [&](absl::string_view what) {
    log_(absl::StrCat("guest ", start.guest_id, ": refused: ", what));
    Send(LaunchRefused{start.guest_id, std::string(what)});
  };
  const Recipe* recipe = FindRecipe(options_.recipes, start.recipe);
  if (recipe == nullptr) {
    refuse(absl::StrCat("there is no recipe \"", start.recipe, "\" in the launcher's config"));
    return;
  }
  if (!recipe->unit.empty()) {
    refuse(absl::StrCat("recipe ", recipe->name, " names a unit, which is adopted, not started"));
    return;
  }
  if (!recipe->arguments && !start.arguments.empty()) {
    refuse(absl::StrCat("recipe ", recipe->name, " takes no arguments"));
    return;
  }
  for (const auto& [pid, guest_id] : running_) {
    if (guest_id == start.guest_id) {
      refuse(absl::StrCat("it runs already, as process ", pid));
      return;
    }
  }
  const absl::StatusOr<pid_t> pid =
      StartGuest(options_, {.guest_id = start.guest_id,
                            .recipe = recipe,
                            .arguments = start.arguments,
                            .network_mbits = start.network_mbits,
                            .traffic = traffic_ ? &*traffic_ : nullptr,
                            .marketd_uid = marketd_uid_});
  if (!pid.ok()) {
    refuse(pid.status().message());
    return;
  }
  running_[*pid] = start.guest_id;
  log_(
      absl::StrCat("guest ", start.guest_id, ": recipe ", recipe->name, " runs as process ", *pid));
  Send(LaunchStarted{start.guest_id, *pid});
}

void LauncherServer::SetRate(const LaunchRate& rate) {
  const absl::Status status =
      traffic_ ? traffic_->SetRate(rate.guest_id, rate.network_mbits)
               : absl::FailedPreconditionError("no network is sold by the launcher's config");
  if (status.ok()) {
    Send(LaunchRated{rate.guest_id});
    return;
  }
  log_(absl::StrCat("guest ", rate.guest_id, ": its rate is not changed: ", status.message()));
  Send(LaunchRefused{rate.guest_id, std::string(status.message())});
}

void LauncherServer::OfUnit(GuestId guest_id, const std::string& name, absl::string_view what,
                            const std::function<absl::StatusOr<LaunchReply>(const Recipe&)>& does) {
  const Recipe* recipe = FindRecipe(options_.recipes, name);
  absl::StatusOr<LaunchReply> reply = absl::FailedPreconditionError(
      absl::StrCat("there is no recipe \"", name, "\" that names a unit in the launcher's config"));
  if (recipe != nullptr && !recipe->unit.empty()) reply = does(*recipe);
  if (!reply.ok()) {
    log_(absl::StrCat("guest ", guest_id, ": refused: ", reply.status().message()));
    Send(LaunchRefused{guest_id, std::string(reply.status().message())});
    return;
  }
  if (!what.empty()) log_(absl::StrCat("guest ", guest_id, ": unit ", recipe->unit, " is ", what));
  Send(*reply);
}

void LauncherServer::Reap() {
  int status = 0;
  for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    if (adopted_.Reaped(pid)) continue;
    const auto it = running_.find(pid);
    if (it == running_.end()) continue;
    ends_.push_back({it->second, ExitText(status)});
    if (ends_.size() > kEndsMax) ends_.pop_front();
    running_.erase(it);
    log_(absl::StrCat("guest ", ends_.back().guest_id, ": ", ends_.back().how));
    Send(ends_.back());
    if (traffic_) traffic_->RemoveLeftBehind();
  }
}

bool LauncherServer::Send(const LaunchReply& reply) {
  if (caller_ < 0) return false;
  const std::string text = LaunchText(reply);
  // A marketd that does not read is one that hangs: it asks again when it comes back.
  if (send(caller_, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
      static_cast<ssize_t>(text.size())) {
    return true;
  }
  HangUp();
  return false;
}

void LauncherServer::HangUp() {
  if (caller_ >= 0) close(caller_);
  caller_ = -1;
}

}  // namespace nom::market
