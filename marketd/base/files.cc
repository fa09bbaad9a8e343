// SPDX-License-Identifier: Apache-2.0
#include "marketd/base/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "marketd/base/listener.h"

namespace nom::marketd {

absl::StatusOr<SmallFile> ReadSmallFile(const std::string& file_name, size_t bytes_max) {
  // Without O_NONBLOCK a pipe is not even opened before somebody writes to it.
  const OwnedFd fd(::open(file_name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat facts = {};
  if (fd.get() < 0 || ::fstat(fd.get(), &facts) != 0) {
    return absl::NotFoundError(absl::StrCat(file_name, ": cannot be read: ", std::strerror(errno)));
  }
  if (!S_ISREG(facts.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(file_name, ": is not a file"));
  }
  SmallFile out{.text = std::string(bytes_max + 1, '\0'), .mode = facts.st_mode};
  size_t size = 0;
  while (size < out.text.size()) {
    const ssize_t got = ::read(fd.get(), out.text.data() + size, out.text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return absl::DataLossError(absl::StrCat(file_name, ": cannot be read to its end"));
    }
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  // One byte more than is allowed was asked for, to see whether there is more.
  if (size > bytes_max) {
    return absl::InvalidArgumentError(
        absl::StrCat(file_name, ": is larger than ", bytes_max, " bytes"));
  }
  out.text.resize(size);
  return out;
}

}  // namespace nom::marketd
