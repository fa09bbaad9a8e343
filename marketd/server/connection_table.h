// SPDX-License-Identifier: Apache-2.0
// Who is connected, and who must go when there is no more room: the judgement, without a socket.
//
// A connection is a stranger's until a call on it shows a credential. Strangers can fill only what
// nobody else needs: when all places are taken, the stranger that has been there longest goes.
// Callers that are known keep their places; the last quarter of them is never theirs, so that
// somebody new always finds room, and no tenant holds more than a quarter. Operators are let in
// whatever others hold.

#ifndef MARKETD_SERVER_CONNECTION_TABLE_H_
#define MARKETD_SERVER_CONNECTION_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace nom::marketd {

// Not thread-safe.
class ConnectionTable {
 public:
  // Names one connection as long as the machine is up: a socket's cookie.
  using Id = uint64_t;

  explicit ConnectionTable(size_t connections_max);  // At least 4.

  struct Admission {
    bool admitted = false;
    std::optional<Id> victim;  // To be ended: it has lost its place, and is in here no more.
  };
  // A connection has come. `peer` is "address:port", or anything else that no other has. Refused
  // only if there is no stranger to make room.
  Admission Admit(Id id, const std::string& peer);

  // The stranger that has been here longest, removed; none if there is none.
  std::optional<Id> TakeOldestStranger();

  void Remove(Id id);

  // A call on the connection of `peer` has shown that it is from `who`. It keeps what was said
  // first. Errors: RESOURCE_EXHAUSTED if its owner, or all that are known, hold too many; it stays
  // a stranger. A peer that is not in here is nobody's business.
  absl::Status Identify(const std::string& peer, const std::string& who, bool is_operator);

  size_t size() const { return connections_.size(); }
  size_t strangers() const { return strangers_.size(); }
  std::vector<Id> ids() const;

 private:
  struct Connection {
    std::string peer;
    std::string owner;  // If it is known.
    bool known = false;
    bool is_operator = false;
    std::list<Id>::iterator stranger;  // Unless it is known.
  };

  const size_t connections_max_;
  std::unordered_map<Id, Connection> connections_;
  std::unordered_map<std::string, Id> by_peer_;
  std::list<Id> strangers_;                // The oldest first.
  std::map<std::string, size_t> held_by_;  // Tenants.
  size_t known_ = 0;                       // Of tenants.
};

}  // namespace nom::marketd

#endif  // MARKETD_SERVER_CONNECTION_TABLE_H_
