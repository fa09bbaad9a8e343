// SPDX-License-Identifier: Apache-2.0
// How a Java virtual machine is found and asked: /proc, a signal, and a socket in its /tmp.

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "client/agents/jvm.h"

namespace nom::agents {
namespace {

constexpr size_t kWordsMax = 4;  // A command and three arguments, always all of them.
constexpr size_t kAnswerBytesMax = 1 << 20;
// A full collection of a large heap: its answer comes when it is done.
constexpr int kAnswerSeconds = 30;
constexpr int kSocketLooks = 50;
constexpr absl::Duration kSocketNap = absl::Milliseconds(100);

std::string Contents(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// The words behind "NAME:" in a file of /proc.
std::vector<std::string> Field(const std::string& text, absl::string_view name) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::ConsumePrefix(&line, name) || !absl::ConsumePrefix(&line, ":")) continue;
    return absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  }
  return {};
}

class Socket {
 public:
  // Below 0 if nobody listens there.
  explicit Socket(const std::string& path) {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    if (path.size() >= sizeof(to.sun_path)) return;
    std::memcpy(to.sun_path, path.data(), path.size());
    fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval patience{.tv_sec = kAnswerSeconds, .tv_usec = 0};
    if (fd_ >= 0 && (setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
                     connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0)) {
      close(std::exchange(fd_, -1));
    }
  }
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

class AttachedJvm final : public JvmProcess {
 public:
  explicit AttachedJvm(JvmPlace place) : place_(std::move(place)) {
    if (!place_.send_signal) place_.send_signal = [](pid_t pid, int n) { return kill(pid, n); };
    if (!place_.nap) {
      place_.nap = [](absl::Duration d) {
        std::this_thread::sleep_for(absl::ToChronoNanoseconds(d));
      };
    }
  }

  absl::StatusOr<std::string> Ask(const std::vector<std::string>& words) override {
    const absl::StatusOr<std::string> folder = Folder();
    if (!folder.ok()) return folder.status();
    const absl::StatusOr<Socket> socket = Reach(*folder);
    if (!socket.ok()) return socket.status();
    std::string text("1\0", 2);
    for (size_t i = 0; i < kWordsMax; ++i) {
      if (i < words.size()) text += words[i];
      text += '\0';
    }
    if (send(socket->get(), text.data(), text.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(text.size())) {
      return Lost(std::strerror(errno));
    }
    std::string said;
    for (;;) {
      char buffer[4096];
      const ssize_t got = recv(socket->get(), buffer, sizeof(buffer), 0);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return Lost(std::strerror(errno));
      if (got == 0) break;
      said.append(buffer, static_cast<size_t>(got));
      if (said.size() > kAnswerBytesMax) return Lost("answers without end");
    }
    const std::pair<std::string, std::string> halves =
        absl::StrSplit(said, absl::MaxSplits('\n', 1));
    if (halves.first == "0") return halves.second;
    return absl::FailedPreconditionError(absl::StrCat("jvm: ", words.empty() ? "" : words[0], ": ",
                                                      absl::StripSuffix(halves.second, "\n")));
  }

  absl::StatusOr<int64_t> ReadBytes() override {
    const absl::StatusOr<std::string> folder = Folder();
    if (!folder.ok()) return folder.status();
    const std::string text = Contents(absl::StrCat(*folder, "/smaps_rollup"));
    int64_t sum_kib = 0;
    for (const absl::string_view name : {"Pss", "SwapPss"}) {
      const std::vector<std::string> words = Field(text, name);
      int64_t kib = 0;
      if (words.empty() || !absl::SimpleAtoi(words[0], &kib)) {
        return Lost("its smaps_rollup cannot be read; run this as the machine's user, or as root");
      }
      sum_kib += kib;
    }
    return sum_kib << 10;
  }

 private:
  absl::Status Lost(absl::string_view why) const {
    return absl::UnavailableError(absl::StrCat(
        "jvm ", place_.pid != 0 ? absl::StrCat(place_.pid) : place_.pid_file, ": ", why));
  }

  // That of the process in /proc.
  absl::StatusOr<std::string> Folder() {
    pid_ = place_.pid;
    if (pid_ == 0) {
      const std::vector<std::string> words =
          absl::StrSplit(Contents(place_.pid_file), absl::ByAnyChar(" \t\n"), absl::SkipEmpty());
      if (words.empty() || !absl::SimpleAtoi(words[0], &pid_) || pid_ <= 0) {
        return Lost("names no process");
      }
    }
    return absl::StrCat(place_.proc, "/", pid_);
  }

  // The number that it knows itself by, in whatever namespace.
  static std::string OwnPid(const std::string& folder) {
    const std::vector<std::string> ids = Field(Contents(folder + "/status"), "NSpid");
    return ids.empty() ? "" : ids.back();
  }

  absl::StatusOr<Socket> Reach(const std::string& folder) {
    const std::string own = OwnPid(folder);
    if (own.empty()) return Lost("does not run");
    const std::string path = absl::StrCat(folder, "/root/tmp/.java_pid", own);
    if (Socket socket(path); socket.get() >= 0) return socket;
    // To others that signal would mean to end, or whatever they make of it.
    if (!absl::StrContains(Contents(folder + "/maps"), "libjvm.so")) {
      return Lost("has no libjvm.so: is no Java virtual machine, or one that may not be looked at");
    }
    // Asks it to listen: a file that is its own user's or root's, and a signal.
    const std::string trigger = absl::StrCat(folder, "/root/tmp/.attach_pid", own);
    const int fd = open(trigger.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return Lost(absl::StrCat(trigger, ": ", std::strerror(errno)));
    close(fd);
    const bool sent = place_.send_signal(pid_, SIGQUIT) == 0;
    const int error = errno;
    for (int look = 0; sent && look < kSocketLooks; ++look) {
      if (Socket socket(path); socket.get() >= 0) {
        unlink(trigger.c_str());
        return socket;
      }
      place_.nap(kSocketNap);
    }
    unlink(trigger.c_str());
    return Lost(sent ? "does not listen; was it started with -XX:+DisableAttachMechanism?"
                     : std::strerror(error));
  }

  JvmPlace place_;
  pid_t pid_ = 0;
};

}  // namespace

std::unique_ptr<JvmProcess> AttachJvm(JvmPlace place) {
  return std::make_unique<AttachedJvm>(std::move(place));
}

}  // namespace nom::agents
