// SPDX-License-Identifier: Apache-2.0
#include "marketd/server/connection_table.h"

#include <algorithm>

#include "marketd/base/status.h"

namespace nom::marketd {

ConnectionTable::ConnectionTable(size_t connections_max)
    : connections_max_(std::max<size_t>(connections_max, 4)) {}

ConnectionTable::Admission ConnectionTable::Admit(Id id, const std::string& peer) {
  Remove(id);
  // A port that is used again: whoever had it is gone, whether we were told or not.
  if (const auto before = by_peer_.find(peer); before != by_peer_.end()) Remove(before->second);
  Admission out{.admitted = true, .victim = {}};
  if (connections_.size() >= connections_max_) {
    out.victim = TakeOldestStranger();
    if (!out.victim.has_value()) return {};
  }
  Connection& connection = connections_[id];
  connection.peer = peer;
  connection.stranger = strangers_.insert(strangers_.end(), id);
  by_peer_[peer] = id;
  return out;
}

std::optional<ConnectionTable::Id> ConnectionTable::TakeOldestStranger() {
  if (strangers_.empty()) return std::nullopt;
  const Id id = strangers_.front();
  Remove(id);
  return id;
}

void ConnectionTable::Remove(Id id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  const Connection& connection = found->second;
  if (!connection.known) {
    strangers_.erase(connection.stranger);
  } else if (!connection.is_operator) {
    --known_;
    const auto held = held_by_.find(connection.owner);
    if (--held->second == 0) held_by_.erase(held);
  }
  by_peer_.erase(connection.peer);
  connections_.erase(found);
}

absl::Status ConnectionTable::Identify(const std::string& peer, const std::string& who,
                                       bool is_operator) {
  const auto id = by_peer_.find(peer);
  if (id == by_peer_.end()) return absl::OkStatus();
  const auto found = connections_.find(id->second);
  NOM_CHECK(found != connections_.end(), "a peer without a connection");
  Connection& connection = found->second;
  if (connection.known) return absl::OkStatus();
  if (!is_operator) {
    size_t& held = held_by_[who];
    if (held >= connections_max_ / 4) {
      return absl::ResourceExhaustedError("too many connections of this caller");
    }
    if (known_ >= connections_max_ - connections_max_ / 4) {
      if (held == 0) held_by_.erase(who);
      return absl::ResourceExhaustedError("too many connections to this market");
    }
    ++held;
    ++known_;
  }
  connection.known = true;
  connection.is_operator = is_operator;
  connection.owner = who;
  strangers_.erase(connection.stranger);
  return absl::OkStatus();
}

std::vector<ConnectionTable::Id> ConnectionTable::ids() const {
  std::vector<Id> out;
  out.reserve(connections_.size());
  for (const auto& [id, connection] : connections_) out.push_back(id);
  return out;
}

}  // namespace nom::marketd
