// SPDX-License-Identifier: Apache-2.0
// How both ends of a connection to a market find out that the other is no longer there: one table,
// of which the server and the SDK take what is theirs. Another client may take any figures that the
// server welcomes (see kPingIntervalMin).
//
// A peer that was cut off without a word (a cable, a firewall that forgot, a frozen machine) answers
// no ping: it is noticed kPingInterval + kPingTimeout after it was last heard, at the latest. The
// figures are gRPC's keepalive arguments (gRPC proposal A8, A9).

#ifndef PROTO_NOM_MARKET_V1_KEEPALIVE_H_
#define PROTO_NOM_MARKET_V1_KEEPALIVE_H_

namespace nom::market::v1 {

struct Keepalive {
  int ping_interval_ms;  // Silence on a connection before its peer is asked whether it is there.
  int ping_timeout_ms;   // Without an answer for so long, the connection is given up.
};

// What both ends do. Also without calls: a program that waits must know whether it waits in vain.
inline constexpr Keepalive kKeepalive = {.ping_interval_ms = 10'000, .ping_timeout_ms = 5'000};

// Pings that come more often than this are counted against a client, which is sent away after a
// few. Half of what clients are told to use, so that a ping that comes early is no offence.
inline constexpr int kPingIntervalMinMs = kKeepalive.ping_interval_ms / 2;

// A connection on which nothing is asked for is ended, politely, after this time.
inline constexpr int kIdleMaxMs = 300'000;

}  // namespace nom::market::v1

#endif  // PROTO_NOM_MARKET_V1_KEEPALIVE_H_
