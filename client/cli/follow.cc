// SPDX-License-Identifier: Apache-2.0
#include "client/cli/follow.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <utility>

namespace nom::cli {
namespace {

constexpr absl::Duration kAgainMin = absl::Milliseconds(100);
constexpr absl::Duration kAgainMax = absl::Seconds(2);

// What the bytes in the signal pipe say.
constexpr char kStopByte = 's';
constexpr char kResizeByte = 'r';

// Written to by the signal handlers, which may do little else.
std::atomic<int> signal_pipe_write{-1};

void WriteByte(char byte) {
  // A full pipe has told already.
  [[maybe_unused]] const ssize_t written = write(signal_pipe_write.load(), &byte, 1);
}
void OnStopSignal(int) { WriteByte(kStopByte); }
void OnResizeSignal(int) { WriteByte(kResizeByte); }

void Handle(int signal, void (*handler)(int), unsigned flags) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = static_cast<int>(flags);
  sigaction(signal, &action, nullptr);
}

// What a market that restarts may say; anything else is an answer.
bool MayPass(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
      return true;
    default:
      return false;
  }
}

}  // namespace

Stopper::Stopper(Terminal terminal) : terminal_(std::move(terminal)) {
  if (pipe2(signal_pipe_, O_CLOEXEC | O_NONBLOCK) != 0 ||
      pipe2(stop_pipe_, O_CLOEXEC | O_NONBLOCK) != 0) {
    return;  // No descriptors left: signals end the process at once.
  }
  signal_pipe_write = signal_pipe_[1];
  Handle(SIGINT, OnStopSignal, SA_RESETHAND);
  Handle(SIGTERM, OnStopSignal, SA_RESETHAND);
  if (terminal_.on_resize) Handle(SIGWINCH, OnResizeSignal, SA_RESTART);
  thread_ = std::thread([this] { Loop(); });
}

Stopper::~Stopper() {
  if (thread_.joinable()) {
    WriteByte(kStopByte);
    thread_.join();
    for (const int signal : {SIGINT, SIGTERM, SIGWINCH}) Handle(signal, SIG_DFL, 0);
    signal_pipe_write = -1;
  }
  for (const int fd : {signal_pipe_[0], signal_pipe_[1], stop_pipe_[0], stop_pipe_[1]}) {
    if (fd >= 0) close(fd);
  }
}

void Stopper::Loop() {
  // A negative descriptor is not looked at.
  pollfd entries[2] = {
      {.fd = signal_pipe_[0], .events = POLLIN, .revents = 0},
      {.fd = terminal_.on_key ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0}};
  std::string typed;
  while (!stopped()) {
    if (poll(entries, 2, -1) < 0) continue;  // Interrupted by a signal: it is in the pipe.
    char bytes[64];
    if (entries[0].revents != 0) {
      const ssize_t count = read(signal_pipe_[0], bytes, sizeof bytes);
      const absl::string_view told(bytes, static_cast<size_t>(std::max<ssize_t>(0, count)));
      if (told.find(kStopByte) != absl::string_view::npos) return Stop();
      if (told.find(kResizeByte) != absl::string_view::npos) terminal_.on_resize();
    }
    if (entries[1].revents != 0) {
      const ssize_t count = read(STDIN_FILENO, bytes, sizeof bytes);
      if (count <= 0) {
        entries[1].fd = -1;  // The terminal is gone; a hang-up comes as a signal.
        continue;
      }
      typed.append(bytes, static_cast<size_t>(count));
      for (const Key key : TakeKeys(typed)) {
        if (key == Key::kQuit) return Stop();
        terminal_.on_key(key);
      }
    }
  }
}

void Stopper::Stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  const char byte = kStopByte;
  [[maybe_unused]] const ssize_t written = write(stop_pipe_[1], &byte, 1);
  if (context_ != nullptr) context_->TryCancel();
}

bool Stopper::stopped() const {
  std::lock_guard lock(mutex_);
  return stopped_;
}

void Stopper::Guard(grpc::ClientContext* context) {
  std::lock_guard lock(mutex_);
  context_ = context;
  if (stopped_ && context_ != nullptr) context_->TryCancel();
}

void Stopper::Pause(absl::Duration duration) {
  pollfd entry{.fd = stop_pipe_[0], .events = POLLIN, .revents = 0};
  poll(&entry, 1, static_cast<int>(absl::ToInt64Milliseconds(duration)));
}

absl::Status Follow(Connection& connection, const Output& out, Stopper& stopper,
                    const Following& following) {
  const auto finished = [&] { return stopper.stopped() || following.finished(); };
  market::v1::WatchRequest request = following.request;
  absl::Duration away;
  absl::Duration again = kAgainMin;
  bool ever_heard = false;
  bool said_away = false;
  while (!finished()) {
    grpc::ClientContext context;
    connection.Prepare(context);
    stopper.Guard(&context);
    const auto stream = connection.market().Watch(&context, request);
    market::v1::WatchResponse response;
    absl::Status of_response;
    bool heard = false;
    while (!finished() && stream->Read(&response)) {
      if (std::exchange(said_away, false)) out.talk << "nomctl: the market is back\n";
      heard = ever_heard = true;
      request.set_after_sequence(response.sequence());
      of_response = following.on_response(response);
      if (!of_response.ok()) break;
    }
    context.TryCancel();
    absl::Status status = client::ToAbsl(stream->Finish());
    stopper.Guard(nullptr);
    if (finished()) break;
    if (!of_response.ok()) status = of_response;
    if (status.ok()) status = absl::UnavailableError("the market ended the stream");
    if (!MayPass(status)) return status;
    if (heard) {
      away = absl::ZeroDuration();
      again = kAgainMin;
    }
    if (!ever_heard || away >= following.away_max) return status;
    if (!std::exchange(said_away, true)) {
      out.talk << "nomctl: the market is away (" << status.message() << "), trying again\n";
    }
    stopper.Pause(again);
    away += again;
    again = std::min(again * 2, kAgainMax);
  }
  return absl::OkStatus();
}

}  // namespace nom::cli
