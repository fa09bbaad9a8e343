// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/linux/start_guest.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "marketd/base/status.h"
#include "marketd/host/linux/linux_host.h"

namespace nom::market {
namespace {

constexpr int kBoardDescriptor = 3;
constexpr int kFailureDescriptor = 4;

// What the child does, in order; told to the parent with errno when one fails.
enum class Step : uint8_t {
  kJoin,
  kNetwork,
  kDescriptors,
  kRoot,
  kDirectory,
  kUser,
  kPrivileges,
  kExecute
};

std::string StepText(Step step, const Recipe& recipe) {
  switch (step) {
    case Step::kJoin:
      return "it cannot be put into its cgroup";
    case Step::kNetwork:
      return "it cannot be given a network namespace";
    case Step::kDescriptors:
      return "its board and output cannot be passed on";
    case Step::kRoot:
      return absl::StrCat("root ", recipe.root, " cannot be entered");
    case Step::kDirectory:
      return absl::StrCat("directory ", recipe.directory, " cannot be entered");
    case Step::kUser:
      return absl::StrCat("user ", recipe.user, " cannot be taken on");
    case Step::kPrivileges:
      return "privileges cannot be given up";
    case Step::kExecute:
      break;
  }
  return absl::StrCat(recipe.argv[0], " cannot be executed");
}

struct Failure {
  Step step;
  int error;
};

struct User {
  uid_t uid = 0;
  gid_t gid = 0;
  std::string name;
  std::string home;
};

absl::StatusOr<User> FindUser(const std::string& text) {
  uint32_t number = 0;
  const bool numeric = absl::SimpleAtoi(text, &number);
  const passwd* entry = numeric ? getpwuid(number) : getpwnam(text.c_str());
  if (entry != nullptr) {
    return User{entry->pw_uid, entry->pw_gid, entry->pw_name, entry->pw_dir};
  }
  if (numeric) return User{number, number, text, "/"};
  return absl::FailedPreconditionError(absl::StrCat("user ", text, " does not exist"));
}

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { Close(); }
  int get() const { return fd_; }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

// All that the child needs, made before the fork: it allocates nothing.
struct Plan {
  const Recipe& recipe;
  User user;
  int cgroup_fd;
  int board_fd;
  int output_fd;
  int null_fd;
  int failure_fd;
  int network_fd;  // Its own network's namespace; -1 if it has none.
  std::vector<char*> argv;
  std::vector<char*> environment;
};

[[noreturn]] void Fail(int fd, Step step) {
  const Failure failure{step, errno};
  const ssize_t ignored = write(fd, &failure, sizeof(failure));
  static_cast<void>(ignored);
  _exit(127);
}

// The places are filled from copies above them, so that none is overwritten before it is moved.
bool PlaceDescriptors(const Plan& plan) {
  constexpr int kAbove = 32;
  const int board = fcntl(plan.board_fd, F_DUPFD, kAbove);
  const int failure = fcntl(plan.failure_fd, F_DUPFD, kAbove);
  const int output = fcntl(plan.output_fd, F_DUPFD, kAbove);
  const int null = fcntl(plan.null_fd, F_DUPFD, kAbove);
  return board >= 0 && failure >= 0 && output >= 0 && null >= 0 && dup2(null, 0) == 0 &&
         dup2(output, 1) == 1 && dup2(output, 2) == 2 &&
         dup2(board, kBoardDescriptor) == kBoardDescriptor &&
         dup3(failure, kFailureDescriptor, O_CLOEXEC) == kFailureDescriptor &&
         syscall(SYS_close_range, kFailureDescriptor + 1, ~0U, 0) == 0;
}

bool TakeOn(const User& user) {
  // Already so, and not allowed to say it again: a launcher that is no service.
  if (geteuid() == user.uid && geteuid() != 0) return true;
  return setgroups(0, nullptr) == 0 && initgroups(user.name.c_str(), user.gid) == 0 &&
         setresgid(user.gid, user.gid, user.gid) == 0 &&
         setresuid(user.uid, user.uid, user.uid) == 0;
}

[[noreturn]] void Child(const Plan& plan) {
  setsid();
  // First of all: from here on everything is the guest's own.
  if (write(plan.cgroup_fd, "0", 1) != 1) Fail(plan.failure_fd, Step::kJoin);
  if ((plan.recipe.network == Recipe::Network::kNone && unshare(CLONE_NEWNET) != 0) ||
      (plan.network_fd >= 0 && setns(plan.network_fd, CLONE_NEWNET) != 0)) {
    Fail(plan.failure_fd, Step::kNetwork);
  }
  if (!PlaceDescriptors(plan)) Fail(plan.failure_fd, Step::kDescriptors);
  if (!plan.recipe.root.empty() && chroot(plan.recipe.root.c_str()) != 0) {
    Fail(kFailureDescriptor, Step::kRoot);
  }
  const char* directory = plan.recipe.directory.empty() ? "/" : plan.recipe.directory.c_str();
  if (chdir(directory) != 0) Fail(kFailureDescriptor, Step::kDirectory);
  if (!TakeOn(plan.user)) Fail(kFailureDescriptor, Step::kUser);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) Fail(kFailureDescriptor, Step::kPrivileges);
  umask(022);
  for (int signal_number = 1; signal_number < NSIG; ++signal_number) {
    signal(signal_number, SIG_DFL);  // Some cannot be set, and need not be.
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execve(plan.argv[0], plan.argv.data(), plan.environment.data());
  Fail(kFailureDescriptor, Step::kExecute);
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

absl::Status Failed(const Recipe& recipe, absl::string_view what, int error) {
  return absl::FailedPreconditionError(
      absl::StrCat("recipe ", recipe.name, ": ", what, ": ", std::strerror(error)));
}

// Whom it runs as: neither root nor marketd.
absl::StatusOr<User> UserOf(const GuestStart& start) {
  const Recipe& recipe = *start.recipe;
  NOM_ASSIGN_OR_RETURN(User user, FindUser(recipe.user));
  if (user.uid == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("recipe ", recipe.name, ": user ", recipe.user, " is root by another name"));
  }
  if (user.uid == start.marketd_uid && geteuid() == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("recipe ", recipe.name, ": user ", recipe.user,
                     " is marketd's own, and could write every board and limit"));
  }
  return user;
}

// What it finds open, and the cgroup that it joins.
struct Files {
  Descriptor cgroup;
  Descriptor board;
  Descriptor null;
  Descriptor output;
};

absl::StatusOr<Files> OpenFiles(const LinuxHostOptions& options, const GuestStart& start) {
  const Recipe& recipe = *start.recipe;
  const std::string folder = GuestFolder(start.guest_id);
  Files out;
  out.cgroup =
      Descriptor(open(absl::StrCat(options.cgroup_root, "/", folder, "/cgroup.procs").c_str(),
                      O_WRONLY | O_CLOEXEC));
  if (out.cgroup.get() < 0) return Failed(recipe, "its cgroup cannot be opened", errno);
  out.board = Descriptor(open(absl::StrCat(options.run_directory, "/", folder, "/board").c_str(),
                              O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (out.board.get() < 0) return Failed(recipe, "its board cannot be opened", errno);
  out.null = Descriptor(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (out.null.get() < 0) return Failed(recipe, "/dev/null cannot be opened", errno);
  out.output = Descriptor(recipe.output.empty()
                              ? fcntl(out.null.get(), F_DUPFD_CLOEXEC, 3)
                              : open(recipe.output.c_str(),
                                     O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640));
  if (out.output.get() < 0) return Failed(recipe, absl::StrCat("output ", recipe.output), errno);
  return out;
}

// A network of its own, where its recipe says so, and what the guest is told of it.
absl::StatusOr<NetworkNamespace> MakeNetwork(const LinuxHostOptions& options,
                                             const GuestStart& start,
                                             std::vector<std::string>& environment) {
  const Recipe& recipe = *start.recipe;
  if (recipe.network != Recipe::Network::kOwn) return NetworkNamespace();
  if (start.traffic == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(
        "recipe ", recipe.name, ": has network: own, and the launcher's config sells none"));
  }
  absl::StatusOr<NetworkNamespace> made =
      start.traffic->Add(start.guest_id, std::max<int64_t>(1, start.network_mbits));
  if (!made.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("recipe ", recipe.name, ": its network: ", made.status().message()));
  }
  environment.push_back(
      absl::StrCat("NOM_ADDRESS=", AddressText(AddressOf(options.network, start.guest_id))));
  return made;
}

// Waits until the child has executed its program, or says at which step it failed.
absl::Status WaitForStart(const Recipe& recipe, pid_t pid, int read_end) {
  Failure failure{};
  ssize_t got = 0;
  do {
    got = read(read_end, &failure, sizeof(failure));
  } while (got < 0 && errno == EINTR);
  // The pipe was closed by exec, or by the child's death before it: then its end is told as such.
  if (got != sizeof(failure)) return absl::OkStatus();
  waitpid(pid, nullptr, 0);
  return Failed(recipe, StepText(failure.step, recipe), failure.error);
}

}  // namespace

absl::StatusOr<pid_t> StartGuest(const LinuxHostOptions& options, const GuestStart& start) {
  const Recipe& recipe = *start.recipe;
  NOM_ASSIGN_OR_RETURN(const User user, UserOf(start));
  NOM_ASSIGN_OR_RETURN(const Files files, OpenFiles(options, start));
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Failed(recipe, "no pipe", errno);
  const Descriptor read_end(ends[0]);
  Descriptor write_end(ends[1]);

  std::vector<std::string> arguments = recipe.argv;
  for (const absl::string_view word : absl::StrSplit(start.arguments, ' ', absl::SkipEmpty())) {
    arguments.emplace_back(word);
  }
  std::vector<std::string> environment = {
      "PATH=/usr/local/bin:/usr/bin:/bin",
      absl::StrCat("HOME=", user.home),
      absl::StrCat("USER=", user.name),
      absl::StrCat("NOM_GUEST_ID=", start.guest_id),
      absl::StrCat("NOM_BOARD=fd:", kBoardDescriptor),
  };
  NOM_ASSIGN_OR_RETURN(const NetworkNamespace network, MakeNetwork(options, start, environment));
  const Plan plan{.recipe = recipe,
                  .user = user,
                  .cgroup_fd = files.cgroup.get(),
                  .board_fd = files.board.get(),
                  .output_fd = files.output.get(),
                  .null_fd = files.null.get(),
                  .failure_fd = write_end.get(),
                  .network_fd = network.fd,
                  .argv = Pointers(arguments),
                  .environment = Pointers(environment)};
  const pid_t pid = fork();
  if (pid < 0) return Failed(recipe, "no process", errno);
  if (pid == 0) Child(plan);
  write_end.Close();
  NOM_RETURN_IF_ERROR(WaitForStart(recipe, pid, read_end.get()));
  return pid;
}

}  // namespace nom::market
