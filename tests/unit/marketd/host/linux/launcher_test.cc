// SPDX-License-Identifier: Apache-2.0
// The launcher as a process, on a folder in place of cgroup v2: what it starts is real.

#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "marketd/host/linux/launcher_server.h"
#include "tests/unit/marketd/host/linux/fake_cgroups.h"

namespace nom::market {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class LauncherTest : public ::testing::Test {
 protected:
  LauncherTest() {
    std::filesystem::permissions(folder_.path(), std::filesystem::perms(0755));
    options_.cgroup_root = folder_.path() + "/tree";
    options_.run_directory = folder_.path() + "/run";
    options_.launcher_socket = folder_.path() + "/socket";
    // As root the launcher really changes the user, as anybody else it has only its own.
    const std::string user = geteuid() == 0 ? "nobody" : getpwuid(geteuid())->pw_name;
    const auto shell = [&](const std::string& name, const std::string& script) {
      return Recipe{.name = name,
                    .argv = {"/bin/sh", "-c", script},
                    .user = user,
                    .output = folder_.path() + "/output"};
    };
    options_.recipes = {shell("three", "exit 3"),
                        shell("show",
                              "id -u; echo $NOM_GUEST_ID $NOM_BOARD; head -c 5 <&3; echo; "
                              "ls /proc/self/fd | tr '\\n' ' '; grep NoNewPrivs "
                              "/proc/self/status; pwd"),
                        shell("sleep", "exec sleep 20"), shell("words", "echo \"$0|$1|$2|$#\""),
                        shell("lost", "true")};
    options_.recipes[3].arguments = true;
    options_.recipes[4].argv = {"/no/such/program"};
    for (GuestId g = 1; g <= 3; ++g) {
      PutFile(options_.cgroup_root + "/" + GuestFolder(g) + "/cgroup.procs", "");
      PutFile(options_.run_directory + "/" + GuestFolder(g) + "/board", "board");
    }
    Launch();
  }
  ~LauncherTest() override { End(SIGTERM); }

  void Launch() {
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    launcher_ = fork();
    if (launcher_ == 0) {
      auto server =
          LauncherServer::Listen(options_, allowed_, getegid(), [](const std::string&) {});
      if (!server.ok() || write(ready[1], "r", 1) != 1) _exit(1);
      (*server)->Run();
      server->reset();
      _exit(0);
    }
    char byte = 0;
    close(ready[1]);
    ASSERT_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
  }
  void End(int signal_number) {
    if (launcher_ <= 0) return;
    kill(launcher_, signal_number);
    waitpid(launcher_, nullptr, 0);
    launcher_ = -1;
  }
  // Waits for as many ends, as long as it takes.
  std::vector<LaunchEnded> TakeEnded(Launcher& launcher, size_t count) {
    std::vector<LaunchEnded> all;
    for (int i = 0; i < 3000 && all.size() < count; ++i) {
      for (LaunchEnded& ended : launcher.TakeEnded()) all.push_back(std::move(ended));
      if (all.size() < count) absl::SleepFor(absl::Milliseconds(10));
    }
    return all;
  }
  std::string OutputOf(const std::string& recipe, const std::string& arguments = "") {
    auto launcher = NewSocketLauncher(options_.launcher_socket, absl::Seconds(30));
    const absl::Status status = launcher->Start({1, recipe, arguments});
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_THAT(TakeEnded(*launcher, 1), SizeIs(1));
    return GetFile(folder_.path() + "/output");
  }

  TemporaryFolder folder_;
  LinuxHostOptions options_;
  uid_t allowed_ = geteuid();
  pid_t launcher_ = -1;
};

TEST_F(LauncherTest, StartsARecipeInItsCgroupAndSaysHowItEnded) {
  auto launcher = NewSocketLauncher(options_.launcher_socket, absl::Seconds(30));
  ASSERT_TRUE(launcher->Start({1, "three", ""}).ok());
  const std::vector<LaunchEnded> ends = TakeEnded(*launcher, 1);
  ASSERT_THAT(ends, SizeIs(1));
  EXPECT_EQ(ends[0].guest_id, 1u);
  EXPECT_EQ(ends[0].how, "exit 3");
  EXPECT_EQ(GetFile(options_.cgroup_root + "/guest-1/cgroup.procs"), "0");
}

TEST_F(LauncherTest, AGuestHasItsBoardAndNothingOfTheLaunchers) {
  const std::string output = OutputOf("show");
  const uid_t uid = geteuid() == 0 ? getpwnam("nobody")->pw_uid : geteuid();
  // 0 to 2, the board, and what ls itself opened.
  EXPECT_THAT(output, HasSubstr(std::to_string(uid) + "\n1 fd:3\nboard\n0 1 2 3 4 "));
  EXPECT_THAT(output, ::testing::Not(HasSubstr(" 5 ")));
  EXPECT_THAT(output, HasSubstr("NoNewPrivs:\t1\n/\n"));
}

TEST_F(LauncherTest, ArgumentsAreWordsAndNeverACommand) {
  EXPECT_EQ(OutputOf("words", "a;id $(id)  b"), "a;id|$(id)|b|2\n");
}

TEST_F(LauncherTest, WhatIsNotAllowedIsRefusedInOneSentence) {
  auto launcher = NewSocketLauncher(options_.launcher_socket, absl::Seconds(30));
  const auto error = [&](const LaunchStart& start) {
    const absl::Status status = launcher->Start(start);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    return std::string(status.message());
  };
  EXPECT_THAT(error({1, "/bin/sh", ""}), HasSubstr("there is no recipe \"/bin/sh\""));
  EXPECT_THAT(error({1, "three", "-x"}), HasSubstr("takes no arguments"));
  EXPECT_THAT(error({1, "lost", ""}),
              HasSubstr("/no/such/program cannot be executed: No such file"));
  EXPECT_THAT(error({9, "three", ""}), HasSubstr("its cgroup cannot be opened"));
  ASSERT_TRUE(launcher->Start({2, "sleep", ""}).ok());
  EXPECT_THAT(error({2, "sleep", ""}), HasSubstr("it runs already, as process "));
  // A failed start is no end of a guest.
  EXPECT_THAT(launcher->TakeEnded(), IsEmpty());
}

TEST_F(LauncherTest, AMarketdThatComesBackHearsWhatEndedMeanwhile) {
  {
    auto launcher = NewSocketLauncher(options_.launcher_socket, absl::Seconds(30));
    ASSERT_TRUE(launcher->Start({1, "three", ""}).ok());
  }
  auto launcher = NewSocketLauncher(options_.launcher_socket, absl::Seconds(30));
  // It may have ended before or after this one came: heard at least once in any case.
  const std::vector<LaunchEnded> ends = TakeEnded(*launcher, 1);
  ASSERT_FALSE(ends.empty());
  EXPECT_EQ(ends[0].how, "exit 3");
}

TEST_F(LauncherTest, GuestsOutliveTheLauncher) {
  auto launcher = NewSocketLauncher(options_.launcher_socket, absl::Seconds(30));
  ASSERT_TRUE(launcher->Start({1, "sleep", ""}).ok());
  End(SIGKILL);
  EXPECT_THAT(std::string(launcher->Start({2, "three", ""}).message()),
              HasSubstr("launcher " + options_.launcher_socket));
  Launch();
  EXPECT_TRUE(launcher->Start({2, "three", ""}).ok());
  const std::vector<LaunchEnded> ends = TakeEnded(*launcher, 1);
  ASSERT_THAT(ends, SizeIs(1));
  EXPECT_EQ(ends[0].guest_id, 2u);
}

TEST_F(LauncherTest, StrangersAndNonsenseAreHungUpOn) {
  const auto says = [&](const std::string& message) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, options_.launcher_socket.c_str());
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    char answer[100];
    ssize_t got = send(fd, message.data(), message.size(), MSG_NOSIGNAL);
    if (got >= 0) got = recv(fd, answer, sizeof(answer), 0);
    close(fd);
    return got > 0;
  };
  EXPECT_TRUE(says("list"));
  EXPECT_FALSE(says("exec /bin/sh"));
  EXPECT_FALSE(says(std::string(kLaunchMessageBytesMax + 1, 'x')));
  EXPECT_TRUE(says("list"));
  End(SIGTERM);
  allowed_ = geteuid() + 1;
  Launch();
  EXPECT_FALSE(says("list"));
}

}  // namespace
}  // namespace nom::market
