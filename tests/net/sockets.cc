// SPDX-License-Identifier: Apache-2.0
#include "tests/net/sockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace nom::testing {

Socket::~Socket() {
  if (fd_ >= 0) ::close(fd_);
}

Socket ListenOnLoopback(std::string* address) {
  Socket out(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof at;
  if (::bind(out.fd(), reinterpret_cast<sockaddr*>(&at), length) != 0 ||
      ::listen(out.fd(), 64) != 0 ||
      ::getsockname(out.fd(), reinterpret_cast<sockaddr*>(&at), &length) != 0) {
    std::abort();
  }
  *address = absl::StrCat("127.0.0.1:", ntohs(at.sin_port));
  return out;
}

Socket ConnectTo(const std::string& address) {
  int port = 0;
  if (!absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port)) std::abort();
  const bool v6 = address.starts_with("[");
  Socket out(::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage storage{};
  if (v6) {
    auto& at = reinterpret_cast<sockaddr_in6&>(storage);
    at.sin6_family = AF_INET6;
    at.sin6_addr = in6addr_loopback;
    at.sin6_port = htons(static_cast<uint16_t>(port));
  } else {
    auto& at = reinterpret_cast<sockaddr_in&>(storage);
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(static_cast<uint16_t>(port));
  }
  const socklen_t size = v6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  if (::connect(out.fd(), reinterpret_cast<sockaddr*>(&storage), size) != 0) return Socket();
  return out;
}

bool EndedByPeer(const Socket& socket, int timeout_ms) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        give_up - std::chrono::steady_clock::now());
    pollfd poll{.fd = socket.fd(), .events = POLLIN, .revents = 0};
    if (left.count() <= 0 || ::poll(&poll, 1, static_cast<int>(left.count())) == 0) return false;
    char buffer[4096];
    if (::recv(socket.fd(), buffer, sizeof buffer, 0) <= 0) return true;
  }
}

}  // namespace nom::testing
