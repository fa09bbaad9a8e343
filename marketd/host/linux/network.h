// SPDX-License-Identifier: Apache-2.0
// The network that is sold: names, addresses and counts, which marketd reads and the launcher
// makes.

#ifndef MARKETD_HOST_LINUX_NETWORK_H_
#define MARKETD_HOST_LINUX_NETWORK_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "marketd/market/types.h"

namespace nom::market {

struct NetworkOptions {
  uint32_t addresses = 0;  // Guests' addresses: the first of them, in host byte order.
  int prefix = 0;          // 8 to 30; 0: no network is sold.
  int64_t mbits = 0;       // All that is sold, Mbit/s, seeds included: in, and out.
};

// "10.77.0.0/16". INVALID_ARGUMENT in one sentence.
absl::Status ParseAddresses(absl::string_view text, NetworkOptions* options);
std::string AddressText(uint32_t address);

// Guests' addresses follow their ids; ids that lie a whole network apart share one, and then the
// later guest is refused while the earlier one lives. Requires a prefix.
uint32_t AddressOf(const NetworkOptions& options, GuestId guest_id);

// This machine's end of a guest's pair of interfaces, and the interface by which what the guest
// sends is limited. Of at most 15 letters, as the kernel takes them; the id in base 36.
std::string PairName(GuestId guest_id);
std::string IfbName(GuestId guest_id);
// The pair that goes with such an interface; empty for any other name.
std::string PairOfIfb(const std::string& name);

// Bytes that reached the guest and that left it, counted behind the limits. 0 if it has no network.
// `sys` is "/sys".
struct NetworkStat {
  uint64_t received_bytes = 0;
  uint64_t sent_bytes = 0;
  friend bool operator==(const NetworkStat&, const NetworkStat&) = default;
};
NetworkStat ReadNetworkStat(const std::string& sys, GuestId guest_id);

// Bits between two readings, by the busier direction. A count that fell is taken as unchanged.
int64_t BitsBetween(const NetworkStat& before, const NetworkStat& after);

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_NETWORK_H_
