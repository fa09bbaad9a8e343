// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/linux/launch.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "marketd/base/status.h"

namespace nom::market {
namespace {

std::string Word(absl::string_view text) {
  return absl::StrCat("=", absl::WebSafeBase64Escape(text));
}

bool ParseWord(absl::string_view word, std::string* out) {
  return !word.empty() && word[0] == '=' && absl::WebSafeBase64Unescape(word.substr(1), out);
}

// A terabit a second is more than any machine has, and far from what overflows.
bool IsRate(int64_t mbits) { return mbits >= 0 && mbits <= 1'000'000; }

absl::Status BadMessage(absl::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat("not in the launcher's vocabulary: \"",
                                                 absl::CEscape(text.substr(0, 80)), "\""));
}

class SocketLauncher final : public Launcher {
 public:
  SocketLauncher(std::string path, absl::Duration timeout)
      : path_(std::move(path)), timeout_(timeout) {}
  ~SocketLauncher() override { Close(); }

  absl::Status Start(const LaunchStart& start) override {
    return Ask(start, start.guest_id, [](const LaunchReply& reply) -> std::optional<GuestId> {
      const auto* started = std::get_if<LaunchStarted>(&reply);
      return started == nullptr ? std::nullopt : std::optional(started->guest_id);
    });
  }

  absl::Status SetRate(const LaunchRate& rate) override {
    return Ask(rate, rate.guest_id, [](const LaunchReply& reply) -> std::optional<GuestId> {
      const auto* rated = std::get_if<LaunchRated>(&reply);
      return rated == nullptr ? std::nullopt : std::optional(rated->guest_id);
    });
  }

  // Until the answer about this guest: `done` says whose a reply is, if it is of the right kind.
  absl::Status Ask(const LaunchRequest& request, GuestId guest_id,
                   std::optional<GuestId> (*done)(const LaunchReply&)) {
    NOM_RETURN_IF_ERROR(Connect());
    if (!Send(LaunchText(request))) return Gone("does not take requests");
    // Not the wall clock, which may be set meanwhile.
    const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(timeout_);
    for (;;) {
      const absl::StatusOr<LaunchReply> reply =
          Receive(absl::FromChrono(deadline - std::chrono::steady_clock::now()));
      if (!reply.ok()) {
        Close();
        return reply.status();
      }
      if (const auto* ended = std::get_if<LaunchEnded>(&*reply)) {
        ended_.push_back(*ended);
      } else if (done(*reply) == guest_id) {
        return absl::OkStatus();
      } else if (const auto* refused = std::get_if<LaunchRefused>(&*reply)) {
        if (refused->guest_id == guest_id) {
          return absl::FailedPreconditionError(refused->what);
        }
      }
    }
  }

  std::vector<LaunchEnded> TakeEnded() override {
    // A launcher that is not there is no news; the next Start says so.
    if (Connect().ok()) {
      for (;;) {
        const absl::StatusOr<LaunchReply> reply = Receive(absl::ZeroDuration());
        if (!reply.ok()) {
          if (!absl::IsDeadlineExceeded(reply.status())) Close();
          break;
        }
        if (const auto* ended = std::get_if<LaunchEnded>(&*reply)) ended_.push_back(*ended);
      }
    }
    return std::exchange(ended_, {});
  }

 private:
  absl::Status Gone(absl::string_view what) {
    const std::string text = absl::StrCat("launcher ", path_, ": ", what,
                                          "; guests that run go on, new ones cannot be "
                                          "started until nom-launcher.service runs");
    Close();
    return absl::FailedPreconditionError(text);
  }

  absl::Status Connect() {
    if (fd_ >= 0) return absl::OkStatus();
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path_.size() >= sizeof(address.sun_path)) {
      return absl::FailedPreconditionError(absl::StrCat("launcher ", path_, ": path too long"));
    }
    std::memcpy(address.sun_path, path_.data(), path_.size());
    fd_ = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd_ < 0) return Gone(std::strerror(errno));
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      return Gone(std::strerror(errno));
    }
    // Asks for what ended while nobody listened.
    if (!Send(LaunchText(LaunchRequest(LaunchList{})))) return Gone("does not take requests");
    return absl::OkStatus();
  }

  bool Send(const std::string& text) {
    return send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }

  // DEADLINE_EXCEEDED if none came in time; FAILED_PRECONDITION if the launcher is gone.
  absl::StatusOr<LaunchReply> Receive(absl::Duration wait) {
    pollfd waiting{.fd = fd_, .events = POLLIN, .revents = 0};
    const int64_t ms = std::max<int64_t>(0, absl::ToInt64Milliseconds(wait));
    const int ready = poll(&waiting, 1, static_cast<int>(ms));
    if (ready == 0) {
      return absl::DeadlineExceededError(
          absl::StrCat("launcher ", path_, ": no answer in ", absl::FormatDuration(timeout_)));
    }
    char buffer[kLaunchMessageBytesMax];
    const ssize_t got = recv(fd_, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (got <= 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("launcher ", path_, ": ended while it was asked"));
    }
    return ParseLaunchReply(absl::string_view(buffer, static_cast<size_t>(got)));
  }

  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

  const std::string path_;
  const absl::Duration timeout_;
  int fd_ = -1;
  std::vector<LaunchEnded> ended_;
};

}  // namespace

std::string LaunchText(const LaunchRequest& request) {
  if (const auto* start = std::get_if<LaunchStart>(&request)) {
    return absl::StrCat("start ", start->guest_id, " ", Word(start->recipe), " ",
                        Word(start->arguments), " ", start->network_mbits);
  }
  if (const auto* rate = std::get_if<LaunchRate>(&request)) {
    return absl::StrCat("rate ", rate->guest_id, " ", rate->network_mbits);
  }
  return "list";
}

std::string LaunchText(const LaunchReply& reply) {
  if (const auto* started = std::get_if<LaunchStarted>(&reply)) {
    return absl::StrCat("started ", started->guest_id, " ", started->pid);
  }
  if (const auto* rated = std::get_if<LaunchRated>(&reply)) {
    return absl::StrCat("rated ", rated->guest_id);
  }
  if (const auto* refused = std::get_if<LaunchRefused>(&reply)) {
    return absl::StrCat("refused ", refused->guest_id, " ", Word(refused->what));
  }
  if (const auto* ended = std::get_if<LaunchEnded>(&reply)) {
    return absl::StrCat("ended ", ended->guest_id, " ", Word(ended->how));
  }
  return absl::StrCat("listed ", std::get<LaunchListed>(reply).running);
}

absl::StatusOr<LaunchRequest> ParseLaunchRequest(absl::string_view text) {
  const std::vector<absl::string_view> words = absl::StrSplit(text, ' ');
  if (words.size() == 1 && words[0] == "list") return LaunchRequest(LaunchList{});
  LaunchStart start;
  LaunchRate rate;
  if (words.size() == 3 && words[0] == "rate" && absl::SimpleAtoi(words[1], &rate.guest_id) &&
      absl::SimpleAtoi(words[2], &rate.network_mbits) && IsRate(rate.network_mbits) &&
      rate.network_mbits > 0) {
    return LaunchRequest(rate);
  }
  if (words.size() == 5 && words[0] == "start" && absl::SimpleAtoi(words[1], &start.guest_id) &&
      ParseWord(words[2], &start.recipe) && ParseWord(words[3], &start.arguments) &&
      absl::SimpleAtoi(words[4], &start.network_mbits) && IsRate(start.network_mbits)) {
    return LaunchRequest(std::move(start));
  }
  return BadMessage(text);
}

absl::StatusOr<LaunchReply> ParseLaunchReply(absl::string_view text) {
  const std::vector<absl::string_view> words = absl::StrSplit(text, ' ');
  const absl::string_view verb = words[0];
  LaunchListed listed;
  if (words.size() == 2 && verb == "listed" && absl::SimpleAtoi(words[1], &listed.running)) {
    return LaunchReply(listed);
  }
  GuestId guest_id = 0;
  if (words.size() == 2 && verb == "rated" && absl::SimpleAtoi(words[1], &guest_id)) {
    return LaunchReply(LaunchRated{guest_id});
  }
  if (words.size() != 3 || !absl::SimpleAtoi(words[1], &guest_id)) return BadMessage(text);
  LaunchStarted started{.guest_id = guest_id};
  if (verb == "started" && absl::SimpleAtoi(words[2], &started.pid)) return LaunchReply(started);
  std::string what;
  if (!ParseWord(words[2], &what)) return BadMessage(text);
  if (verb == "refused") return LaunchReply(LaunchRefused{guest_id, std::move(what)});
  if (verb == "ended") return LaunchReply(LaunchEnded{guest_id, std::move(what)});
  return BadMessage(text);
}

std::string ExitText(int wait_status) {
  if (WIFEXITED(wait_status)) return absl::StrCat("exit ", WEXITSTATUS(wait_status));
  if (WIFSIGNALED(wait_status)) {
    return absl::StrCat("signal ", WTERMSIG(wait_status), " (", strsignal(WTERMSIG(wait_status)),
                        ")");
  }
  return absl::StrCat("wait status ", wait_status);
}

std::unique_ptr<Launcher> NewSocketLauncher(std::string path, absl::Duration timeout) {
  return std::make_unique<SocketLauncher>(std::move(path), timeout);
}

}  // namespace nom::market
