// SPDX-License-Identifier: Apache-2.0
// Loopback sockets for tests. What cannot be had ends the test program: no test is about that.

#ifndef TESTS_NET_SOCKETS_H_
#define TESTS_NET_SOCKETS_H_

#include <string>
#include <utility>

namespace nom::testing {

// A descriptor that is closed once.
class Socket {
 public:
  explicit Socket(int fd = -1) : fd_(fd) {}
  ~Socket();
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

// Listens on a free port of 127.0.0.1.
Socket ListenOnLoopback(std::string* address);

// Blocking, to "127.0.0.1:port" or "[::1]:port". Its fd is -1 if nobody takes it.
Socket ConnectTo(const std::string& address);

// True if the peer ends or resets the connection within `timeout_ms`; what it sends meanwhile is
// thrown away.
bool EndedByPeer(const Socket& socket, int timeout_ms);

}  // namespace nom::testing

#endif  // TESTS_NET_SOCKETS_H_
