// SPDX-License-Identifier: Apache-2.0
// Doorbells between marketd and nomhv: an ivshmem server for one machine.
//
// QEMU's ivshmem-doorbell device connects to a Unix socket and is given the shared memory and two
// event descriptors: one that marketd rings and the device turns into an interrupt, one that nomhv
// rings by a register write. Both sides poll as well, so a lost ring, or a marketd that came back
// after QEMU had connected to its predecessor, costs promptness and nothing else.
//
// Protocol: QEMU 7.2, docs/specs/ivshmem-spec.txt, "Client-Server protocol".

#ifndef MARKETD_HOST_NOMHV_DOORBELL_H_
#define MARKETD_HOST_NOMHV_DOORBELL_H_

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace nom::market {

class Doorbell {
 public:
  // marketd's own peer id: what nomhv writes into the device's doorbell register.
  static constexpr int64_t kOwnPeer = 1;
  static constexpr int64_t kMachinePeer = 2;

  // Listens on `socket_path` (replaced if it is a socket nobody listens on) for the machine whose
  // memory is the file `mailbox_path`, which is made NOM_MAILBOX_BYTES long if it is absent.
  // Errors: FAILED_PRECONDITION names the path and what the system said.
  static absl::StatusOr<std::unique_ptr<Doorbell>> Listen(const std::string& socket_path,
                                                          const std::string& mailbox_path);

  Doorbell(const Doorbell&) = delete;
  Doorbell& operator=(const Doorbell&) = delete;
  ~Doorbell();

  // Wakes nomhv. Any thread; never blocks.
  void Ring();

  // Returns when nomhv rang or after `timeout`. One thread at a time. False: it was the time.
  bool Wait(absl::Duration timeout);

  // A machine has been given its descriptors and is still connected.
  bool connected() const { return connected_.load(std::memory_order_acquire); }

 private:
  Doorbell(std::string socket_path, int listener, int memory, int to_machine, int from_machine,
           int stop);
  void Serve();
  // True if the whole greeting went out.
  bool Greet(int connection) const;

  const std::string socket_path_;
  const int listener_;
  const int memory_;
  const int to_machine_;
  const int from_machine_;
  const int stop_;  // Readable when Serve() is to end.
  std::atomic<bool> connected_ = false;
  std::thread server_;
};

}  // namespace nom::market

#endif  // MARKETD_HOST_NOMHV_DOORBELL_H_
