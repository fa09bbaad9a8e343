// SPDX-License-Identifier: Apache-2.0
#include "marketd/base/listener.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "marketd/base/status.h"

namespace nom::marketd {
namespace {

constexpr int kBacklog = 1024;

absl::Status CannotListen(const std::string& address, const std::string& why) {
  return absl::UnavailableError(absl::StrCat("cannot listen on ", address, ": ", why));
}

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

absl::StatusOr<AddressList> Resolve(const std::string& address) {
  const size_t colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port)) {
    return absl::InvalidArgumentError(absl::StrCat(address, ": is not host:port"));
  }
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), address.substr(colon + 1).c_str(), &hints, &found);
  if (error != 0) return CannotListen(address, ::gai_strerror(error));
  return AddressList(found, &::freeaddrinfo);
}

void SetPort(sockaddr* address, int port) {
  const auto number = htons(static_cast<uint16_t>(port));
  if (address->sa_family == AF_INET) reinterpret_cast<sockaddr_in*>(address)->sin_port = number;
  if (address->sa_family == AF_INET6) reinterpret_cast<sockaddr_in6*>(address)->sin6_port = number;
}

int PortOf(const OwnedFd& socket) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&storage), &length) != 0) return 0;
  return ntohs(storage.ss_family == AF_INET
                   ? reinterpret_cast<const sockaddr_in*>(&storage)->sin_port
                   : reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port);
}

// A socket bound to it; errno if its fd is -1.
OwnedFd Bind(const sockaddr* address, socklen_t length) {
  OwnedFd out(::socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (out.get() < 0) return out;
  const int on = 1;
  if (address->sa_family != AF_UNIX) {
    // So that a restart need not wait for connections that are gone. Connections inherit the rest.
    ::setsockopt(out.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    ::setsockopt(out.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  if (address->sa_family == AF_INET6) {
    // "localhost" may stand for both families, each with a socket; [::] is for both in one.
    const auto* const v6 = reinterpret_cast<const sockaddr_in6*>(address);
    const int only = IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr) ? 0 : 1;
    ::setsockopt(out.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
  }
  if (::bind(out.get(), address, length) == 0) return out;
  const int why = errno;
  out = OwnedFd();
  errno = why;
  return out;
}

absl::StatusOr<sockaddr_un> UnixAddress(const std::string& address) {
  const std::string path(absl::StripPrefix(address, "unix:"));
  sockaddr_un out{};
  out.sun_family = AF_UNIX;
  if (path.size() >= sizeof out.sun_path) {
    return absl::InvalidArgumentError(absl::StrCat(address, ": a path of at most ",
                                                   sizeof out.sun_path - 1, " bytes is allowed"));
  }
  path.copy(out.sun_path, path.size());
  return out;
}

// True if who listens on the one is in the way of the other.
bool Collide(const sockaddr* a, const sockaddr* b) {
  if (a->sa_family == AF_INET6 && b->sa_family == AF_INET) return Collide(b, a);
  if (a->sa_family == AF_INET && b->sa_family == AF_INET) {
    const auto* const x = reinterpret_cast<const sockaddr_in*>(a);
    const auto* const y = reinterpret_cast<const sockaddr_in*>(b);
    const in_addr_t mine = x->sin_addr.s_addr;
    const in_addr_t its = y->sin_addr.s_addr;
    return x->sin_port != 0 && x->sin_port == y->sin_port &&
           (mine == its || mine == INADDR_ANY || its == INADDR_ANY);
  }
  if (b->sa_family != AF_INET6) return false;
  const auto* const y = reinterpret_cast<const sockaddr_in6*>(b);
  if (a->sa_family == AF_INET) {  // [::] is for both families.
    const in_port_t port = reinterpret_cast<const sockaddr_in*>(a)->sin_port;
    return port != 0 && port == y->sin6_port && IN6_IS_ADDR_UNSPECIFIED(&y->sin6_addr);
  }
  const auto* const x = reinterpret_cast<const sockaddr_in6*>(a);
  return x->sin6_port != 0 && x->sin6_port == y->sin6_port &&
         (IN6_ARE_ADDR_EQUAL(&x->sin6_addr, &y->sin6_addr) ||
          IN6_IS_ADDR_UNSPECIFIED(&x->sin6_addr) || IN6_IS_ADDR_UNSPECIFIED(&y->sin6_addr));
}

bool Collide(const std::string& a, const std::string& b) {
  if (a.starts_with("unix:") || b.starts_with("unix:")) return a == b;
  const absl::StatusOr<AddressList> mine = Resolve(a);
  const absl::StatusOr<AddressList> its = Resolve(b);
  if (!mine.ok() || !its.ok()) return false;
  for (const addrinfo* x = mine->get(); x != nullptr; x = x->ai_next) {
    for (const addrinfo* y = its->get(); y != nullptr; y = y->ai_next) {
      if (Collide(x->ai_addr, y->ai_addr)) return true;
    }
  }
  return false;
}

// True if somebody takes connections there.
bool IsAlive(const sockaddr_un& address) {
  const OwnedFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
         errno == EAGAIN;
}

absl::StatusOr<Listener> ListenUnix(const std::string& address) {
  NOM_ASSIGN_OR_RETURN(const sockaddr_un at, UnixAddress(address));
  struct stat facts = {};
  if (::lstat(at.sun_path, &facts) == 0) {
    if (!S_ISSOCK(facts.st_mode)) return CannotListen(address, "there is a file of that name");
    if (IsAlive(at)) return CannotListen(address, "somebody else does");
    ::unlink(at.sun_path);  // Of one that was killed.
  }
  OwnedFd socket = Bind(reinterpret_cast<const sockaddr*>(&at), sizeof at);
  if (socket.get() < 0 || ::listen(socket.get(), kBacklog) != 0) {
    return CannotListen(address, std::strerror(errno));
  }
  Listener out{.address = address, .sockets = {}};
  out.sockets.push_back(std::move(socket));
  return out;
}

}  // namespace

OwnedFd::~OwnedFd() {
  if (fd_ >= 0) ::close(fd_);
}

absl::StatusOr<Listener> Listen(const std::string& address) {
  if (address.starts_with("unix:")) return ListenUnix(address);
  NOM_ASSIGN_OR_RETURN(const AddressList found, Resolve(address));
  Listener out;
  int port = 0;  // Of the first: a name that stands for several addresses has one port.
  for (addrinfo* at = found.get(); at != nullptr; at = at->ai_next) {
    if (port != 0) SetPort(at->ai_addr, port);
    OwnedFd socket = Bind(at->ai_addr, at->ai_addrlen);
    if (socket.get() < 0 || ::listen(socket.get(), kBacklog) != 0) {
      // A family that this machine has not: the other will do.
      const bool no_family = errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL;
      if (no_family && (at->ai_next != nullptr || !out.sockets.empty())) continue;
      return CannotListen(address, std::strerror(errno));
    }
    port = PortOf(socket);
    out.sockets.push_back(std::move(socket));
  }
  out.address = absl::StrCat(address.substr(0, address.rfind(':')), ":", port);
  return out;
}

absl::Status TryListen(const std::string& address) {
  if (address.starts_with("unix:")) {
    NOM_ASSIGN_OR_RETURN(const sockaddr_un at, UnixAddress(address));
    struct stat facts = {};
    if (::lstat(at.sun_path, &facts) == 0 && !S_ISSOCK(facts.st_mode)) {
      return CannotListen(address, "there is a file of that name");
    }
    const std::string path = at.sun_path;
    const size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    if (::access(folder.c_str(), W_OK | X_OK) != 0) {
      return CannotListen(address, absl::StrCat(folder, ": ", std::strerror(errno)));
    }
    return absl::OkStatus();
  }
  NOM_ASSIGN_OR_RETURN(const AddressList found, Resolve(address));
  absl::Status problem;
  for (const addrinfo* at = found.get(); at != nullptr; at = at->ai_next) {
    if (Bind(at->ai_addr, at->ai_addrlen).get() >= 0 || errno == EADDRINUSE) {
      return absl::OkStatus();
    }
    problem = CannotListen(address, std::strerror(errno));
  }
  return problem;
}

absl::Status TryListenOnAll(const std::vector<std::string>& addresses) {
  for (size_t i = 0; i < addresses.size(); ++i) {
    NOM_RETURN_IF_ERROR(TryListen(addresses[i]));
    for (size_t other = 0; other < i; ++other) {
      if (!Collide(addresses[other], addresses[i])) continue;
      return CannotListen(addresses[i],
                          absl::StrCat("so does this marketd already, as ", addresses[other]));
    }
  }
  return absl::OkStatus();
}

}  // namespace nom::marketd
