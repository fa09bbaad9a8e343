// SPDX-License-Identifier: Apache-2.0
// What gRPC does not offer: to end the connections of a server while it still serves.

#ifndef MARKETD_SERVER_CONNECTIONS_H_
#define MARKETD_SERVER_CONNECTIONS_H_

#include <string>

namespace nom::marketd {

// Shuts down, both ways, every socket of this process that was accepted on `address`, which is
// "host:port" or "unix:path"; whatever listens there goes on. What was written before still
// arrives; the peer reads the end of the stream after it, and so does the owner of the socket, who
// is the one to close it. Reads /proc/self/fd. Returns how many there were.
int EndConnections(const std::string& address);

}  // namespace nom::marketd

#endif  // MARKETD_SERVER_CONNECTIONS_H_
