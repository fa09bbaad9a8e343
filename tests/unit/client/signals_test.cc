// SPDX-License-Identifier: Apache-2.0
// No thread of the SDK's, gRPC's included, takes a signal of the program's. In a process of its
// own, in which nobody else starts threads: the market is in a child.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <thread>

#include "nom/session.h"
#include "nom/testing/fake_market.h"

namespace nom {
namespace {

// Those that a thread can cause itself, and those that cannot be blocked.
const std::set<int> kNeverBlocked = {SIGSEGV, SIGBUS, SIGFPE,  SIGILL, SIGABRT,
                                     SIGTRAP, SIGSYS, SIGKILL, SIGSTOP};

// A market in another process: a byte from the parent restarts it, the end of the pipe ends it.
class ChildMarket {
 public:
  ChildMarket() {
    EXPECT_EQ(pipe(to_child_), 0);
    EXPECT_EQ(pipe(from_child_), 0);
    pid_ = fork();
    if (pid_ == 0) Run();
    close(to_child_[0]);
    close(from_child_[1]);
    target_ = Hear();
  }
  ~ChildMarket() {
    close(to_child_[1]);
    int status = 0;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    EXPECT_EQ(status, 0);
    close(from_child_[0]);
  }
  const std::string& target() const { return target_; }
  void Restart() {
    EXPECT_EQ(write(to_child_[1], "r", 1), 1);
    (void)Hear();
  }

 private:
  [[noreturn]] void Run() {
    close(to_child_[1]);
    close(from_child_[0]);
    {
      testing::FakeMarket market;
      market.AddGuest("one");
      for (char byte = 0;;) {
        const std::string line = market.target() + "\n";
        if (write(from_child_[1], line.data(), line.size()) < 0) break;
        if (read(to_child_[0], &byte, 1) != 1) break;
        market.Stop();
        market.Start();
      }
    }
    _exit(0);
  }
  std::string Hear() const {
    std::string line;
    for (char byte = 0; read(from_child_[0], &byte, 1) == 1 && byte != '\n';) line += byte;
    return line;
  }

  int to_child_[2] = {};
  int from_child_[2] = {};
  pid_t pid_ = 0;
  std::string target_;
};

// The signals that each thread of this process blocks, as the kernel says; bit n - 1 is signal n.
std::map<std::string, uint64_t> BlockedByThread() {
  std::map<std::string, uint64_t> blocked;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream status(task.path() / "status");
    for (std::string line; std::getline(status, line);) {
      if (line.rfind("SigBlk:", 0) != 0) continue;
      blocked[task.path().filename()] = std::stoull(line.substr(7), nullptr, 16);
    }
  }
  return blocked;
}

template <typename So>
void Until(const So& so) {
  while (!so()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

TEST(SignalsTest, LandOnNoThreadOfTheSdk) {
  ChildMarket market;
  const std::map<std::string, uint64_t> before = BlockedByThread();  // A sanitizer may have one.
  SessionOptions options;
  options.target = market.target();
  options.plaintext = true;
  options.backoff_min = absl::Milliseconds(1);
  options.backoff_max = absl::Milliseconds(20);
  absl::StatusOr<std::unique_ptr<Session>> session = Session::Connect(std::move(options));
  ASSERT_TRUE(session.ok()) << session.status();
  (*session)->OnPrices([](const Prices&) {});

  std::set<std::string> seen;
  const auto check = [&](const char* when) {
    for (const auto& [task, blocked] : BlockedByThread()) {
      if (before.contains(task)) continue;
      seen.insert(task);
      for (int number = 1; number < 32; ++number) {
        if (kNeverBlocked.contains(number)) continue;
        EXPECT_TRUE(((blocked >> (number - 1)) & 1) != 0)
            << when << ": thread " << task << " takes signal " << number;
      }
    }
  };
  check("connected");
  // What the program calls in its own thread, in which no signal is blocked.
  EXPECT_TRUE((*session)->Bid({.ranges = {{1, 4, 100, 100}}}).ok());
  EXPECT_TRUE((*session)->ListRounds().ok());
  EXPECT_TRUE((*session)->Withdraw(Resource::kMemory).ok());
  check("after calls");
  const uint64_t streams = (*session)->counters().streams;
  market.Restart();
  Until([&] { return (*session)->counters().streams > streams && !(*session)->stale(); });
  EXPECT_TRUE((*session)->Bid({.ranges = {{1, 5, 100, 100}}}).ok());
  check("after a reconnect");
  // Reader, pump, writer, keeper, callbacks, and at least one of gRPC's.
  EXPECT_GE(seen.size(), 6u);

  sigset_t mine;
  sigset_t all;
  pthread_sigmask(SIG_BLOCK, nullptr, &mine);
  EXPECT_EQ(sigismember(&mine, SIGTERM), 0) << "the program's own are as they were";
  // And so one that the program waits for is never taken by another thread.
  sigemptyset(&all);
  sigaddset(&all, SIGUSR2);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(kill(getpid(), SIGUSR2), 0);  // Untaken, it would end the process.
    int number = 0;
    ASSERT_EQ(sigwait(&all, &number), 0);
    EXPECT_EQ(number, SIGUSR2);
  }
  EXPECT_TRUE((*session)->Close().ok());
}

}  // namespace
}  // namespace nom
