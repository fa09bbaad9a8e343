// SPDX-License-Identifier: Apache-2.0
// A client that speaks HTTP/2 as it likes: half a message on as many streams as it is let, pings
// when it wants. What no well-behaved gRPC library can be made to do.

#ifndef TESTS_NET_HTTP2_STRANGER_H_
#define TESTS_NET_HTTP2_STRANGER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace nom::testing {

class Http2Stranger {
 public:
  explicit Http2Stranger(const std::string& address);  // "127.0.0.1:port"
  ~Http2Stranger();

  // Begins a call of `path` ("/package.Service/Method") with a message that is said to have
  // `declared_bytes`, of which `sent_bytes` are sent, and never more. No credential if
  // `authorization` is empty. Queued until Pump.
  void BeginCall(const std::string& path, const std::string& authorization, size_t declared_bytes,
                 size_t sent_bytes);
  void Ping();

  // Sends and receives for so long. False once the connection is over.
  bool Pump(int ms);

  size_t streams_open() const;
  size_t body_bytes_sent() const;
  int pings_answered() const;
  // How many calls ended with each grpc-status; those without one under "reset".
  const std::map<std::string, int>& endings() const;
  // What the server said as it sent us away, if it did.
  const std::string& goaway() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nom::testing

#endif  // TESTS_NET_HTTP2_STRANGER_H_
