// SPDX-License-Identifier: Apache-2.0
#include "client/agents/command.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace nom::agents {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kOutputBytesMax = 4096;
constexpr absl::Duration kWorkTimeout = absl::Seconds(5);

// Runs it and returns what it printed. Errors: DEADLINE_EXCEEDED, or FAILED_PRECONDITION with how
// it ended.
absl::StatusOr<std::string> RunShell(const std::string& command, int64_t bytes,
                                     absl::Duration timeout) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::UnavailableError(std::strerror(errno));
  const std::string limit = absl::StrCat("NOM_BYTES=", bytes);
  std::vector<char*> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.push_back(*entry);
  environment.push_back(const_cast<char*>(limit.c_str()));
  environment.push_back(nullptr);
  const char* const arguments[] = {"sh", "-c", command.c_str(), nullptr};
  const Clock::time_point deadline = Clock::now() + absl::ToChronoNanoseconds(timeout);
  const pid_t pid = fork();
  if (pid < 0) return absl::UnavailableError(std::strerror(errno));
  if (pid == 0) {
    setpgid(0, 0);  // What it starts dies with it.
    dup2(ends[1], STDOUT_FILENO);
    execve("/bin/sh", const_cast<char* const*>(arguments), environment.data());
    _exit(127);
  }
  close(ends[1]);
  std::string output;
  bool late = false;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd waiting{.fd = ends[0], .events = POLLIN, .revents = 0};
    const int ready =
        poll(&waiting, 1, static_cast<int>(std::clamp<int64_t>(left.count(), 0, 1000)));
    if (ready == 0 && Clock::now() >= deadline) {
      late = true;
      break;
    }
    if (ready <= 0) continue;
    char buffer[512];
    const ssize_t got = read(ends[0], buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;  // It has closed its output: it ends, or has given it away.
    output.append(buffer, std::min(static_cast<size_t>(got), kOutputBytesMax - output.size()));
  }
  close(ends[0]);
  int status = 0;
  if (late) kill(-pid, SIGKILL);
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (late) {
    return absl::DeadlineExceededError(absl::StrCat("\"", command, "\": was not done in time"));
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("\"", command, "\": ended with ",
                     WIFEXITED(status) ? absl::StrCat(WEXITSTATUS(status))
                                       : absl::StrCat("signal ", WTERMSIG(status))));
  }
  return output;
}

}  // namespace

absl::Status Command::Resize(int64_t bytes, absl::Duration timeout) {
  if (options_.resize.empty()) return absl::OkStatus();
  return RunShell(options_.resize, bytes, timeout).status();
}

absl::StatusOr<Work> Command::ReadWork() {
  if (options_.work.empty()) return Work{};
  const absl::StatusOr<std::string> output = RunShell(options_.work, 0, kWorkTimeout);
  if (!output.ok()) return output.status();
  const std::vector<std::string> words =
      absl::StrSplit(*output, absl::ByAnyChar(" \t\n"), absl::SkipEmpty());
  Work work;
  if (words.size() != 2 || !absl::SimpleAtoi(words[0], &work.done) ||
      !absl::SimpleAtoi(words[1], &work.offered)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "\"", options_.work, "\": must print two numbers, what was done and what was offered"));
  }
  return work;
}

}  // namespace nom::agents
