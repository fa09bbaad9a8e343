// SPDX-License-Identifier: Apache-2.0
// A guest's own network: a namespace, a pair of interfaces into it, and a limit each way.
//
//   guest's namespace         this machine
//   eth0 <----- veth -----> nom-ID --ingress--> nomi-ID (ifb)
//                             | htb: to the guest  | htb: from the guest
//
// Both limits are on this machine's side: one that is root in its namespace could undo its own end.
// Measured: htb at both ends meets a rate as TCP sees it within its headers; policing loses two
// thirds of it. Packets between the guest and the world are routed; forwarding them, and hiding the
// addresses behind this machine's, is the operator's to turn on (handbook).
//
// The launcher's side: it takes CAP_NET_ADMIN. Pure but for what it asks of Netlink.

#ifndef MARKETD_HOST_LINUX_TRAFFIC_H_
#define MARKETD_HOST_LINUX_TRAFFIC_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "marketd/host/linux/netlink.h"
#include "marketd/host/linux/network.h"
#include "marketd/market/types.h"

namespace nom::market {

// Not thread-safe.
class Traffic {
 public:
  // `netlink` outlives it.
  Traffic(Netlink& netlink, NetworkOptions options) : netlink_(netlink), options_(options) {}

  // A guest's network at `mbits` Mbit/s each way; its first process enters the namespace. On an
  // error nothing is left behind.
  absl::StatusOr<NetworkNamespace> Add(GuestId guest_id, int64_t mbits);

  // Another limit, at once. OK if the guest has no network: it has ended, or was given none.
  absl::Status SetRate(GuestId guest_id, int64_t mbits);

  // Removes what guests that ended left behind: the kernel removes a pair of interfaces with the
  // namespace, but not the ifb beside it.
  void RemoveLeftBehind();

 private:
  absl::Status Connect(GuestId guest_id, int64_t mbits, const NetworkNamespace& made);

  Netlink& netlink_;
  const NetworkOptions options_;
};

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_TRAFFIC_H_
