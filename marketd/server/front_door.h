// SPDX-License-Identifier: Apache-2.0
// Where callers come in: takes every connection itself, knows how many there are and whose, and
// hands them to gRPC, which then owns them.
//
// gRPC 1.51 stops listening for good once accept() has failed, as it does when descriptors run out
// (grpc/grpc issue 31339 and others), and has no limit on connections. So this thread accepts,
// keeps the number of connections below the descriptor limit, and makes room by ending those of
// strangers (see connection_table.h).

#ifndef MARKETD_SERVER_FRONT_DOOR_H_
#define MARKETD_SERVER_FRONT_DOOR_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "marketd/base/listener.h"
#include "marketd/server/connection_table.h"

namespace nom::marketd {

struct ConnectionCounters {
  int64_t open = 0;       // Now.
  int64_t strangers = 0;  // Of them: without a credential so far.
  uint64_t accepted = 0;  // All time, as the next two.
  uint64_t refused = 0;   // There was no room.
  uint64_t dropped = 0;   // Strangers that had to make room.
};

// Thread-safe.
class FrontDoor {
 public:
  // Listens; nobody is let in before Open. Errors: those of Listen.
  static absl::StatusOr<std::unique_ptr<FrontDoor>> Make(const std::string& address);
  ~FrontDoor();  // Closes.

  const std::string& address() const { return listener_.address; }

  struct Guests {
    // Takes over the descriptor of a connection.
    std::function<void(int listener_fd, int fd)> caller;
    // The same for one that Visit() made.
    std::function<void(int fd)> visitor;
  };
  // Lets callers in: at most `connections_max`, and no more than the limit of descriptors leaves
  // beside those that are in use now and `descriptors_kept` for others. Once.
  // Errors: FAILED_PRECONDITION if that is too few to work with.
  absl::Status Open(Guests guests, size_t connections_max, size_t descriptors_kept);

  // Lets nobody in any more, and stops listening. Idempotent.
  void Close();

  // The call of `peer`, as gRPC names it, is from `who`. RESOURCE_EXHAUSTED: see ConnectionTable.
  absl::Status Identify(const std::string& peer, const std::string& who, bool is_operator);

  // A connection of our own that comes in like any other; its descriptor does not block. It is
  // known by its own end's address, which nobody else can have meanwhile, and so needs neither TLS
  // nor a credential. Errors: UNAVAILABLE, DEADLINE_EXCEEDED.
  absl::StatusOr<OwnedFd> Visit(absl::Duration timeout);

  ConnectionCounters counters() const;

 private:
  explicit FrontDoor(Listener listener);

  void Run();
  void Accept(const OwnedFd& listener);
  bool IsVisitor(int fd, const std::string& peer);
  absl::Status IdentifyUser(int fd, const std::string& peer);
  // Ends the connection if it is still the one that had this number.
  void End(ConnectionTable::Id id);
  void ForgetEnded();

  Listener listener_;
  OwnedFd wake_;
  OwnedFd spare_;  // Given up to be able to turn somebody away when there are no more descriptors.
  Guests guests_;
  std::thread thread_;

  mutable std::mutex mutex_;
  std::unique_ptr<ConnectionTable> table_;
  std::map<ConnectionTable::Id, int> fds_;
  std::set<std::string> visitors_;  // Own ends of visits under way.
  ConnectionCounters counters_;
  std::atomic<bool> closing_{false};
};

}  // namespace nom::marketd

#endif  // MARKETD_SERVER_FRONT_DOOR_H_
