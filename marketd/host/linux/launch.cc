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

std::string LimitWords(const UnitLimits& limits) {
  return absl::StrCat(limits.cpu_us_per_s, " ", limits.memory_max_bytes, " ",
                      limits.memory_min_bytes, " ", limits.swap_max_bytes);
}

// Reads the words of a message one after the other; remembers whether all were right.
class WordReader {
 public:
  explicit WordReader(absl::string_view text) : words_(absl::StrSplit(text, ' ')) {}

  absl::string_view Next() {
    if (at_ < words_.size()) return words_[at_++];
    good_ = false;
    return "";
  }
  template <typename Int>
  void Number(Int* out) {
    good_ &= absl::SimpleAtoi(Next(), out);
  }
  void Text(std::string* out) {
    const absl::string_view word = Next();
    good_ &= !word.empty() && word[0] == '=' && absl::WebSafeBase64Unescape(word.substr(1), out);
  }
  void Limits(UnitLimits* out) {
    for (int64_t* limit : {&out->cpu_us_per_s, &out->memory_max_bytes, &out->memory_min_bytes,
                           &out->swap_max_bytes}) {
      Number(limit);
      good_ &= *limit >= 0;
    }
  }
  bool Good() const { return good_ && at_ == words_.size(); }

 private:
  const std::vector<absl::string_view> words_;
  size_t at_ = 0;
  bool good_ = true;
};

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
    return Ask<LaunchStarted>(start, start.guest_id).status();
  }
  absl::Status SetRate(const LaunchRate& rate) override {
    return Ask<LaunchRated>(rate, rate.guest_id).status();
  }
  absl::StatusOr<LaunchAdopted> Adopt(const LaunchAdopt& adopt) override {
    return Ask<LaunchAdopted>(adopt, adopt.guest_id);
  }
  absl::Status Control(const LaunchControl& control) override {
    return Ask<LaunchControlled>(control, control.guest_id).status();
  }
  absl::Status Release(const LaunchRelease& release) override {
    return Ask<LaunchReleased>(release, release.guest_id).status();
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
  // Until the answer about this guest, which is an `Answer` or a refusal.
  template <typename Answer>
  absl::StatusOr<Answer> Ask(const LaunchRequest& request, GuestId guest_id) {
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
      } else if (const auto* answer = std::get_if<Answer>(&*reply)) {
        if (answer->guest_id == guest_id) return *answer;
      } else if (const auto* refused = std::get_if<LaunchRefused>(&*reply)) {
        if (refused->guest_id == guest_id) return absl::FailedPreconditionError(refused->what);
      }
    }
  }

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
  if (const auto* adopt = std::get_if<LaunchAdopt>(&request)) {
    return absl::StrCat("adopt ", adopt->guest_id, " ", Word(adopt->recipe));
  }
  if (const auto* control = std::get_if<LaunchControl>(&request)) {
    return absl::StrCat("control ", control->guest_id, " ", Word(control->recipe), " ",
                        Word(control->file), " ", control->value);
  }
  if (const auto* release = std::get_if<LaunchRelease>(&request)) {
    return absl::StrCat("release ", release->guest_id, " ", Word(release->recipe), " ",
                        LimitWords(release->limits));
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
  if (const auto* adopted = std::get_if<LaunchAdopted>(&reply)) {
    return absl::StrCat("adopted ", adopted->guest_id, " ", Word(adopted->cgroup), " ",
                        LimitWords(adopted->limits));
  }
  if (const auto* controlled = std::get_if<LaunchControlled>(&reply)) {
    return absl::StrCat("controlled ", controlled->guest_id);
  }
  if (const auto* released = std::get_if<LaunchReleased>(&reply)) {
    return absl::StrCat("released ", released->guest_id);
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
  WordReader words(text);
  const absl::string_view verb = words.Next();
  if (text == "list") return LaunchRequest(LaunchList{});
  GuestId guest_id = 0;
  words.Number(&guest_id);
  if (verb == "rate") {
    LaunchRate rate{.guest_id = guest_id};
    words.Number(&rate.network_mbits);
    if (words.Good() && IsRate(rate.network_mbits) && rate.network_mbits > 0) {
      return LaunchRequest(rate);
    }
  } else if (verb == "start") {
    LaunchStart start{.guest_id = guest_id};
    words.Text(&start.recipe);
    words.Text(&start.arguments);
    words.Number(&start.network_mbits);
    if (words.Good() && IsRate(start.network_mbits)) return LaunchRequest(std::move(start));
  } else if (verb == "adopt") {
    LaunchAdopt adopt{.guest_id = guest_id};
    words.Text(&adopt.recipe);
    if (words.Good()) return LaunchRequest(std::move(adopt));
  } else if (verb == "control") {
    LaunchControl control{.guest_id = guest_id};
    words.Text(&control.recipe);
    words.Text(&control.file);
    words.Number(&control.value);
    if (words.Good() && control.value >= 0) return LaunchRequest(std::move(control));
  } else if (verb == "release") {
    LaunchRelease release{.guest_id = guest_id};
    words.Text(&release.recipe);
    words.Limits(&release.limits);
    if (words.Good()) return LaunchRequest(std::move(release));
  }
  return BadMessage(text);
}

absl::StatusOr<LaunchReply> ParseLaunchReply(absl::string_view text) {
  WordReader words(text);
  const absl::string_view verb = words.Next();
  if (verb == "listed") {
    LaunchListed listed;
    words.Number(&listed.running);
    return words.Good() ? absl::StatusOr<LaunchReply>(listed) : BadMessage(text);
  }
  LaunchReply out;
  GuestId guest_id = 0;
  words.Number(&guest_id);
  std::string what;
  if (verb == "rated") {
    out = LaunchRated{guest_id};
  } else if (verb == "controlled") {
    out = LaunchControlled{guest_id};
  } else if (verb == "released") {
    out = LaunchReleased{guest_id};
  } else if (verb == "started") {
    LaunchStarted started{.guest_id = guest_id};
    words.Number(&started.pid);
    out = started;
  } else if (verb == "adopted") {
    LaunchAdopted adopted{.guest_id = guest_id};
    words.Text(&adopted.cgroup);
    words.Limits(&adopted.limits);
    out = std::move(adopted);
  } else if (verb == "refused") {
    words.Text(&what);
    out = LaunchRefused{guest_id, std::move(what)};
  } else if (verb == "ended") {
    words.Text(&what);
    out = LaunchEnded{guest_id, std::move(what)};
  } else {
    return BadMessage(text);
  }
  return words.Good() ? absl::StatusOr<LaunchReply>(std::move(out)) : BadMessage(text);
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
