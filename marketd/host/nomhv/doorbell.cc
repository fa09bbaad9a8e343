// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/nomhv/doorbell.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nomhv/abi/mailbox.h"

namespace nom::market {
namespace {

// Message of the protocol: a little-endian number, with at most one descriptor beside it.
bool Send(int connection, int64_t number, int descriptor) {
  iovec part{.iov_base = &number, .iov_len = sizeof(number)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (descriptor >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
  }
  return sendmsg(connection, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof(number));
}

absl::Status Failed(const std::string& path, const char* what) {
  return absl::FailedPreconditionError(
      absl::StrCat("doorbell ", path, ": ", what, ": ", std::strerror(errno)));
}

void Signal(int event) {
  const uint64_t one = 1;
  // A full counter is a ring already made.
  [[maybe_unused]] const ssize_t written = write(event, &one, sizeof(one));
}

bool Drain(int event) {
  uint64_t count = 0;
  return read(event, &count, sizeof(count)) == static_cast<ssize_t>(sizeof(count));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Doorbell>> Doorbell::Listen(const std::string& socket_path,
                                                           const std::string& mailbox_path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof(address.sun_path)) {
    return absl::FailedPreconditionError(absl::StrCat("doorbell ", socket_path, ": longer than ",
                                                      sizeof(address.sun_path) - 1, " bytes"));
  }
  std::memcpy(address.sun_path, socket_path.data(), socket_path.size());

  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener < 0) return Failed(socket_path, "socket");
  // A socket left by an earlier marketd is in the way; one that somebody listens on is not ours.
  struct stat info {};
  if (lstat(socket_path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode)) {
    const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool alive = probe >= 0 && connect(probe, reinterpret_cast<const sockaddr*>(&address),
                                             sizeof(address)) == 0;
    if (probe >= 0) close(probe);
    if (!alive) unlink(socket_path.c_str());
  }
  if (bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(listener, 1) != 0) {
    absl::Status status = Failed(socket_path, "bind");
    close(listener);
    return status;
  }
  const int memory = open(mailbox_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  struct stat memory_info {};
  if (memory < 0 || fstat(memory, &memory_info) != 0 ||
      (memory_info.st_size == 0 && ftruncate(memory, NOM_MAILBOX_BYTES) != 0)) {
    absl::Status status = Failed(mailbox_path, "mailbox");
    close(listener);
    if (memory >= 0) close(memory);
    return status;
  }
  const int to_machine = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  const int from_machine = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  const int stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (to_machine < 0 || from_machine < 0 || stop < 0) {
    absl::Status status = Failed(socket_path, "eventfd");
    for (const int fd : {listener, memory, to_machine, from_machine, stop}) {
      if (fd >= 0) close(fd);
    }
    return status;
  }
  return std::unique_ptr<Doorbell>(
      new Doorbell(socket_path, listener, memory, to_machine, from_machine, stop));
}

Doorbell::Doorbell(std::string socket_path, int listener, int memory, int to_machine,
                   int from_machine, int stop)
    : socket_path_(std::move(socket_path)),
      listener_(listener),
      memory_(memory),
      to_machine_(to_machine),
      from_machine_(from_machine),
      stop_(stop),
      server_([this] { Serve(); }) {}

Doorbell::~Doorbell() {
  Signal(stop_);
  server_.join();
  unlink(socket_path_.c_str());
  for (const int fd : {listener_, memory_, to_machine_, from_machine_, stop_}) close(fd);
}

bool Doorbell::Greet(int connection) const {
  constexpr int64_t kProtocolVersion = 0;
  constexpr int64_t kMemoryFollows = -1;
  return Send(connection, kProtocolVersion, -1) && Send(connection, kMachinePeer, -1) &&
         Send(connection, kMemoryFollows, memory_) && Send(connection, kOwnPeer, from_machine_) &&
         Send(connection, kMachinePeer, to_machine_);
}

// One machine at a time: a second one that connects takes the first one's place.
void Doorbell::Serve() {
  int connection = -1;
  for (;;) {
    pollfd waits[] = {{stop_, POLLIN, 0}, {listener_, POLLIN, 0}, {connection, POLLIN, 0}};
    if (poll(waits, 3, -1) < 0 && errno != EINTR) break;
    if (waits[0].revents != 0) break;
    if (waits[2].revents != 0) {
      char byte;
      if (recv(connection, &byte, 1, MSG_DONTWAIT) <= 0) {
        connected_.store(false, std::memory_order_release);
        close(connection);
        connection = -1;
      }
    }
    if (waits[1].revents != 0) {
      const int next = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (next < 0) continue;
      if (connection >= 0) close(connection);
      connection = next;
      connected_.store(Greet(connection), std::memory_order_release);
    }
  }
  if (connection >= 0) close(connection);
}

void Doorbell::Ring() { Signal(to_machine_); }

bool Doorbell::Wait(absl::Duration timeout) {
  const timespec limit = absl::ToTimespec(timeout);
  pollfd wait{from_machine_, POLLIN, 0};
  if (ppoll(&wait, 1, &limit, nullptr) <= 0) return false;
  return Drain(from_machine_);
}

}  // namespace nom::market
