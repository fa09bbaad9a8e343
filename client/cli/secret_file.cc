// SPDX-License-Identifier: Apache-2.0
#include "client/cli/secret_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace nom::cli {
namespace {

constexpr mode_t kMode = 0600;
constexpr mode_t kOthers = 0077;

absl::Status FileError(const std::string& path) {
  const std::string message = absl::StrCat(path, ": ", std::strerror(errno));
  return errno == EEXIST ? absl::AlreadyExistsError(
                               absl::StrCat(message, "; nothing is written over: name another"))
                         : absl::FailedPreconditionError(message);
}

}  // namespace

absl::StatusOr<SecretFile> SecretFile::Make(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kMode);
  if (fd < 0) return FileError(path);
  return SecretFile(path, fd);
}

SecretFile::SecretFile(SecretFile&& other) noexcept
    : path_(std::exchange(other.path_, "")), fd_(std::exchange(other.fd_, -1)) {}

SecretFile::~SecretFile() {
  if (fd_ >= 0) close(fd_);
  if (!path_.empty()) unlink(path_.c_str());
}

absl::Status SecretFile::WriteLine(absl::string_view line) {
  const std::string path = path_;
  const std::string text = absl::StrCat(line, "\n");
  // A umask may take away from the mode that a file is made with, also its owner's.
  if (fchmod(fd_, kMode) != 0) return FileError(path);
  for (size_t at = 0; at < text.size();) {
    const ssize_t written = write(fd_, text.data() + at, text.size() - at);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return FileError(path);
    at += static_cast<size_t>(written);
  }
  if (fsync(fd_) != 0) return FileError(path);
  path_.clear();
  return absl::OkStatus();
}

absl::Status CheckNotReadByOthers(int fd) {
  struct stat info {};
  // A pipe, a terminal, or a file without a name, which nobody can open.
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_nlink == 0) {
    return absl::OkStatus();
  }
  if ((info.st_mode & kOthers) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "standard output is a file that others can read: have the token written with --write FILE, "
      "which makes one for you alone");
}

}  // namespace nom::cli
