// SPDX-License-Identifier: Apache-2.0
#include "marketd/server/connections.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace nom::marketd {
namespace {

// The end of `fd` on our side as "unix:path" or ":port"; empty if it is no such socket. This
// program connects to nobody by TCP, so whatever it has on a port that it listens on was accepted
// there.
std::string OwnEnd(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  auto* const address = reinterpret_cast<sockaddr*>(&storage);
  if (::getsockname(fd, address, &length) != 0) return "";
  switch (storage.ss_family) {
    case AF_INET:
      return absl::StrCat(":", ntohs(reinterpret_cast<const sockaddr_in*>(address)->sin_port));
    case AF_INET6:
      return absl::StrCat(":", ntohs(reinterpret_cast<const sockaddr_in6*>(address)->sin6_port));
    case AF_UNIX: {
      const char* const path = reinterpret_cast<const sockaddr_un*>(address)->sun_path;
      const size_t room = length - std::min<size_t>(length, offsetof(sockaddr_un, sun_path));
      return absl::StrCat("unix:", absl::string_view(path, ::strnlen(path, room)));
    }
    default:
      return "";
  }
}

bool Listens(int fd) {
  int listens = 0;
  socklen_t length = sizeof listens;
  return ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0 && listens != 0;
}

}  // namespace

int EndConnections(const std::string& address) {
  const std::string own_end =
      address.starts_with("unix:") ? address : address.substr(address.rfind(':'));
  int ended = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator entry("/proc/self/fd", error), end;
       !error && entry != end; entry.increment(error)) {
    int fd = -1;
    // A number that is closed, or already another file's, by now: no socket of this name, no harm.
    if (!absl::SimpleAtoi(entry->path().filename().string(), &fd)) continue;
    if (OwnEnd(fd) == own_end && !Listens(fd) && ::shutdown(fd, SHUT_RDWR) == 0) ++ended;
  }
  return ended;
}

}  // namespace nom::marketd
