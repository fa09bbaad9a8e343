// SPDX-License-Identifier: Apache-2.0
#include "cmake/standard_files/standard_files.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace nom {
namespace {

// The system alone is asked, as it runs before the C library's own start is over, and a
// sanitizer's.
[[gnu::used]] __attribute__((no_sanitize("address", "thread", "undefined"))) void Take(
    int /*argc*/, char** /*argv*/, char** /*environment*/) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::syscall(SYS_fcntl, fd, F_GETFD) >= 0) continue;
    // The lowest number that is free is this one. The other way round from what it is for: so that
    // whoever writes to a standard output that there is not is told so.
    ::syscall(SYS_openat, AT_FDCWD, "/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

// Shared libraries open descriptors before main() begins (gRPC's does), and only this array is gone
// through before theirs (System V ABI, "Initialization and Termination Functions").
[[gnu::used, gnu::section(".preinit_array")]] void (*const take_first)(int, char**, char**) = &Take;

}  // namespace

void TakeStandardFiles() { Take(0, nullptr, nullptr); }

}  // namespace nom
