// SPDX-License-Identifier: Apache-2.0
// Sockets that listen.

#ifndef MARKETD_BASE_LISTENER_H_
#define MARKETD_BASE_LISTENER_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace nom::marketd {

// Closes its descriptor.
class OwnedFd {
 public:
  explicit OwnedFd(int fd = -1) : fd_(fd) {}
  ~OwnedFd();
  OwnedFd(OwnedFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// One place to listen: all addresses that its name stands for.
struct Listener {
  std::string address;  // As it was given, with the port that was bound.
  std::vector<OwnedFd> sockets;
};

// `address` is "host:port", "[v6]:port" or "unix:path"; port 0 lets the system choose. The sockets
// do not block. A Unix socket that nobody listens on any more is replaced.
// Errors: UNAVAILABLE says what the system says of which address; INVALID_ARGUMENT if it is none.
absl::StatusOr<Listener> Listen(const std::string& address);

// Whether Listen could work, without being in the way of one who listens there now: the address is
// this machine's and may be bound by this user.
absl::Status TryListen(const std::string& address);

// Whether one process could listen on all of them at once, too: UNAVAILABLE if two are, by whatever
// names, one port of one address. What cannot be resolved is TryListen's to complain of.
absl::Status TryListenOnAll(const std::vector<std::string>& addresses);

}  // namespace nom::marketd

#endif  // MARKETD_BASE_LISTENER_H_
