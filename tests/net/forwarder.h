// SPDX-License-Identifier: Apache-2.0
// A TCP forwarder whose connections can be frozen, as when a cable is pulled or a firewall forgets:
// nothing is forwarded any more, nothing is ended, and neither end hears of it.

#ifndef TESTS_NET_FORWARDER_H_
#define TESTS_NET_FORWARDER_H_

#include <memory>
#include <string>

namespace nom::testing {

// Thread-safe.
class Forwarder {
 public:
  // Forwards what connects to address() to `target`, "127.0.0.1:port".
  explicit Forwarder(const std::string& target);
  ~Forwarder();  // Ends all connections.

  const std::string& address() const;

  // The connections that are open now are frozen for ever; new ones work.
  void Freeze();

  int connections() const;  // Taken so far.

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nom::testing

#endif  // TESTS_NET_FORWARDER_H_
