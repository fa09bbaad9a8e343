// SPDX-License-Identifier: Apache-2.0
// The launcher as a process, on a folder in place of cgroup v2: what it starts is real.

#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "absl/strings/str_cat.h"
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

// systemd in a folder: units are there if their file says in which cgroup; what is set goes to a
// log.
class FakeSystemdUnits final : public SystemdUnits {
 public:
  explicit FakeSystemdUnits(std::string folder) : folder_(std::move(folder)) {}
  absl::StatusOr<Sight> Find(const std::string& unit) override {
    const std::string cgroup = GetFile(folder_ + "/" + unit);
    if (cgroup.empty()) return absl::FailedPreconditionError("unit " + unit + ": not loaded");
    return Sight{.cgroup = cgroup, .limits = {.memory_max_bytes = 900, .memory_min_bytes = 5}};
  }
  absl::Status SetLimit(const std::string& unit, const std::string& file, int64_t value) override {
    if (GetFile(folder_ + "/" + unit).empty()) return absl::NotFoundError("no such unit");
    const std::string log = folder_ + "/log";
    PutFile(log, absl::StrCat(GetFile(log), unit, " ", file, " ",
                              value == kCgroupMax ? "max" : absl::StrCat(value), "\n"));
    return absl::OkStatus();
  }

 private:
  const std::string folder_;
};

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
    options_.recipes.push_back({.name = "db", .unit = "db.service"});
    options_.recipes.push_back({.name = "gone", .unit = "gone.service"});
    options_.sys = folder_.path() + "/sys";
    PutFile(units_ + "/db.service", "system.slice/db.service");
    for (const char* file : {"memory.max", "memory.reclaim", "cgroup.kill"}) {
      PutFile(UnitFile(file), "");
    }
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
      auto server = LauncherServer::Listen(
          options_, allowed_, getegid(), [](const std::string&) {},
          std::make_unique<FakeSystemdUnits>(units_));
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

  std::string UnitFile(const std::string& file) const {
    return folder_.path() + "/sys/fs/cgroup/system.slice/db.service/" + file;
  }
  // Until a file says so, as long as it takes.
  std::string Await(const std::string& path, const std::string& text) {
    for (int i = 0; i < 3000 && GetFile(path) != text; ++i) absl::SleepFor(absl::Milliseconds(10));
    return GetFile(path);
  }

  TemporaryFolder folder_;
  const std::string units_ = folder_.path() + "/units";
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

TEST_F(LauncherTest, AUnitIsFoundLimitedAndReleased) {
  auto launcher = NewSocketLauncher(options_.launcher_socket, absl::Seconds(30));
  const absl::StatusOr<LaunchAdopted> adopted = launcher->Adopt({5, "db"});
  ASSERT_TRUE(adopted.ok()) << adopted.status();
  EXPECT_EQ(adopted->cgroup, "system.slice/db.service");
  EXPECT_EQ(adopted->limits.memory_max_bytes, 900);
  EXPECT_EQ(GetFile(units_ + "/log"), "");

  EXPECT_TRUE(launcher->Control({5, "db", "cpu.max", 25'000}).ok());
  EXPECT_TRUE(launcher->Control({5, "db", "cpu.max", kCgroupMax}).ok());
  EXPECT_TRUE(launcher->Control({5, "db", "memory.min", 4096}).ok());
  EXPECT_TRUE(launcher->Control({5, "db", "memory.swap.max", 0}).ok());
  EXPECT_TRUE(launcher->Control({5, "db", "cgroup.kill", 1}).ok());
  EXPECT_EQ(GetFile(UnitFile("cgroup.kill")), "1");
  EXPECT_EQ(GetFile(units_ + "/log"),
            "db.service cpu.max 250000\ndb.service cpu.max max\n"
            "db.service memory.min 4096\ndb.service memory.swap.max 0\n");
  ASSERT_TRUE(launcher->Release({5, "db", adopted->limits}).ok());
  EXPECT_THAT(GetFile(units_ + "/log"), HasSubstr("db.service memory.min 5\n"
                                                  "db.service memory.max 900\n"
                                                  "db.service memory.swap.max max\n"
                                                  "db.service cpu.max max\n"));
}

// The kernel takes memory back, or kills, while a limit is being written: seconds. A pipe in the
// file's place holds the writer up for as long as nobody reads.
TEST_F(LauncherTest, AWriteThatBlocksHoldsUpNeitherTheLauncherNorSystemd) {
  unlink(UnitFile("memory.max").c_str());
  ASSERT_EQ(mkfifo(UnitFile("memory.max").c_str(), 0600), 0);
  auto launcher = NewSocketLauncher(options_.launcher_socket, absl::Seconds(30));
  ASSERT_TRUE(launcher->Control({5, "db", "memory.max", 65'536}).ok());
  // It answers, and systemd was told nothing that would hold it up.
  ASSERT_TRUE(launcher->Control({5, "db", "memory.reclaim", 4096}).ok());
  EXPECT_EQ(Await(UnitFile("memory.reclaim"), "4096"), "4096");
  EXPECT_EQ(GetFile(units_ + "/log"), "");
  EXPECT_EQ(GetFile(UnitFile("memory.max")), "65536");
  EXPECT_EQ(Await(units_ + "/log", "db.service memory.max 65536\n"),
            "db.service memory.max 65536\n");
  // Not one of these processes is taken for a guest.
  EXPECT_THAT(launcher->TakeEnded(), IsEmpty());
}

TEST_F(LauncherTest, AUnitThatIsGoneHasNothingToBeGivenBack) {
  auto launcher = NewSocketLauncher(options_.launcher_socket, absl::Seconds(30));
  EXPECT_FALSE(launcher->Control({5, "gone", "cpu.max", 25'000}).ok());
  const absl::Status released = launcher->Release({5, "gone", {}});
  EXPECT_TRUE(released.ok()) << released;
}

TEST_F(LauncherTest, OnlyUnitsOfRecipesAreObeyedAndOnlySoFar) {
  auto launcher = NewSocketLauncher(options_.launcher_socket, absl::Seconds(30));
  EXPECT_THAT(std::string(launcher->Adopt({5, "ssh.service"}).status().message()),
              HasSubstr("there is no recipe \"ssh.service\" that names a unit"));
  EXPECT_THAT(std::string(launcher->Adopt({5, "three"}).status().message()),
              HasSubstr("that names a unit"));
  EXPECT_THAT(std::string(launcher->Adopt({5, "gone"}).status().message()),
              HasSubstr("unit gone.service: not loaded"));
  for (const char* file : {"../../../release_agent", "cgroup.procs", "io.max", ""}) {
    EXPECT_EQ(launcher->Control({5, "db", file, 1}).code(), absl::StatusCode::kFailedPrecondition)
        << file;
  }
  EXPECT_FALSE(launcher->Control({5, "three", "cgroup.kill", 1}).ok());
  EXPECT_FALSE(launcher->Control({5, "db", "cpu.max", kCgroupMax - 1}).ok());
  EXPECT_FALSE(launcher->Release({5, "three", {}}).ok());
  EXPECT_THAT(std::string(launcher->Start({1, "db", ""}).message()),
              HasSubstr("names a unit, which is adopted, not started"));
  EXPECT_EQ(GetFile(units_ + "/log"), "");
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
