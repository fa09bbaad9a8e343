// SPDX-License-Identifier: Apache-2.0
// No thread of the SDK's, gRPC's included, takes a signal of the program's. In a process of its
// own, in which nobody else starts threads: the market is in a child.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "client/src/threads.h"
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

// One child for all tests, begun before this process has used gRPC: a child of one that has may
// not.
class SignalsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { market_ = std::make_unique<ChildMarket>(); }
  static void TearDownTestSuite() { market_.reset(); }
  static inline std::unique_ptr<ChildMarket> market_;
};

bool Blocks(uint64_t blocked, int number) { return ((blocked >> (number - 1)) & 1) != 0; }

TEST_F(SignalsTest, AThreadBeginsWithAllBlockedAndItsStarterIsAsBefore) {
  const std::string self = std::to_string(gettid());
  const uint64_t before = BlockedByThread().at(self);
  uint64_t inside = 0;
  client::StartThread([&] { inside = BlockedByThread().at(std::to_string(gettid())); }).join();
  EXPECT_EQ(BlockedByThread().at(self), before);
  for (int number = 1; number < 32; ++number) {
    EXPECT_EQ(Blocks(inside, number), !kNeverBlocked.contains(number)) << number;
  }
}

TEST_F(SignalsTest, LandOnNoThreadOfTheSdk) {
  // Before any other that uses gRPC: its threads live on. A sanitizer may have one.
  const std::map<std::string, uint64_t> before = BlockedByThread();
  SessionOptions options;
  options.target = market_->target();
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
        EXPECT_TRUE(Blocks(blocked, number))
            << when << ": thread " << task << " takes signal " << number;
      }
    }
  };
  check("connected");
  // What the program calls in its own thread, in which no signal is blocked.
  EXPECT_TRUE((*session)->Bid({.ranges = {{1, 4, 100, 100}}}).ok());
  EXPECT_TRUE((*session)->ListRounds().ok());
  EXPECT_TRUE((*session)->Withdraw(Resource::kMemory).ok());
  EXPECT_TRUE((*session)->ListOffers().Wait().ok());
  check("after calls");
  const uint64_t streams = (*session)->counters().streams;
  market_->Restart();
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
  pthread_sigmask(SIG_SETMASK, &mine, nullptr);
  EXPECT_TRUE((*session)->Close().ok());
}

// gRPC starts threads when it needs them, and they inherit the mask of whoever calls.
TEST_F(SignalsTest, LandOnNoThreadOfTheProgramsWhileItIsInACall) {
  const std::string file = ::testing::TempDir() + "nom-signals-" + std::to_string(getpid());
  std::ofstream(file) << "token\n";
  chmod(file.c_str(), 0600);
  SessionOptions options;
  options.target = market_->target();
  options.plaintext = true;
  options.token_file = file;
  absl::StatusOr<std::unique_ptr<Session>> session = Session::Connect(std::move(options));
  ASSERT_TRUE(session.ok()) << session.status();
  // The call is held where it reads its token, which comes through a pipe.
  unlink(file.c_str());
  ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);
  std::atomic<pid_t> task{0};
  std::thread program([&] {
    task = gettid();
    EXPECT_TRUE((*session)->ListRounds().ok());
    EXPECT_EQ(BlockedByThread().at(std::to_string(gettid())), 0u);
  });
  {
    std::ofstream token(file);  // Waits for the reader.
    const uint64_t blocked = BlockedByThread().at(std::to_string(task));
    for (int number = 1; number < 32; ++number) {
      EXPECT_TRUE(Blocks(blocked, number) || kNeverBlocked.contains(number)) << number;
    }
    token << "token\n";
  }
  program.join();
  EXPECT_TRUE((*session)->Close().ok());
  unlink(file.c_str());
}

}  // namespace
}  // namespace nom
