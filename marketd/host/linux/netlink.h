// SPDX-License-Identifier: Apache-2.0
// The few things that are asked of the kernel's rtnetlink (rtnetlink(7), tc(8)) to give a guest a
// network of its own, one call each. A test puts a record of them in the kernel's place.

#ifndef MARKETD_HOST_LINUX_NETLINK_H_
#define MARKETD_HOST_LINUX_NETLINK_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace nom::market {

class Netlink;

// A network namespace without a name: it ends with its last process and the last descriptor of it.
struct NetworkNamespace {
  NetworkNamespace() = default;
  NetworkNamespace(int descriptor, std::unique_ptr<Netlink> in);
  NetworkNamespace(NetworkNamespace&& other) noexcept;
  NetworkNamespace& operator=(NetworkNamespace&& other) noexcept;
  ~NetworkNamespace();

  int fd = -1;
  std::unique_ptr<Netlink> inside;  // Acts in it.
};

// An IPv4 network in host byte order; 0/0 is everything.
struct Ipv4Network {
  uint32_t address = 0;
  int prefix = 32;
};

// Acts in the network namespace in which it was made. Errors of every call: UNAVAILABLE, NOT_FOUND
// (no such interface), ALREADY_EXISTS, PERMISSION_DENIED, each with what was asked.
class Netlink {
 public:
  virtual ~Netlink() = default;

  virtual absl::StatusOr<NetworkNamespace> AddNamespace() = 0;

  // A pair of interfaces: `name` here, `peer` in the namespace behind `peer_fd`. `alias` is for
  // people.
  virtual absl::Status AddVeth(const std::string& name, const std::string& alias,
                               const std::string& peer, int peer_fd) = 0;
  virtual absl::Status AddIfb(const std::string& name, const std::string& alias) = 0;
  virtual absl::Status SetUp(const std::string& name) = 0;
  virtual absl::Status AddAddress(const std::string& name, uint32_t address) = 0;  // With /32.
  // By a gateway, or without one (0) for what is on the link itself.
  virtual absl::Status AddRoute(const Ipv4Network& to, const std::string& name,
                                uint32_t gateway) = 0;
  // Everything that leaves by `name` goes at `mbits` Mbit/s at most: htb with one class.
  virtual absl::Status AddShaper(const std::string& name, int64_t mbits) = 0;
  virtual absl::Status SetShaper(const std::string& name, int64_t mbits) = 0;
  // Everything that comes in by `from` leaves by `to` first, and so through its shaper.
  virtual absl::Status RedirectIngress(const std::string& from, const std::string& to) = 0;
  virtual absl::Status Remove(const std::string& name) = 0;
  virtual absl::StatusOr<std::vector<std::string>> Interfaces() = 0;
};

// The kernel's, in this process's namespace. For a process with one thread: making a namespace
// enters it for a moment.
absl::StatusOr<std::unique_ptr<Netlink>> OpenNetlink();

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_NETLINK_H_
