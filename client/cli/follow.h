// SPDX-License-Identifier: Apache-2.0
// Following a market: through its restarts, until a signal or a key says stop.

#ifndef CLIENT_CLI_FOLLOW_H_
#define CLIENT_CLI_FOLLOW_H_

#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/cli/commands.h"
#include "client/cli/connection.h"
#include "client/cli/keys.h"

namespace nom::cli {

// Turns the first SIGINT or SIGTERM into the end of whatever waits; a second one kills as usual.
// With `on_key` it also reads keys from standard input, and a key that quits is such an end, too.
// One at a time in a process.
class Stopper {
 public:
  // `on_key` is called for each key but kQuit, `on_resize` when the terminal has another size; both
  // by a thread of its own.
  struct Terminal {
    std::function<void(Key)> on_key;
    std::function<void()> on_resize;
  };
  explicit Stopper(Terminal terminal = {});
  ~Stopper();
  Stopper(const Stopper&) = delete;
  Stopper& operator=(const Stopper&) = delete;

  bool stopped() const;
  // What the end is to cancel; null: nothing.
  void Guard(grpc::ClientContext* context);
  // Waits so long, or until the end.
  void Pause(absl::Duration duration);

 private:
  void Loop();
  void Stop();

  const Terminal terminal_;
  int signal_pipe_[2] = {-1, -1};  // One byte for each signal.
  int stop_pipe_[2] = {-1, -1};    // Readable from the end on.
  std::thread thread_;
  mutable std::mutex mutex_;
  bool stopped_ = false;
  grpc::ClientContext* context_ = nullptr;
};

struct Following {
  market::v1::WatchRequest request;
  // Told each response; an error ends the stream and is judged as if the market had given it.
  std::function<absl::Status(const market::v1::WatchResponse&)> on_response;
  // Asked before each wait.
  std::function<bool()> finished;
  // How long the market may be away before Follow() gives up.
  absl::Duration away_max = absl::InfiniteDuration();
};

// Watches until `finished` or the stopper says so: OK. A market that goes away after it was heard
// once (a restart, a broken connection) is tried again and again, which is said once on out.talk; a
// market that was never there, or that refuses, is an error at once.
absl::Status Follow(Connection& connection, const Output& out, Stopper& stopper,
                    const Following& following);

}  // namespace nom::cli

#endif  // CLIENT_CLI_FOLLOW_H_
