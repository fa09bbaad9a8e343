// SPDX-License-Identifier: Apache-2.0
#include "marketd/server/front_door.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "marketd/base/status.h"

namespace nom::marketd {
namespace {

// Left for files and for what gRPC needs beside connections.
constexpr size_t kDescriptorsKept = 24;
constexpr size_t kConnectionsMin = 4;
// How often connections that have ended are looked for, if not before.
constexpr int kForgetIntervalMs = 2'000;
constexpr int kNoDescriptorsPauseMs = 50;

absl::Duration Now() {
  return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

// The system's own number of a socket, never used twice; 0 if `fd` is none.
uint64_t CookieOf(int fd) {
  uint64_t cookie = 0;
  socklen_t length = sizeof cookie;
  return ::getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &length) == 0 ? cookie : 0;
}

std::string Name(const sockaddr_storage& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    return absl::StrCat(text.data(), ":", ntohs(v4.sin_port));
  }
  if (address.ss_family != AF_INET6) return "";
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    ::inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text.data(), text.size());
    return absl::StrCat(text.data(), ":", ntohs(v6.sin6_port));
  }
  ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
  return absl::StrCat("[", text.data(), "]:", ntohs(v6.sin6_port));
}

// gRPC's "ipv4:127.0.0.1:5" or "ipv6:%5B::1%5D:5" as Name says it.
std::string NameOfPeer(const std::string& peer) {
  absl::string_view out = peer;
  if (!absl::ConsumePrefix(&out, "ipv4:")) absl::ConsumePrefix(&out, "ipv6:");
  return absl::StrReplaceAll(out, {{"%5B", "["}, {"%5D", "]"}, {"%5b", "["}, {"%5d", "]"}});
}

size_t DescriptorsInUse() {
  size_t count = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator entry("/proc/self/fd", error), end;
       !error && entry != end; entry.increment(error)) {
    ++count;
  }
  return count;
}

OwnedFd OpenSpare() { return OwnedFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

// Where somebody on this machine finds the listener.
sockaddr_storage Reachable(int listener_fd, socklen_t* length) {
  sockaddr_storage out{};
  *length = sizeof out;
  NOM_CHECK(::getsockname(listener_fd, reinterpret_cast<sockaddr*>(&out), length) == 0,
            "a socket that listens has no name");
  if (out.ss_family == AF_INET) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(out);
    if (v4.sin_addr.s_addr == htonl(INADDR_ANY)) v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }
  if (out.ss_family == AF_INET6) {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(out);
    if (IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr)) v6.sin6_addr = in6addr_loopback;
  }
  return out;
}

absl::Status NoVisit(const char* what) {
  return absl::UnavailableError(absl::StrCat("own front door: ", what, ": ", std::strerror(errno)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<FrontDoor>> FrontDoor::Make(const std::string& address) {
  NOM_ASSIGN_OR_RETURN(Listener listener, Listen(address));
  return std::unique_ptr<FrontDoor>(new FrontDoor(std::move(listener)));
}

FrontDoor::FrontDoor(Listener listener)
    : listener_(std::move(listener)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      spare_(OpenSpare()) {}

FrontDoor::~FrontDoor() { Close(); }

absl::Status FrontDoor::Open(Guests guests, size_t connections_max, size_t descriptors_kept) {
  rlimit limit{};
  NOM_CHECK(::getrlimit(RLIMIT_NOFILE, &limit) == 0, "no descriptor limit");
  const size_t used = DescriptorsInUse() + kDescriptorsKept + descriptors_kept;
  const size_t left = limit.rlim_cur > used ? limit.rlim_cur - used : 0;
  if (left < kConnectionsMin) {
    return absl::FailedPreconditionError(
        absl::StrCat("a limit of ", limit.rlim_cur, " open files leaves no room for connections; ",
                     used + kConnectionsMin, " are needed at the least (LimitNOFILE=)"));
  }
  guests_ = std::move(guests);
  {
    std::lock_guard lock(mutex_);
    table_ = std::make_unique<ConnectionTable>(std::min(connections_max, left));
  }
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

void FrontDoor::Close() {
  closing_ = true;
  const uint64_t one = 1;
  // Fails only if it was woken 2^64 - 2 times before.
  NOM_CHECK(::write(wake_.get(), &one, sizeof one) == sizeof one, "the front door sleeps on");
  if (thread_.joinable()) thread_.join();
  if (!listener_.sockets.empty() && listener_.address.starts_with("unix:")) {
    ::unlink(listener_.address.substr(5).c_str());
  }
  listener_.sockets.clear();
}

absl::Status FrontDoor::Identify(const std::string& peer, const std::string& who,
                                 bool is_operator) {
  const std::string name = NameOfPeer(peer);
  std::lock_guard lock(mutex_);
  return table_ == nullptr ? absl::OkStatus() : table_->Identify(name, who, is_operator);
}

ConnectionCounters FrontDoor::counters() const {
  std::lock_guard lock(mutex_);
  ConnectionCounters out = counters_;
  if (table_ == nullptr) return out;
  out.open = static_cast<int64_t>(table_->size());
  out.strangers = static_cast<int64_t>(table_->strangers());
  return out;
}

absl::StatusOr<OwnedFd> FrontDoor::Visit(absl::Duration timeout) {
  if (closing_ || listener_.sockets.empty()) return absl::UnavailableError("it is closed");
  socklen_t length = 0;
  const sockaddr_storage to = Reachable(listener_.sockets[0].get(), &length);
  OwnedFd out(::socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (out.get() < 0) return NoVisit("no socket");
  std::string name;
  if (to.ss_family != AF_UNIX) {
    // The port is ours from here on, before anybody can see it at the other end.
    sockaddr_storage from = to;
    reinterpret_cast<sockaddr_in&>(from).sin_port = 0;  // At the same place in both families.
    socklen_t size = length;
    if (::bind(out.get(), reinterpret_cast<sockaddr*>(&from), length) != 0 ||
        ::getsockname(out.get(), reinterpret_cast<sockaddr*>(&from), &size) != 0) {
      return NoVisit("no port");
    }
    name = Name(from);
    std::lock_guard lock(mutex_);
    visitors_.insert(name);
  }
  absl::Status status;
  if (::connect(out.get(), reinterpret_cast<const sockaddr*>(&to), length) != 0) {
    pollfd poll{.fd = out.get(), .events = POLLOUT, .revents = 0};
    int error = 0;
    socklen_t size = sizeof error;
    if (errno != EINPROGRESS) {
      status = NoVisit("no connection");
    } else if (::poll(&poll, 1, static_cast<int>(absl::ToInt64Milliseconds(timeout))) == 0) {
      status = absl::DeadlineExceededError("own front door: nobody takes the connection");
    } else if (::getsockopt(out.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
      errno = error;
      status = NoVisit("no connection");
    }
  }
  if (status.ok()) return out;
  std::lock_guard lock(mutex_);
  visitors_.erase(name);
  return status;
}

bool FrontDoor::IsVisitor(int fd, const std::string& peer) {
  if (!peer.empty()) {
    std::lock_guard lock(mutex_);
    return visitors_.erase(peer) != 0;
  }
  ucred who{};
  socklen_t length = sizeof who;
  return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) == 0 && who.pid == ::getpid();
}

// gRPC names no peers of Unix sockets; the system knows whose they are.
absl::Status FrontDoor::IdentifyUser(int fd, const std::string& peer) {
  ucred who{};
  socklen_t length = sizeof who;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) != 0) return absl::OkStatus();
  const bool is_operator = who.uid == 0 || who.uid == ::geteuid();
  return table_->Identify(peer, absl::StrCat("user ", who.uid), is_operator);
}

void FrontDoor::End(ConnectionTable::Id id) {
  const auto found = fds_.find(id);
  if (found == fds_.end()) return;
  // Between the two calls gRPC may close it and another may get its number: that one finds its
  // connection ended, and makes a new one.
  if (CookieOf(found->second) == id) ::shutdown(found->second, SHUT_RDWR);
  fds_.erase(found);
}

void FrontDoor::ForgetEnded() {
  for (auto it = fds_.begin(); it != fds_.end();) {
    if (CookieOf(it->second) == it->first) {
      ++it;
      continue;
    }
    table_->Remove(it->first);
    it = fds_.erase(it);
  }
}

void FrontDoor::Accept(const OwnedFd& listener) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  OwnedFd fd(::accept4(listener.get(), reinterpret_cast<sockaddr*>(&address), &length,
                       SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (fd.get() < 0) {
    if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) return;
    // Somebody else in this process uses more than was thought. Turn the caller away, which frees
    // its place in the queue, and make room for the next.
    spare_ = OwnedFd();
    const OwnedFd turned_away(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    {
      std::lock_guard lock(mutex_);
      ++counters_.refused;
      ForgetEnded();
      if (const auto victim = table_->TakeOldestStranger(); victim.has_value()) {
        ++counters_.dropped;
        End(*victim);
      }
    }
    ::poll(nullptr, 0, kNoDescriptorsPauseMs);
    return;
  }
  std::string peer = Name(address);
  if (IsVisitor(fd.get(), peer)) {
    guests_.visitor(fd.release());
    return;
  }
  const ConnectionTable::Id id = CookieOf(fd.get());
  if (peer.empty()) peer = absl::StrCat("unix ", id);
  {
    std::lock_guard lock(mutex_);
    ConnectionTable::Admission admission = table_->Admit(id, peer);
    if (!admission.admitted) {
      ForgetEnded();  // Some may have gone by themselves.
      admission = table_->Admit(id, peer);
    }
    if (admission.victim.has_value()) {
      ++counters_.dropped;
      End(*admission.victim);
    }
    if (!admission.admitted) {
      ++counters_.refused;
      return;
    }
    if (address.ss_family == AF_UNIX && !IdentifyUser(fd.get(), peer).ok()) {
      table_->Remove(id);
      ++counters_.refused;
      return;
    }
    ++counters_.accepted;
    fds_[id] = fd.get();
  }
  guests_.caller(listener.get(), fd.release());
}

void FrontDoor::Run() {
  std::vector<pollfd> polls = {{wake_.get(), POLLIN, 0}};
  for (const OwnedFd& socket : listener_.sockets) polls.push_back({socket.get(), POLLIN, 0});
  absl::Duration forgot = Now();
  for (;;) {
    ::poll(polls.data(), polls.size(), kForgetIntervalMs);
    if (closing_) return;
    if (spare_.get() < 0) spare_ = OpenSpare();
    for (size_t i = 0; i < listener_.sockets.size(); ++i) {
      if (polls[i + 1].revents != 0) Accept(listener_.sockets[i]);
    }
    if (Now() - forgot < absl::Milliseconds(kForgetIntervalMs)) continue;
    forgot = Now();
    std::lock_guard lock(mutex_);
    ForgetEnded();
  }
}

}  // namespace nom::marketd
